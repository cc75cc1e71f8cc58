//! What was removed by hand and no process had in memory: told by heads, headers and commits.

use chrono::TimeDelta;
use events::settings::RetentionMode;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::tests::virtual_time::VirtualTime;
use crate::tests::*;
use crate::{FaultKind, IngestOptions, WriteBatch};

/// A node that folds nothing by itself, and has put its head.
pub(in crate::tests) async fn written(root: &Root, ids: &[&str]) -> crate::Ingest {
    let ingest = root.open().ingest(IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..IngestOptions::default()
    });
    for id in ids {
        let batch = WriteBatch {
            origin: Origin::default(),
            events: vec![event("w", DAY_START_MS, id)],
            number: None,
            all_or_nothing: false,
        };
        ingest.write(batch).await.unwrap();
    }
    ingest
}

async fn paths_below(root: &Root, directory: &str) -> Vec<Path> {
    let paths = objects(&root.open()).await.into_iter();
    let below = paths.filter(|path| path.starts_with(directory));
    below.map(Path::from).collect()
}

async fn faults(root: &Root) -> Vec<(String, FaultKind)> {
    let found = root.open().verify_segments().await.unwrap();
    let faults = found.faults.into_iter();
    faults.map(|fault| (fault.path, fault.kind)).collect()
}

async fn delete(root: &Root, path: &Path) {
    root.location.objects.delete(path).await.unwrap();
}

/// A segment that a later header names and that was neither folded nor set aside is missed; a folded one is not,
/// also when all of its events were repeats.
#[tokio::test]
async fn a_segment_removed_before_it_was_folded_is_noticed() {
    let root = Root::in_memory();
    written(&root, &["1", "1", "2"]).await.kill().await;
    let segments = paths_below(&root, "segments/").await;
    assert_eq!(segments.len(), 3);
    assert_eq!(faults(&root).await, []);
    let all = root.copy().await;
    // The header of the last one names the others.
    for path in &segments[..2] {
        let root = all.copy().await;
        delete(&root, path).await;
        let found = faults(&root).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, path.to_string());
        assert!(matches!(&found[0].1, FaultKind::RemovedSegment { witness }
            if *witness == segments[2].to_string()));
    }
    let last = root.location.objects.get(&segments[2]).await.unwrap();
    let last = last.bytes().await.unwrap();
    root.open().fold().await.unwrap();
    assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2"]);
    root.location
        .objects
        .put(&segments[2], last.into())
        .await
        .unwrap();
    assert_eq!(faults(&root).await, []);
}

/// The fold of repeats alone names its segments too.
#[tokio::test]
async fn a_fold_of_repeats_names_its_segments() {
    let root = Root::in_memory();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    let ingest = written(&root, &["1", "1"]).await;
    let segments = paths_below(&root, "segments/").await;
    ingest.kill().await;
    let last = root.location.objects.get(&segments[1]).await.unwrap();
    let last = last.bytes().await.unwrap();
    root.open().fold().await.unwrap();
    root.location
        .objects
        .put(&segments[1], last.into())
        .await
        .unwrap();
    assert_eq!(faults(&root).await, []);
    assert_eq!(stored_ids(&root.open(), "w").await, ["1"]);
}

/// The head of a node that has stopped tells that the newest entry of a log was removed or replaced.
#[tokio::test]
async fn a_removed_newest_entry_is_noticed_by_the_head() {
    let root = Root::in_memory();
    for id in ["1", "2"] {
        written(&root, &[id]).await.close().await.unwrap();
    }
    let entries = paths_below(&root, "workspace=w/_delta_log/").await;
    let newest = entries.last().unwrap();
    let entry = root.location.objects.get(newest).await.unwrap();
    let entry = entry.bytes().await.unwrap();
    assert_eq!(faults(&root).await, []);
    assert!(paths_below(&root, "segments/").await.is_empty());
    delete(&root, newest).await;
    let found = faults(&root).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(&found[0].1, FaultKind::LostVersion { witness, .. }
        if witness.starts_with("heads/")));
    // It is neither answered nor is its version made again.
    let process = root.open();
    let view = process.view(&workspace("w")).await.map(drop);
    let mut import = process.import(ImportOptions::default());
    import.push(event("w", DAY_START_MS, "3")).await.unwrap();
    let imported = import.finish().await.map(drop);
    for error in [view.unwrap_err(), imported.unwrap_err()] {
        assert!(error.to_string().contains(newest.as_ref()), "{error}");
    }
    let text = String::from_utf8(entry.to_vec()).unwrap();
    let changed = text.replacen("txnId\":\"", "txnId\":\"0", 1);
    assert_ne!(text, changed);
    root.location
        .objects
        .put(newest, changed.into())
        .await
        .unwrap();
    let found = faults(&root).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, newest.to_string());
    assert!(matches!(&found[0].1, FaultKind::Replaced { .. }));
}

/// What a log without its newest entry does not name or hold is not deleted: the entry may name and hold it.
#[tokio::test]
async fn a_log_without_its_newest_entry_deletes_nothing() {
    let time = VirtualTime::new();
    let root = &time.root;
    for id in ["1", "2"] {
        written(root, &[id]).await.close().await.unwrap();
    }
    let entries = paths_below(root, "workspace=w/_delta_log/").await;
    let newest = entries.last().unwrap();
    let files = paths_below(root, "workspace=w/day=").await;
    delete(root, newest).await;
    time.pass(TimeDelta::days(3 * 365));
    let store = root.open();
    let lost = |error: StoreError| match error {
        StoreError::Corrupt { path, .. } => assert!(newest.as_ref().starts_with(&path), "{path}"),
        error => panic!("{error}"),
    };
    let w = workspace("w");
    lost(
        store
            .expire(&w, RetentionMode::Confirmed)
            .await
            .unwrap_err(),
    );
    lost(store.vacuum(&w, false).await.unwrap_err());
    assert_eq!(paths_below(root, "workspace=w/day=").await, files);
}

/// The only segment of a node is missed when the node has put a head; a damaged head is told.
#[tokio::test]
async fn a_removed_only_segment_is_noticed_by_the_head() {
    let root = Root::in_memory();
    let ingest = written(&root, &["1"]).await;
    let head = ingest.store().clone();
    let node = paths_below(&root, "segments/").await[0].clone();
    let key = crate::root::paths::segment_key(&node).unwrap();
    let (none, mut own) = (Default::default(), Default::default());
    head.put_head(key.node, &none, &mut own).await.unwrap();
    ingest.kill().await;
    assert_eq!(faults(&root).await, []);
    delete(&root, &node).await;
    let found = faults(&root).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, node.to_string());
    let aside = root.copy().await;
    import(&aside.open(), [event("w", DAY_START_MS, "2")]).await;
    let damaged = aside.open().damaged_segments().await.unwrap();
    assert_eq!(damaged.len(), 1);
    let store = aside.open();
    let done = store.set_aside_segment(&damaged[0].path, Some("ada")).await;
    assert_eq!(done.unwrap().recorded, [workspace("w")]);
    assert_eq!(stored_ids(&aside.open(), "w").await.len(), 2);
    assert_eq!(faults(&aside).await, []);
    let heads = paths_below(&root, "heads/").await;
    root.location
        .objects
        .put(&heads[0], "{}".into())
        .await
        .unwrap();
    let found = faults(&root).await;
    assert_eq!(found[0].0, heads[0].to_string());
    assert!(matches!(&found[0].1, FaultKind::Unreadable(_)));
}

/// Heads of vanished nodes become one that says the same, without what was folded.
#[tokio::test]
async fn heads_of_vanished_nodes_are_merged() {
    let root = Root::in_memory();
    for id in ["1", "2", "3"] {
        written(&root, &[id]).await.close().await.unwrap();
    }
    assert_eq!(paths_below(&root, "heads/").await.len(), 3);
    let now = root.open();
    now.merge_heads().await.unwrap();
    assert_eq!(paths_below(&root, "heads/").await.len(), 3);
    let time_ms = chrono::Utc::now().timestamp_millis() + 2 * 60 * 60 * 1000;
    let mut later = root.location.clone();
    later.clock = crate::root::clock::Clock::given(&std::sync::Arc::new(time_ms.into()));
    Store::from_location(later).merge_heads().await.unwrap();
    assert_eq!(paths_below(&root, "heads/").await.len(), 1);
    assert_eq!(faults(&root).await, []);
    let entries = paths_below(&root, "workspace=w/_delta_log/").await;
    delete(&root, entries.last().unwrap()).await;
    assert_eq!(faults(&root).await.len(), 1);
}

/// Of a log with several damaged objects each is named, also those that no reader needs.
#[tokio::test]
async fn every_damaged_object_of_a_log_is_named() {
    let root = Root::in_memory();
    for number in 0..41 {
        import(
            &root.open(),
            [event("w", DAY_START_MS, &number.to_string())],
        )
        .await;
    }
    let log = |name: &str| Path::from(format!("workspace=w/_delta_log/{name}"));
    let checkpoint = "00000000000000000020.checkpoint.parquet";
    let entry = log("00000000000000000007.json");
    let bytes = root.location.objects.get(&entry).await.unwrap();
    let text = String::from_utf8(bytes.bytes().await.unwrap().to_vec()).unwrap();
    let text = text.replacen("txnId\":\"", "txnId\":\"0", 1);
    root.location
        .objects
        .put(&entry, text.into())
        .await
        .unwrap();
    delete(&root, &log("00000000000000000012.json")).await;
    let newer = log("00000000000000000040.checkpoint.parquet");
    let newer = root.location.objects.get(&newer).await.unwrap();
    let newer = newer.bytes().await.unwrap();
    root.location
        .objects
        .put(&log(checkpoint), newer.into())
        .await
        .unwrap();
    root.location
        .objects
        .put(
            &log("_last_checkpoint"),
            r#"{"version":30,"size":1}"#.into(),
        )
        .await
        .unwrap();
    let faults = root.open().verify_log(&workspace("w")).await.unwrap();
    let mut found: Vec<String> = faults.into_iter().map(|fault| fault.path).collect();
    found.sort_unstable();
    let mut expected = [
        "00000000000000000007.json",
        "00000000000000000012.json",
        checkpoint,
        "_last_checkpoint",
    ]
    .map(|name| log(name).to_string());
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// A damaged head of a node that has vanished is named until it is set aside, of which every workspace has a record.
#[tokio::test]
async fn a_damaged_head_is_set_aside() {
    let root = Root::in_memory();
    written(&root, &["1"]).await.close().await.unwrap();
    let head = paths_below(&root, "heads/").await.remove(0);
    let objects = &root.location.objects;
    objects.put(&head, "{}".into()).await.unwrap();
    let found = faults(&root).await;
    assert_eq!((found.len(), &*found[0].0), (1, head.as_ref()));
    let store = root.open();
    assert_eq!(store.damaged_heads().await.unwrap()[0].path, found[0].0);
    let done = store.set_aside_head(head.as_ref(), Some("ada")).await;
    let done = done.unwrap();
    assert_eq!(done.recorded, [workspace("w")]);
    assert_eq!(
        paths_below(&root, "set-aside/").await,
        [Path::from(done.path)]
    );
    assert_eq!(faults(&root).await, []);
    assert_eq!(stored_ids(&store, "w").await.len(), 2);
    let again = store.set_aside_head(head.as_ref(), Some("ada")).await;
    assert!(matches!(again, Err(StoreError::NotSetAside { .. })));
}
