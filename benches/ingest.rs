//! Times durable ingest on a local disk and on an S3 server in this process, and what a question costs
//! while segments are not folded.
//!
//! Run it by `cargo run --release -p vouch-benches --bin ingest [SECONDS]` (5 seconds a row when none are
//! given). Every acknowledgement is for events that are durable: synced to the disk, or answered by S3.
#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

#[path = "../tests/end_to_end/s3_server.rs"]
#[expect(clippy::unwrap_used, reason = "a server for tests")]
mod s3_server;

use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, Instant};

use api::{Answer, QueryOptions, QueryRequest, Scope};
use engine::{Engine, EngineConfig};
use events::{Defaults, Event, Origin, WorkspaceId};
use futures::future::try_join_all;
use s3_server::S3;
use serde_json::{Value, json};
use store::{ImportOptions, Ingest, IngestOptions, Store, StoreOptions, WriteBatch};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// 2026-11-21T00:00:00Z.
const DAY_START_MS: i64 = 1_795_219_200_000;

/// Clients that write at the same time, and how many events each sends at once.
const LOADS: [(usize, usize); 4] = [(1, 1), (64, 1), (16, 100), (8, 2000)];

const WRITES: usize = 10_000;
const SEGMENTS: usize = 300;
const WORKSPACES: usize = 1000;
const QUESTION_RUNS: usize = 15;
/// A store of many small files and segments.
const SMALL_FILES: usize = 120;
const DAYS: usize = 19;
const FILE_EVENTS: usize = 49;
const NODE_SEGMENTS: usize = 245;
const MS_OF_DAY: usize = 86_400_000;
const FIRST_RUNS: usize = 5;
const COUNT: &str = "TAE::audit:(count(*)) [2026-11-21:2026-12-10]";
const COUNT_BY_USER: &str = "TAE::audit:(count(*)) [2026-11-21:2026-11-22] BY df_user_name";

#[tokio::main]
async fn main() -> Result<()> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let s3 = S3::start().await;
    let on_disk = |name: &str| {
        let path = directory.path().join(name);
        Store::open(&path.to_string_lossy(), &StoreOptions::default())
    };
    let on_s3 = |name: &str| {
        let settings = s3.settings();
        Store::open(&format!("s3://audit/{name}"), &StoreOptions { settings })
    };
    println!(
        "{:<6} {:>8} {:>7} {:>10} {:>8} {:>8} {:>7}",
        "root", "clients", "events", "events/s", "p50 ms", "p99 ms", "puts/s"
    );
    for (clients, events) in LOADS {
        let name = format!("load-{clients}-{events}");
        for (root, store) in [("disk", on_disk(&name)?), ("s3", on_s3(&name)?)] {
            store.init().await?;
            let load = load(&store, clients, events, Duration::from_secs(seconds)).await?;
            println!("{root:<6} {clients:>8} {events:>7} {load}");
        }
    }
    let names = ["one by one", "workspaces", "question", "first question"];
    let [one_by_one, workspaces, asked, first] = names.map(on_disk);
    let (one_by_one, workspaces, asked, first) = (one_by_one?, workspaces?, asked?, first?);
    for store in [&one_by_one, &workspaces, &asked, &first] {
        store.init().await?;
    }
    one_event_writes(one_by_one).await?;
    many_workspaces(&workspaces).await?;
    question(asked).await?;
    first_question(first).await
}

/// What a load has shown.
struct Load {
    events_a_second: f64,
    puts_a_second: f64,
    latencies: Vec<Duration>,
}

impl std::fmt::Display for Load {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |percent: usize| {
            let place = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
            self.latencies[place].as_secs_f64() * 1000.0
        };
        write!(
            formatter,
            "{:>10.0} {:>8.1} {:>8.1} {:>7.1}",
            self.events_a_second,
            at(50),
            at(99),
            self.puts_a_second
        )
    }
}

/// Clients that send one batch after the other, for a while.
async fn load(store: &Store, clients: usize, events: usize, time: Duration) -> Result<Load> {
    let ingest = store.ingest(IngestOptions::default());
    let started = Instant::now();
    let client = |client: usize| {
        let ingest = ingest.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut tokens = HashSet::new();
            while started.elapsed() < time {
                let first = latencies.len() * events;
                let batch = (first..first + events).map(|number| event("w0", client, number));
                let batch = batch.collect::<Result<Vec<Event>>>()?;
                let sent = Instant::now();
                let token = write(&ingest, batch).await?;
                latencies.push(sent.elapsed());
                tokens.extend(token);
            }
            Ok::<_, Box<dyn Error + Send + Sync>>((latencies, tokens))
        })
    };
    let mut latencies = Vec::new();
    let mut tokens = HashSet::new();
    for outcome in try_join_all((0..clients).map(client)).await? {
        let (of_client, written) = outcome?;
        latencies.extend(of_client);
        tokens.extend(written);
    }
    let seconds = started.elapsed().as_secs_f64();
    ingest.close().await?;
    latencies.sort_unstable();
    Ok(Load {
        events_a_second: (latencies.len() * events) as f64 / seconds,
        puts_a_second: tokens.len() as f64 / seconds,
        latencies,
    })
}

/// What many writes of one event each leave in the store.
async fn one_event_writes(store: Store) -> Result<()> {
    let ingest = store.ingest(IngestOptions::default());
    let started = Instant::now();
    for number in 0..WRITES {
        write(&ingest, vec![event("w0", 0, number)?]).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    ingest.close().await?;
    let snapshot = store.snapshot(&"w0".parse()?).await?;
    let table = snapshot.ok_or("the table is missing")?;
    let engine = Engine::new(store, EngineConfig::default())?;
    let asked = Instant::now();
    let answers = ask_once(&engine, "TAE::audit:(count(*)) [2026-01-01:2027-01-01]").await?;
    println!(
        "{WRITES} writes of one event, one after the other: {seconds:.1} s, {} commits, {} files; a count over the year: {} in {:.1} ms",
        table.version,
        table.files.len(),
        answers[0].series[0].values[0][1],
        asked.elapsed().as_secs_f64() * 1000.0
    );
    Ok(())
}

/// How many durable writes it takes to acknowledge an event of each of many workspaces at once, and
/// what folding them costs.
async fn many_workspaces(store: &Store) -> Result<()> {
    let ingest = store.ingest(by_hand());
    for round in 0..2 {
        let started = Instant::now();
        let writes = (0..WORKSPACES).map(|workspace| {
            let ingest = ingest.clone();
            async move {
                let event = event(&format!("w{workspace}"), round, 0)?;
                write(&ingest, vec![event]).await
            }
        });
        let tokens: HashSet<String> = try_join_all(writes).await?.into_iter().flatten().collect();
        let written = started.elapsed();
        let started = Instant::now();
        store.fold().await?;
        println!(
            "{WORKSPACES} workspaces, round {}: {} puts, acknowledged in {:.0} ms, folded in {:.1} s",
            round + 1,
            tokens.len(),
            written.as_secs_f64() * 1000.0,
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// A question over many segments, and over the same events when they are folded.
async fn question(store: Store) -> Result<()> {
    let ingest = store.ingest(by_hand());
    for segment in 0..SEGMENTS {
        let batch = (0..20).map(|number| event("w0", segment, number));
        write(&ingest, batch.collect::<Result<Vec<Event>>>()?).await?;
    }
    let engine = Engine::new(store.clone(), EngineConfig::default())?;
    let with_segments = ask(&engine, COUNT_BY_USER).await?;
    let first = first_time(&store, COUNT_BY_USER).await?;
    store.fold().await?;
    let folded = ask(&engine, COUNT_BY_USER).await?;
    println!(
        "count by user: {:.1} ms with {SEGMENTS} segments ({:.1} ms the first time in a new process), {:.1} ms when they are folded, ratio {:.2}",
        with_segments.as_secs_f64() * 1000.0,
        first.as_secs_f64() * 1000.0,
        folded.as_secs_f64() * 1000.0,
        with_segments.as_secs_f64() / folded.as_secs_f64()
    );
    Ok(())
}

/// The first question of a process over many small files and segments, of which half of the events are in the files
/// too, as after nodes were killed while their clients sent again what was not acknowledged.
async fn first_question(store: Store) -> Result<()> {
    for file in 0..SMALL_FILES {
        let mut import = store.import(ImportOptions::default());
        for day in 0..DAYS {
            for number in 0..FILE_EVENTS {
                import.push(event_of_day(day, file, number)?).await?;
            }
        }
        import.finish().await?;
    }
    // One node would fold so many.
    let nodes = [(); 2].map(|()| store.ingest(by_hand()));
    for segment in 0..NODE_SEGMENTS * nodes.len() {
        let batch = (0..DAYS).step_by(2).flat_map(|day| {
            let file = segment % SMALL_FILES;
            [(file, segment % FILE_EVENTS), (SMALL_FILES, segment)]
                .map(|(file, number)| event_of_day(day, file, number))
        });
        write(&nodes[segment % nodes.len()], batch.collect::<Result<_>>()?).await?;
    }
    let with_segments = first_time(&store, COUNT).await?;
    store.fold().await?;
    let folded = first_time(&store, COUNT).await?;
    println!(
        "first question over {} files and {} segments: {:.0} ms, {:.0} ms when they are folded, ratio {:.2}",
        SMALL_FILES * DAYS,
        NODE_SEGMENTS * nodes.len(),
        with_segments.as_secs_f64() * 1000.0,
        folded.as_secs_f64() * 1000.0,
        with_segments.as_secs_f64() / folded.as_secs_f64()
    );
    Ok(())
}

fn event_of_day(day: usize, file: usize, number: usize) -> Result<Event> {
    event("w0", file, day * MS_OF_DAY + number)
}

/// The median time of a question of processes that have not seen the store yet.
async fn first_time(store: &Store, query: &str) -> Result<Duration> {
    let ask = async || {
        let fresh = Store::open(store.url().as_str(), &StoreOptions::default())?;
        ask_once(&Engine::new(fresh, EngineConfig::default())?, query).await
    };
    median(FIRST_RUNS, ask).await
}

/// The median time of a question that is asked again and again.
async fn ask(engine: &Engine, query: &str) -> Result<Duration> {
    median(QUESTION_RUNS, async || ask_once(engine, query).await).await
}

async fn median(runs: usize, ask: impl AsyncFn() -> Result<Vec<Answer>>) -> Result<Duration> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        ask().await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[runs / 2])
}

async fn ask_once(engine: &Engine, query: &str) -> Result<Vec<Answer>> {
    let request = QueryRequest {
        query: query.to_owned(),
        scope: Scope::Workspaces(vec!["w0".parse()?]),
        options: QueryOptions::default(),
    };
    Ok(engine.query(&request).await?)
}

/// Folds only when asked to.
fn by_hand() -> IngestOptions {
    IngestOptions {
        fold_interval: Duration::from_hours(24),
        ..IngestOptions::default()
    }
}

async fn write(ingest: &Ingest, events: Vec<Event>) -> Result<Option<String>> {
    let batch = WriteBatch {
        events,
        origin: Origin::default(),
        number: None,
        all_or_nothing: false,
    };
    let written = ingest.write(batch).await?;
    Ok(written.token.map(|token| token.to_string()))
}

/// An event of about 300 bytes.
fn event(workspace: &str, client: usize, number: usize) -> Result<Event> {
    let record = json!({
        "date": DAY_START_MS + i64::try_from(number)?,
        "df_event_id": format!("{client:08x}-{number:016x}"),
        "df_title": "Modify monitor",
        "df_message": "The threshold of the monitor for the checkout service was changed from 90 to 95 percent",
        "df_user_name": format!("user{}", number % 200),
        "df_user_id": format!("acnt_{:032x}", number % 200),
        "df_origin": "front",
        "result": "Success",
        "client_ip": "10.0.0.1",
    });
    let Value::Object(record) = record else {
        return Err("the record is no object".into());
    };
    let workspace: WorkspaceId = workspace.parse()?;
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    Event::from_json_identified_by_content(record, &defaults)
        .map_err(|rejection| format!("{rejection:?}").into())
}
