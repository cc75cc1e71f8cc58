//! What compaction makes of a table, and what it leaves as it was.

use std::collections::BTreeSet;

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::tests::*;

/// As many imports of one event each, of one day.
async fn fill(store: &Store, from: i64, count: i64) {
    for number in from..from + count {
        import(
            store,
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
}

async fn newest(store: &Store) -> Snapshot {
    store.snapshot(&workspace("w")).await.unwrap().unwrap()
}

#[tokio::test]
async fn small_files_become_one_and_events_stay_what_they_were() {
    for root in Root::all() {
        let store = root.open();
        // Backwards, so that files and rows are in different orders.
        for number in (0..10_i64).rev() {
            let of_day = [
                titled(
                    "w",
                    DAY_START_MS + number,
                    &number.to_string(),
                    "quoted \"é\"",
                ),
                titled("w", DAY_START_MS + 20 - number, &format!("b{number}"), ""),
                event("w", DAY_START_MS + DAY_MS, &format!("next {number}")),
            ];
            import(&store, of_day).await;
        }
        let before = newest(&store).await;
        assert_eq!(before.files.len(), 20);
        let rows_before = sorted_rows(&store, &before).await;
        let old_ids = stored_ids(&store, "w").await;

        let compaction = compact(&store, "w").await;
        assert_eq!(
            (compaction.replaced_files, compaction.written_files),
            (20, 2)
        );
        assert_eq!((compaction.events, compaction.days.len()), (30, 2));
        assert_eq!(compaction.replaced_bytes, before.size_bytes());
        for store in [store, root.open()] {
            let after = newest(&store).await;
            assert_eq!((after.files.len(), after.rows()), (2, 30));
            assert_eq!(after.size_bytes(), compaction.written_bytes);
            assert_eq!(after.date_range_ms(), before.date_range_ms());
            assert_eq!(sorted_rows(&store, &after).await, rows_before);
            assert_eq!(stored_ids(&store, "w").await, old_ids);
            let events = stored(&store, "w").await;
            assert!(events.is_sorted(), "{events:?}");
            assert_eq!(assert_whole(&store, "w").await.files_without_digest, 0);
            // Nobody who reads the old version is disturbed.
            assert_eq!(sorted_rows(&store, &before).await, rows_before);
            assert_eq!(compact(&store, "w").await.replaced_files, 0);
            let next = event("w", DAY_START_MS + DAY_MS, "next 3");
            let again = import(&store, [next]).await;
            assert_eq!((again.stored, again.repeated), (0, 1));
        }
    }
}

/// Every value of every row, as text.
async fn sorted_rows(store: &Store, snapshot: &Snapshot) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in read(store, snapshot).await {
        for row in 0..batch.num_rows() {
            rows.push(format!("{:?}", batch.slice(row, 1).columns()));
        }
    }
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn the_log_says_that_no_data_has_changed() {
    let store = Root::in_memory().open();
    fill(&store, 0, 2).await;
    compact(&store, "w").await;
    let commit = Path::from("workspace=w/_delta_log/00000000000000000003.json");
    let commit = store.object_store().get(&commit).await.unwrap();
    let commit = commit.bytes().await.unwrap();
    let actions: Vec<Value> = commit
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(actions.len(), 5);
    assert_eq!(actions[0]["commitInfo"]["operation"], "OPTIMIZE");
    assert!(actions[1].get("metaData").is_some());
    for (action, name) in actions[2..].iter().zip(["remove", "remove", "add"]) {
        assert_eq!(action[name]["dataChange"], false, "{action}");
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let store = Root::in_memory().open();
    fill(&store, 0, 3).await;
    let before = objects(&store).await;
    let options = CompactionOptions {
        settle_after: Duration::ZERO,
        dry_run: true,
        ..CompactionOptions::default()
    };
    let would = store
        .compact(&workspace("w"), &options)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((would.replaced_files, would.written_files), (3, 1));
    assert_eq!(objects(&store).await, before);
    assert!(
        store
            .compact(&workspace("v"), &options)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_day_that_still_gets_files_is_left_for_later() {
    let store = Root::in_memory().open();
    fill(&store, 0, 7).await;
    let options = CompactionOptions::default();
    let compaction = store.compact(&workspace("w"), &options).await.unwrap();
    assert_eq!(compaction.unwrap().replaced_files, 0);
    fill(&store, 7, 1).await;
    let compaction = store.compact(&workspace("w"), &options).await.unwrap();
    assert_eq!(compaction.unwrap().replaced_files, 8);
    assert_whole(&store, "w").await;
}

#[tokio::test]
async fn files_grow_to_the_size_that_is_wanted_and_no_further() {
    let store = Root::in_memory().open();
    let noise = |number: i64| -> String {
        let parts =
            (0..300).map(|part| blake3::hash(&(number * 300 + part).to_le_bytes()).to_hex());
        parts.map(|part| part.to_string()).collect()
    };
    for number in 0..30 {
        import(
            &store,
            [titled(
                "w",
                DAY_START_MS + number,
                &number.to_string(),
                &noise(number),
            )],
        )
        .await;
    }
    let options = CompactionOptions {
        settle_after: Duration::ZERO,
        rest_factor: 0,
        target_bytes: 100_000,
        ..CompactionOptions::default()
    };
    store.compact(&workspace("w"), &options).await.unwrap();
    let sizes: Vec<u64> = newest(&store)
        .await
        .files
        .iter()
        .map(|file| file.size_bytes)
        .collect();
    assert!(sizes.len() > 1 && sizes.len() < 20, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 150_000), "{sizes:?}");
    let small = sizes.iter().filter(|size| **size < 50_000).sum::<u64>();
    assert!(small < 100_000, "{sizes:?}");
    assert_eq!(
        store
            .compact(&workspace("w"), &options)
            .await
            .unwrap()
            .unwrap()
            .replaced_files,
        0
    );
    assert_whole(&store, "w").await;
}

#[tokio::test]
async fn large_events_pass() {
    let store = Root::in_memory().open();
    let large = "x".repeat(5_000_000);
    for part in 0..2_i64 {
        let events = (0..3_000_i64).map(|number| {
            let title = if number == 1500 || part == 1 && number < 20 {
                &*large
            } else {
                "small"
            };
            let date_ms = DAY_START_MS + number * 2 + part;
            titled("w", date_ms, &format!("{number} of {part}"), title)
        });
        import(&store, events).await;
    }
    assert_eq!(compact(&store, "w").await.events, 6_000);
    assert!(stored(&store, "w").await.is_sorted());
    assert_whole(&store, "w").await;
}

#[tokio::test]
async fn a_damaged_file_is_never_copied() {
    for root in Root::all() {
        let store = root.open();
        fill(&store, 0, 4).await;
        import(&store, [event("w", DAY_START_MS + DAY_MS, "a")]).await;
        import(&store, [event("w", DAY_START_MS + DAY_MS, "b")]).await;
        let before = newest(&store).await;
        let objects = store.object_store();
        let damaged = &before.files[1].path;
        let mut content = objects
            .get(damaged)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec();
        content[100] ^= 1;
        objects.put(damaged, content.into()).await.unwrap();
        let missing = &before.files[2].path;
        objects.delete(missing).await.unwrap();

        let compaction = compact(&store, "w").await;
        assert_eq!(
            (compaction.replaced_files, compaction.written_files),
            (4, 2)
        );
        let faults: Vec<String> = compaction.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains("has changed since it was committed"))
        );
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains("is missing from the store"))
        );
        let after = newest(&store).await;
        assert_eq!((after.files.len(), after.rows()), (4, 6));
        for path in [damaged, missing] {
            assert!(after.files.iter().any(|file| file.path == *path));
        }
        let found = store.verify(&workspace("w")).await.unwrap().unwrap();
        assert!(
            found
                .faults
                .iter()
                .all(|fault| fault.path == damaged.as_ref() || fault.path == missing.as_ref())
        );
    }
}

#[tokio::test]
async fn files_of_other_writers_are_left_alone() {
    let root = Root::in_memory();
    let store = root.open();
    fill(&store, 0, 4).await;
    // As if other software had rewritten two of them.
    strip_log_state(&root).await;
    let objects = store.object_store();
    for version in [2, 3] {
        let path = Path::from(format!("workspace=w/_delta_log/{version:020}.json"));
        let commit = objects.get(&path).await.unwrap().bytes().await.unwrap();
        let commit = String::from_utf8(commit.to_vec()).unwrap();
        let other = commit.replace("vouch.blake3", "other.checksum");
        assert_ne!(other, commit);
        objects.put(&path, other.into()).await.unwrap();
    }
    let store = root.open();
    let before = newest(&store).await;
    assert_eq!(compact(&store, "w").await.replaced_files, 2);
    let after = newest(&store).await;
    let of_others: Vec<_> = before
        .files
        .iter()
        .filter(|file| file.digest.is_none())
        .collect();
    assert_eq!(of_others.len(), 2);
    assert!(of_others.iter().all(|file| after.files.contains(file)));
    assert_eq!(stored_ids(&store, "w").await, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn a_table_with_more_columns_is_left_alone() {
    let root = Root::in_memory();
    fill(&root.open(), 0, 3).await;
    let objects = root.open().object_store();
    strip_log_state(&root).await;
    for version in 0..=3 {
        let entry = Path::from(format!("workspace=w/_delta_log/{version:020}.json"));
        let commit = objects.get(&entry).await.unwrap().bytes().await.unwrap();
        let commit = String::from_utf8(commit.to_vec()).unwrap();
        let wider = commit.replace(
            r#"{\"name\":\"workspace\""#,
            r#"{\"name\":\"notes\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},{\"name\":\"workspace\""#,
        );
        assert_ne!(wider, commit);
        objects.put(&entry, wider.into()).await.unwrap();
    }
    let options = CompactionOptions::default();
    let error = root
        .open()
        .compact(&workspace("w"), &options)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("`notes`"), "{error}");
    assert_eq!(newest(&root.open()).await.files.len(), 3);
}

#[tokio::test]
async fn a_repeated_id_is_kept_like_every_other_row() {
    let root = Root::in_memory();
    fill(&root.open(), 0, 2).await;
    // As if a writer had not looked: the first file is added under a second name.
    strip_log_state(&root).await;
    let objects = root.open().object_store();
    let second = "workspace=w/day=2026-11-21/00000000-0000-4000-8000-000000000000.parquet";
    let snapshot = newest(&root.open()).await;
    let first = snapshot
        .files
        .iter()
        .find(|file| file.date_range_ms == Some((DAY_START_MS, DAY_START_MS)));
    let first = first.unwrap().path.clone();
    objects.copy(&first, &second.into()).await.unwrap();
    let commit = Path::from("workspace=w/_delta_log/00000000000000000001.json");
    let commit = objects.get(&commit).await.unwrap().bytes().await.unwrap();
    let commit = String::from_utf8(commit.to_vec()).unwrap();
    let copied = commit.replace(
        first.filename().unwrap(),
        second.rsplit_once('/').unwrap().1,
    );
    let next = Path::from("workspace=w/_delta_log/00000000000000000003.json");
    objects.put(&next, copied.into()).await.unwrap();
    assert_eq!(stored_ids(&root.open(), "w").await, ["0", "0", "1"]);
    assert_eq!(compact(&root.open(), "w").await.replaced_files, 3);
    assert_eq!(stored_ids(&root.open(), "w").await, ["0", "0", "1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compactors_and_imports_of_one_table_lose_and_double_nothing() {
    for root in Root::all() {
        let imports = (0..3_i64).map(|part| {
            let store = root.open();
            tokio::spawn(async move {
                for number in 0..12 {
                    // Neighbours share half of their events.
                    let first = part * 60 + number * 10;
                    let events = (first..first + 20)
                        .map(|id| event("w", DAY_START_MS + id % 2 * DAY_MS + id, &id.to_string()));
                    import(&store, events).await;
                }
            })
        });
        let compactors = (0..3).map(|_| {
            let store = root.open();
            tokio::spawn(async move {
                for _ in 0..15 {
                    if store.snapshot(&workspace("w")).await.unwrap().is_some() {
                        let compaction = compact(&store, "w").await;
                        assert!(compaction.faults.is_empty(), "{:?}", compaction.faults);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        });
        let readers = (0..2).map(|_| {
            let store = root.open();
            tokio::spawn(async move {
                let mut known = BTreeSet::new();
                for _ in 0..20 {
                    let ids = stored_ids(&store, "w").await;
                    let set: BTreeSet<String> = ids.iter().cloned().collect();
                    assert_eq!(set.len(), ids.len(), "doubled");
                    assert!(known.is_subset(&set), "lost");
                    known = set;
                }
            })
        });
        let tasks: Vec<_> = imports.chain(compactors).chain(readers).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let store = root.open();
        compact(&store, "w").await;
        let expected: BTreeSet<String> = (0..250).map(|id| id.to_string()).collect();
        let ids = stored_ids(&store, "w").await;
        assert_eq!(ids.len(), expected.len());
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(
            assert_whole(&store, "w").await.files <= 2 * 8,
            "one of each rank"
        );
    }
}

#[tokio::test]
async fn upkeep_can_run_in_the_background() {
    let store = Root::in_memory().open();
    for id in ["v", "w"] {
        import(&store, [event(id, DAY_START_MS, "1")]).await;
        import(&store, [event(id, DAY_START_MS, "2")]).await;
    }
    let options = crate::MaintenanceOptions {
        compaction_interval: Duration::from_millis(1),
        vacuum_interval: Duration::ZERO,
        retention_interval: Duration::from_hours(24),
        compaction: CompactionOptions {
            settle_after: Duration::ZERO,
            ..CompactionOptions::default()
        },
    };
    let maintenance = tokio::spawn({
        let store = store.clone();
        async move { store.maintain(options).await }
    });
    for id in ["v", "w"] {
        while store
            .snapshot(&workspace(id))
            .await
            .unwrap()
            .unwrap()
            .files
            .len()
            > 1
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(stored_ids(&store, id).await, ["1", "2"]);
    }
    maintenance.abort();
}
