//! Years of virtual time: random imports, compactions and cleanings, and after each step the table
//! holds exactly what a simple model says.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use object_store::path::Path;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::tests::virtual_time::VirtualTime;
use crate::tests::*;

/// Days over which events are spread at most, backwards from now.
const DAYS: i64 = 400;

/// Something that happens to the store.
#[derive(Debug, Clone)]
enum Step {
    /// Events arrive, of the given days before now and with the given numbers in their ids, in files
    /// of one event each when `in_small_files`.
    Import {
        events: Vec<(i64, u8)>,
        in_small_files: bool,
    },
    /// An import writes files and is killed.
    Kill { events: Vec<(i64, u8)> },
    /// A compaction runs.
    Compact { is_settled: bool },
    /// A cleaning runs.
    Clean,
    /// Somebody begins to read, and reads for up to a day.
    Read,
    /// Time passes.
    Pass { hours: i64 },
}

fn events_of() -> impl Strategy<Value = Vec<(i64, u8)>> {
    let days_ago = prop_oneof![4 => 0_i64..3, 1 => 0..DAYS];
    vec((days_ago, any::<u8>()), 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (events_of(), any::<bool>())
            .prop_map(|(events, in_small_files)| Step::Import { events, in_small_files }),
        1 => events_of().prop_map(|events| Step::Kill { events }),
        3 => any::<bool>().prop_map(|is_settled| Step::Compact { is_settled }),
        2 => Just(Step::Clean),
        1 => Just(Step::Read),
        3 => prop_oneof![1_i64..30, 30_i64..1000].prop_map(|hours| Step::Pass { hours }),
    ]
}

/// The day and the id of an event.
type Key = (i64, String);

/// What a reader has begun to read, and when.
struct Reader {
    since_ms: i64,
    snapshot: Snapshot,
    expected: BTreeSet<Key>,
}

/// The store and what should be in it.
struct Model {
    time: VirtualTime,
    store: Store,
    events: BTreeSet<Key>,
    readers: Vec<Reader>,
}

impl Model {
    fn new() -> Self {
        let time = VirtualTime::new();
        let store = time.root.open();
        Self {
            time,
            store,
            events: BTreeSet::new(),
            readers: Vec::new(),
        }
    }

    async fn apply(&mut self, step: &Step) {
        match step {
            Step::Import {
                events,
                in_small_files,
            } => {
                self.import(events, *in_small_files).await;
            }
            Step::Kill { events } => {
                let mut killed = self.store.import(ImportOptions { memory_bytes: 1 });
                for event in self.made(events) {
                    killed.push(event).await.unwrap();
                }
            }
            Step::Compact { is_settled } => self.compact(*is_settled).await,
            Step::Clean => {
                self.store.vacuum(&workspace("w"), false).await.unwrap();
            }
            Step::Read => {
                if let Some(snapshot) = self.store.snapshot(&workspace("w")).await.unwrap() {
                    self.readers.push(Reader {
                        since_ms: self.time.now_ms(),
                        snapshot,
                        expected: self.events.clone(),
                    });
                }
            }
            Step::Pass { hours } => {
                self.time.pass(TimeDelta::hours(*hours));
                // A process that knows nothing of what was before.
                self.store = self.time.root.open();
            }
        }
        self.check().await;
    }

    fn made(&self, events: &[(i64, u8)]) -> Vec<Event> {
        let today = self.time.now_ms();
        let events = events.iter();
        events
            .map(|(days_ago, id)| {
                // The same event whenever it is made on a day.
                let day = (today - days_ago * DAY_MS).div_euclid(DAY_MS);
                event("w", day * DAY_MS + i64::from(*id), &id.to_string())
            })
            .collect()
    }

    async fn import(&mut self, events: &[(i64, u8)], in_small_files: bool) {
        let memory_bytes = if in_small_files { 1 } else { 1_000_000 };
        let mut import = self.store.import(ImportOptions { memory_bytes });
        let mut stored = 0;
        for event in self.made(events) {
            let key = (event.date_ms().div_euclid(DAY_MS), event.id().to_owned());
            stored += u64::from(self.events.insert(key));
            import.push(event).await.unwrap();
        }
        let summary = import.finish().await.unwrap();
        assert_eq!(
            (summary.stored, summary.repeated),
            (stored, events.len() as u64 - stored)
        );
    }

    async fn compact(&self, is_settled: bool) {
        if self.events.is_empty() {
            return;
        }
        let options = CompactionOptions {
            settle_after: if is_settled {
                Duration::ZERO
            } else {
                Duration::from_hours(1)
            },
            rest_factor: 0,
            ..CompactionOptions::default()
        };
        let compaction = self
            .store
            .compact(&workspace("w"), &options)
            .await
            .unwrap()
            .unwrap();
        assert!(compaction.faults.is_empty(), "{:?}", compaction.faults);
        let snapshot = self.store.snapshot(&workspace("w")).await.unwrap().unwrap();
        let mut files: BTreeMap<_, u32> = BTreeMap::new();
        for file in snapshot.files.iter() {
            *files.entry(file.day).or_default() += 1;
        }
        // A day has at most 256 events here: ranks 0 to 8 with base 2, 0 to 2 with base 8.
        let bound = if is_settled { 9 } else { 7 * 3 };
        assert!(files.values().all(|count| *count <= bound), "{files:?}");
    }

    async fn check(&mut self) {
        let now_ms = self.time.now_ms();
        self.readers
            .retain(|reader| now_ms - reader.since_ms < DAY_MS);
        for reader in &self.readers {
            assert_eq!(self.read(&reader.snapshot).await, reader.expected);
        }
        let Some(snapshot) = self.store.snapshot(&workspace("w")).await.unwrap() else {
            assert!(self.events.is_empty());
            return;
        };
        assert_eq!(snapshot.rows(), self.events.len() as u64);
        assert_eq!(self.read(&snapshot).await, self.events);
    }

    async fn read(&self, snapshot: &Snapshot) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        for batch in read(&self.store, snapshot).await {
            let dates = batch.column_by_name(fields::DATE).unwrap();
            let ids = batch.column_by_name(fields::EVENT_ID).unwrap();
            let dates = dates.as_primitive::<Int64Type>().values().iter();
            for (date, id) in dates.zip(ids.as_string::<i32>()) {
                let key = (date.div_euclid(DAY_MS), id.unwrap().to_owned());
                assert!(keys.insert(key), "an event is there twice");
            }
        }
        keys
    }

    /// After long enough nothing is left but what is needed.
    async fn end(mut self) {
        self.apply(&Step::Compact { is_settled: true }).await;
        for _ in 0..2 {
            self.apply(&Step::Pass { hours: 40 * 24 }).await;
            self.apply(&Step::Import {
                events: vec![(0, 0)],
                in_small_files: false,
            })
            .await;
            self.apply(&Step::Pass { hours: 8 * 24 }).await;
            self.apply(&Step::Clean).await;
        }
        let found = assert_whole(&self.store, "w").await;
        assert_eq!((found.unnamed_files, found.files_without_digest), (0, 0));
        let log = Path::from("workspace=w/_delta_log");
        let entries: Vec<_> = self
            .store
            .object_store()
            .list(Some(&log))
            .try_collect()
            .await
            .unwrap();
        // The entries of 30 days, and those since the checkpoint before them.
        assert!(entries.len() < 20 + 10, "{}", entries.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_store_holds_what_the_model_says(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new();
            for step in &steps {
                model.apply(step).await;
            }
            model.end().await;
        });
    }
}
