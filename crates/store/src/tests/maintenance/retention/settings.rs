//! Settings and the names of holds.

use super::*;

#[tokio::test]
async fn a_workspace_without_events_has_settings() {
    for root in Root::all() {
        let store = root.open();
        let id = workspace("w");
        assert_eq!(store.settings(&id).await.unwrap(), Settings::default());
        assert_eq!(
            store.expire(&id, RetentionMode::Confirmed).await.unwrap(),
            None
        );
        let error = store.release_hold(&id, "x", "me").await.unwrap_err();
        assert!(matches!(error, SettingsError::UnknownHold { .. }));
        assert_eq!(
            store.workspaces().await.unwrap(),
            [],
            "asking makes no table"
        );
        set(&store, "7y").await;
        set(&store, "7y").await;
        let snapshot = root.open().snapshot(&id).await.unwrap().unwrap();
        assert_eq!((snapshot.version, snapshot.rows()), (1, 1));
        assert_eq!(
            snapshot.settings().unwrap().retention,
            Some("7y".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn settings_are_seen_by_every_store_and_kept_by_every_commit() {
    for root in Root::all() {
        let (one, other) = (root.open(), root.open());
        import(&one, [event("w", DAY_START_MS, "1")]).await;
        other.snapshot(&workspace("w")).await.unwrap();
        set(&one, "90d").await;
        one.place_hold(&workspace("w"), hold("a", days(0, 1), None))
            .await
            .unwrap();
        for number in 2..25 {
            let id = number.to_string();
            import(&other, [event("w", DAY_START_MS, &id)]).await;
        }
        for store in [one, other, root.open()] {
            let settings = store.settings(&workspace("w")).await.unwrap();
            assert_eq!(settings.retention, Some("90d".parse().unwrap()));
            assert_eq!(settings.holds.len(), 1);
            assert_eq!(settings.holds[0].name, "a");
        }
    }
}

#[tokio::test]
async fn a_hold_has_a_name_of_its_own() {
    let store = Root::in_memory().open();
    let id = workspace("w");
    let first = store
        .place_hold(&id, hold("b", days(0, 1), None))
        .await
        .unwrap();
    assert!(!first.stood_already);
    store
        .place_hold(&id, hold("a", days(0, 1), None))
        .await
        .unwrap();
    let again = store
        .place_hold(&id, hold("b", days(0, 1), None))
        .await
        .unwrap();
    assert!(again.stood_already);
    assert_eq!(again.hold, first.hold);
    let other = store.place_hold(&id, hold("b", days(0, 2), None)).await;
    assert!(matches!(
        other.unwrap_err(),
        SettingsError::HoldExists { .. }
    ));
    let settings = store.settings(&id).await.unwrap();
    let names: Vec<&str> = settings
        .holds
        .iter()
        .map(|hold| hold.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let unknown = store.release_hold(&id, "c", "me").await.unwrap_err();
    assert!(
        unknown.to_string().ends_with("there are `a`, `b`"),
        "{unknown}"
    );
    for by in ["", "a\tb"] {
        let error = store.release_hold(&id, "a", by).await.unwrap_err();
        assert!(matches!(error, SettingsError::Invalid { .. }));
    }
    let released = store.release_hold(&id, "b", "me").await.unwrap();
    assert_eq!(released, first.hold);
    let actions: Vec<(String, Option<String>)> = records(&store)
        .await
        .into_iter()
        .map(|(action, user, _, _)| (action, user))
        .collect();
    let count = |wanted: &str| {
        actions
            .iter()
            .filter(|(action, _)| action == wanted)
            .count()
    };
    assert_eq!(
        (count("hold.placed"), count("hold.released"), actions.len()),
        (2, 1, 3)
    );
    assert!(actions.contains(&("hold.released".to_owned(), Some("me".to_owned()))));
}
