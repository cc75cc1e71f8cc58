//! An object store that does not answer for a moment, and a disk that cannot read some objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::Path;

use super::hooked::unreadable;
use super::*;

/// A root with a table of `versions` versions.
async fn table_of(versions: i64) -> Root {
    let root = Root::in_memory();
    let store = root.open();
    for number in 1..=versions {
        import(
            &store,
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
    root
}

/// An object store that fails while the log is loaded is no damage: nothing is rebuilt or reported as damaged.
#[tokio::test]
async fn a_failing_store_is_no_damaged_log() {
    let root = table_of(3).await;
    let entry = paths::commit(&workspace("w"), 2);
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let location = unreadable(&root, move |path| {
        down.load(Ordering::SeqCst) && *path == entry
    });
    let store = Store::at(location.clone());
    let error = store.snapshot(&workspace("w")).await.unwrap_err();
    assert!(matches!(error, StoreError::ObjectStore(_)), "{error:?}");
    let before = objects(&root.open()).await;
    let repaired = store.repair_table(&workspace("w"), Some("ada")).await;
    assert!(matches!(repaired, Err(StoreError::ObjectStore(_))));
    assert_eq!(objects(&root.open()).await, before);
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3"]);
    is_down.store(true, Ordering::SeqCst);
    // A process that knows an earlier version fails in the same way.
    import(&root.open(), [event("w", DAY_START_MS, "4")]).await;
    let newest = paths::commit(&workspace("w"), 4);
    let store = Store::at(unreadable(&root, move |path| *path == newest));
    let error = store.snapshot(&workspace("w")).await.unwrap_err();
    assert!(matches!(error, StoreError::ObjectStore(_)), "{error:?}");
}

/// A checkpoint or a hint that cannot be read is not needed while the entries are there.
#[tokio::test]
async fn an_unreadable_checkpoint_is_not_needed() {
    let root = table_of(21).await;
    let checkpoint = paths::checkpoint(&workspace("w"), 20);
    let hint = paths::last_checkpoint(&workspace("w"));
    for path in [checkpoint, hint] {
        let store = Store::at(unreadable(&root, move |other: &Path| *other == path));
        assert_eq!(stored_ids(&store, "w").await.len(), 21);
    }
}
