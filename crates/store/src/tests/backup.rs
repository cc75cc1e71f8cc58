//! Backups of a store that is used, and stores made of them.

mod damage;
mod disturbed;
mod healing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::hooked::{Hook, Request, dead, hooked};
use super::ingest::write::{by_hand, seen_ids, write};
use super::root::marker::bucket;
use super::*;
use crate::{Backup, BackupOptions, BackupRoot, RestoreOptions, Restored};

/// A root in an object store with a store.
async fn store_in_bucket() -> (Root, Store) {
    let root = bucket();
    let store = root.open();
    store.init().await.unwrap();
    (root, store)
}

fn backups(root: &Root) -> BackupRoot {
    BackupRoot::at(root.location.clone())
}

/// A root in another object store, without anything in it.
fn elsewhere(name: &str) -> Root {
    let mut root = bucket();
    root.location.url = format!("s3://{name}/audit").parse().unwrap();
    root
}

/// A root for the backups of `store`.
async fn begun(store: &Store) -> Root {
    let root = elsewhere("backups");
    store.init_backup(&backups(&root)).await.unwrap();
    root
}

/// A backup that only compares a share of the copies.
async fn try_back_up(store: &Store, to: &BackupRoot) -> Result<Backup, StoreError> {
    store.backup(to, &BackupOptions::default()).await
}

async fn back_up(store: &Store, to: &Root) -> Backup {
    try_back_up(store, &backups(to)).await.unwrap()
}

fn options() -> RestoreOptions {
    RestoreOptions {
        incomplete: false,
        by: Some("ada".to_owned()),
    }
}

/// A store made of the newest complete backup, and where it is.
async fn restored(from: &Root) -> (Root, Store, Restored) {
    let root = bucket();
    let store = root.open();
    let restored = store.restore(&backups(from), &options()).await.unwrap();
    (root, store, restored)
}

/// The ids of the events of `w` but the audit events about restoring, which have longer ones.
async fn ids(store: &Store) -> Vec<String> {
    let mut ids = seen_ids(store, "w").await;
    ids.retain(|id| id.len() < 10);
    ids
}

/// How many audit events about a restore `w` has.
async fn records(store: &Store) -> usize {
    let ids = seen_ids(store, "w").await;
    ids.iter().filter(|id| id.len() >= 10).count()
}

/// Counts requests; the machine is gone from the one with the number `last` on.
fn dying(last: usize) -> (Hook, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let hook: Hook = Arc::new(move |_| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move { if number >= last { Err(dead()) } else { Ok(()) } }.boxed()
    });
    (hook, made)
}

/// Flips a bit in the middle of an object.
async fn flip(root: &Root, path: &Path) {
    let objects = &root.location.objects;
    let mut bytes = objects
        .get(path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    objects.put(path, bytes.into()).await.unwrap();
}

/// The paths of all objects below a directory.
async fn below(root: &Root, directory: &str) -> Vec<Path> {
    let listed = root.location.objects.list(Some(&Path::from(directory)));
    listed
        .map_ok(|object| object.location)
        .try_collect()
        .await
        .unwrap()
}

/// A backup has what is in tables and in segments; a store that is made of it has the id, another incarnation and
/// a record, and goes on.
#[tokio::test]
async fn a_restored_store_has_every_event_and_goes_on() {
    for root in [Root::on_disk(), bucket()] {
        let store = root.open();
        if store.marker().await.unwrap().is_none() {
            store.init().await.unwrap();
        }
        let ingest = store.ingest(by_hand());
        write(
            &ingest,
            [event("w", DAY_START_MS, "1"), event("v", DAY_START_MS, "1")],
        )
        .await;
        store.fold().await.unwrap();
        write(&ingest, [event("w", DAY_START_MS, "2")]).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backups");
        let to = BackupRoot::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
        store.init_backup(&to).await.unwrap();
        let backup = try_back_up(&store, &to).await.unwrap().summary;
        assert!(backup.is_complete());
        assert_eq!((backup.segments, backup.segment_events), (1, 1));
        assert_eq!(backup.workspaces.len(), 2);
        assert!(backup.newest_received_ms.is_some());

        let path = directory.path().join("restored");
        let made = Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
        let restored = made.restore(&to, &options()).await.unwrap();
        assert_eq!(restored.recorded, [workspace("v"), workspace("w")]);
        assert!(restored.faults.is_empty() && restored.unrecorded.is_empty());
        let (old, new) = (store.marker().await.unwrap(), made.marker().await.unwrap());
        let (old, new) = (old.unwrap(), new.unwrap());
        assert_eq!(old.id(), new.id());
        assert_ne!(old.incarnation(), new.incarnation());
        assert_eq!(ids(&made).await, ["1", "2"]);
        assert_eq!(records(&made).await, 1);
        let ingest = made.ingest(by_hand());
        write(
            &ingest,
            [event("w", DAY_START_MS, "3"), event("w", DAY_START_MS, "1")],
        )
        .await;
        made.fold().await.unwrap();
        assert_eq!(ids(&made).await, ["1", "2", "3"]);
        assert_whole(&made, "w").await;
        assert_eq!(made.verify_segments().await.unwrap().faults, []);
    }
}

/// Where a backup ends early, the one before can be restored, and the next one has everything.
#[tokio::test]
async fn an_interrupted_backup_leaves_the_one_before() {
    let mut last = 0;
    loop {
        let (root, store) = store_in_bucket().await;
        let ingest = store.ingest(by_hand());
        write(&ingest, [event("w", DAY_START_MS, "1")]).await;
        let to = begun(&store).await;
        back_up(&store, &to).await;
        store.fold().await.unwrap();
        import(&store, [event("w", DAY_START_MS, "2")]).await;
        compact(&store, "w").await;
        write(&ingest, [event("w", DAY_START_MS, "3")]).await;

        let (hook, made) = dying(last);
        let from = Store::from_location(hooked(&root, Arc::clone(&hook)));
        let killed = try_back_up(&from, &BackupRoot::at(hooked(&to, hook))).await;
        let (_root, made_of_it, done) = restored(&to).await;
        let expected: &[&str] = match done.summary.number {
            1 => &["1"],
            _ => &["1", "2", "3"],
        };
        assert_eq!(ids(&made_of_it).await, expected, "{last}");
        assert_whole(&made_of_it, "w").await;

        let next = back_up(&store, &to).await;
        let (_root, made_of_it, _) = restored(&to).await;
        assert_eq!(ids(&made_of_it).await, ["1", "2", "3"], "{last}");
        assert_eq!(below(&to, "manifests").await.len(), 1);
        assert_eq!(
            below(&to, "copies").await.len() as u64,
            next.summary.objects
        );
        if killed.is_ok() {
            assert!(made.load(Ordering::SeqCst) <= last);
            break;
        }
        last += 1;
    }
    assert!(last > 15, "{last} requests");
}

/// Data files that an interrupted backup has copied are not copied again.
#[tokio::test]
async fn an_interrupted_backup_is_continued() {
    let (_root, store) = store_in_bucket().await;
    for id in ["1", "2", "3"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    let to = begun(&store).await;
    let puts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&puts);
    // Seven copies: four entries of the log and three files. The manifest is the eighth.
    let hook: Hook = Arc::new(move |request| {
        let is_late = request == Request::Put && counter.fetch_add(1, Ordering::SeqCst) >= 7;
        async move { if is_late { Err(dead()) } else { Ok(()) } }.boxed()
    });
    try_back_up(&store, &BackupRoot::at(hooked(&to, hook)))
        .await
        .unwrap_err();
    assert_eq!(below(&to, "copies").await.len(), 7);
    let next = back_up(&store, &to).await;
    assert_eq!((next.summary.objects, next.new_objects), (7, 4 + 3));
    let files = below(&to, "copies/workspace=w/day=2026-11-21").await;
    let names: Vec<_> = files.iter().map(|path| path.extension().unwrap()).collect();
    let of_the_second_run = below(&to, "copies/workspace=w/_delta_log").await;
    let of_the_second_run = of_the_second_run[0].extension().unwrap();
    assert!(
        names.iter().all(|run| *run != of_the_second_run),
        "{names:?}"
    );
}

/// A restore that is interrupted leaves no store, and goes on when it is done again.
#[tokio::test]
async fn an_interrupted_restore_is_no_store_and_goes_on() {
    let (_root, store) = store_in_bucket().await;
    let ingest = store.ingest(by_hand());
    write(&ingest, [event("w", DAY_START_MS, "1")]).await;
    store.fold().await.unwrap();
    write(&ingest, [event("w", DAY_START_MS, "2")]).await;
    let to = begun(&store).await;
    back_up(&store, &to).await;
    let mut last = 0;
    loop {
        let root = bucket();
        let (hook, _) = dying(last);
        let killed = Store::from_location(hooked(&root, hook));
        let killed = killed.restore(&backups(&to), &options()).await;
        let has_marker = root.open().marker().await.unwrap().is_some();
        match root.open().check_present().await {
            Ok(()) => assert!(has_marker, "{last}"),
            Err(StoreError::NoStore { .. } | StoreError::RestoreUnfinished { .. }) => {
                assert!(!has_marker && killed.is_err(), "{last}");
                root.open().check_writable().await.unwrap_err();
                root.open()
                    .init()
                    .await
                    .map(drop)
                    .or_else(|error| match error {
                        StoreError::RestoreUnfinished { .. } => Ok(()),
                        error => Err(error),
                    })
                    .unwrap();
            }
            Err(error) => panic!("{last}: {error}"),
        }
        if killed.is_ok() {
            break;
        }
        last += 1;
        if root.open().marker().await.unwrap().is_some() && !has_marker {
            // Nothing was there yet, and `init` has made a store.
            continue;
        }
        let again = root.open();
        again.restore(&backups(&to), &options()).await.unwrap();
        assert_eq!(ids(&again).await, ["1", "2"], "{last}");
        assert_eq!(records(&again).await, 1, "{last}");
        assert_whole(&again, "w").await;
        let done = root
            .open()
            .restore(&backups(&to), &options())
            .await
            .unwrap_err();
        assert!(matches!(done, StoreError::StoreExists { .. }), "{done}");
    }
    assert!(last > 15, "{last} requests");
}

/// A backup copies what the one before does not have, and deletes what is no longer needed.
#[tokio::test]
async fn a_backup_copies_what_is_new() {
    let (root, store) = store_in_bucket().await;
    let ingest = store.ingest(by_hand());
    for id in ["1", "2"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    write(&ingest, [event("w", DAY_START_MS, "3")]).await;
    let to = begun(&store).await;
    let first = back_up(&store, &to).await;
    // Three entries of the log, two files, a segment.
    assert_eq!((first.summary.objects, first.new_objects), (6, 6));
    let again = back_up(&store, &to).await;
    assert_eq!((again.summary.objects, again.new_objects), (6, 0));
    import(&store, [event("w", DAY_START_MS, "4")]).await;
    let third = back_up(&store, &to).await;
    assert_eq!((third.summary.objects, third.new_objects), (8, 2));
    let gets = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&gets);
    let hook: Hook = Arc::new(move |request| {
        counter.fetch_add(usize::from(request == Request::Put), Ordering::SeqCst);
        async { Ok(()) }.boxed()
    });
    let unchanged = try_back_up(&store, &BackupRoot::at(hooked(&to, hook))).await;
    assert_eq!(unchanged.unwrap().new_bytes, 0);
    assert_eq!(
        gets.load(Ordering::SeqCst),
        1,
        "only the manifest is written"
    );
    store.fold().await.unwrap();
    compact(&store, "w").await;
    // The segment is gone, and the four files are one; two more entries.
    let last = back_up(&store, &to).await;
    assert_eq!((last.summary.objects, last.new_objects), (7, 3));
    assert_eq!(below(&to, "copies").await.len(), 7);
    let (_root, made, _) = restored(&to).await;
    assert_eq!(ids(&made).await, ["1", "2", "3", "4"]);
    drop(root);
}

/// A root of backups is no store, a store no root of backups, and neither is taken for that of another store.
#[tokio::test]
async fn backups_and_stores_are_told_apart() {
    for [root, to, other, new] in [
        [
            Root::on_disk(),
            elsewhere("backups"),
            Root::on_disk(),
            elsewhere("new"),
        ],
        [
            bucket(),
            elsewhere("backups"),
            elsewhere("other"),
            elsewhere("new"),
        ],
    ] {
        let (store, another) = (root.open(), other.open());
        for store in [&store, &another] {
            if store.marker().await.unwrap().is_none() {
                store.init().await.unwrap();
            }
        }
        import(&store, [event("w", DAY_START_MS, "1")]).await;
        // A backup begins on purpose.
        let error = try_back_up(&store, &backups(&to)).await.unwrap_err();
        assert!(matches!(error, StoreError::NoBackup { .. }), "{error}");
        let error = new
            .open()
            .restore(&backups(&to), &options())
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::NoBackup { .. }), "{error}");
        let error = store.init_backup(&backups(&other)).await.unwrap_err();
        assert!(error.to_string().contains("there is a store"), "{error}");
        store.init_backup(&backups(&to)).await.unwrap();
        let error = new
            .open()
            .restore(&backups(&to), &options())
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("no backup was ever finished"),
            "{error}"
        );
        back_up(&store, &to).await;
        for refused in [
            to.open().check_present().await,
            to.open().check_writable().await,
            to.open().init().await.map(drop),
            store.init_backup(&backups(&to)).await,
            to.open().restore(&backups(&to), &options()).await.map(drop),
            to.open().workspaces().await.map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, StoreError::BackupHere { .. }), "{error}");
        }
        let error = try_back_up(&another, &backups(&to)).await.unwrap_err();
        assert!(error.to_string().contains("--new"), "{error}");
        let error = another
            .restore(&backups(&to), &options())
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::StoreExists { .. }), "{error}");
        // What was restored does not replace the backups that it was made of.
        let made = new.open();
        made.restore(&backups(&to), &options()).await.unwrap();
        let error = try_back_up(&made, &backups(&to)).await.unwrap_err();
        assert!(error.to_string().contains("incarnation"), "{error}");
        back_up(&store, &to).await;
    }
}

/// A backup in the store, or around it, is refused.
#[tokio::test]
async fn a_backup_is_not_in_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let store = Store::open(&at("a/store"), &StoreOptions::default()).unwrap();
    store.init().await.unwrap();
    for name in ["a/store", "a/store/backups", "a"] {
        let to = BackupRoot::open(&at(name), &StoreOptions::default()).unwrap();
        store.init_backup(&to).await.unwrap_err();
    }
    let to = BackupRoot::open(&at("a/store-backups"), &StoreOptions::default()).unwrap();
    store.init_backup(&to).await.unwrap();
    try_back_up(&store, &to).await.unwrap();
}

/// A volume of backups that is not mounted is not filled.
#[tokio::test]
async fn backups_that_are_gone_are_not_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backups");
    let (_root, store) = store_in_bucket().await;
    let to = BackupRoot::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
    store.init_backup(&to).await.unwrap();
    try_back_up(&store, &to).await.unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    for is_mount_point in [false, true] {
        if is_mount_point {
            std::fs::create_dir(&path).unwrap();
        }
        let error = try_back_up(&store, &to).await.unwrap_err();
        assert!(matches!(error, StoreError::NoBackup { .. }), "{error}");
        assert_eq!(path.exists(), is_mount_point);
    }
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

/// A store of version 0.1.0 gets its marker by a backup, and is restored with its segments.
#[tokio::test]
async fn a_store_of_version_0_1_0_is_backed_up() {
    let root = super::fixture::fixture("0.1.0");
    let store = root.open();
    let to = begun(&store).await;
    assert!(back_up(&store, &to).await.summary.is_complete());
    let (_root, made, _) = restored(&to).await;
    for name in store.workspaces().await.unwrap() {
        let before = store.view(&name).await.unwrap().unwrap().rows();
        let after = made.view(&name).await.unwrap().unwrap().rows();
        assert_eq!(before + 1, after, "the record is new");
    }
}
