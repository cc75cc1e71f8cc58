//! Drops that are undone.

use std::sync::atomic::AtomicBool;

use chrono::NaiveDate;
use events::settings::Undone;

use super::interleaved::{Action, before_request};
use super::*;

/// A store from which a run has dropped events of four days and three users, but for those that a hold keeps.
async fn dropped(root: &Root) -> (Time, Store, RetentionRun) {
    let time = Time::at(DAY_START_MS + 400 * DAY_MS);
    let store = time.open(root);
    for day in 0..4 {
        let users = [("a", "Amara"), ("z", "Zoë"), ("y", "Yann")];
        let events = users.map(|(id, user)| of_user(day, &format!("{id}{day}"), user));
        import(&store, events).await;
    }
    import(&store, [of_user(399, "young", "Zoë")]).await;
    set(&store, "1y").await;
    let amara = hold("amara", TimeRange::ALL, Some("Amara"));
    store.place_hold(&workspace("w"), amara).await.unwrap();
    let expiry = expire(&store).await;
    assert_eq!((expiry.dropped.events, expiry.held_events), (8, 4));
    (time, store, expiry)
}

async fn undo(store: &Store, version: Option<u64>, dry_run: bool) -> Result<Undone, SettingsError> {
    let id = workspace("w");
    let undone = store.undo_drop(&id, version, "ops", dry_run).await?;
    Ok(undone.unwrap())
}

/// The version that a run has made.
fn version_of(expiry: &RetentionRun) -> u64 {
    match expiry.outcome {
        RetentionOutcome::Dropped { version } => version,
        outcome => panic!("{outcome:?}"),
    }
}

async fn dropped_before(store: &Store) -> Option<NaiveDate> {
    let settings = store.settings(&workspace("w")).await.unwrap();
    settings.dropped_before
}

const ALL: [&str; 13] = [
    "a0", "a1", "a2", "a3", "y0", "y1", "y2", "y3", "young", "z0", "z1", "z2", "z3",
];

/// All of a drop comes back once, also beside held events, and those that came again. Then nothing goes until
/// somebody says so.
#[tokio::test]
async fn a_drop_comes_back_once_and_stays() {
    for root in Root::all() {
        let (time, store, expiry) = dropped(&root).await;
        import(&store, [of_user(0, "y0", "Yann")]).await;
        compact(&store, "w").await;
        let before = objects(&store).await;
        let preview = undo(&store, None, true).await.unwrap();
        assert_eq!(objects(&store).await, before);
        let undone = undo(&time.open(&root), None, false).await.unwrap();
        assert_eq!((undone.restored.events, undone.repeated), (7, 5));
        assert_eq!(preview.restored.events, undone.restored.events);
        assert_eq!(preview.restored.days, undone.restored.days);
        assert_eq!((preview.repeated, preview.version), (5, None));
        assert_eq!(given_ids(&store).await, ALL);
        assert_whole(&store, "w").await;

        let records = records(&store).await;
        let of = |action: &str| records.iter().find(|record| record.0 == action).unwrap();
        assert_eq!(of("retention.expired").3["dropped"]["events"], 8);
        let (_, user, message, attributes) = of("retention.undone");
        assert_eq!(user.as_deref(), Some("ops"));
        assert!(message.contains("7 events of 4 days are back"), "{message}");
        assert_eq!(attributes["undone"]["repeated"], 5);

        let settings = store.settings(&workspace("w")).await.unwrap();
        assert!(settings.drop_undone);
        assert!(settings.dropped_before < Some(expiry.kept_from));
        let guarded = store.expire(&workspace("w"), RetentionMode::Guarded).await;
        assert_eq!(guarded.unwrap().unwrap().outcome, RetentionOutcome::Undone);
        assert_eq!(given_ids(&store).await, ALL);
        let again = undo(&store, None, false).await.unwrap_err();
        assert!(
            matches!(again, SettingsError::NothingToUndo { .. }),
            "{again}"
        );

        // A confirmed run drops it anew, and that drop can be undone, too.
        assert_eq!(expire(&store).await.dropped.events, 8);
        let settings = store.settings(&workspace("w")).await.unwrap();
        assert!(!settings.drop_undone);
        let first = undone.dropped_version;
        let twice = undo(&store, Some(first), false).await.unwrap_err();
        assert!(twice.to_string().contains("undone already"), "{twice}");
        undo(&store, None, false).await.unwrap();
        assert_eq!(given_ids(&store).await, ALL);
        assert_whole(&store, "w").await;

        // The same retention is no change, another one is.
        set(&store, "1y").await;
        assert!(store.settings(&workspace("w")).await.unwrap().drop_undone);
        set(&store, "30d").await;
        let guarded = store.expire(&workspace("w"), RetentionMode::Guarded).await;
        let outcome = guarded.unwrap().unwrap().outcome;
        assert!(
            matches!(outcome, RetentionOutcome::Dropped { .. }),
            "{outcome:?}"
        );
    }
}

/// When files of the drop are deleted, nothing is undone, and the error says how many.
#[tokio::test]
async fn a_drop_whose_files_are_deleted_is_not_undone() {
    let root = Root::in_memory();
    let (time, store, expiry) = dropped(&root).await;
    time.turn(2);
    store.vacuum(&workspace("w"), false).await.unwrap();
    let before = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    for dry_run in [true, false] {
        let error = undo(&store, Some(version_of(&expiry)), dry_run)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                SettingsError::DropGone {
                    missing: 4,
                    files: 4,
                    ..
                }
            ),
            "{error}"
        );
    }
    let after = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(after.version, before.version);
}

/// Only a retention run that dropped something can be undone.
#[tokio::test]
async fn what_is_no_drop_is_not_undone() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    let nothing = store.undo_drop(&workspace("w"), None, "ops", false).await;
    assert_eq!(nothing.unwrap(), None);
    import(&store, [of_user(0, "a", "Zoë")]).await;
    for version in [None, Some(0), Some(1), Some(99)] {
        let error = undo(&store, version, false).await.unwrap_err();
        assert!(
            matches!(error, SettingsError::NothingToUndo { .. }),
            "{error}"
        );
    }
    let by_nobody = store.undo_drop(&workspace("w"), None, "", false).await;
    assert!(matches!(
        by_nobody.unwrap_err(),
        SettingsError::Invalid { .. }
    ));
}

/// Another writer stores an event of the drop at any moment of an undo: each event is there once.
#[tokio::test]
async fn an_import_that_meets_an_undo_stores_each_event_once() {
    let mut number = 0;
    loop {
        let root = Root::in_memory();
        let (time, other, _) = dropped(&root).await;
        let action: Action = Arc::new(move || {
            let other = other.clone();
            Box::pin(async move {
                import(
                    &other,
                    [of_user(1, "y1", "Yann"), of_user(1, "new", "Yann")],
                )
                .await;
            })
        });
        let (hook, requests) = before_request(number, action);
        let store = time.open_hooked(&root, hook);
        undo(&store, None, false).await.unwrap();
        if requests.load(Ordering::SeqCst) <= number {
            return;
        }
        let mut expected = vec!["new"];
        expected.extend(ALL);
        expected.sort_unstable();
        assert_eq!(given_ids(&store).await, expected, "before request {number}");
        assert_whole(&store, "w").await;
        number += 1;
    }
}

/// What other drops have dropped stays dropped, and nothing else.
#[tokio::test]
async fn an_undone_drop_leaves_the_days_of_others_dropped() {
    let root = Root::in_memory();
    let (_, store, first) = dropped(&root).await;
    let of_first = dropped_before(&store).await;
    assert_eq!(of_first, Some(first.kept_from));
    import(&store, [of_user(50, "x", "Zoë")]).await;
    set(&store, "300d").await;
    let second = expire(&store).await;
    assert_eq!(dropped_before(&store).await, Some(second.kept_from));
    undo(&store, None, false).await.unwrap();
    assert_eq!(dropped_before(&store).await, of_first);

    // The earlier one of two: the later one is in force.
    let third = expire(&store).await;
    undo(&store, Some(version_of(&first)), false).await.unwrap();
    assert_eq!(dropped_before(&store).await, Some(third.kept_from));
    undo(&store, Some(version_of(&third)), false).await.unwrap();
    assert_eq!(dropped_before(&store).await, None);
    let mut ids = given_ids(&store).await;
    ids.retain(|id| id != "x");
    assert_eq!(ids, ALL);
    assert_whole(&store, "w").await;
}

/// Another run drops something while the newest drop is undone: it is still the first one that is undone.
#[tokio::test]
async fn an_undo_that_meets_a_run_undoes_what_it_found_first() {
    let root = Root::in_memory();
    let (time, other, first) = dropped(&root).await;
    import(&other, [of_user(50, "x", "Zoë")]).await;
    set(&other, "300d").await;
    let has_met = Arc::new(AtomicBool::new(false));
    let hook: Hook = Arc::new(move |request| {
        // What is put first is a copy of what comes back.
        let meets = request == Request::Put && !has_met.swap(true, Ordering::SeqCst);
        let other = other.clone();
        Box::pin(async move {
            if meets {
                assert_eq!(expire(&other).await.dropped.events, 1);
            }
            Ok(())
        })
    });
    let store = time.open_hooked(&root, hook);
    let undone = undo(&store, None, false).await.unwrap();
    assert_eq!(undone.dropped_version, version_of(&first));
    assert_eq!(given_ids(&store).await, ALL);
    let settings = store.settings(&workspace("w")).await.unwrap();
    assert!(settings.dropped_before > Some(first.kept_from));
}

/// Without a version only drops of the last day are looked for, however long the log is.
#[tokio::test]
async fn an_older_drop_is_undone_by_its_version() {
    let root = Root::in_memory();
    let (time, store, expiry) = dropped(&root).await;
    time.turn(2);
    let error = undo(&store, None, false).await.unwrap_err();
    assert!(error.to_string().contains("by their version"), "{error}");
    let undone = undo(&store, Some(version_of(&expiry)), false).await;
    assert_eq!(undone.unwrap().restored.events, 8);
    assert_eq!(given_ids(&store).await, ALL);
}
