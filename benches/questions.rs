//! Times an import and a few audit questions, against plain DataFusion over the same Parquet files.
//!
//! Run it by `cargo run --release -p vouch-benches --bin questions [EVENTS]` (1,000,000 events when none
//! are given). Each question is asked of both in turn, with other literals each time; the table has the
//! median of the runs and the ratio of Vouch to DataFusion in this one run.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::prelude::{DataFrame, Expr, ParquetReadOptions, col, lit};
use engine::{Engine, EngineConfig, QueryOptions, QueryRequest, Scope};
use events::{Defaults, Event, WorkspaceId};
use serde_json::{Map, Value, json};
use store::{ImportOptions, Store, StoreOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RUNS: usize = 7;
const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 30;
/// 2026-11-01T00:00:00Z.
const END_MS: i64 = 1_793_491_200_000;
const USERS: u64 = 200;
const TITLES: [&str; 5] = [
    "Sign in",
    "View dashboard",
    "Modify monitor",
    "Delete monitor",
    "Export CSV",
];

#[tokio::main]
async fn main() -> Result<()> {
    let events: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let root = directory.path().to_string_lossy();
    let store = Store::open(&root, &StoreOptions::default())?;
    let started = Instant::now();
    let mut import = store.import(ImportOptions::default());
    for number in 0..events {
        import.push(event(number, events)?).await?;
    }
    let summary = import.finish().await?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes: u64 = summary
        .workspaces
        .iter()
        .map(|workspace| workspace.size_bytes)
        .sum();
    println!(
        "import: {} events in {seconds:.1} s, {:.0} events/s with making them, {:.1} bytes an event",
        summary.stored,
        summary.stored as f64 / seconds,
        bytes as f64 / summary.stored as f64,
    );
    let engine = Engine::new(store, EngineConfig::default())?;
    let context = SessionContext::new();
    let files = format!("{root}/workspace=bench/");
    let frame = context
        .read_parquet(files, ParquetReadOptions::default())
        .await?;
    println!(
        "{:<28} {:>10} {:>12} {:>7}",
        "question", "vouch ms", "datafusion", "ratio"
    );
    let mut product = 1.0;
    for question in QUESTIONS {
        let (own, other) = compare(&engine, &frame, question, events).await?;
        let ratio = own.as_secs_f64() / other.as_secs_f64();
        product *= ratio;
        println!(
            "{:<28} {:>10.1} {:>12.1} {ratio:>7.2}",
            question.name,
            milliseconds(own),
            milliseconds(other)
        );
    }
    println!(
        "geometric mean of the ratios: {:.2}",
        product.powf(1.0 / QUESTIONS.len() as f64)
    );
    Ok(())
}

/// The same question in both languages; `run` chooses the literals.
struct Question {
    name: &'static str,
    dql: fn(run: usize, events: u64) -> String,
    frame: fn(DataFrame, run: usize, events: u64) -> datafusion::error::Result<DataFrame>,
}

const QUESTIONS: [&Question; 5] = [
    &Question {
        name: "count by operator",
        dql: |run, _| {
            format!(
                "TAE::*:(count(*)) {} BY df_user_id SORDER BY count(*) DESC SLIMIT 20",
                window(run)
            )
        },
        frame: |frame, run, _| {
            frame
                .filter(inside(run))?
                .aggregate(vec![col("df_user_id")], vec![count(lit(1)).alias("n")])?
                .sort(vec![col("n").sort(false, true)])?
                .limit(0, Some(20))
        },
    },
    &Question {
        name: "count per day",
        dql: |run, _| format!("TAE::*:(count(*)) [{}:{}:1d]", from_ms(run), END_MS),
        frame: |frame, run, _| {
            frame.filter(inside(run))?.aggregate(
                vec![(col("date") - col("date") % lit(DAY_MS)).alias("day")],
                vec![count(lit(1)).alias("n")],
            )
        },
    },
    &Question {
        name: "newest 100",
        dql: |run, _| format!("TAE::*:(df_title, df_user_id) {} LIMIT 100", window(run)),
        frame: |frame, run, _| {
            frame
                .filter(inside(run))?
                .sort(vec![
                    col("date").sort(false, true),
                    col("df_event_id").sort(false, true),
                ])?
                .limit(0, Some(100))?
                .select_columns(&["date", "df_title", "df_user_id"])
        },
    },
    &Question {
        name: "one event by id",
        dql: |run, events| {
            format!(
                "TAE::*:(*) {{df_event_id = '{}'}} {}",
                wanted_id(run, events),
                window(0)
            )
        },
        frame: |frame, run, events| {
            frame.filter(inside(0).and(col("df_event_id").eq(lit(wanted_id(run, events)))))
        },
    },
    &Question {
        name: "failures by title",
        dql: |run, _| {
            format!(
                "TAE::*:(count(*)) {{df_status = 'error', df_user_id != 'user-{run}'}} {} BY df_title",
                window(run)
            )
        },
        frame: |frame, run, _| {
            frame
                .filter(inside(run))?
                .filter(col("df_status").eq(lit("error")))?
                .filter(col("df_user_id").not_eq(lit(format!("user-{run}"))))?
                .aggregate(vec![col("df_title")], vec![count(lit(1)).alias("n")])
        },
    },
];

async fn compare(
    engine: &Engine,
    frame: &DataFrame,
    question: &Question,
    events: u64,
) -> Result<(Duration, Duration)> {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let request = QueryRequest {
            query: (question.dql)(run, events),
            scope: Scope::All,
            options: QueryOptions::default(),
        };
        let started = Instant::now();
        let answers = engine.query(&request).await?;
        let took = started.elapsed();
        if answers.iter().all(|answer| answer.series.is_empty()) {
            return Err(format!("`{}` found nothing", request.query).into());
        }
        let started = Instant::now();
        (question.frame)(frame.clone(), run, events)?
            .collect()
            .await?;
        // The first run warms both.
        if run > 0 {
            own.push(took);
            other.push(started.elapsed());
        }
    }
    Ok((median(own), median(other)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The begin of a run's window: each reads one minute less than the one before.
fn from_ms(run: usize) -> i64 {
    END_MS - DAYS * DAY_MS + run as i64 * 60_000
}

fn window(run: usize) -> String {
    format!("[{}:{END_MS}]", from_ms(run))
}

fn inside(run: usize) -> Expr {
    col("date")
        .gt_eq(lit(from_ms(run)))
        .and(col("date").lt(lit(END_MS)))
}

fn wanted_id(run: usize, events: u64) -> String {
    id((run as u64 + 1) * (events / (RUNS as u64 + 2)))
}

fn id(number: u64) -> String {
    format!("{:016x}", mixed(number))
}

/// A number that looks random and is the same in every run (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn event(number: u64, events: u64) -> Result<Event> {
    let random = mixed(number);
    let spread = i128::from(number) * i128::from(DAYS * DAY_MS) / i128::from(events);
    let user = (random % USERS) * ((random >> 16) % USERS) / USERS;
    let title = TITLES[(random >> 32) as usize % TITLES.len()];
    let record: Map<String, Value> = [
        (
            "date",
            json!(END_MS - DAYS * DAY_MS + i64::try_from(spread)?),
        ),
        ("df_event_id", json!(id(number))),
        ("df_title", json!(title)),
        (
            "df_message",
            json!(format!(
                "{title}: operation {} by user {user} of team {}",
                random >> 44,
                user % 9
            )),
        ),
        ("df_user_id", json!(format!("user-{user}"))),
        (
            "df_status",
            json!(if random.is_multiple_of(20) {
                "error"
            } else {
                "info"
            }),
        ),
        (
            "client_ip",
            json!(format!("10.0.{}.{}", user % 256, (random >> 8) % 256)),
        ),
        ("ticket", json!(random >> 50)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let workspace: WorkspaceId = "bench".parse()?;
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    Ok(Event::from_json_identified_by_content(record, &defaults)
        .map_err(|rejection| rejection.message)?)
}
