//! What is damaged in a root of backups, and backups that are made at the same time.

use tokio::sync::Notify;

use super::*;
use crate::tests::hooked::{PathHook, hooked_by_path};

/// A damaged manifest of a newer backup is told, and the complete one before it is restored.
#[tokio::test]
async fn a_damaged_newer_manifest_is_passed_over() {
    let (root, store) = store_in_bucket().await;
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let to = begun(&store).await;
    back_up(&store, &to).await;
    let first = below(&root, "workspace=w/day=2026-11-21").await;
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    let files = below(&root, "workspace=w/day=2026-11-21").await;
    let second = files.iter().find(|path| !first.contains(path)).unwrap();
    flip(&root, second).await;
    assert!(!back_up(&store, &to).await.summary.is_complete());
    let manifests = below(&to, "manifests").await;
    flip(&to, &manifests[1]).await;
    let (_root, made, done) = restored(&to).await;
    assert_eq!(
        (done.summary.number, ids(&made).await),
        (1, vec!["1".to_owned()])
    );
    assert_eq!(done.damaged.len(), 1);
    assert_eq!(done.damaged[0].path, manifests[1].to_string());
    let verified = backups(&to).verify(false).await.unwrap();
    assert_eq!(verified.damaged, done.damaged);
}

/// What a backup deletes in the end is nothing of the next one, which is made meanwhile.
#[tokio::test]
async fn two_backups_at_once_leave_one() {
    let (_root, store) = store_in_bucket().await;
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let to = Arc::new(begun(&store).await);
    back_up(&store, &to).await;
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    let [copied, listed, published] = [(); 3].map(|()| Arc::new(Notify::new()));
    let deletions = Arc::new(AtomicUsize::new(0));
    let listings = Arc::new(AtomicUsize::new(0));
    let copies = Path::from("copies");
    let next: PathHook = {
        let (copied, listed, published) = (copied.clone(), listed.clone(), published.clone());
        let listings = Arc::new(AtomicUsize::new(0));
        let copies = copies.clone();
        Arc::new(move |request, path: &Path| {
            let is_check = request == Request::List
                && *path == copies
                && listings.fetch_add(1, Ordering::SeqCst) == 1;
            let is_cleaning = request == Request::Delete;
            let (copied, listed, published) = (copied.clone(), listed.clone(), published.clone());
            async move {
                if is_check {
                    copied.notify_one();
                    listed.notified().await;
                }
                if is_cleaning {
                    published.notify_one();
                }
                Ok(())
            }
            .boxed()
        })
    };
    let (second_to, second_store) = (Arc::clone(&to), store.clone());
    let second = Arc::new(tokio::sync::Mutex::new(None));
    let started = Arc::clone(&second);
    let hook: PathHook = Arc::new(move |request, path: &Path| {
        // Its own, the check, and the one of cleaning.
        let is_cleaning = request == Request::List
            && *path == copies
            && listings.fetch_add(1, Ordering::SeqCst) == 2;
        // Manifests, then copies.
        let is_deleting =
            request == Request::Delete && deletions.fetch_add(1, Ordering::SeqCst) == 1;
        let (copied, listed, published) = (copied.clone(), listed.clone(), published.clone());
        let (to, store, started) = (second_to.clone(), second_store.clone(), started.clone());
        let next = Arc::clone(&next);
        async move {
            if is_cleaning {
                import(&store, [event("w", DAY_START_MS, "3")]).await;
                let to = BackupRoot::at(hooked_by_path(&to, next));
                let run = async move { store.backup(&to, &BackupOptions::default()).await };
                *started.lock().await = Some(tokio::spawn(run));
                copied.notified().await;
            }
            if is_deleting {
                listed.notify_one();
                published.notified().await;
            }
            Ok(())
        }
        .boxed()
    });
    let first = BackupRoot::at(hooked_by_path(&to, hook));
    let first = store.backup(&first, &BackupOptions::default()).await;
    assert_eq!(first.unwrap().summary.number, 2);
    let second = second.lock().await.take().unwrap().await.unwrap();
    assert_eq!(second.unwrap().summary.number, 3);
    let (_root, made, done) = restored(&to).await;
    assert_eq!(done.summary.number, 3);
    assert_eq!(ids(&made).await, ["1", "2", "3"]);
}

/// A restore of a damaged backup that was interrupted after the store was there names what is missing all the same.
#[tokio::test]
async fn an_interrupted_incomplete_restore_names_its_faults() {
    let (_root, store) = store_in_bucket().await;
    for id in ["w", "v"] {
        import(&store, [event(id, DAY_START_MS, "1")]).await;
    }
    let to = begun(&store).await;
    back_up(&store, &to).await;
    flip(
        &to,
        &below(&to, "copies/workspace=v/day=2026-11-21").await[0],
    )
    .await;
    let incomplete = RestoreOptions {
        incomplete: true,
        ..options()
    };
    let mut interrupted = 0;
    for last in 0.. {
        let root = bucket();
        let (hook, _) = dying(last);
        let dying = Store::from_location(hooked(&root, hook));
        if dying.restore(&backups(&to), &incomplete).await.is_ok() {
            break;
        }
        // Before, everything is compared again.
        if root.open().marker().await.unwrap().is_none() {
            continue;
        }
        interrupted += 1;
        let made = root.open().restore(&backups(&to), &incomplete).await;
        assert_eq!(made.unwrap().faults.len(), 1, "request {last}");
    }
    assert!(interrupted > 0);
}

/// A backup without all of the log of one workspace is restored with the other ones.
#[tokio::test]
async fn a_backup_without_a_log_is_restored_in_part() {
    let (_root, store) = store_in_bucket().await;
    for id in ["w", "v"] {
        import(&store, [event(id, DAY_START_MS, "1")]).await;
    }
    let to = begun(&store).await;
    back_up(&store, &to).await;
    for copy in below(&to, "copies/workspace=v/_delta_log").await {
        to.location.objects.delete(&copy).await.unwrap();
    }
    let incomplete = RestoreOptions {
        incomplete: true,
        ..options()
    };
    let made = bucket().open();
    let done = made.restore(&backups(&to), &incomplete).await.unwrap();
    let is_log = |fault: &crate::BackupFault| fault.path == "workspace=v/_delta_log";
    assert!(done.faults.iter().any(is_log), "{:?}", done.faults);
    assert_eq!(ids(&made).await, ["1"]);
}

/// A damaged copy is found and made anew: at once when all are read again, and else within 32 backups.
#[tokio::test]
async fn a_damaged_copy_is_made_anew() {
    for verify in [true, false] {
        let (_root, store) = store_in_bucket().await;
        import(&store, [event("w", DAY_START_MS, "1")]).await;
        let to = begun(&store).await;
        back_up(&store, &to).await;
        let copy = below(&to, "copies/workspace=w/day=2026-11-21")
            .await
            .remove(0);
        flip(&to, &copy).await;
        let options = BackupOptions { verify };
        let mut backups_made = 0;
        let replaced = loop {
            backups_made += 1;
            let backup = store.backup(&backups(&to), &options).await.unwrap();
            assert!(backup.summary.is_complete());
            if !backup.replaced.is_empty() {
                break backup.replaced;
            }
            assert!(!verify && backups_made < 32);
        };
        assert_eq!(replaced, [copy.to_string()]);
        let (_root, made, _) = restored(&to).await;
        assert_eq!(ids(&made).await, ["1"]);
    }
}

/// What killed backups have left in the staging directory of a local root goes a week later.
#[tokio::test]
async fn old_staging_files_of_a_root_of_backups_are_deleted() {
    let (_root, store) = store_in_bucket().await;
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let directory = tempfile::tempdir().unwrap();
    let url = directory.path().to_str().unwrap();
    let to = BackupRoot::open(url, &StoreOptions::default()).unwrap();
    store.init_backup(&to).await.unwrap();
    let staging = directory.path().join("_staging");
    let week = Duration::from_hours(7 * 24 + 1);
    for (name, age) in [("old", week), ("new", Duration::ZERO)] {
        let file = std::fs::File::create(staging.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age)
            .unwrap();
    }
    store.backup(&to, &BackupOptions::default()).await.unwrap();
    assert!(staging.join("new").exists());
    assert!(!staging.join("old").exists());
}
