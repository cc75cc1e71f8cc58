//! What cleaning deletes, and that nobody needed it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::faults::{Delegate, interpose};
use super::hooked::{Hook, Request, hooked};
use super::virtual_time::VirtualTime;
use super::*;
use crate::clock::Clock;
use crate::{IngestOptions, RemovalReason, UpkeepOptions};

async fn clean(store: &Store) -> Vec<(RemovalReason, String)> {
    let removed = store.clean(&workspace("w"), false).await.unwrap().unwrap();
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
    assert_eq!(clean(&store).await, []);
    assert_eq!(read(&store, &before).await.len(), 2);
    time.pass(TimeDelta::hours(2));
    let would = store.clean(&workspace("w"), true).await.unwrap().unwrap();
    assert_eq!((would.len(), files(&store).await.len()), (2, 3));
    assert_eq!(newest(&store).await.version, 3);
    let removed = clean(&store).await;
    let mut expected: Vec<_> = before
        .files
        .iter()
        .map(|file| (RemovalReason::Removed, file.path.to_string()))
        .collect();
    expected.sort_unstable();
    assert_eq!(removed, expected);
    assert_eq!(files(&store).await.len(), 1);
    assert_eq!(clean(&store).await, []);
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
    assert_eq!(clean(&store).await, []);
    time.pass(TimeDelta::hours(2));
    let removed = clean(&store).await;
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
    let cleaned = store.clean(&workspace("v"), false).await;
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
    clean(&store).await;
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
    assert_eq!(clean(&time.root.open()).await.len(), 1);
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
    assert_eq!(clean(&other).await.len(), 3);
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
            let removed = clean(&time.root.open()).await;
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
                clean(&time.root.open()).await;
            }
        };
        let slow = BeforeCommit::store(&time.root, sleep.boxed());
        compact(&slow, "w").await;
        let store = time.root.open();
        assert_eq!(stored_ids(&store, "w").await, ["1", "2"]);
        assert_whole(&store, "w").await;
        time.pass(TimeDelta::days(9));
        clean(&store).await;
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
    let removed = clean(&store).await;
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
    clean(&time.root.open()).await;
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
    store.clean(&workspace("w"), true).await.unwrap();
    let middle = content.len() / 4;
    content[middle..middle + 64].fill(0xff);
    objects_of.put(&checkpoint, content.into()).await.unwrap();
    assert!(store.clean(&workspace("w"), false).await.is_err());
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
                let removed = clean(&time.root.open()).await;
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
        super::import(&store, [event("w", DAY_START_MS, "late")]).await;
        assert!(stored_ids(&slow, "w").await.contains(&"late".to_owned()));
        assert_eq!(assert_whole(&store, "w").await.rows, 1 + 55 + 1);
        time.pass(TimeDelta::days(40));
        live(&time, 55..60).await;
        clean(&store).await;
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
    let (one, other) = tokio::join!(clean(&one), clean(&other));
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
    let would = store.clean_leftovers(true).await.unwrap();
    assert_eq!(would.len(), 2);
    assert_eq!(store.clean_leftovers(false).await.unwrap(), would);
    assert_eq!(store.clean_leftovers(false).await.unwrap(), []);
    let left: Vec<_> = std::fs::read_dir(&staging).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(
        Root::in_memory()
            .open()
            .clean_leftovers(false)
            .await
            .unwrap(),
        []
    );
}

/// What a disk without room answers to whatever would take some.
fn disk_full() -> Hook {
    full_once(Arc::new(AtomicBool::new(true)))
}

/// The same of a disk that has room as long as `is_full` is not set.
fn full_once(is_full: Arc<AtomicBool>) -> Hook {
    const ENOSPC: i32 = 28;
    Arc::new(move |request| {
        let source = std::io::Error::from_raw_os_error(ENOSPC);
        let answer = match request {
            Request::Put if is_full.load(Ordering::SeqCst) => Err(object_store::Error::Generic {
                store: "full",
                source: source.into(),
            }),
            _ => Ok(()),
        };
        async move { answer }.boxed()
    })
}

/// A full disk takes no commit. What a version has removed is deleted all the same, since only that makes room;
/// a file that no version names may be another writer's, and stays.
#[tokio::test]
async fn cleaning_makes_room_on_a_full_disk() {
    let time = VirtualTime::new();
    let store = time.root.open();
    for id in ["1", "2"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    let before = newest(&store).await;
    drop(staged(&store, "3").await);
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(25));

    let full = Store::at(hooked(&time.root, disk_full()));
    let refused = full.import(ImportOptions::default());
    let mut refused = refused.from_origin(through("import"));
    let pushed = refused.push(event("w", DAY_START_MS, "4")).await;
    assert!(pushed.is_err() || refused.finish().await.is_err());
    let removed = clean(&full).await;
    let mut expected: Vec<_> = before
        .files
        .iter()
        .map(|file| (RemovalReason::Removed, file.path.to_string()))
        .collect();
    expected.sort_unstable();
    assert_eq!(removed, expected);
    assert_eq!(files(&full).await.len(), 2);
    assert_eq!(stored_ids(&time.root.open(), "w").await, ["1", "2"]);

    // Nothing is left that may go without a commit: the cause is told.
    let error = full.clean(&workspace("w"), false).await.unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    let removed = clean(&store).await;
    assert_eq!((removed.len(), removed[0].0), (1, RemovalReason::Unnamed));
    assert_eq!(stored_ids(&time.root.open(), "w").await, ["1", "2"]);
    assert_eq!(assert_whole(&store, "w").await.unnamed_files, 0);
}

/// A root, which a node takes for a bucket, whose only removable files were replaced a day ago.
async fn replaced() -> VirtualTime {
    let mut time = VirtualTime::new();
    let store = time.root.open();
    for id in ["1", "2"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(25));
    time.root.location.url = "s3://bucket/audit".parse().unwrap();
    time
}

/// A node whose clock is wrong, or was never compared, deletes nothing by it when nothing can be written any more.
#[tokio::test]
async fn a_clock_that_cannot_be_compared_deletes_nothing() {
    let time = replaced().await;
    let marker = Marker::new().encode().unwrap();
    let objects = &time.root.location.objects;
    objects.put(&paths::marker(), marker.into()).await.unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let node = |days: i64| {
        let store = Store::at(hooked(&time.root, full_once(Arc::clone(&is_full))));
        store.with_clock(Clock::Given {
            time_ms: Arc::clone(&time.time_ms),
            ahead_ms: Arc::new(AtomicI64::new(days * DAY_MS)),
        })
    };
    let before = files(&time.root.open()).await;
    let (wrong, right, new) = (node(30), node(0), node(0));
    let error = wrong.clean(&workspace("w"), false).await.unwrap_err();
    assert!(matches!(error, StoreError::ClockDiffers { .. }), "{error}");
    right.location().right_time().await.unwrap();
    is_full.store(true, Ordering::SeqCst);
    time.pass(TimeDelta::minutes(1));
    for (store, words) in [(wrong, "ahead of"), (new, "No space left")] {
        let error = store.clean(&workspace("w"), false).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(files(&store).await, before);
    }
    // The last comparison counts.
    assert_eq!(clean(&right).await.len(), 2);
}

/// Where a commit is refused, because the store is not the one that it was, nothing is deleted.
#[tokio::test]
async fn a_store_that_is_not_there_any_more_is_not_cleaned() {
    let time = replaced().await;
    let store = time.root.open();
    let before = files(&store).await;
    let backup = paths::backup_marker();
    let marker = Marker::new().encode().unwrap();
    let objects = store.object_store();
    objects.put(&backup, marker.into()).await.unwrap();
    let error = store.clean(&workspace("w"), false).await.unwrap_err();
    assert!(matches!(error, StoreError::BackupHere { .. }), "{error}");
    assert_eq!(files(&store).await, before);
}

/// A service cleans on a full disk, also when heads of vanished nodes are to be merged.
#[tokio::test]
async fn upkeep_makes_room_on_a_full_disk() {
    let time = VirtualTime::new();
    let store = time.root.open();
    for id in ["1", "2"] {
        let ingest = time.root.open().ingest(IngestOptions::default());
        let batch = crate::WriteBatch {
            origin: Origin::default(),
            events: vec![event("w", DAY_START_MS, id)],
            number: None,
            all_or_nothing: false,
        };
        ingest.write(batch).await.unwrap();
        ingest.close().await.unwrap();
    }
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(25));
    let full = Store::at(hooked(&time.root, disk_full()));
    assert!(full.merge_heads().await.is_err());
    let mut options = UpkeepOptions {
        compaction_interval: Duration::from_millis(1),
        cleaning_interval: Duration::ZERO,
        ..UpkeepOptions::default()
    };
    options.compaction.rest_factor = 0;
    let upkeep = tokio::spawn(async move { full.upkeep(options).await });
    let cleaned = async {
        while files(&store).await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let cleaned = tokio::time::timeout(Duration::from_secs(30), cleaned).await;
    upkeep.abort();
    cleaned.unwrap();
    assert_eq!(stored_ids(&store, "w").await, ["1", "2"]);
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
    assert_eq!(store.clean_leftovers(false).await.unwrap(), []);
    time.pass(TimeDelta::hours(2));
    let would = store.clean_leftovers(true).await.unwrap();
    assert_eq!(would.len(), 1);
    assert_eq!(would[0].path, left.to_string());
    assert_eq!(store.clean_leftovers(false).await.unwrap(), would);
    assert_eq!(store.clean_leftovers(false).await.unwrap(), []);
    assert_eq!(objects(&store).await, others);
}
