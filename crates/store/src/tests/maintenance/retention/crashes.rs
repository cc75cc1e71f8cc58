//! A machine that dies in the middle.

use std::sync::atomic::AtomicUsize;

use super::*;

/// A hook of a machine that dies at the put with this number; `dead_puts` counts how many were made.
fn dies_at(number: usize) -> (Hook, Arc<AtomicUsize>) {
    let puts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&puts);
    let hook: Hook = Arc::new(move |request| {
        if request == Request::Put {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        let is_dead = counted.load(Ordering::SeqCst) > number;
        Box::pin(async move { if is_dead { Err(dead()) } else { Ok(()) } })
    });
    (hook, puts)
}

#[tokio::test]
async fn a_run_is_done_as_a_whole_or_not_at_all() {
    for number in 0.. {
        let root = Root::in_memory();
        let time = Time::at(DAY_START_MS + 400 * DAY_MS);
        let store = time.open(&root);
        let users = [("a", "Amara"), ("z", "Zoë")];
        let events = (0..3)
            .flat_map(|day| users.map(|(id, user)| of_user(day, &format!("{id}{day}"), user)));
        import(&store, events).await;
        set(&store, "1y").await;
        let id = workspace("w");
        store
            .place_hold(&id, hold("zoë", days(0, 2), Some("Zoë")))
            .await
            .unwrap();
        let before = store.snapshot(&id).await.unwrap().unwrap();

        let (hook, puts) = dies_at(number);
        let result = time
            .open_hooked(&root, hook)
            .expire(&id, RetentionMode::Confirmed)
            .await;
        let survived = puts.load(Ordering::SeqCst) <= number;
        let store = time.open(&root);
        let after = store.snapshot(&id).await.unwrap().unwrap();
        if survived {
            assert!(result.is_ok());
            assert_eq!(after.version, before.version + 1);
            assert!(number > 2, "two files, a receipt and a commit");
        } else {
            assert!(result.is_err());
            assert_eq!(
                (after.version, after.rows()),
                (before.version, before.rows())
            );
            assert_eq!(expire(&store).await.dropped.events, 4);
        }
        assert_eq!(given_ids(&store).await, ["z0", "z1"]);
        let receipts = records(&store).await;
        let receipts = receipts
            .iter()
            .filter(|(action, ..)| action == "retention.expired");
        assert_eq!(receipts.count(), 1);
        assert_whole(&store, "w").await;
        if survived {
            break;
        }
    }
}

#[tokio::test]
async fn a_change_of_settings_is_done_as_a_whole_or_not_at_all() {
    for number in 0.. {
        let root = Root::in_memory();
        let (hook, puts) = dies_at(number);
        let store = Store::from_location(hooked(&root, hook));
        let id = workspace("w");
        let result = store.place_hold(&id, hold("a", TimeRange::ALL, None)).await;
        let settings = root.open().settings(&id).await.unwrap();
        if puts.load(Ordering::SeqCst) <= number {
            assert_eq!(settings.holds, [result.unwrap().hold]);
            assert_eq!(records(&root.open()).await.len(), 1);
            assert!(number >= 3, "a table, an event and a commit");
            break;
        }
        assert!(result.is_err());
        assert_eq!(settings, Settings::default());
        root.open()
            .place_hold(&id, hold("a", TimeRange::ALL, None))
            .await
            .unwrap();
        assert_eq!(records(&root.open()).await.len(), 1);
    }
}
