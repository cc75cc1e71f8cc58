//! A store in S3, served by this process.

use std::time::Duration;

use events::{Defaults, Event, Origin};
use store::{
    CompactionOptions, ImportOptions, ImportSummary, Ingest, IngestOptions, Store, StoreOptions,
    WriteBatch, WriteOutcome,
};

use crate::program::{ALL_OF_TIME, Vouch, events};
use crate::s3_server::S3;

fn open(server: &S3, url: &str) -> Store {
    let settings = server.settings();
    Store::open(url, &StoreOptions { settings }).unwrap()
}

async fn import(store: Store) -> ImportSummary {
    let mut import = store.import(ImportOptions::default());
    for line in events().lines() {
        let record = serde_json::from_str(line).unwrap();
        let event = Event::from_json_identified_by_content(record, &Defaults::default());
        import.push(event.unwrap()).await.unwrap();
    }
    import.finish().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_program_imports_and_answers_from_a_bucket() {
    let s3 = S3::start().await;
    let vouch = Vouch::new();
    vouch.write("events.ndjson", events());
    let run = |arguments: &[&str]| {
        let mut command = vouch.command(arguments);
        command
            .env("VOUCH_STORE", "s3://audit/vouch/store")
            .envs(s3.settings());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["init"]).contains("s3://audit/vouch/store"));
    assert!(run(&["import", "events.ndjson"]).contains("total: 41 read, 41 stored, 0 repeated"));
    assert!(run(&["import", "events.ndjson"]).contains("total: 41 read, 0 stored, 41 repeated"));
    let mut query = vec!["query", "--workspace", "*", "--format", "csv"];
    query.extend(ALL_OF_TIME);
    query.push("TAE::*:(count(*)) BY df_workspace");
    assert_eq!(
        run(&query),
        "df_workspace,time,count(*)\nacme,,27\nbeta,,14\n"
    );
    let local = Vouch::with_events();
    query.pop();
    query.push("TAE::*:(*)");
    assert!(run(&query) == local.run(&query).expect_status(0).text());

    let (backups, restored) = ("s3://audit/vouch/backups", "s3://audit/vouch/restored");
    run(&["backup", "--to", backups, "--new"]);
    assert!(run(&["backup", "--to", backups]).contains("copied: 0 objects"));
    let restore = [
        "restore", "--from", backups, "--by", "ada", "--store", restored,
    ];
    assert!(run(&restore).contains("every object is what was copied"));
    assert!(run(&["verify", "--store", restored]).contains("workspace acme: whole; "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn imports_at_the_same_time_store_every_event_once() {
    let s3 = S3::start().await;
    open(&s3, "s3://audit/together").init().await.unwrap();
    let imports = (0..4).map(|_| tokio::spawn(import(open(&s3, "s3://audit/together"))));
    let mut stored = 0;
    for import in imports.collect::<Vec<_>>() {
        let summary = import.await.unwrap();
        assert_eq!(summary.stored + summary.repeated, 41);
        stored += summary.stored;
    }
    assert_eq!(stored, 41);
    let store = open(&s3, "s3://audit/together");
    for (workspace, expected) in [("acme", 27), ("beta", 14)] {
        let snapshot = store
            .snapshot(&workspace.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(snapshot.rows(), expected, "{workspace}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_us_is_an_error_not_an_empty_store() {
    let s3 = S3::start().await;
    let mut settings = s3.settings();
    settings[2].1 = "wrong".to_owned();
    let store = Store::open("s3://audit/vouch", &StoreOptions { settings }).unwrap();
    assert!(store.workspaces().await.is_err());
    assert!(open(&s3, "s3://nobody/vouch").workspaces().await.is_err());
}

fn sign_in(workspace: &str, id: usize) -> Event {
    let record = serde_json::json!({
        "df_workspace": workspace,
        "date": "2026-11-20T08:30:00Z",
        "df_event_id": id.to_string(),
        "df_title": "Sign in",
    });
    let serde_json::Value::Object(record) = record else {
        panic!("{record} is no object");
    };
    Event::from_json_identified_by_content(record, &Defaults::default()).unwrap()
}

async fn write(ingest: &Ingest, events: Vec<Event>) -> WriteOutcome {
    let batch = WriteBatch {
        events,
        origin: Origin::default(),
        number: None,
        all_or_nothing: false,
    };
    ingest.write(batch).await.unwrap()
}

/// What every root must do: two nodes that take in, fold and compact the same events at the same time
/// store each once, and each sees what the other has acknowledged.
async fn nodes_share_a_root(open: impl Fn() -> Store) {
    open().init().await.unwrap();
    let stores = [open(), open()];
    let options = IngestOptions {
        fold_interval: Duration::from_millis(20),
        ..IngestOptions::default()
    };
    let nodes = stores.clone().map(|store| store.ingest(options));
    for round in 0..10 {
        // Each node gets half of the events of the other, too.
        let writes = [0, 1].map(|node| {
            let ids = round * 10 + node * 3..round * 10 + node * 3 + 6;
            let events = ids.flat_map(|id| ["acme", "beta"].map(|name| sign_in(name, id)));
            write(&nodes[node], events.collect())
        });
        let [one, other] = writes;
        let (one, other) = tokio::join!(one, other);
        let tokens = [one.token.unwrap(), other.token.unwrap()];
        for store in &stores {
            store.catch_up(&tokens).await.unwrap();
            for name in ["acme", "beta"] {
                let view = store.view(&name.parse().unwrap()).await.unwrap().unwrap();
                assert_eq!(view.rows(), 9 * (round as u64 + 1), "{name}");
            }
        }
        if round % 4 == 3 {
            let (one, other) = tokio::join!(stores[0].fold(), stores[1].fold());
            assert!(one.unwrap().failed.is_empty() && other.unwrap().failed.is_empty());
        }
        let compaction = CompactionOptions {
            settle_after: Duration::ZERO,
            ..CompactionOptions::default()
        };
        let acme = "acme".parse().unwrap();
        let (one, other) = tokio::join!(
            stores[0].compact(&acme, &compaction),
            stores[1].compact(&acme, &compaction)
        );
        one.unwrap();
        other.unwrap();
    }
    for node in &nodes {
        node.close().await.unwrap();
    }
    let store = open();
    assert_eq!(store.verify_segments().await.unwrap().segments, 0);
    for name in ["acme", "beta"] {
        let verification = store.verify(&name.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((verification.rows, verification.faults), (90, Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_share_a_bucket() {
    let s3 = S3::start().await;
    nodes_share_a_root(|| open(&s3, "s3://audit/nodes")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_share_a_disk() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    let open = || Store::open(&root.to_string_lossy(), &StoreOptions::default()).unwrap();
    nodes_share_a_root(open).await;
}
