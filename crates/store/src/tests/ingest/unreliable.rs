//! Producers, two nodes that come and go, and an object store that fails at random.
//!
//! `VOUCH_FAULTS_RUNS` runs (40 unless set) from the seed `VOUCH_FAULTS_SEED` (1).

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::tests::ingest::write::seen;
use crate::tests::*;
use crate::{BatchNumber, Ingest, IngestOptions, WriteBatch};

const WORKSPACES: [&str; 2] = ["v", "w"];
const PRODUCERS: u64 = 3;
const BATCHES: u64 = 4;
const CONCURRENT_RUNS: usize = 64;

/// A stream of choices that a seed decides.
#[derive(Debug)]
struct Random(Mutex<ChaCha8Rng>);

impl Random {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().next_u64() % bound
    }

    fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// An object store of which some requests fail.
#[derive(Debug)]
struct Unreliable {
    objects: Arc<dyn ObjectStore>,
    random: Arc<Random>,
    /// Whether a part of an object may appear under its name. No object store does that, and a disk only
    /// without the care of `durable`; a node that lives on and reaches the store mends it.
    tears: bool,
    /// What was torn; further requests for it work.
    torn: Mutex<BTreeSet<Path>>,
}

enum Failure {
    /// The request does not arrive.
    Before,
    /// It is done, but the answer is lost.
    After,
    /// A part of the object is written.
    Torn,
}

impl Unreliable {
    async fn failure(&self) -> Option<Failure> {
        if self.random.percent(10) {
            let slow_ms = self.random.below(4);
            tokio::time::sleep(Duration::from_millis(slow_ms)).await;
        }
        self.random.percent(6).then(|| match self.random.below(3) {
            0 => Failure::Before,
            1 => Failure::After,
            _ => Failure::Torn,
        })
    }
}

fn failed() -> Error {
    Error::Generic {
        store: "unreliable",
        source: "the connection was reset".into(),
    }
}

impl fmt::Display for Unreliable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Unreliable")
    }
}

#[async_trait]
impl ObjectStore for Unreliable {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        // An entry of a log is written whole or not at all, as every object store promises it.
        let is_log = location.as_ref().contains("_delta_log");
        if self.torn.lock().unwrap().contains(location) {
            return self.objects.put_opts(location, payload, options).await;
        }
        match self.failure().await {
            None => self.objects.put_opts(location, payload, options).await,
            Some(Failure::After) => {
                self.objects.put_opts(location, payload, options).await?;
                Err(failed())
            }
            Some(Failure::Torn) if self.tears && !is_log => {
                let bytes = Bytes::from(payload);
                let part = self.random.below(bytes.len() as u64 + 1);
                let part = bytes.slice(..usize::try_from(part).unwrap());
                let torn = self.objects.put_opts(location, part.into(), options);
                torn.await?;
                self.torn.lock().unwrap().insert(location.clone());
                Err(failed())
            }
            Some(_) => Err(failed()),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.torn.lock().unwrap().contains(location) {
            return self.objects.get_opts(location, options).await;
        }
        match self.failure().await {
            None => self.objects.get_opts(location, options).await,
            Some(_) => Err(failed()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.failure().await {
            None => self.objects.get_ranges(location, ranges).await,
            Some(_) => Err(failed()),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let objects = Arc::clone(&self.objects);
        let random = Arc::clone(&self.random);
        locations
            .then(move |path| {
                let objects = Arc::clone(&objects);
                let random = Arc::clone(&random);
                async move {
                    let path = path?;
                    if random.percent(4) {
                        return Err(failed());
                    }
                    objects.delete(&path).await?;
                    match random.percent(4) {
                        true => Err(failed()),
                        false => Ok(path),
                    }
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.random.percent(3) {
            true => stream::iter([Err(failed())]).boxed(),
            false => self.objects.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.failure().await {
            None => self.objects.list_with_delimiter(prefix).await,
            Some(_) => Err(failed()),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

/// One run: the root, the nodes, and what was sent and acknowledged.
struct Run {
    root: Root,
    random: Arc<Random>,
    /// Whether nodes are killed; where writes tear, they are stopped in good order.
    kills: bool,
    nodes: Mutex<Vec<Node>>,
    sent: Mutex<BTreeSet<(String, String)>>,
    acknowledged: Mutex<BTreeSet<(String, String)>>,
}

#[derive(Clone)]
struct Node {
    store: Store,
    ingest: Ingest,
}

impl Run {
    fn new(seed: u64) -> Arc<Self> {
        let root = match seed % 16 {
            0 => Root::on_disk(),
            _ => Root::in_memory(),
        };
        let run = Self {
            root,
            random: Random::new(seed),
            kills: !seed.is_multiple_of(3),
            nodes: Mutex::default(),
            sent: Mutex::default(),
            acknowledged: Mutex::default(),
        };
        let nodes = vec![run.start(), run.start()];
        *run.nodes.lock().unwrap() = nodes;
        Arc::new(run)
    }

    fn start(&self) -> Node {
        let location = Location {
            objects: Arc::new(Unreliable {
                objects: Arc::clone(&self.root.location.objects),
                random: Arc::clone(&self.random),
                tears: !self.kills,
                torn: Mutex::default(),
            }),
            ..self.root.location.clone()
        };
        let store = Store::from_location(location);
        let ingest = store.ingest(IngestOptions {
            linger: Duration::from_millis(self.random.below(5)),
            fold_interval: Duration::from_millis(1 + self.random.below(20)),
            abandoned_after: Duration::from_millis(self.random.below(50)),
            ..IngestOptions::default()
        });
        Node { store, ingest }
    }

    fn node(&self, place: u64) -> Node {
        self.nodes.lock().unwrap()[usize::try_from(place).unwrap()].clone()
    }

    /// Stops a node, or kills it as far as a process can do that to a part of itself, and starts another.
    async fn replace_node(&self) {
        let place = self.random.below(2);
        let started = self.start();
        let before = {
            let mut nodes = self.nodes.lock().unwrap();
            std::mem::replace(&mut nodes[usize::try_from(place).unwrap()], started)
        };
        self.stop(&before).await;
    }

    async fn stop(&self, node: &Node) {
        match self.kills {
            true => node.ingest.kill().await,
            // What fails stays in segments.
            false => drop(node.ingest.close().await),
        }
    }

    /// Sends numbered batches of a producer until each is acknowledged.
    async fn produce(self: Arc<Self>, producer: u64) {
        let name = WORKSPACES[usize::try_from(producer % 2).unwrap()];
        for number in 1..=BATCHES {
            let events: Vec<Event> = (0..=self.random.below(3))
                .map(|index| {
                    // Some events are those of other producers.
                    let (offset_ms, id) = match self.random.percent(20) {
                        true => (0, format!("common {}", self.random.below(3))),
                        false => (index, format!("{producer} {number} {index}")),
                    };
                    event(name, DAY_START_MS + i64::try_from(offset_ms).unwrap(), &id)
                })
                .collect();
            let keys = || {
                events
                    .iter()
                    .map(|event| (name.to_owned(), event.id().to_owned()))
            };
            self.sent.lock().unwrap().extend(keys());
            loop {
                let node = self.node(self.random.below(2));
                let written = node.ingest.write(WriteBatch {
                    events: events.clone(),
                    origin: Origin::default(),
                    number: Some(BatchNumber {
                        producer: producer.to_string(),
                        workspace: workspace(name),
                        number,
                    }),
                    all_or_nothing: false,
                });
                if let Ok(written) = written.await {
                    self.acknowledged.lock().unwrap().extend(keys());
                    self.check_token(written.token.unwrap(), name, keys().collect())
                        .await;
                    break;
                }
            }
        }
    }

    /// Any node that is asked with the token sees the events, each once.
    async fn check_token(
        &self,
        token: events::WriteToken,
        name: &str,
        keys: BTreeSet<(String, String)>,
    ) {
        let node = self.node(self.random.below(2));
        if node.store.catch_up(&[token]).await.is_err() {
            return;
        }
        self.check(&node.store, name, &keys).await;
    }

    /// Whoever gets an answer gets each event once, and all of `keys`.
    async fn check(&self, store: &Store, name: &str, keys: &BTreeSet<(String, String)>) {
        let Ok(Some(ids)) = seen(store, name).await else {
            return;
        };
        let seen: BTreeSet<(String, String)> =
            ids.iter().map(|id| (name.to_owned(), id.clone())).collect();
        assert_eq!(seen.len(), ids.len(), "doubled in {ids:?}");
        let lost: Vec<_> = keys.difference(&seen).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
        let sent = self.sent.lock().unwrap();
        assert!(seen.is_subset(&sent), "never sent, in {ids:?}");
    }

    /// With a store that works again, everything that was acknowledged is there once.
    async fn finish(&self) {
        let nodes = std::mem::take(&mut *self.nodes.lock().unwrap());
        for node in &nodes {
            self.stop(node).await;
        }
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let mut by_workspace: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
        for (name, id) in &acknowledged {
            let keys = by_workspace.entry(name).or_default();
            keys.insert((name.clone(), id.clone()));
        }
        let healthy = self.root.open();
        for round in 0..2 {
            for (name, keys) in &by_workspace {
                self.check(&healthy, name, keys).await;
                let seen = seen(&healthy, name).await;
                assert!(seen.is_ok(), "round {round}: {seen:?}");
            }
            let folded = healthy.fold().await.unwrap();
            assert!(folded.failed.is_empty(), "{:?}", folded.failed);
        }
        for name in by_workspace.keys() {
            let verification = healthy.verify(&workspace(name)).await.unwrap().unwrap();
            assert_eq!(verification.faults, []);
        }
    }
}

async fn run(seed: u64) {
    let run = Run::new(seed);
    let producers = (0..PRODUCERS).map(|producer| tokio::spawn(Arc::clone(&run).produce(producer)));
    let mut producers = futures::future::join_all(producers.collect::<Vec<_>>());
    loop {
        let pause = Duration::from_millis(1 + run.random.below(60));
        tokio::select! {
            outcomes = &mut producers => {
                for outcome in outcomes {
                    outcome.unwrap();
                }
                break;
            }
            () = tokio::time::sleep(pause) => match run.random.below(3) {
                0 => run.replace_node().await,
                1 => {
                    let node = run.node(run.random.below(2));
                    // What fails changes nothing.
                    let _ = node.store.fold().await;
                }
                _ => {
                    let node = run.node(run.random.below(2));
                    run.check(&node.store, "w", &BTreeSet::new()).await;
                }
            }
        }
    }
    run.finish().await;
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreliable_object_store_loses_and_doubles_nothing() {
    let first = setting("VOUCH_FAULTS_SEED", 1);
    let runs = setting("VOUCH_FAULTS_RUNS", 40);
    stream::iter(first..first + runs)
        .map(|seed| async move {
            let outcome = tokio::spawn(run(seed)).await;
            assert!(outcome.is_ok(), "the run of seed {seed} failed");
        })
        .buffer_unordered(CONCURRENT_RUNS)
        .for_each(|()| async {})
        .await;
}
