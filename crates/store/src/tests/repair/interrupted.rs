//! Repairs that are interrupted at any point, and object stores that fail for a moment.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::tests::hooked::{Hook, Request, dead, hooked};

/// The root of a process of which the writes with these numbers fail.
fn failing(root: &Root, failing: impl RangeBounds<usize> + Send + Sync + 'static) -> Store {
    let writes = Arc::new(AtomicUsize::new(0));
    let hook: Hook = Arc::new(move |request| {
        let is_write = matches!(request, Request::Put | Request::Delete);
        let is_dead = is_write && failing.contains(&writes.fetch_add(1, Ordering::SeqCst));
        Box::pin(async move { if is_dead { Err(dead()) } else { Ok(()) } })
    });
    Store::from_location(hooked(root, hook))
}

/// Interrupts the repair of `damaged` before each of its `writes`, then does it again, which must make everything whole
/// at once. Calls `check` with each result; returns how many writes there are.
async fn interrupt(
    damaged: &Root,
    writes: impl Iterator<Item = usize>,
    check: impl AsyncFn(&Root),
) -> Option<usize> {
    for at in writes {
        let root = damaged.copy().await;
        let id = workspace("w");
        let interrupted = failing(&root, at..).repair_table(&id, Some("ada")).await;
        repair(&root).await;
        check(&root).await;
        if interrupted.is_ok() {
            return Some(at);
        }
    }
    None
}

/// Nothing is lost, doubled or left over when the rebuild of a log is interrupted and done again.
#[tokio::test]
async fn interrupted_rebuild_is_done_again() {
    let root = table_of(2).await;
    put(&root, &unnamed(), "no parquet at all").await;
    delete(&root, &entry(1)).await;
    let writes = interrupt(&root, 0.., async |root| {
        assert_eq!(ids(root).await, numbers(1..=2));
        let aside = set_aside(root).await;
        assert!(aside.contains(&b"no parquet at all".to_vec()));
    });
    assert!(writes.await > Some(8));
}

/// The audit event of an attempt that was interrupted before it had put the new log is not kept.
#[tokio::test]
async fn interrupted_rebuild_without_a_log_has_one_record() {
    let root = table_of(2).await;
    delete_log(&root).await;
    interrupt(&root, 2..5, async |root| {
        let ids = stored_ids(&root.open(), "w").await;
        assert_eq!(ids.len(), 3, "{ids:?}");
    })
    .await;
}

/// A file whose events cannot be written into the new log for a moment is not taken for a damaged one.
#[tokio::test]
async fn failed_write_loses_nothing() {
    let damaged = table_of(2).await;
    delete_log(&damaged).await;
    let mut failures = 0;
    for at in 0..4 {
        let root = damaged.copy().await;
        let store = failing(&root, at..=at);
        let repaired = store.repair_table(&workspace("w"), Some("ada")).await;
        // The comparison of clocks may fail.
        failures += usize::from(repaired.is_err());
        repair(&root).await;
        assert_eq!(ids(&root).await, numbers(1..=2), "{at}");
    }
    assert_eq!(failures, 3);
}

/// A damaged data file is in `set-aside` whenever a repair that took it out of the table was interrupted.
#[tokio::test]
async fn interrupted_repair_of_a_file_keeps_it() {
    let root = Root::in_memory();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    import(&root.open(), [event("w", DAY_START_MS + DAY_MS, "2")]).await;
    let file = newest(&root).await.files[0].path.clone();
    let mut content = bytes_of(&root, &file).await;
    content[200] ^= 1;
    put(&root, &file, content.clone()).await;
    let writes = interrupt(&root, 0.., async |root| {
        assert_eq!(ids(root).await, ["2"]);
        assert!(set_aside(root).await.contains(&content));
    });
    assert!(writes.await > Some(2));
}

/// A log that cannot be read for a moment is not rebuilt.
#[tokio::test]
async fn failing_store_is_not_repaired() {
    let root = table_of(3).await;
    let before = objects(&root.open()).await;
    for first in 0..16 {
        let reads = Arc::new(AtomicUsize::new(0));
        let hook: Hook = Arc::new(move |request| {
            let is_read = request == Request::Get;
            let read = is_read.then(|| reads.fetch_add(1, Ordering::SeqCst));
            let fails = read.is_some_and(|read| (first..first + 3).contains(&read));
            Box::pin(async move { if fails { Err(dead()) } else { Ok(()) } })
        });
        let store = Store::from_location(hooked(&root, hook));
        if let Ok(done) = store.repair_table(&workspace("w"), Some("ada")).await {
            assert_eq!(done.unwrap(), TableRepair::default(), "{first}");
        }
        assert_eq!(objects(&root.open()).await, before, "{first}");
    }
}
