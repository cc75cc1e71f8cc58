//! What cleaning deletes, and that nobody needed it.

mod full_disk;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::root::clock::Clock;
use crate::tests::faults::{Delegate, interpose};
use crate::tests::hooked::{Hook, Request, hooked};
use crate::tests::virtual_time::VirtualTime;
use crate::tests::*;
use crate::{IngestOptions, MaintenanceOptions, RemovalReason};

async fn vacuum(store: &Store) -> Vec<(RemovalReason, String)> {
    let removed = store.vacuum(&workspace("w"), false).await.unwrap().unwrap();
    let mut removed: Vec<_> = removed
        .into_iter()
        .map(|removal| (removal.reason, removal.path))
        .collect();
    removed.sort_unstable();
    removed
}

/// Files below the table of `w`, without its log.
async fn files(store: &Store) -> Vec<String> {
    let mut files = objects(store).await;
    files.retain(|path| path.starts_with("workspace=w/day="));
    files
}

async fn newest(store: &Store) -> Snapshot {
    store.snapshot(&workspace("w")).await.unwrap().unwrap()
}

/// An import of one event that has written its file and not committed it.
async fn staged(store: &Store, id: &str) -> crate::Import {
    let mut import = store.import(ImportOptions { memory_bytes: 1 });
    import.push(event("w", DAY_START_MS, id)).await.unwrap();
    import
}

#[tokio::test]
async fn replaced_files_stay_for_a_day() {
    let time = VirtualTime::new();
    let store = time.root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    time.pass(TimeDelta::days(20));
    let before = newest(&store).await;
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(23));
    assert_eq!(vacuum(&store).await, []);
    assert_eq!(read(&store, &before).await.len(), 2);
    time.pass(TimeDelta::hours(2));
    let would = store.vacuum(&workspace("w"), true).await.unwrap().unwrap();
    assert_eq!((would.len(), files(&store).await.len()), (2, 3));
    assert_eq!(newest(&store).await.version, 3);
    let removed = vacuum(&store).await;
    let mut expected: Vec<_> = before
        .files
        .iter()
        .map(|file| (RemovalReason::Removed, file.path.to_string()))
        .collect();
    expected.sort_unstable();
    assert_eq!(removed, expected);
    assert_eq!(files(&store).await.len(), 1);
    assert_eq!(vacuum(&store).await, []);
    assert_eq!(stored_ids(&time.root.open(), "w").await, ["1", "2"]);
    assert_eq!(assert_whole(&store, "w").await.unnamed_files, 0);
}

#[tokio::test]
async fn what_a_killed_import_left_goes_after_a_week_and_unknown_objects_stay() {
    let time = VirtualTime::new();
    let store = time.root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    drop(staged(&store, "2").await);
    let unknown = [
        "workspace=w/notes.txt",
        "workspace=w/day=2026-11-21/part-0.parquet",
        "workspace=w/_delta_log/notes.txt",
        "workspace=v/day=2026-11-21/00000000-0000-4000-8000-000000000000.parquet",
        "segments/0/1",
    ];
    for path in unknown {
        let objects = store.object_store();
        objects.put(&Path::from(path), "kept".into()).await.unwrap();
    }
    time.pass(TimeDelta::hours(7 * 24 - 1));
    assert_eq!(vacuum(&store).await, []);
    time.pass(TimeDelta::hours(2));
    let removed = vacuum(&store).await;
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].0, RemovalReason::Unnamed);
    assert_eq!(stored_ids(&store, "w").await, ["1"]);
    let left = objects(&store).await;
    assert!(
        unknown
            .iter()
            .all(|path| left.iter().any(|other| other == path)),
        "{left:?}"
    );
    let cleaned = store.vacuum(&workspace("v"), false).await;
    assert!(
        matches!(cleaned, Err(StoreError::LogMissing { .. })),
        "{cleaned:?}"
    );
}

#[tokio::test]
async fn an_import_that_slept_writes_its_files_anew() {
    let time = VirtualTime::new();
    let store = time.root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let slow = staged(&store, "2").await;
    let before = files(&store).await;
    time.pass(TimeDelta::hours(6 * 24 - 1));
    let quicker = staged(&store, "3").await;
    time.pass(TimeDelta::hours(2));
    assert_eq!(slow.finish().await.unwrap().stored, 1);
    assert_eq!(quicker.finish().await.unwrap().stored, 1);
    let after = newest(&store).await;
    let kept = after
        .files
        .iter()
        .filter(|file| before.contains(&file.path.to_string()));
    assert_eq!(kept.count(), 1, "only the file of the first import");
    time.pass(TimeDelta::days(30));
    vacuum(&store).await;
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3"]);
    assert_eq!(assert_whole(&store, "w").await.unnamed_files, 0);
}

#[tokio::test]
async fn an_import_whose_files_were_deleted_fails_as_a_whole() {
    let time = VirtualTime::new();
    let store = time.root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let slow = staged(&store, "2").await;
    time.pass(TimeDelta::days(8));
    assert_eq!(vacuum(&time.root.open()).await.len(), 1);
    let error = slow.finish().await.unwrap_err();
    assert!(error.is_missing_object(), "{error}");
    assert_eq!(stored_ids(&store, "w").await, ["1"]);
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    assert_eq!(stored_ids(&store, "w").await, ["1", "2"]);
    assert_whole(&store, "w").await;
}

#[tokio::test]
async fn an_import_that_outlives_the_files_it_was_checked_against_goes_on() {
    let time = VirtualTime::new();
    let (store, other) = (time.root.open(), time.root.open());
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    let mut slow = staged(&store, "3").await;
    import(
        &other,
        [event("w", DAY_START_MS, "3"), event("w", DAY_START_MS, "4")],
    )
    .await;
    compact(&other, "w").await;
    time.pass(TimeDelta::hours(25));
    assert_eq!(vacuum(&other).await.len(), 3);
    for id in ["1", "4", "5"] {
        slow.push(event("w", DAY_START_MS, id)).await.unwrap();
    }
    let summary = slow.finish().await.unwrap();
    assert_eq!((summary.stored, summary.repeated), (1, 3));
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3", "4", "5"]);
    assert_whole(&store, "w").await;
}

/// Runs an action once, right before the first commit that is put.
struct BeforeCommit(Mutex<Option<BoxFuture<'static, ()>>>);

impl BeforeCommit {
    fn store(root: &Root, action: BoxFuture<'static, ()>) -> Store {
        interpose(root, Self(Mutex::new(Some(action))))
    }
}

#[async_trait::async_trait]
impl Delegate for BeforeCommit {
    async fn before_put(&self, path: &Path) {
        let action = match path.as_ref().contains("_delta_log") {
            true => self.0.lock().unwrap().take(),
            false => None,
        };
        if let Some(action) = action {
            action.await;
        }
    }
}

#[tokio::test]
async fn a_writer_that_sleeps_right_before_its_commit_loses_it_to_a_cleaner() {
    let time = Arc::new(VirtualTime::new());
    import(&time.root.open(), [event("w", DAY_START_MS, "1")]).await;
    let sleep = {
        let time = Arc::clone(&time);
        async move {
            time.pass(TimeDelta::days(9));
            let removed = vacuum(&time.root.open()).await;
            assert_eq!(removed.len(), 1, "the file that is about to be committed");
        }
    };
    let slow = BeforeCommit::store(&time.root, sleep.boxed());
    let mut import = slow.import(ImportOptions::default());
    import.push(event("w", DAY_START_MS, "2")).await.unwrap();
    assert!(import.finish().await.unwrap_err().is_missing_object());
    assert_eq!(stored_ids(&time.root.open(), "w").await, ["1"]);
    assert_whole(&time.root.open(), "w").await;
}

#[tokio::test]
async fn a_compaction_that_sleeps_right_before_its_commit_does_no_harm() {
    for days in [1, 6, 9, 40] {
        let time = Arc::new(VirtualTime::new());
        for id in ["1", "2"] {
            import(&time.root.open(), [event("w", DAY_START_MS, id)]).await;
        }
        let sleep = {
            let time = Arc::clone(&time);
            async move {
                time.pass(TimeDelta::days(days));
                compact(&time.root.open(), "w").await;
                time.pass(TimeDelta::days(days));
                vacuum(&time.root.open()).await;
            }
        };
        let slow = BeforeCommit::store(&time.root, sleep.boxed());
        compact(&slow, "w").await;
        let store = time.root.open();
        assert_eq!(stored_ids(&store, "w").await, ["1", "2"]);
        assert_whole(&store, "w").await;
        time.pass(TimeDelta::days(9));
        vacuum(&store).await;
        assert_eq!(files(&store).await.len(), 1);
        assert_whole(&store, "w").await;
    }
}

/// One commit a day of an event that is its own day.
async fn live(time: &VirtualTime, days: std::ops::Range<i64>) {
    let store = time.root.open();
    for day in days {
        time.pass(TimeDelta::days(1));
        import(
            &store,
            [event("w", DAY_START_MS + day * DAY_MS, &day.to_string())],
        )
        .await;
    }
}

#[tokio::test]
async fn the_log_is_cut_off_behind_a_checkpoint() {
    let time = VirtualTime::new();
    live(&time, 0..75).await;
    let store = time.root.open();
    let old = time.root.open();
    newest(&old).await;
    let removed = vacuum(&store).await;
    // 30 days ago version 45 was the newest; the checkpoint before it is 40. That of version 20 goes.
    let entries = removed
        .iter()
        .filter(|(reason, _)| *reason == RemovalReason::LogEntry);
    assert_eq!(entries.count(), 41);
    let log = objects(&store).await;
    let commits = log.iter().filter(|path| path.ends_with(".json")).count();
    assert_eq!(commits, 37, "40 to 75, and the one of the cleaner");
    for store in [store, old, time.root.open()] {
        assert_eq!(stored_ids(&store, "w").await.len(), 75);
        import(&store, [event("w", DAY_START_MS, "0")]).await;
    }
    live(&time, 75..100).await;
    vacuum(&time.root.open()).await;
    assert_eq!(stored_ids(&time.root.open(), "w").await.len(), 100);
    assert_whole(&time.root.open(), "w").await;
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_cuts_nothing_off() {
    let time = VirtualTime::new();
    live(&time, 0..55).await;
    let store = time.root.open();
    let checkpoint = Path::from("workspace=w/_delta_log/00000000000000000020.checkpoint.parquet");
    let objects_of = store.object_store();
    let mut content = objects_of
        .get(&checkpoint)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec();
    // That it could be read before is not enough.
    store.vacuum(&workspace("w"), true).await.unwrap();
    let middle = content.len() / 4;
    content[middle..middle + 64].fill(0xff);
    objects_of.put(&checkpoint, content.into()).await.unwrap();
    assert!(store.vacuum(&workspace("w"), false).await.is_err());
    let log = objects(&store).await;
    assert!(log.contains(&"workspace=w/_delta_log/00000000000000000000.json".to_owned()));
    assert_eq!(stored_ids(&time.root.open(), "w").await.len(), 55);
}

#[tokio::test]
async fn a_writer_that_slept_until_its_version_was_free_again_is_told() {
    for sleepers in [1, 2] {
        let time = Arc::new(VirtualTime::new());
        import(&time.root.open(), [event("w", DAY_START_MS, "1")]).await;
        let sleep = {
            let time = Arc::clone(&time);
            async move {
                live(&time, 0..55).await;
                let removed = vacuum(&time.root.open()).await;
                let next = "workspace=w/_delta_log/00000000000000000002.json".to_owned();
                assert!(removed.contains(&(RemovalReason::LogEntry, next)));
                if sleepers == 2 {
                    // Another one woke up before and has put the version that this one knows.
                    let objects = time.root.open().object_store();
                    let known = Path::from("workspace=w/_delta_log/00000000000000000001.json");
                    objects.put(&known, "{}".into()).await.unwrap();
                }
            }
        };
        let slow = BeforeCommit::store(&time.root, sleep.boxed());
        let mut import = slow.import(ImportOptions::default());
        import.push(event("w", DAY_START_MS, "late")).await.unwrap();
        let error = import.finish().await.unwrap_err();
        assert!(matches!(error, StoreError::CommitUnknown { .. }), "{error}");
        let store = time.root.open();
        assert!(!stored_ids(&store, "w").await.contains(&"late".to_owned()));
        crate::tests::import(&store, [event("w", DAY_START_MS, "late")]).await;
        assert!(stored_ids(&slow, "w").await.contains(&"late".to_owned()));
        assert_eq!(assert_whole(&store, "w").await.rows, 1 + 55 + 1);
        time.pass(TimeDelta::days(40));
        live(&time, 55..60).await;
        vacuum(&store).await;
        assert_eq!(assert_whole(&time.root.open(), "w").await.unnamed_files, 0);
    }
}

#[tokio::test]
async fn two_cleaners_do_no_harm_to_each_other() {
    let time = VirtualTime::new();
    for id in ["1", "2", "3"] {
        import(&time.root.open(), [event("w", DAY_START_MS, id)]).await;
    }
    compact(&time.root.open(), "w").await;
    time.pass(TimeDelta::days(2));
    let (one, other) = (time.root.open(), time.root.open());
    let (one, other) = tokio::join!(vacuum(&one), vacuum(&other));
    assert!(one.len() == 3 || other.len() == 3);
    let store = time.root.open();
    assert_eq!(files(&store).await.len(), 1);
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3"]);
}

#[tokio::test]
async fn staging_files_of_killed_processes_go_after_a_week() {
    let root = Root::on_disk();
    let store = root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let staging = root.location.directory().unwrap().join("_staging");
    let week = Duration::from_hours(7 * 24);
    for (name, age) in [("old", week * 2), ("part#1", week * 2), ("young", week / 2)] {
        let file = std::fs::File::create(staging.join(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    let would = store.vacuum_leftovers(true).await.unwrap();
    assert_eq!(would.len(), 2);
    assert_eq!(store.vacuum_leftovers(false).await.unwrap(), would);
    assert_eq!(store.vacuum_leftovers(false).await.unwrap(), []);
    let left: Vec<_> = std::fs::read_dir(&staging).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(
        Root::in_memory()
            .open()
            .vacuum_leftovers(false)
            .await
            .unwrap(),
        []
    );
}

/// What a start has written to try the object store goes a day after its process was killed.
#[tokio::test]
async fn start_probes_of_killed_processes_go_after_a_day() {
    let time = VirtualTime::new();
    let store = time.root.open();
    let objects_at = store.object_store();
    let left = paths::start_probe();
    let others = ["probe-notes.txt", "w/probe-notes"];
    for path in others.map(Path::from).iter().chain([&left]) {
        objects_at.put(path, "".into()).await.unwrap();
    }
    time.pass(TimeDelta::hours(23));
    assert_eq!(store.vacuum_leftovers(false).await.unwrap(), []);
    time.pass(TimeDelta::hours(2));
    let would = store.vacuum_leftovers(true).await.unwrap();
    assert_eq!(would.len(), 1);
    assert_eq!(would[0].path, left.to_string());
    assert_eq!(store.vacuum_leftovers(false).await.unwrap(), would);
    assert_eq!(store.vacuum_leftovers(false).await.unwrap(), []);
    assert_eq!(objects(&store).await, others);
}
