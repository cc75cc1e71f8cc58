//! Vacuum of a disk that takes no commit.

use super::*;

/// What a disk without room answers to whatever would take some.
fn disk_full() -> Hook {
    full_once(Arc::new(AtomicBool::new(true)))
}

/// The same of a disk that has room as long as `is_full` is not set.
fn full_once(is_full: Arc<AtomicBool>) -> Hook {
    const ENOSPC: i32 = 28;
    Arc::new(move |request| {
        let source = std::io::Error::from_raw_os_error(ENOSPC);
        let answer = match request {
            Request::Put if is_full.load(Ordering::SeqCst) => Err(object_store::Error::Generic {
                store: "full",
                source: source.into(),
            }),
            _ => Ok(()),
        };
        async move { answer }.boxed()
    })
}

/// A full disk takes no commit. What a version has removed is deleted all the same, since only that makes room;
/// a file that no version names may be another writer's, and stays.
#[tokio::test]
async fn cleaning_makes_room_on_a_full_disk() {
    let time = VirtualTime::new();
    let store = time.root.open();
    for id in ["1", "2"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    let before = newest(&store).await;
    drop(staged(&store, "3").await);
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(25));

    let full = Store::from_location(hooked(&time.root, disk_full()));
    let refused = full.import(ImportOptions::default());
    let mut refused = refused.from_origin(through("import"));
    let pushed = refused.push(event("w", DAY_START_MS, "4")).await;
    assert!(pushed.is_err() || refused.finish().await.is_err());
    let removed = vacuum(&full).await;
    let mut expected: Vec<_> = before
        .files
        .iter()
        .map(|file| (RemovalReason::Removed, file.path.to_string()))
        .collect();
    expected.sort_unstable();
    assert_eq!(removed, expected);
    assert_eq!(files(&full).await.len(), 2);
    assert_eq!(stored_ids(&time.root.open(), "w").await, ["1", "2"]);

    // No file is left that may be deleted without a commit: the error names the cause.
    let error = full.vacuum(&workspace("w"), false).await.unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    let removed = vacuum(&store).await;
    assert_eq!((removed.len(), removed[0].0), (1, RemovalReason::Unnamed));
    assert_eq!(stored_ids(&time.root.open(), "w").await, ["1", "2"]);
    assert_eq!(assert_whole(&store, "w").await.unnamed_files, 0);
}

/// A root, which a node takes for a bucket, whose only removable files were replaced a day ago.
async fn replaced() -> VirtualTime {
    let mut time = VirtualTime::new();
    let store = time.root.open();
    for id in ["1", "2"] {
        import(&store, [event("w", DAY_START_MS, id)]).await;
    }
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(25));
    time.root.location.url = "s3://bucket/audit".parse().unwrap();
    time
}

/// A node whose clock is wrong, or was never compared, deletes nothing by it when nothing can be written any more.
#[tokio::test]
async fn a_clock_that_cannot_be_compared_deletes_nothing() {
    let time = replaced().await;
    let marker = Marker::new().encode().unwrap();
    let objects = &time.root.location.objects;
    objects.put(&paths::marker(), marker.into()).await.unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let node = |days: i64| {
        let store = Store::from_location(hooked(&time.root, full_once(Arc::clone(&is_full))));
        store.with_clock(Clock::Given {
            time_ms: Arc::clone(&time.time_ms),
            ahead_ms: Arc::new(AtomicI64::new(days * DAY_MS)),
        })
    };
    let before = files(&time.root.open()).await;
    let (wrong, right, new) = (node(30), node(0), node(0));
    let error = wrong.vacuum(&workspace("w"), false).await.unwrap_err();
    assert!(matches!(error, StoreError::ClockDiffers { .. }), "{error}");
    right.location().right_time().await.unwrap();
    is_full.store(true, Ordering::SeqCst);
    time.pass(TimeDelta::minutes(1));
    for (store, words) in [(wrong, "ahead of"), (new, "No space left")] {
        let error = store.vacuum(&workspace("w"), false).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(files(&store).await, before);
    }
    // The last comparison counts.
    assert_eq!(vacuum(&right).await.len(), 2);
}

/// Where a commit is refused, because the store is not the one that it was, nothing is deleted.
#[tokio::test]
async fn a_store_that_is_not_there_any_more_is_not_cleaned() {
    let time = replaced().await;
    let store = time.root.open();
    let before = files(&store).await;
    let backup = paths::backup_marker();
    let marker = Marker::new().encode().unwrap();
    let objects = store.object_store();
    objects.put(&backup, marker.into()).await.unwrap();
    let error = store.vacuum(&workspace("w"), false).await.unwrap_err();
    assert!(matches!(error, StoreError::BackupHere { .. }), "{error}");
    assert_eq!(files(&store).await, before);
}

/// A service cleans on a full disk, also when heads of vanished nodes are to be merged.
#[tokio::test]
async fn upkeep_makes_room_on_a_full_disk() {
    let time = VirtualTime::new();
    let store = time.root.open();
    for id in ["1", "2"] {
        let ingest = time.root.open().ingest(IngestOptions::default());
        let batch = crate::WriteBatch {
            origin: Origin::default(),
            events: vec![event("w", DAY_START_MS, id)],
            number: None,
            all_or_nothing: false,
        };
        ingest.write(batch).await.unwrap();
        ingest.close().await.unwrap();
    }
    time.pass(TimeDelta::days(20));
    compact(&store, "w").await;
    time.pass(TimeDelta::hours(25));
    let full = Store::from_location(hooked(&time.root, disk_full()));
    assert!(full.merge_heads().await.is_err());
    let mut options = MaintenanceOptions {
        compaction_interval: Duration::from_millis(1),
        vacuum_interval: Duration::ZERO,
        ..MaintenanceOptions::default()
    };
    options.compaction.rest_factor = 0;
    let maintenance = tokio::spawn(async move { full.maintain(options).await });
    let cleaned = async {
        while files(&store).await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let cleaned = tokio::time::timeout(Duration::from_secs(30), cleaned).await;
    maintenance.abort();
    cleaned.unwrap();
    assert_eq!(stored_ids(&store, "w").await, ["1", "2"]);
}
