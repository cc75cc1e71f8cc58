//! Reading everything while logs are cleaned, and cleaning while the store is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use futures::FutureExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::tests::hooked::{PathHook, Request, hooked_by_path};
use crate::tests::root::marker::bucket;
use crate::tests::virtual_time::VirtualTime;
use crate::tests::*;
use crate::{BackupOptions, BackupRoot};

fn entry(version: u64) -> Path {
    paths::commit(&workspace("w"), version)
}

async fn add_events(root: &Root, numbers: std::ops::RangeInclusive<i64>) {
    let store = root.open();
    for number in numbers {
        let event = event("w", DAY_START_MS + number, &number.to_string());
        import(&store, [event]).await;
    }
}

/// A hook that does something before the `at`th request (from 1) of its kind for `path`.
fn before<F>(
    request: Request,
    path: Path,
    at: usize,
    act: impl Fn() -> F + Send + Sync + 'static,
) -> PathHook
where
    F: Future<Output = ()> + Send + 'static,
{
    let seen = AtomicUsize::new(0);
    Arc::new(move |made, of: &Path| {
        let is_counted = made == request && *of == path;
        let is_now = is_counted && seen.fetch_add(1, Ordering::SeqCst) + 1 == at;
        let acting = is_now.then(&act);
        async move {
            if let Some(acting) = acting {
                acting.await;
            }
            Ok(())
        }
        .boxed()
    })
}

/// A checkpoint that is written while the log is verified makes the hint to it no fault.
#[tokio::test]
async fn a_newer_hint_is_no_damage() {
    let root = Arc::new(Root::in_memory());
    add_events(&root, 1..=20).await;
    let writer = Arc::clone(&root);
    // The first time its bytes are read, the second time it is loaded, after the log was listed.
    let checkpoint = paths::checkpoint(&workspace("w"), 20);
    let hook = before(Request::Get, checkpoint, 2, move || {
        let root = Arc::clone(&writer);
        async move { add_events(&root, 21..=40).await }
    });
    let store = Store::from_location(hooked_by_path(&root, hook));
    assert_eq!(store.verify_log(&workspace("w")).await.unwrap(), []);
    assert!(
        objects(&store)
            .await
            .contains(&paths::checkpoint(&workspace("w"), 40).to_string())
    );
}

/// An entry or a checkpoint that is deleted after it was listed is no fault, nor is what follows it.
#[tokio::test]
async fn what_is_cleaned_meanwhile_is_no_damage() {
    let checkpoint = paths::checkpoint(&workspace("w"), 20);
    for (path, at, deleted) in [
        (entry(1), 1, vec![entry(1), entry(2)]),
        (checkpoint.clone(), 2, vec![checkpoint]),
    ] {
        let root = Root::in_memory();
        add_events(&root, 1..=20).await;
        let objects = Arc::clone(&root.location.objects);
        let hook = before(Request::Get, path, at, move || {
            let (objects, deleted) = (Arc::clone(&objects), deleted.clone());
            async move {
                for path in &deleted {
                    objects.delete(path).await.unwrap();
                }
            }
        });
        let store = Store::from_location(hooked_by_path(&root, hook));
        assert_eq!(store.verify_log(&workspace("w")).await.unwrap(), []);
    }
}

/// An entry that was written where cleaning had made room is in no backup, and makes none incomplete.
#[tokio::test]
async fn a_stray_entry_makes_no_backup_incomplete() {
    let root = bucket();
    root.open().init().await.unwrap();
    add_events(&root, 1..=20).await;
    let objects = &root.location.objects;
    let stray = objects.get(&entry(5)).await.unwrap().bytes().await.unwrap();
    for version in 0..20 {
        objects.delete(&entry(version)).await.unwrap();
    }
    objects.put(&entry(5), stray.into()).await.unwrap();
    let store = root.open();
    assert_eq!(store.verify_log(&workspace("w")).await.unwrap(), []);
    let mut other = bucket();
    other.location.url = "s3://backups/audit".parse().unwrap();
    let to = BackupRoot::at(other.location);
    store.init_backup(&to).await.unwrap();
    let backup = store.backup(&to, &BackupOptions::default()).await.unwrap();
    assert_eq!(backup.summary.faults, []);
    let made = bucket().open();
    made.restore(&to, &crate::RestoreOptions::default())
        .await
        .unwrap();
    assert_eq!(made.verify_log(&workspace("w")).await.unwrap(), []);
    assert_eq!(stored_ids(&made, "w").await.len(), 21);
}

/// When another store has come to the same place, nothing of it is deleted.
#[tokio::test]
async fn cleaning_deletes_nothing_of_another_store() {
    let mut time = VirtualTime::new();
    time.root.location.url = "s3://bucket/audit".parse().unwrap();
    let store = time.root.open();
    store.init().await.unwrap();
    for id in ["1", "2"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::days(2));
    let before_cleaning = objects(&store).await;
    let root = Arc::clone(&time.root.location.objects);
    // The entry of the cleaning itself, after which files are deleted.
    let hook = before(Request::Head, entry(4), 1, move || {
        let root = Arc::clone(&root);
        async move {
            let other = Marker::new().encode().unwrap();
            root.put(&paths::marker(), other.into()).await.unwrap();
        }
    });
    let cleaner = Store::from_location(hooked_by_path(&time.root, hook));
    let cleaned = cleaner.vacuum(&workspace("w"), false).await;
    assert!(
        matches!(cleaned, Err(StoreError::Replaced { .. })),
        "{cleaned:?}"
    );
    let left = objects(&store).await;
    assert!(before_cleaning.iter().all(|path| left.contains(path)));
}
