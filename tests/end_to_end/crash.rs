//! Nodes are killed at every write that a store makes, at random moments, and put to sleep; clients send
//! what was not acknowledged to whichever node is alive. At the end every acknowledged event is there
//! once, no event is there twice, nothing is there that nobody sent, and every file is sound.
//!
//! Every second run has two nodes; the clock of one of them is 30 days behind, 30 days ahead or 3 years ahead.
//! Nothing that is young is dropped then, either.
//!
//! `VOUCH_CRASH_SEED` chooses what happens, `VOUCH_CRASH_KILLS` how often. With `VOUCH_PROOF_RECORD=FILE` a long run
//! writes its seed, commit and counts to a file, and goes on there.
//!
//! | module | is |
//! |---|---|
//! | `failpoint` | an object store that kills its own process at a chosen write |
//! | `node` | a process that serves a store |
//! | `plan` | which process dies where, and what came of it |
//! | `cluster` | nodes on one store that die and come back |
//! | `expiring` | workspaces with old events, some of which are held |
//! | `importer` | imports beside the nodes |
//! | `model` | what was sent and acknowledged, and whether a store holds just that |
//! | `producer` | clients that send events until they are acknowledged |
//! | `reader` | questions while nodes die |
//! | `remains` | what dead processes leave, made to look old, so that it is cleaned away |

mod cluster;
mod expiring;
mod failpoint;
mod importer;
mod model;
mod node;
mod plan;
mod producer;
mod reader;
mod remains;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::StreamItem;
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::TimeDelta;
use engine::{Engine, EngineConfig};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use store::{Store, StoreOptions};
use tokio::task::JoinSet;

use cluster::Cluster;
use plan::Plan;
use producer::{Ids, Producer};

use crate::record::{Record, from_environment};

/// How many processes of one store die.
const KILLS_PER_STORE: usize = 20;
/// How many processes die unless the environment says otherwise.
const KILLS: usize = 20;
/// How long the processes of one store may take to die.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_no_acknowledged_event_is_lost_and_none_is_there_twice() {
    let seed = from_environment("VOUCH_CRASH_SEED", 1);
    let kills = usize::try_from(from_environment("VOUCH_CRASH_KILLS", KILLS as u64)).unwrap();
    println!("VOUCH_CRASH_SEED={seed} VOUCH_CRASH_KILLS={kills}");
    let record = Record::new("kills", seed);
    let mut counts: Counts = record.resumed();
    let plan = Arc::new(Mutex::new(Plan::new(seed + counts.stores)));
    let begun = Instant::now();
    while counts.kills < kills {
        let planned = KILLS_PER_STORE.min(kills - counts.kills);
        plan.lock().unwrap().extend(planned);
        let nodes = 1 + counts.stores as usize % 2;
        counts.stores += 1;
        let ahead = shift(seed, counts.stores);
        kill_nodes_of_one_store(&plan, nodes, ahead, seed + counts.stores).await;
        counts.kills += planned;
        record.note(&counts);
    }
    let table = plan.lock().unwrap().table();
    println!("{} s\n{table}", begun.elapsed().as_secs());
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    stores: u64,
    /// Processes that died.
    kills: usize,
}

/// By how much the clock of a node is ahead in the run with this number.
fn shift(seed: u64, run: u64) -> TimeDelta {
    let turn = (seed + run / 2) % 3;
    TimeDelta::days([-30, 30, 3 * 365][turn as usize])
}

/// Kills processes on a new store until the plan ends, and looks at what is left.
async fn kill_nodes_of_one_store(
    plan: &Arc<Mutex<Plan>>,
    nodes: usize,
    ahead: TimeDelta,
    seed: u64,
) {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let log = directory.path().join("log");
    let begun = Instant::now();
    open(&store).init().await.unwrap();
    let cluster = Arc::new(Cluster::new(store, log, nodes, Arc::clone(plan), ahead));
    let answers = run(&cluster, seed).await;
    let sound = examine(&cluster).await;
    // On a disk that works nothing fails, however many processes die.
    let log = std::fs::read_to_string(&cluster.log).unwrap();
    let is_trouble = |line: &&str| {
        let is_of_clock = line.contains("the clock of this node is");
        line.contains("ERROR") || (line.contains(" WARN store") && !is_of_clock)
    };
    for line in log.lines().filter(is_trouble) {
        cluster.model.problem(format!("logged: {line}"));
    }
    let (sent, acknowledged) = cluster.model.totals();
    println!(
        "store {seed}: {nodes} nodes, the first of two {} days ahead, {} processes, {sent} events sent, {acknowledged} acknowledged, \
         {answers} answers, {sound} files, {:.1} s",
        ahead.num_days(),
        cluster.lives(),
        begun.elapsed().as_secs_f32()
    );
    let problems = cluster.model.problems();
    if !problems.is_empty() {
        let kept = directory.keep();
        panic!(
            "{} problems, store kept in {}\n{}\n\nwhat the nodes say at the end:\n{}",
            problems.len(),
            kept.display(),
            problems[..problems.len().min(20)].join("\n"),
            last_lines(&log, 40),
        );
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Lets processes die and clients write and ask meanwhile; gives the number of answers.
async fn run(cluster: &Arc<Cluster>, seed: u64) -> usize {
    let mut clients = JoinSet::new();
    let mut readers = JoinSet::new();
    for (name, ids) in [("n1", Ids::Own), ("n2", Ids::Derived), ("n3", Ids::Derived)] {
        clients.spawn(Producer::numbered(cluster, name, ids, seed).run());
    }
    for (name, ids) in [("u1", Ids::Own), ("u2", Ids::Derived)] {
        clients.spawn(Producer::unnumbered(cluster, name, ids, seed).run());
    }
    let mut places = JoinSet::new();
    for place in 0..cluster.size() {
        readers.spawn(reader::ask(Arc::clone(cluster), place, seed));
        places.spawn(Arc::clone(cluster).live_and_die(place));
    }
    let ended = tokio::time::timeout(PATIENCE, async {
        while let Some(ended) = places.join_next().await {
            ended.unwrap();
        }
        for place in 0..cluster.size() {
            places.spawn(Arc::clone(cluster).live(place));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.is_ending.send_replace(true);
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        let mut answers = 0;
        while let Some(ended) = readers.join_next().await {
            answers += ended.unwrap();
        }
        cluster.stop();
        while let Some(ended) = places.join_next().await {
            ended.unwrap();
        }
        answers
    });
    match ended.await {
        Ok(answers) => answers,
        Err(_) => {
            let problem = format!("not over after {} s", PATIENCE.as_secs());
            cluster.model.problem(problem);
            0
        }
    }
}

/// Compares the store with what was sent, as it was left and folded; gives the number of its files.
async fn examine(cluster: &Cluster) -> usize {
    let model = &cluster.model;
    compare(cluster, "as it was left").await;
    let store = open(&cluster.directory);
    let folded = store.fold().await.unwrap();
    for (workspace, error) in &folded.failed {
        model.problem(format!("{workspace} cannot be folded: {error}"));
    }
    compare(cluster, "when all was folded").await;
    let mut files = 0;
    for workspace in store.workspaces().await.unwrap() {
        let verification = store.verify(&workspace).await.unwrap().unwrap();
        files += verification.files;
        for fault in verification.faults {
            model.problem(format!("{}: {}", fault.path, fault.kind));
        }
    }
    files
}

fn open(directory: &Path) -> Store {
    Store::open(directory.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

/// Reads every event by DQL.
async fn compare(cluster: &Cluster, when: &str) {
    let store = open(&cluster.directory);
    let stored = store.workspaces().await.unwrap();
    let engine = Engine::new(store, EngineConfig::default()).unwrap();
    for workspace in cluster.model.workspaces() {
        let found = match stored.iter().any(|stored| stored.as_str() == workspace) {
            true => columns(&engine, &workspace, ["df_title"]).await,
            false => Vec::new(),
        };
        let found: Vec<String> = found.into_iter().map(|[title]| title).collect();
        cluster.model.compare(when, &workspace, &found);
    }
    for workspace in cluster.expiring.workspaces() {
        let found = columns(&engine, &workspace, ["df_title", "action"]).await;
        let found: Vec<(String, String)> = found.into_iter().map(<_>::from).collect();
        expiring::check(&cluster.model, when, &workspace, &found);
    }
}

/// Some columns of all events of a workspace; empty where an event lacks one.
async fn columns<const N: usize>(
    engine: &Engine,
    workspace: &str,
    names: [&str; N],
) -> Vec<[String; N]> {
    let query = format!("TAE::*:({})", names.join(", "));
    let question = reader::question(&query, workspace);
    let items: Vec<StreamItem> = engine.query_stream(question).try_collect().await.unwrap();
    let mut rows = Vec::new();
    for item in items {
        if let StreamItem::Batch(batch) = item {
            let columns = names.map(|name| {
                let column = batch.column_by_name(name).unwrap();
                cast(column, &DataType::Utf8).unwrap()
            });
            let texts = columns.each_ref().map(|column| column.as_string::<i32>());
            let row = |row| texts.map(|text| text.is_valid(row).then(|| text.value(row)));
            let row = |index| row(index).map(|text| text.unwrap_or_default().to_owned());
            rows.extend((0..batch.num_rows()).map(row));
        }
    }
    rows
}
