//! Backups that are made while everything else goes on.

use chrono::TimeDelta;
use events::settings::RetentionMode;
use tokio::sync::Mutex;

use super::*;
use crate::Ingest;
use crate::tests::virtual_time::VirtualTime;

/// A store that is used, in a time that goes by in a moment.
struct Used {
    time: VirtualTime,
    store: Store,
    ingest: Ingest,
    disturbances: Mutex<usize>,
}

impl Used {
    /// A store with events in tables and segments, and old ones that no retention keeps.
    async fn new() -> Self {
        let mut time = VirtualTime::new();
        time.root.location.url = "s3://bucket/audit".parse().unwrap();
        let store = time.root.open();
        store.init().await.unwrap();
        let ingest = store.ingest(by_hand());
        for id in ["1", "2"] {
            import(&store, [event("w", DAY_START_MS, id)]).await;
            import(&store, [event("old", DAY_START_MS - 100 * DAY_MS, id)]).await;
        }
        let retention = "30d".parse().unwrap();
        store
            .set_retention(&workspace("old"), retention, "ops")
            .await
            .unwrap();
        write(&ingest, [event("w", DAY_START_MS, "3")]).await;
        write(&ingest, [event("new", DAY_START_MS, "4")]).await;
        Self {
            time,
            store,
            ingest,
            disturbances: Mutex::new(0),
        }
    }

    /// Whatever moves or deletes objects: a fold, a compaction, a retention run, a day, cleaning.
    async fn disturb(&self) {
        let mut disturbances = self.disturbances.lock().await;
        *disturbances += 1;
        let id = format!("new{disturbances}");
        write(&self.ingest, [event("w", DAY_START_MS, &id)]).await;
        self.store.fold().await.unwrap();
        compact(&self.store, "w").await;
        let old = workspace("old");
        self.store
            .expire(&old, RetentionMode::Confirmed)
            .await
            .unwrap();
        self.time.pass(TimeDelta::hours(25));
        for name in ["w", "old"] {
            self.store.vacuum(&workspace(name), false).await.unwrap();
        }
        write(&self.ingest, [event("w", DAY_START_MS, &format!("{id}b"))]).await;
    }

    async fn check(&self, to: &Root, at: &str) {
        let (_root, made, done) = restored(to).await;
        assert_eq!(done.faults, [], "{at}");
        let found = ids(&made).await;
        for id in ["1", "2", "3"] {
            let times = found.iter().filter(|other| *other == id).count();
            assert_eq!(times, 1, "{at}: {found:?}");
        }
        let mut distinct = found.clone();
        distinct.dedup();
        assert_eq!(found, distinct, "{at}");
        assert!(
            seen_ids(&made, "new").await.contains(&"4".to_owned()),
            "{at}"
        );
        for name in ["w", "old"] {
            assert_whole(&made, name).await;
        }
        assert_eq!(made.verify_segments().await.unwrap().faults, [], "{at}");
    }
}

/// Wherever events are folded, files are replaced and deleted, and others come while a backup is made, it has each
/// event once that was acknowledged before.
#[tokio::test]
async fn whatever_goes_on_meanwhile_a_backup_has_what_was_acknowledged() {
    let mut at = 0;
    loop {
        let used = Arc::new(Used::new().await);
        let to = begun(&used.store).await;
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, user) = (Arc::clone(&requests), Arc::clone(&used));
        let hook: Hook = Arc::new(move |_| {
            let is_now = counter.fetch_add(1, Ordering::SeqCst) == at;
            let used = Arc::clone(&user);
            async move {
                if is_now {
                    used.disturb().await;
                }
                Ok(())
            }
            .boxed()
        });
        let from = Store::from_location(hooked(&used.time.root, hook));
        let backup = from
            .backup(&backups(&to), &BackupOptions::default())
            .await
            .unwrap();
        assert!(backup.summary.is_complete(), "{at}: {:?}", backup.summary);
        used.check(&to, &format!("request {at}")).await;
        if requests.load(Ordering::SeqCst) <= at {
            break;
        }
        at += 1;
    }
    assert!(at > 30, "{at} requests");
}

/// The same when it goes on all the time.
#[tokio::test]
async fn a_backup_of_a_store_that_changes_all_the_time() {
    let used = Arc::new(Used::new().await);
    let to = begun(&used.store).await;
    for every in [7, 13] {
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, user) = (Arc::clone(&requests), Arc::clone(&used));
        let hook: Hook = Arc::new(move |_| {
            let is_now = counter.fetch_add(1, Ordering::SeqCst) % every == 0;
            let used = Arc::clone(&user);
            async move {
                if is_now {
                    used.disturb().await;
                }
                Ok(())
            }
            .boxed()
        });
        let from = Store::from_location(hooked(&used.time.root, hook));
        match from.backup(&backups(&to), &BackupOptions::default()).await {
            Ok(backup) => assert!(backup.summary.is_complete(), "{every}"),
            // It says so when it cannot keep up.
            Err(error) => {
                assert!(matches!(error, StoreError::NotBackedUp { .. }), "{error}");
                continue;
            }
        }
        used.check(&to, &format!("every {every}")).await;
    }
    back_up(&used.store, &to).await;
    used.check(&to, "in the end").await;
}
