//! What an import stores, and when it is seen.

use events::TimeRange;

use crate::tests::*;

#[tokio::test]
async fn an_unused_root_is_an_empty_store() {
    for root in Root::all() {
        let store = root.open();
        assert_eq!(store.workspaces().await.unwrap(), []);
        assert!(store.snapshot(&workspace("a")).await.unwrap().is_none());
        let summary = import(&store, []).await;
        assert_eq!(summary, ImportSummary::default());
        assert_eq!(objects(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn events_are_found_by_workspace_and_day() {
    for root in Root::all() {
        let store = root.open();
        let summary = import(
            &store,
            [
                event("b", DAY_START_MS + DAY_MS + 5, "3"),
                event("b", DAY_START_MS + DAY_MS - 1, "2"),
                event("b", DAY_START_MS, "1"),
                event("a", -1, "0"),
            ],
        )
        .await;
        assert_eq!((summary.stored, summary.repeated), (4, 0));
        assert_eq!(summary.workspaces.len(), 2);
        let of_b = &summary.workspaces[1];
        assert_eq!(of_b.workspace, workspace("b"));
        assert_eq!((of_b.stored, of_b.version, of_b.files), (3, Some(1), 2));

        for store in [store, root.open()] {
            let workspaces = store.workspaces().await.unwrap();
            assert_eq!(workspaces, [workspace("a"), workspace("b")]);
            let snapshot = store.snapshot(&workspace("b")).await.unwrap().unwrap();
            assert_eq!((snapshot.version, snapshot.rows()), (1, 3));
            assert_eq!(snapshot.size_bytes(), of_b.size_bytes);
            let range = (DAY_START_MS, DAY_START_MS + DAY_MS + 5);
            assert_eq!(snapshot.date_range_ms(), Some(range));
            let first = &snapshot.files[0];
            assert!(
                first
                    .path
                    .as_ref()
                    .starts_with("workspace=b/day=2026-11-21/")
            );
            assert_eq!(
                first.date_range_ms,
                Some((DAY_START_MS, DAY_START_MS + DAY_MS - 1))
            );
            assert_eq!(stored(&store, "a").await, [(-1, "0".to_owned())]);
            let ids = stored_ids(&store, "b").await;
            assert_eq!(ids, ["1", "2", "3"]);
        }
    }
}

#[tokio::test]
async fn a_time_range_selects_files_by_their_dates() {
    let store = Root::in_memory().open();
    let hour_ms = 60 * 60 * 1000;
    import(&store, [event("w", DAY_START_MS + hour_ms, "1")]).await;
    import(&store, [event("w", DAY_START_MS + 3 * hour_ms, "2")]).await;
    import(&store, [event("w", DAY_START_MS + DAY_MS, "3")]).await;
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let files = |from_ms: i64, to_ms: i64| {
        let range = TimeRange::new(DAY_START_MS + from_ms, DAY_START_MS + to_ms).unwrap();
        snapshot.files_in(&range).count()
    };
    assert_eq!(files(0, 2 * DAY_MS), 3);
    assert_eq!(files(0, DAY_MS), 2);
    assert_eq!(files(hour_ms, hour_ms + 1), 1);
    assert_eq!(files(0, hour_ms), 0);
    assert_eq!(files(hour_ms + 1, 3 * hour_ms), 0);
    assert_eq!(snapshot.files_in(&TimeRange::ALL).count(), 3);
}

#[tokio::test]
async fn an_event_is_stored_once_a_day() {
    for root in Root::all() {
        let store = root.open();
        let first = import(
            &store,
            [
                titled("w", DAY_START_MS + 7, "x", "first"),
                titled("w", DAY_START_MS + 7, "x", "first"),
                event("w", DAY_START_MS + DAY_MS, "x"),
                event("v", DAY_START_MS, "x"),
            ],
        )
        .await;
        assert_eq!((first.stored, first.repeated), (3, 1));
        assert_eq!(first.workspaces[1].repeated, 1);

        let again = import(
            &root.open(),
            [
                titled("w", DAY_START_MS + 7, "x", "first"),
                event("w", DAY_START_MS + 9, "y"),
            ],
        )
        .await;
        assert_eq!((again.stored, again.repeated), (1, 1));
        let expected = [
            (DAY_START_MS + 7, "x".to_owned()),
            (DAY_START_MS + 9, "y".to_owned()),
            (DAY_START_MS + DAY_MS, "x".to_owned()),
        ];
        let mut events = stored(&store, "w").await;
        events.sort_unstable();
        assert_eq!(events, expected);
    }
}

#[tokio::test]
async fn only_repeats_make_no_new_version() {
    let store = Root::in_memory().open();
    import(&store, [event("w", DAY_START_MS, "x")]).await;
    let before = objects(&store).await;
    let summary = import(&store, [event("w", DAY_START_MS, "x")]).await;
    assert_eq!((summary.stored, summary.repeated), (0, 1));
    assert_eq!(summary.workspaces[0].version, None);
    assert_eq!(objects(&store).await, before);
}

#[tokio::test]
async fn nothing_is_seen_before_the_end() {
    for root in Root::all() {
        let store = root.open();
        let mut aborted = store.import(ImportOptions { memory_bytes: 1 });
        aborted.push(event("w", DAY_START_MS, "1")).await.unwrap();
        assert_eq!(objects(&store).await.len(), 2, "a file was written");
        assert_eq!(stored_ids(&store, "w").await, [""; 0]);
        aborted.abort().await;
        // The table was made before the file, so that files without a log always mean a lost log.
        let version_0 = "workspace=w/_delta_log/00000000000000000000.json";
        assert_eq!(objects(&store).await, [version_0]);

        let mut dropped = store.import(ImportOptions { memory_bytes: 1 });
        dropped.push(event("w", DAY_START_MS, "1")).await.unwrap();
        drop(dropped);
        assert_eq!(stored_ids(&store, "w").await, [""; 0]);
        let summary = import(&store, [event("w", DAY_START_MS, "1")]).await;
        assert_eq!((summary.stored, summary.repeated), (1, 0));
        assert_eq!(stored_ids(&store, "w").await, ["1"]);
    }
}

#[tokio::test]
async fn little_memory_makes_more_files_and_the_same_events() {
    let store = Root::in_memory().open();
    let mut import = store.import(ImportOptions {
        memory_bytes: 100_000,
    });
    let count = 3000;
    for number in 0..count {
        let day = i64::from(number % 3);
        // Each tenth event comes a second time, much later.
        let id = if number >= 1500 && number % 10 == 0 {
            number - 1500
        } else {
            number
        };
        let date_ms = DAY_START_MS + day * DAY_MS + i64::from(id * 7919 % count);
        import
            .push(event("w", date_ms, &id.to_string()))
            .await
            .unwrap();
    }
    let summary = import.finish().await.unwrap();
    assert_eq!((summary.stored, summary.repeated), (2850, 150));
    assert!(summary.workspaces[0].files > 3, "{summary:?}");
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(snapshot.rows(), 2850);
    let mut events: Vec<(i64, String)> = stored(&store, "w")
        .await
        .into_iter()
        .map(|(date_ms, id)| (date_ms / DAY_MS, id))
        .collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), 2850);
}

#[tokio::test]
async fn rows_of_a_file_are_sorted_and_hold_all_that_was_given() {
    let store = Root::in_memory().open();
    let dates = [5, 3, 3, 9, 1, 3];
    let ids = ["a", "z", "b", "c", "d", "m"];
    let events = dates
        .iter()
        .zip(ids)
        .map(|(offset, id)| titled("w", DAY_START_MS + offset, id, &format!("title {id}")));
    import(&store, events).await;
    let expected: Vec<(i64, String)> = [(1, "d"), (3, "b"), (3, "m"), (3, "z"), (5, "a"), (9, "c")]
        .iter()
        .map(|(offset, id)| (DAY_START_MS + offset, (*id).to_owned()))
        .collect();
    assert_eq!(stored(&store, "w").await, expected);

    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let batches = read(&store, &snapshot).await;
    let batch = &batches[0];
    assert_eq!(batch.num_columns(), fields::FIELDS.len());
    let text = |name: &str| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.value(0).to_owned()
    };
    assert_eq!(text("df_title"), "title d");
    assert_eq!(text(fields::WORKSPACE), "w");
    assert_eq!(
        text(fields::ATTRIBUTES),
        format!(r#"{{"session":{{"id":{}}}}}"#, DAY_START_MS + 1)
    );
}

#[tokio::test]
async fn days_of_any_age_are_taken() {
    let store = Root::in_memory().open();
    let dates = [events::time::MIN_DATE_MS, -1, 0, events::time::MAX_DATE_MS];
    let summary = import(&store, dates.map(|date_ms| event("w", date_ms, "x"))).await;
    assert_eq!(summary.stored, 4);
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let days: Vec<String> = snapshot
        .files
        .iter()
        .map(|file| file.day.to_string())
        .collect();
    assert_eq!(
        days,
        ["0001-01-01", "1969-12-31", "1970-01-01", "9999-12-31"]
    );
}
