//! Nodes whose clock differs from the store's time.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::segment::sequence::ProducerState;

/// 30 days behind and ahead, and 3 years ahead.
const SHIFTS_DAYS: [i64; 3] = [-30, 30, 3 * 365];

impl Time {
    /// A store whose node is `days` ahead of the store's time.
    fn open_ahead(&self, root: &Root, days: i64) -> Store {
        self.open_set(root, &Arc::new(AtomicI64::new(days * DAY_MS)))
    }

    /// A store whose node is by so much ahead of the store's time.
    fn open_set(&self, root: &Root, ahead_ms: &Arc<AtomicI64>) -> Store {
        self.open(root).with_clock(Clock::Given {
            time_ms: Arc::clone(&self.time_ms),
            ahead_ms: Arc::clone(ahead_ms),
        })
    }
}

fn assert_differs<T>(result: Result<T, StoreError>, days: i64) {
    match result.map(|_| ()).unwrap_err() {
        StoreError::ClockDiffers { difference_ms } => assert_eq!(difference_ms, days * DAY_MS),
        error => panic!("{error}"),
    }
}

/// Whatever may be dropped or deleted stays while the clock of a node is wrong, also confirmed.
#[tokio::test]
async fn a_wrong_clock_drops_and_deletes_nothing() {
    for days in SHIFTS_DAYS {
        let root = Root::in_memory();
        let time = Time::at(DAY_START_MS);
        let store = time.open(&root);
        let events = (0..40).map(|day| of_user(-day, &day.to_string(), "Zoë"));
        import(&store, events).await;
        set(&store, "30d").await;
        compact(&store, "w").await;
        time.turn(2);
        let before = objects(&store).await;
        let wrong = time.open_ahead(&root, days);
        let id = workspace("w");
        for mode in [RetentionMode::Guarded, RetentionMode::Confirmed] {
            assert_differs(wrong.expire(&id, mode).await, days);
        }
        assert_differs(wrong.vacuum(&id, false).await, days);
        assert_eq!(wrong.clock_difference_ms(), Some(days * DAY_MS));
        assert!(wrong.clock_difference().unwrap().contains("days"));
        // Looking at it goes on.
        wrong.expire(&id, RetentionMode::DryRun).await.unwrap();
        wrong.vacuum(&id, true).await.unwrap();
        assert_eq!(objects(&store).await, before);
        assert_eq!(expire(&store).await.dropped.events, 11);
        assert_eq!(store.clock_difference(), None);
        assert_whole(&store, "w").await;
    }
}

/// An import stages a file; a cleaner that is eight days ahead does not delete it, on a real disk.
#[tokio::test]
async fn a_cleaner_whose_clock_is_ahead_leaves_staged_files() {
    let root = Root::on_disk();
    let store = root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let mut staged = store.import(ImportOptions { memory_bytes: 1 });
    staged.push(event("w", DAY_START_MS, "2")).await.unwrap();
    let ahead = root.open().with_clock(Clock::Shifted(TimeDelta::days(8)));
    compact(&ahead, "w").await;
    for cleaned in [
        ahead.vacuum(&workspace("w"), false).await.map(|_| ()),
        ahead.vacuum_leftovers(false).await.map(|_| ()),
    ] {
        let error = cleaned.unwrap_err();
        assert!(matches!(error, StoreError::ClockDiffers { .. }), "{error}");
    }
    assert_eq!(staged.finish().await.unwrap().stored, 1);
    assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2"]);
    assert_whole(&store, "w").await;
}

/// An event is not refused for being in the future of a wrong clock.
#[tokio::test]
async fn a_wrong_clock_refuses_no_event_by_date() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let right = time.open(&root);
    let far = of_user(5, "x", "Zoë");
    for days in SHIFTS_DAYS.into_iter().chain([-2]) {
        let wrong = time.open_ahead(&root, days);
        for event in [of_user(0, "now", "Zoë"), far.clone()] {
            assert_eq!(wrong.admission().refusal(&event).await, None, "{days}");
        }
    }
    let refused = right.admission().refusal(&far).await.unwrap();
    assert_eq!(refused.code, RejectionCode::DateInFuture);
}

/// On a disk of one machine the store's time is the node's. When both have gone back, objects with later times
/// show it.
#[tokio::test]
async fn later_objects_show_that_the_clock_went_back() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    import(&store, [of_user(-100, "a", "Zoë"), of_user(0, "b", "Zoë")]).await;
    set(&store, "30d").await;
    time.turn(-30);
    let restarted = time.open(&root);
    assert_differs(
        restarted
            .expire(&workspace("w"), RetentionMode::Confirmed)
            .await,
        -30,
    );
    assert_differs(restarted.vacuum(&workspace("w"), false).await, -30);
    time.turn(30);
    assert_eq!(expire(&time.open(&root)).await.dropped.events, 1);
}

/// A node whose clock is wrong folds numbered batches: no producer is forgotten, then or later, and no note is
/// made that old events came in.
#[tokio::test]
async fn a_wrong_clock_forgets_no_producer() {
    for days in SHIFTS_DAYS {
        let root = Root::in_memory();
        let time = Time::at(DAY_START_MS);
        let right = time.open(&root);
        let nodes = [
            right.clone(),
            time.open_ahead(&root, days),
            time.open(&root),
        ];
        for (place, store) in nodes.iter().enumerate() {
            let ingest = store.ingest(IngestOptions::default());
            let batch = WriteBatch {
                origin: Origin::default(),
                events: vec![of_user(0, &place.to_string(), "Zoë")],
                number: Some(BatchNumber {
                    producer: place.to_string(),
                    workspace: workspace("w"),
                    number: 1,
                }),
                all_or_nothing: false,
            };
            assert_eq!(ingest.write(batch).await.unwrap().refused, []);
            ingest.close().await.unwrap();
        }
        let snapshot = right.snapshot(&workspace("w")).await.unwrap().unwrap();
        let numbers = ProducerState::of(&snapshot.metadata, &workspace("w")).unwrap();
        for place in 0..nodes.len() {
            let newest = numbers.newest(&place.to_string());
            assert_eq!(newest.unwrap().number, 1, "{place} at {days} days");
        }
        assert!(!snapshot.settings().unwrap().older_events);
        assert_eq!(given_ids(&right).await, ["0", "1", "2"]);
    }
}

/// Setting a retention on a node whose clock is ahead confirms only what is old by the store's time.
#[tokio::test]
async fn a_wrong_clock_confirms_nothing_by_setting_a_retention() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    import(&time.open(&root), [of_user(0, "a", "Zoë")]).await;
    let wrong = time.open_ahead(&root, 3 * 365);
    set(&wrong, "30d").await;
    let settings = wrong.settings(&workspace("w")).await.unwrap();
    let confirmed = settings.confirmed_before.unwrap();
    assert_eq!(confirmed.to_string(), "2026-10-22");
}

/// When the newest segment was written, by its name.
async fn written_ms(root: &Root) -> i64 {
    let paths = objects(&root.open()).await;
    let newest = paths.iter().rfind(|path| path.starts_with("segments/"));
    let name = newest.unwrap().strip_prefix("segments/").unwrap();
    name.split('-').next().unwrap().parse().unwrap()
}

/// A node is 30 days behind or ahead until its clock is set right. Whatever it receives before and after has the store's
/// time, and no answer claims to have what is yet to come.
#[tokio::test]
async fn a_set_clock_changes_no_time_of_receipt() {
    const MARGIN_MS: i64 = 60_000;
    for days in [-30, 30] {
        let root = Root::in_memory();
        let time = Time::at(DAY_START_MS);
        let ahead_ms = Arc::new(AtomicI64::new(days * DAY_MS));
        let store = time.open_set(&root, &ahead_ms);
        let options = IngestOptions {
            fold_interval: Duration::from_hours(1),
            ..IngestOptions::default()
        };
        assert_eq!(store.watermark_ms().await, None);
        let ingest = store.ingest(options);
        let batch = |id: &str| WriteBatch {
            origin: Origin::default(),
            events: vec![of_user(0, id, "Zoë")],
            number: None,
            all_or_nothing: false,
        };
        ingest.write(batch("1")).await.unwrap();
        assert_eq!(written_ms(&root).await, time.now_ms());
        assert_eq!(store.watermark_ms().await, None);
        ahead_ms.store(0, Ordering::SeqCst);
        time.time_ms.fetch_add(1_000, Ordering::SeqCst);
        assert_eq!(store.watermark_ms().await, None);
        ingest.write(batch("2")).await.unwrap();
        assert_eq!(written_ms(&root).await, time.now_ms());
        let watermark_ms = Some(time.now_ms() - MARGIN_MS);
        assert_eq!(store.watermark_ms().await, watermark_ms);
        // A process that has compared nothing takes the newest comparison of others, and writes nothing.
        for _ in 0..2 {
            let asked = time.open_ahead(&root, 30);
            assert_eq!(asked.watermark_ms().await, watermark_ms);
            assert_eq!(time.open_ahead(&root, -30).watermark_ms().await, None);
            time.time_ms.fetch_add(1_000, Ordering::SeqCst);
        }
        ingest.kill().await;
    }
}

/// An import by a node whose clock was never compared has the store's time too, and so has its new table.
#[tokio::test]
async fn an_import_compares_the_clock_before() {
    for days in SHIFTS_DAYS {
        let root = Root::in_memory();
        let time = Time::at(DAY_START_MS);
        let wrong = time.open_ahead(&root, days);
        import(&wrong, [of_user(0, "a", "Zoë")]).await;
        let snapshot = wrong.snapshot(&workspace("w")).await.unwrap().unwrap();
        assert_eq!(snapshot.metadata.created_ms(), Some(time.now_ms()));
        let received = snapshot.files[0].received_range_ms;
        assert_eq!(received, Some((time.now_ms(), time.now_ms())));
    }
}

/// The clock of a local disk is 30 days behind from a restart on. The first process sees it by what it compares with,
/// the second one by the marker or a commit.
#[tokio::test]
async fn a_second_process_notices_that_the_clock_went_back() {
    let root = crate::tests::root::marker::bucket();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    store.init().await.unwrap();
    import(&store, [of_user(0, "a", "Zoë")]).await;
    time.turn(-30);
    let now = of_user(0, "b", "Zoë");
    for is_marker_read in [true, true, false] {
        let restarted = time.open(&root);
        if is_marker_read {
            restarted.check_writable().await.unwrap();
        } else {
            restarted.snapshot(&workspace("w")).await.unwrap();
        }
        assert_eq!(restarted.admission().refusal(&now).await, None);
        assert!(restarted.clock_difference().is_some());
    }
}

/// Events of two and a half years ago that are imported while the clock of the disk is three years behind are noted: they
/// stay when the clock is right again.
#[tokio::test]
async fn old_events_of_a_clock_that_is_behind_are_noted() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    import(&time.open(&root), [of_user(0, "now", "Zoë")]).await;
    time.turn(-3 * 365);
    import(&time.open(&root), [of_user(-912, "old", "Zoë")]).await;
    time.turn(3 * 365);
    let right = time.open(&root);
    let settings = right.settings(&workspace("w")).await.unwrap();
    assert!(settings.older_events);
    assert_eq!(expire(&right).await.outcome, RetentionOutcome::Withheld);
    assert_eq!(given_ids(&right).await, ["now", "old"]);
}
