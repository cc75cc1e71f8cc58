//! Logs of which entries were lost, changed or replaced.

use events::settings::{RetentionMode, RetentionOutcome};

use super::*;
use crate::tests::delta::removed::written;
use crate::tests::faults::{Delegate, interpose};

/// Nothing of a changed newest entry gets into the new log, and what only a checkpoint names stays as it is.
#[tokio::test]
async fn changed_newest_entry_is_not_replayed() {
    let sound = table_of(22).await;
    for is_cut in [false, true] {
        let root = sound.copy().await;
        for version in 0..20 {
            delete(&root, &entry(version)).await;
        }
        let text = text_of(&root, &entry(22)).await;
        let minimum = format!(r#"\"date\":{}"#, DAY_START_MS + 22);
        let changed = match is_cut {
            true => text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n",
            false => text.replacen(&minimum, r#"\"date\":1795219200099"#, 1),
        };
        assert_ne!(text, changed);
        put(&root, &entry(22), changed).await;
        let done = repair(&root).await;
        let rebuilt = rebuilt(&done);
        assert_eq!((rebuilt.base, rebuilt.found_events), (Some(21), 1));
        assert_eq!(ids(&root).await, numbers(1..=22));
        let files = newest(&root).await.files;
        let imported = files.iter().filter(|file| file.delivery.is_some());
        assert_eq!(imported.count(), 21);
    }
}

/// An entry that was committed in place of a lost one states just its own files; those of the lost one come back.
#[tokio::test]
async fn entry_in_place_of_another_hides_nothing() {
    let root = table_of(2).await;
    // It has read the heads before there was one, and the table never.
    let early = root.open();
    early.snapshot(&workspace("v")).await.unwrap();
    let store = root.open();
    store.snapshot(&workspace("w")).await.unwrap();
    let (none, mut head) = (Default::default(), Default::default());
    let node = uuid::Uuid::new_v4();
    store.put_head(node, &none, &mut head).await.unwrap();
    delete(&root, &entry(2)).await;
    import(&early, [event("w", DAY_START_MS, "3")]).await;
    let found = root.open().verify_segments().await.unwrap();
    assert_eq!(found.faults.len(), 1);
    repair(&root).await;
    assert_eq!(ids(&root).await, numbers(1..=3));
}

/// When the entry of a compaction is lost, a later one has its events, and so have the files before it.
#[tokio::test]
async fn events_of_lost_compactions_are_kept_once() {
    let root = table_of(2).await;
    compact(&root.open(), "w").await;
    for numbers in [3..=4, 5..=8] {
        let events = numbers.map(|number| event("w", DAY_START_MS, &number.to_string()));
        import(&root.open(), events).await;
        compact(&root.open(), "w").await;
    }
    let compacted = newest(&root).await;
    assert_eq!((compacted.version, compacted.files.len()), (7, 1));
    for lost in [vec![3], vec![5], vec![3, 5], vec![3, 6]] {
        let root = root.copy().await;
        for version in &lost {
            delete(&root, &entry(*version)).await;
        }
        repair(&root).await;
        assert_eq!(ids(&root).await, numbers(1..=8), "{lost:?}");
    }
}

/// Settings that a newer version has written are not taken for none.
#[tokio::test]
async fn settings_of_a_newer_version_are_not_erased() {
    let root = table_of(2).await;
    let hold = NewHold {
        name: "case".to_owned(),
        reason: "court order".to_owned(),
        placed_by: "legal".to_owned(),
        events: HeldEvents::all(),
    };
    let store = root.open();
    store.place_hold(&workspace("w"), hold).await.unwrap();
    import(&store, [event("w", DAY_START_MS, "3")]).await;
    strip_log_state(&root).await;
    for version in [3, 4] {
        let text = text_of(&root, &entry(version)).await;
        let newer = text.replace(r#"\"reason\":"#, r#"\"until\":5,\"reason\":"#);
        assert_ne!(text, newer);
        put(&root, &entry(version), newer).await;
    }
    delete(&root, &entry(1)).await;
    let before = objects(&root.open()).await;
    for by in [None, Some("ada")] {
        let error = root.open().repair_table(&workspace("w"), by).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains("vouch.holds"), "{error}");
    }
    assert_eq!(objects(&root.open()).await, before);
}

/// A lost entry may have set a longer retention: the one that is known drops nothing by itself.
#[tokio::test]
async fn retention_waits_after_a_log_was_rebuilt() {
    let root = Root::in_memory();
    let (store, id) = (root.open(), workspace("w"));
    let now_ms = chrono::Utc::now().timestamp_millis();
    let ages = [("old", 400), ("new", 1), ("newer", 0)];
    for (name, days) in ages {
        import(&store, [event("w", now_ms - days * DAY_MS, name)]).await;
    }
    let year = "1y".parse().unwrap();
    store.set_retention(&id, year, "ops").await.unwrap();
    delete(&root, &entry(2)).await;
    let done = repair(&root).await;
    assert!(rebuilt(&done).waits_for_confirmation);
    let store = root.open();
    assert_eq!(store.settings(&id).await.unwrap().retention, Some(year));
    let guarded = store.expire(&id, RetentionMode::Guarded).await.unwrap();
    assert_eq!(guarded.unwrap().outcome, RetentionOutcome::Undone);
    let confirmed = store.expire(&id, RetentionMode::Confirmed).await.unwrap();
    assert_eq!(confirmed.unwrap().dropped.events, 1);
    assert!(!store.settings(&id).await.unwrap().drop_undone);
}

/// Segments that an entry names as folded are known to be folded when it is set aside.
#[tokio::test]
async fn folded_segments_are_known_after_a_repair() {
    let sound = Root::in_memory();
    let ingest = written(&sound, &["1"]).await;
    let node = objects(&sound.open()).await;
    let node = node.iter().find(|path| path.starts_with("segments/"));
    let key = crate::root::paths::segment_key(&Path::from(node.unwrap().as_str()));
    let (none, mut head) = (Default::default(), Default::default());
    let store = ingest.store().clone();
    let put_head = store.put_head(key.unwrap().node, &none, &mut head);
    put_head.await.unwrap();
    ingest.kill().await;
    sound.open().fold().await.unwrap();
    for number in 2..=21 {
        import(
            &sound.open(),
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
    for lost in [3, 21] {
        let root = sound.copy().await;
        let text = bytes_of(&root, &entry(lost)).await;
        put(&root, &entry(lost), text[..40].to_vec()).await;
        let done = repair(&root).await;
        let is_rebuilt = matches!(done.steps[0], RepairStep::Rebuild(_));
        assert_eq!(is_rebuilt, lost == 21, "{done:?}");
        assert_eq!(ids(&root).await, numbers(1..=21));
        assert!(!objects(&root.open()).await.contains(&entry(1).to_string()));
    }
}

/// Whatever files an import that was lost has left: each different event comes back once.
#[tokio::test]
async fn different_events_with_one_id_come_back_once() {
    let named = |title: &str| titled("w", DAY_START_MS, "1", title);
    let root = Root::in_memory();
    import(&root.open(), [named("a")]).await;
    import(&root.open(), [event("w", DAY_START_MS, "2")]).await;
    import(&root.open(), [event("w", DAY_START_MS, "3")]).await;
    for titles in [&["b"][..], &["b"], &["c", "b"], &["a", "b"]] {
        let other = Root::in_memory();
        import(&other.open(), titles.iter().map(|title| named(title))).await;
        let file = newest(&other).await.files[0].path.clone();
        put(&root, &unnamed(), bytes_of(&other, &file).await).await;
    }
    delete(&root, &entry(2)).await;
    let done = repair(&root).await;
    assert_eq!(rebuilt(&done).found_events, 3);
    let ids = stored_ids(&root.open(), "w").await;
    let renamed = ids.iter().filter(|id| id.starts_with("1~")).count();
    assert_eq!(renamed, 2, "{ids:?}");
    // The audit event is the sixth one.
    assert_eq!(ids.len(), 6, "{ids:?}");
    let rows = read(&root.open(), &newest(&root).await).await;
    let titles = rows.iter().flat_map(|batch| {
        let titles = batch.column_by_name("df_title").unwrap();
        let titles = titles.as_string::<i32>().iter().flatten();
        titles.map(str::to_owned).collect::<Vec<_>>()
    });
    let mut titles: Vec<String> = titles.collect();
    titles.sort_unstable();
    let expected = ["Log of the table rebuilt", "Login", "Login", "a", "b", "c"];
    assert_eq!(titles, expected);
}

/// A new log has every column of this version, and names its store.
#[tokio::test]
async fn a_new_log_has_all_columns_and_its_store() {
    let root = table_of(3).await;
    strip_log_state(&root).await;
    for version in 0..=3 {
        let text = text_of(&root, &entry(version)).await;
        let column = r#"{\"name\":\"vouch_conflict\","#;
        let older = text.replace(column, r#"{\"name\":\"other\","#);
        assert_ne!(older, text, "{text}");
        put(&root, &entry(version), older).await;
    }
    delete(&root, &entry(2)).await;
    repair(&root).await;
    assert!(newest(&root).await.newer_metadata.is_none());

    let root = Root::on_disk();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    delete_log(&root).await;
    repair(&root).await;
    let snapshot = newest(&root).await;
    assert!(snapshot.metadata.property("vouch.store").is_some());
    let rows = read(&root.open(), &snapshot).await;
    let doors = rows.iter().flat_map(|batch| {
        let doors = batch.column_by_name("vouch_door").unwrap();
        let doors = doors.as_string::<i32>().iter().flatten();
        doors.map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(doors.collect::<Vec<_>>(), ["vouch"]);
}

/// A version that another writer makes meanwhile is not hidden by the checkpoint of the new log.
#[tokio::test]
async fn another_writer_is_not_hidden() {
    struct Overtake(Location);

    #[async_trait::async_trait]
    impl Delegate for Overtake {
        async fn before_put(&self, path: &Path) {
            if *path == entry(4) {
                self.0.objects.put(path, "{}".into()).await.unwrap();
            }
        }
    }

    let root = table_of(3).await;
    delete(&root, &entry(2)).await;
    let store = interpose(&root, Overtake(root.location.clone()));
    let error = store.repair_table(&workspace("w"), Some("ada")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    let left = objects(&root.open()).await;
    let checkpoints = left.iter().filter(|path| path.contains("checkpoint"));
    assert_eq!(checkpoints.count(), 0, "{left:?}");
    assert!(left.contains(&entry(3).to_string()));
}
