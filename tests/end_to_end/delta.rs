//! The store is a Delta table for every reader: what Vouch counts, another reader of Delta counts too.

use std::collections::BTreeSet;

use client::Client;
use deltalake_core::DeltaTable;
use futures::TryStreamExt;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use url::Url;

use crate::program::{Vouch, folder};

/// The active files of a workspace's table as delta-rs finds them, and the rows that the files hold.
async fn read_table(vouch: &Vouch, workspace: &str) -> (BTreeSet<String>, i64) {
    let root = vouch.path(&format!("vouch-data/workspace={workspace}"));
    let mut table = DeltaTable::try_from_url(Url::from_directory_path(&root).unwrap())
        .await
        .unwrap();
    table.load().await.unwrap();
    let adds: Vec<_> = table
        .get_active_add_actions_by_partitions(&[])
        .try_collect()
        .await
        .unwrap();
    let mut rows = 0;
    let mut paths = BTreeSet::new();
    for add in adds {
        let path = add.path().into_owned();
        let file = std::fs::File::open(root.join(&path)).unwrap();
        let held = SerializedFileReader::new(file)
            .unwrap()
            .metadata()
            .file_metadata()
            .num_rows();
        assert_eq!(
            add.num_records(),
            Some(usize::try_from(held).unwrap()),
            "{path}"
        );
        rows += held;
        paths.insert(path);
    }
    (paths, rows)
}

/// The Parquet files below a workspace's table, whoever knows of them.
fn files_on_disk(vouch: &Vouch, workspace: &str) -> BTreeSet<String> {
    let root = vouch.path(&format!("vouch-data/workspace={workspace}"));
    let mut files = BTreeSet::new();
    for day in std::fs::read_dir(&root).unwrap().map(Result::unwrap) {
        let day_name = day.file_name().into_string().unwrap();
        if day_name.starts_with("day=") {
            for file in std::fs::read_dir(day.path()).unwrap().map(Result::unwrap) {
                files.insert(format!(
                    "{day_name}/{}",
                    file.file_name().into_string().unwrap()
                ));
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_finds_the_same_events() {
    let vouch = Vouch::with_events();
    vouch
        .run_with_input(
            &["import", "-"],
            b"{\"date\": 1795176000000, \"df_workspace\": \"acme\"}\n",
        )
        .expect_status(0);
    for (workspace, expected) in [("acme", 28), ("beta", 14)] {
        let (files, rows) = read_table(&vouch, workspace).await;
        assert_eq!(rows, expected);
        assert_eq!(files, files_on_disk(&vouch, workspace));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_counts_the_same_by_program_by_service_and_by_another_reader() {
    let vouch = Vouch::new();
    let sample = folder().join("../data/sample.ndjson.zst");
    let done = vouch
        .run(&["import", sample.to_str().unwrap()])
        .expect_status(0);
    done.expect_output("total: 4000 read, 4000 stored, 0 repeated, 0 refused");
    let count = "TAE::*:(count(*) AS n) BY df_workspace";
    let by_program = vouch.json(count);
    let by_service = by_service(&vouch, count).await;
    let counts: Vec<(String, i64)> = by_program["content"][0]["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let workspace = series["tags"]["df_workspace"].as_str().unwrap().to_owned();
            (workspace, series["values"][0][1].as_i64().unwrap())
        })
        .collect();
    assert_eq!(counts, by_service);
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<i64>(), 4_000);
    for (workspace, count) in counts {
        assert_eq!(read_table(&vouch, &workspace).await.1, count, "{workspace}");
    }
}

/// The counts as a service in this process gives them.
async fn by_service(vouch: &Vouch, query: &str) -> Vec<(String, i64)> {
    let config = server::ServerConfig {
        grpc: "127.0.0.1:0".parse().unwrap(),
        http: "127.0.0.1:0".parse().unwrap(),
        ..server::ServerConfig::default()
    };
    let listening = server::Server::bind(config).unwrap();
    let address = listening.grpc_address().to_string();
    let root = vouch.path("vouch-data");
    let store =
        store::Store::open(root.to_str().unwrap(), &store::StoreOptions::default()).unwrap();
    let ingest = store.ingest(store::IngestOptions::default());
    let engine = engine::Engine::new(store, engine::EngineConfig::default()).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(listening.serve(engine, ingest, async { stopped.await.unwrap() }));
    let client = Client::connect(&address).await.unwrap();
    let request = api::QueryRequest {
        query: query.to_owned(),
        scope: api::Scope::All,
        options: api::QueryOptions {
            time_range: Some(events::TimeRange::ALL),
            ..api::QueryOptions::default()
        },
    };
    let answers = client.query(&request).await.unwrap();
    let counts = answers[0].series.iter().map(|series| {
        let Value::String(workspace) = &series.tags[0].1 else {
            panic!("{series:?}")
        };
        (workspace.clone(), series.values[0][1].as_i64().unwrap())
    });
    let counts = counts.collect();
    drop(client);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    counts
}
