//! Reading everything again in the background.

use object_store::ObjectStoreExt;

use crate::tests::*;

/// A round finds a damaged file, also one that is in a cache, at the rate that was asked for, and forgets it when
/// it is whole again.
#[tokio::test]
async fn a_round_finds_what_is_damaged() {
    let root = Root::in_memory();
    let store = root.open();
    for day in 0..3 {
        import(
            &store,
            [event("w", DAY_START_MS + day * DAY_MS, &day.to_string())],
        )
        .await;
    }
    let scrubbing = || &store.activity().scrubbing;
    assert_eq!((scrubbing().files(), scrubbing().last_round()), (0, None));
    assert_eq!(store.scrub_round(u64::MAX).await.unwrap(), 0);
    let size_bytes = store
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap()
        .size_bytes();
    assert_eq!((scrubbing().files(), scrubbing().bytes()), (3, size_bytes));
    assert!(scrubbing().last_round().is_some());
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let path = &snapshot.files[1].path;
    assert_eq!(stored_ids(&store, "w").await.len(), 3);
    let whole = root.location.objects.get(path).await.unwrap();
    let whole = whole.bytes().await.unwrap();
    let mut damaged = whole.to_vec();
    damaged[500] ^= 4;
    root.location
        .objects
        .put(path, damaged.into())
        .await
        .unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(store.scrub_round(size_bytes * 2).await.unwrap(), 1);
    assert!(
        begun.elapsed() > Duration::from_millis(300),
        "not at the rate"
    );
    assert_eq!(scrubbing().faults(), 1);
    root.location.objects.put(path, whole.into()).await.unwrap();
    assert_eq!(store.scrub_round(u64::MAX).await.unwrap(), 0);
    assert_eq!(scrubbing().faults(), 0);
}
