//! Vouch beside what people would pick instead: DuckDB, ClickHouse, and DataFusion over Vouch's files.
//!
//! Run it by `cargo run --release -p vouch-benches --bin compare [-- --events N]`. It makes the events and
//! everything else that it needs; a second run uses the same stores. `docs/performance.md` tells what is
//! measured, and how it stays fair.
//!
//! | module | holds |
//! |---|---|
//! | `question`, `dialect`, `literals` | the questions in DQL and SQL, other literals in each run |
//! | `vouch`, `peer`, `peer.py` | who is asked |
//! | `rows` | answers, and whether they agree |
//! | `work`, `load` | the stores |
//! | `timing` | asks and measures |
//! | `report` | prints tables |
//! | `against`, `ratio` | a build of Vouch beside another one |
//! | `growth` | what questions and imports cost in stores of different sizes |
#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

mod against;
mod dialect;
mod growth;
mod literals;
mod load;
mod peer;
mod question;
mod ratio;
mod report;
mod rows;
mod timing;
mod vouch;
mod work;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use crate::against::Against;
use crate::literals::Found;
use crate::load::Loader;
use crate::question::{QUESTIONS, Question};
use crate::timing::Timing;
use crate::work::{Loaded, Work};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Compares Vouch with DuckDB, ClickHouse and DataFusion over the same events.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many events
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Where the events and stores are kept [default: a folder for this number of events in the cache]
    #[arg(long, value_name = "FOLDER")]
    work: Option<PathBuf>,
    /// Load anew into these engines, or into all when none is named
    #[arg(long, value_name = "ENGINE,…", value_delimiter = ',', num_args = 0.., require_equals = true, default_missing_value = "vouch,duckdb,clickhouse")]
    reload: Vec<Store>,
    /// How often each question is asked and timed
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Only questions whose name contains one of these texts
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Which tables
    #[arg(
        long,
        value_name = "TABLE,…",
        value_delimiter = ',',
        default_value = "warm,first,repeated"
    )]
    tables: Vec<Table>,
    /// A `vouch` program to measure, instead of building that of this workspace
    #[arg(long, value_name = "FILE")]
    vouch: Option<PathBuf>,
    /// Compare with this `vouch` program instead of with other engines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["growth", "reload"])]
    against: Option<PathBuf>,
    /// Measure instead how costs grow with the days that are stored
    #[arg(long)]
    growth: bool,
}

/// An engine with a store of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Vouch,
    Duckdb,
    Clickhouse,
}

/// How questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Of running engines, with other literals each time
    Warm,
    /// Of engines that have just been started
    First,
    /// Of running engines, word for word again
    Repeated,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cache = cache()?;
    let program = match &arguments.vouch {
        Some(program) => program.canonicalize()?,
        None => vouch::build()?,
    };
    if arguments.growth {
        let folder = arguments.work.clone();
        let folder = folder.unwrap_or_else(|| cache.join("compare-growth"));
        return growth::measure(&program, &folder, arguments.runs).await;
    }
    let folder = arguments.work.clone();
    let folder = folder.unwrap_or_else(|| cache.join(format!("compare-{}", arguments.events)));
    let work = Work::open(folder, arguments.events)?;
    let is_wanted = |question: &&Question| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|name| question.name.contains(name))
    };
    let questions: Vec<&Question> = QUESTIONS.iter().filter(is_wanted).collect();
    if let Some(other) = &arguments.against {
        let other = other.canonicalize()?;
        load::make_ndjson(&work, &program)?;
        let against = Against::new(&work, &program, &other, arguments.runs);
        return against.measure(&arguments.tables, &questions).await;
    }
    let python = peer::python(&cache)?;
    let found = load_all(&work, &program, &python, &arguments.reload).await?;
    let timing = Timing {
        work: &work,
        program: &program,
        python: &python,
        found: &found,
        runs: arguments.runs,
    };
    for table in &arguments.tables {
        timing.measure(*table, &questions).await?;
    }
    Ok(())
}

/// Loads what is not loaded, tells what loading took, and gives values to look up.
async fn load_all(work: &Work, program: &Path, python: &Path, anew: &[Store]) -> Result<Found> {
    let loader = Loader {
        work,
        program,
        python,
    };
    loader.make_events()?;
    let mut all = Vec::new();
    for (name, store) in [
        ("DuckDB", Store::Duckdb),
        ("ClickHouse", Store::Clickhouse),
        ("Vouch", Store::Vouch),
    ] {
        let known = work.read::<Loaded>(name)?;
        let loaded = match known.filter(|_| !anew.contains(&store)) {
            Some(loaded) => loaded,
            None => {
                println!("loading {} events into {name}", work.events);
                let loaded = match store {
                    Store::Vouch => loader.vouch().await?,
                    Store::Duckdb => loader.duckdb()?,
                    Store::Clickhouse => loader.clickhouse()?,
                };
                work.write(name, &loaded)?;
                loaded
            }
        };
        all.push((name, loaded));
    }
    report::loads(work.events, &all);
    if let Some(found) = work.read("found")? {
        return Ok(found);
    }
    let found = loader.find()?;
    work.write("found", &found)?;
    Ok(found)
}

/// The folder that this user's programs keep in what can be made again.
fn cache() -> Result<PathBuf> {
    let given = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = given.filter(|path| path.is_absolute()).or_else(home);
    let cache = cache.ok_or("set HOME, or XDG_CACHE_HOME")?;
    Ok(cache.join("vouch"))
}
