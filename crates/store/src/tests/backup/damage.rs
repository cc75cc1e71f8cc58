//! Damage of the store that is backed up, and of backups.

use super::*;

/// Makes a store of the newest backup although objects of it are damaged.
async fn restored_with_damage(from: &Root) -> (Root, Restored) {
    let incomplete = RestoreOptions {
        incomplete: true,
        ..options()
    };
    let root = bucket();
    let restored = root.open().restore(&backups(from), &incomplete).await;
    (root, restored.unwrap())
}

/// A damaged file of the store makes the backup incomplete. The newest complete one stays, and is what is restored.
#[tokio::test]
async fn a_damaged_file_makes_a_backup_incomplete() {
    let (root, store) = store_in_bucket().await;
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let to = begun(&store).await;
    back_up(&store, &to).await;
    let first = below(&root, "workspace=w/day=2026-11-21").await;
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    let files = below(&root, "workspace=w/day=2026-11-21").await;
    let damaged = files.iter().find(|path| !first.contains(path)).unwrap();
    flip(&root, damaged).await;
    // What is backed up already is of no interest.
    flip(&root, &first[0]).await;
    for number in [2, 3] {
        let backup = back_up(&store, &to).await.summary;
        assert_eq!((backup.number, backup.is_complete()), (number, false));
        assert_eq!(backup.faults.len(), 1);
        assert_eq!(backup.faults[0].path, damaged.to_string());
        let (_root, made, done) = restored(&to).await;
        assert_eq!(
            (done.summary.number, ids(&made).await),
            (1, vec!["1".to_owned()])
        );
        assert_eq!(done.newer.unwrap().number, number);
    }
    assert_eq!(below(&to, "manifests").await.len(), 2);
    // A root may have but one restore, so the incomplete one needs another.
    let (other, made) = restored_with_damage(&to).await;
    assert_eq!(made.faults.len(), 1);
    let found = other.open().verify(&workspace("w")).await.unwrap().unwrap();
    assert!(
        found
            .faults
            .iter()
            .all(|fault| fault.path == damaged.to_string())
    );
    assert_eq!(found.rows, 3);
    // The bit is right again.
    flip(&root, damaged).await;
    let backup = back_up(&store, &to).await;
    assert!(backup.summary.is_complete());
    assert_eq!(below(&to, "manifests").await.len(), 1);
    let (_root, made, _) = restored(&to).await;
    assert_eq!(ids(&made).await, ["1", "2"]);
    assert_whole(&made, "w").await;
}

/// A file that is missing, a damaged segment and a damaged log are named, and all else is in the backup.
#[tokio::test]
async fn what_is_damaged_or_missing_is_named() {
    let (root, store) = store_in_bucket().await;
    for id in ["w", "v", "u"] {
        import(&store, [event(id, DAY_START_MS, "1")]).await;
    }
    let ingest = store.ingest(by_hand());
    write(&ingest, [event("w", DAY_START_MS, "2")]).await;
    let file = below(&root, "workspace=w/day=2026-11-21").await.remove(0);
    root.location.objects.delete(&file).await.unwrap();
    let segment = below(&root, "segments").await.remove(0);
    flip(&root, &segment).await;
    flip(&root, &paths::commit(&workspace("v"), 1)).await;
    let to = begun(&root.open()).await;
    let backup = back_up(&root.open(), &to).await.summary;
    let faults: Vec<&str> = backup
        .faults
        .iter()
        .map(|fault| fault.path.as_str())
        .collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    for path in [file.as_ref(), segment.as_ref(), "workspace=v/_delta_log"] {
        assert!(faults.contains(&path), "{faults:?}");
    }
    let refused = bucket().open().restore(&backups(&to), &options()).await;
    assert!(
        matches!(refused, Err(StoreError::NotRestored { .. })),
        "{refused:?}"
    );
    let (other, made) = restored_with_damage(&to).await;
    assert_eq!(made.faults.len(), 3);
    assert_whole(&other.open(), "u").await;
    other.open().snapshot(&workspace("v")).await.unwrap_err();
}

/// Damage of any object of a backup is named, and no store is made of it.
#[tokio::test]
async fn a_damaged_copy_is_not_restored() {
    let (_root, store) = store_in_bucket().await;
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    write(&store.ingest(by_hand()), [event("w", DAY_START_MS, "2")]).await;
    let to = begun(&store).await;
    back_up(&store, &to).await;
    assert_eq!(backups(&to).verify(false).await.unwrap().faults, []);
    for copy in below(&to, "copies").await {
        flip(&to, &copy).await;
        let found = backups(&to).verify(false).await.unwrap().faults;
        assert_eq!(found.len(), 1, "{copy}");
        assert!(found[0].reason.contains(copy.as_ref()), "{found:?}");
        let root = bucket();
        let refused = root
            .open()
            .restore(&backups(&to), &options())
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(&found[0].path), "{refused}");
        assert_eq!(root.open().marker().await.unwrap(), None);
        root.open().check_present().await.unwrap_err();
        flip(&to, &copy).await;
        // It goes on with what is right now.
        root.open()
            .restore(&backups(&to), &options())
            .await
            .unwrap();
        assert_eq!(ids(&root.open()).await, ["1", "2"]);
    }
    let manifest = below(&to, "manifests").await.remove(0);
    flip(&to, &manifest).await;
    let refused = bucket().open().restore(&backups(&to), &options()).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt { .. })),
        "{refused:?}"
    );
    // The next backup does not need it.
    back_up(&store, &to).await;
    let (_root, made, _) = restored(&to).await;
    assert_eq!(ids(&made).await, ["1", "2"]);
}
