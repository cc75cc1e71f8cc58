//! An object store that does not answer for a moment, and a disk that cannot read some objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::Path;

use crate::tests::hooked::unreadable;
use crate::tests::ingest::write::{by_hand, write};
use crate::tests::root::marker::bucket;
use crate::tests::*;
use crate::{BackupOptions, BackupRoot};

/// A root with a table of `versions` versions.
async fn table_of(versions: i64) -> Root {
    let root = bucket();
    let store = root.open();
    store.init().await.unwrap();
    for number in 1..=versions {
        import(
            &store,
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
    root
}

/// An object store that fails while the log is loaded is no damage: nothing is rebuilt or reported as damaged.
#[tokio::test]
async fn a_failing_store_is_no_damaged_log() {
    let root = table_of(3).await;
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let store = Store::from_location(unreadable(&root, move |_| down.load(Ordering::SeqCst)));
    let error = store.snapshot(&workspace("w")).await.unwrap_err();
    assert!(matches!(error, StoreError::ObjectStore(_)), "{error:?}");
    let before = objects(&root.open()).await;
    let repaired = store.repair_table(&workspace("w"), Some("ada")).await;
    assert!(matches!(repaired, Err(StoreError::ObjectStore(_))));
    assert_eq!(objects(&root.open()).await, before);
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3"]);
    is_down.store(true, Ordering::SeqCst);
    // A process that knows an earlier version fails in the same way.
    import(&root.open(), [event("w", DAY_START_MS, "4")]).await;
    let error = store.snapshot(&workspace("w")).await.unwrap_err();
    assert!(matches!(error, StoreError::ObjectStore(_)), "{error:?}");
}

/// A checkpoint or a hint that cannot be read is not needed while the entries are there.
#[tokio::test]
async fn an_unreadable_checkpoint_is_not_needed() {
    let root = table_of(21).await;
    let checkpoint = paths::checkpoint(&workspace("w"), 20);
    let hint = paths::last_checkpoint(&workspace("w"));
    for path in [checkpoint, hint] {
        let store = Store::from_location(unreadable(&root, move |other: &Path| *other == path));
        assert_eq!(stored_ids(&store, "w").await.len(), 21);
    }
}

/// A store in an object store with a table of two days, another table, and a segment.
async fn store_with_segment() -> Root {
    let root = bucket();
    let store = root.open();
    store.init().await.unwrap();
    for (id, day) in [("w", 0), ("w", 1), ("v", 0)] {
        let event = event(id, DAY_START_MS + day * DAY_MS, "1");
        import(&store, [event]).await;
    }
    write(&store.ingest(by_hand()), [event("w", DAY_START_MS, "2")]).await;
    root
}

/// A root for backups of the store.
async fn backups_of(store: &Store) -> BackupRoot {
    let mut root = bucket();
    root.location.url = "s3://backups/audit".parse().unwrap();
    let to = BackupRoot::at(root.location);
    store.init_backup(&to).await.unwrap();
    to
}

async fn path_below(root: &Root, directory: &str) -> Path {
    let paths = objects(&root.open()).await.into_iter();
    let mut below = paths.filter(|path| path.starts_with(directory));
    Path::from(below.next().unwrap())
}

/// Verifying, scrubbing and backups name a data file, an entry or a segment that cannot be read, and go on with all
/// others; it can be set aside.
#[tokio::test]
async fn one_unreadable_object_stops_nothing() {
    for directory in [
        "workspace=w/day=2026-11-22/",
        "workspace=w/_delta_log/00000000000000000001",
        "segments/",
    ] {
        let root = store_with_segment().await;
        let path = path_below(&root, directory).await;
        let unread = path.clone();
        let store = Store::from_location(unreadable(&root, move |other| *other == unread));
        // Of a log that cannot be read the log is named, too.
        let faults = 1 + usize::from(directory.contains("_delta_log"));
        assert_eq!(store.scrub_round(u64::MAX).await.unwrap(), faults);
        let to = backups_of(&store).await;
        let backup = store
            .backup(&to, &BackupOptions::default())
            .await
            .unwrap()
            .summary;
        let whole = root
            .open()
            .backup(&to, &BackupOptions::default())
            .await
            .unwrap()
            .summary;
        assert!(whole.is_complete());
        assert!(
            backup
                .faults
                .iter()
                .any(|fault| fault.reason.contains("Input/output error")),
            "{:?}",
            backup.faults
        );
        assert_eq!(backup.objects + 1, whole.objects, "{:?}", backup.faults);
        assert_whole(&store, "v").await;
        if directory == "segments/" {
            let found = store.verify_segments().await.unwrap().faults;
            assert_eq!((found.len(), &*found[0].path), (1, path.as_ref()));
            store
                .set_aside_segment(path.as_ref(), Some("ada"))
                .await
                .unwrap();
        } else {
            assert_eq!(store.verify_segments().await.unwrap().faults, []);
            match store.verify(&workspace("w")).await {
                Ok(found) => assert_eq!(found.unwrap().faults[0].path, path.to_string()),
                Err(error) => {
                    let named = matches!(&error, StoreError::Corrupt { path: of, .. } if *of == path.to_string());
                    assert!(named, "{error}");
                    let found = store.verify_log(&workspace("w")).await.unwrap();
                    assert_eq!((found.len(), &*found[0].path), (1, path.as_ref()));
                }
            }
            let repaired = store.repair_table(&workspace("w"), Some("ada")).await;
            assert!(!repaired.unwrap().unwrap().steps.is_empty());
        }
        assert!(!objects(&store).await.contains(&path.to_string()));
        assert_whole(&store, "w").await;
        assert_eq!(store.scrub_round(u64::MAX).await.unwrap(), 0, "{path}");
    }
}

/// A store that does not answer at all is an error of everything that reads all of it.
#[tokio::test]
async fn a_store_that_does_not_answer_is_no_damage() {
    let root = store_with_segment().await;
    let to = backups_of(&root.open()).await;
    let store = Store::from_location(unreadable(&root, |_| true));
    let is_error = |error: &StoreError| matches!(error, StoreError::ObjectStore(_));
    assert!(is_error(&store.verify(&workspace("w")).await.unwrap_err()));
    assert!(is_error(&store.verify_segments().await.unwrap_err()));
    assert!(is_error(&store.scrub_round(u64::MAX).await.unwrap_err()));
    assert!(is_error(
        &store
            .backup(&to, &BackupOptions::default())
            .await
            .unwrap_err()
    ));
}
