//! Events that come one by one: segments, folding, numbered batches.

use std::time::Duration;

use arrow::array::cast::AsArray as _;
use object_store::ObjectStoreExt;

use crate::tests::*;
use crate::{BatchNumber, Ingest, IngestOptions, WriteBatch, WriteOutcome};

/// Folds only when a test says so.
pub(in crate::tests) fn by_hand() -> IngestOptions {
    IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..IngestOptions::default()
    }
}

pub(in crate::tests) fn batch(events: impl IntoIterator<Item = Event>) -> WriteBatch {
    WriteBatch {
        events: events.into_iter().collect(),
        origin: through("http"),
        number: None,
        all_or_nothing: false,
    }
}

pub(in crate::tests) fn numbered(
    number: u64,
    events: impl IntoIterator<Item = Event>,
) -> WriteBatch {
    WriteBatch {
        number: Some(BatchNumber {
            producer: "collector".to_owned(),
            workspace: workspace("w"),
            number,
        }),
        ..batch(events)
    }
}

pub(in crate::tests) async fn write(
    ingest: &Ingest,
    events: impl IntoIterator<Item = Event>,
) -> WriteOutcome {
    ingest.write(batch(events)).await.unwrap()
}

/// The ids of everything that a question about a workspace would read, sorted; `None` without such a
/// workspace.
pub(in crate::tests) async fn seen(
    store: &Store,
    id: &str,
) -> Result<Option<Vec<String>>, StoreError> {
    let Some(view) = store.view(&workspace(id)).await? else {
        return Ok(None);
    };
    let mut ids: Vec<String> = view
        .recent
        .iter()
        .flat_map(|batch| {
            let ids = batch.column_by_name(fields::EVENT_ID).unwrap();
            let ids = ids.as_string_view();
            ids.iter()
                .map(|id| id.unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    if let Some(table) = &view.table {
        for batch in try_read(store, table).await? {
            let column = batch.column_by_name(fields::EVENT_ID).unwrap();
            ids.extend(
                column
                    .as_string::<i32>()
                    .iter()
                    .map(|id| id.unwrap().to_owned()),
            );
        }
    }
    ids.sort_unstable();
    Ok(Some(ids))
}

/// Like [`seen`], of a store that works.
pub(in crate::tests) async fn seen_ids(store: &Store, id: &str) -> Vec<String> {
    seen(store, id).await.unwrap().unwrap_or_default()
}

pub(in crate::tests) async fn segments(store: &Store) -> Vec<String> {
    let objects = objects(store).await;
    let is_segment = |path: &String| path.starts_with("segments/");
    objects.into_iter().filter(is_segment).collect()
}

/// The path and the bytes of a store's only segment.
pub(in crate::tests) async fn only_segment(
    store: &Store,
) -> (object_store::path::Path, bytes::Bytes) {
    let path = object_store::path::Path::from(segments(store).await.remove(0));
    let object = store.object_store().get(&path).await.unwrap();
    (path, object.bytes().await.unwrap())
}

#[tokio::test]
async fn what_is_acknowledged_is_seen_at_once_and_stays_when_it_is_folded() {
    for root in Root::all() {
        let store = root.open();
        let ingest = store.ingest(by_hand());
        let written = write(
            &ingest,
            [
                event("w", DAY_START_MS, "1"),
                event("v", DAY_START_MS + DAY_MS, "2"),
            ],
        )
        .await;
        assert_eq!(written.refused, []);
        assert_eq!(seen_ids(&store, "w").await, ["1"]);
        assert_eq!(seen_ids(&store, "v").await, ["2"]);
        // Somebody who opens the root now sees it too.
        let other = root.open();
        assert_eq!(seen_ids(&other, "w").await, ["1"]);
        assert_eq!(
            other.workspaces().await.unwrap(),
            [workspace("v"), workspace("w")]
        );
        assert!(other.snapshot(&workspace("w")).await.unwrap().is_none());

        ingest.close().await.unwrap();
        assert_eq!(segments(&store).await, [""; 0]);
        for store in [&store, &other, &root.open()] {
            assert_eq!(seen_ids(store, "w").await, ["1"]);
            assert_eq!(stored_ids(store, "v").await, ["2"]);
        }
        let closed = ingest.write(batch([event("w", DAY_START_MS, "3")])).await;
        assert!(matches!(closed, Err(IngestError::Closed)), "{closed:?}");
    }
}

#[tokio::test]
async fn another_node_sees_a_write_with_its_token() {
    let root = Root::in_memory();
    let (one, other) = (root.open(), root.open());
    let ingest = one.ingest(by_hand());
    assert_eq!(seen_ids(&other, "w").await, [""; 0]);
    let written = write(&ingest, [event("w", DAY_START_MS, "1")]).await;
    let token = written.token.unwrap();
    let token = token.to_string().parse().unwrap();
    other.catch_up(&[token]).await.unwrap();
    assert_eq!(seen_ids(&other, "w").await, ["1"]);
    let written = write(&ingest, [event("w", DAY_START_MS, "2")]).await;
    one.fold().await.unwrap();
    other.catch_up(&[written.token.unwrap()]).await.unwrap();
    assert_eq!(seen_ids(&other, "w").await, ["1", "2"]);
}

#[tokio::test]
async fn a_repeated_id_is_seen_once_wherever_the_first_one_lies() {
    for root in Root::all() {
        let store = root.open();
        import(&store, [titled("w", DAY_START_MS, "table", "first")]).await;
        let ingest = store.ingest(by_hand());
        write(
            &ingest,
            [
                titled("w", DAY_START_MS, "table", "first"),
                titled("w", DAY_START_MS, "segment", "first"),
                titled("w", DAY_START_MS, "segment", "first"),
                // The same id on another day is another event.
                titled("w", DAY_START_MS + DAY_MS, "table", "other"),
            ],
        )
        .await;
        write(&ingest, [titled("w", DAY_START_MS, "segment", "first")]).await;
        let expected = ["segment", "table", "table"];
        assert_eq!(seen_ids(&store, "w").await, expected);
        assert_eq!(seen_ids(&root.open(), "w").await, expected);
        // What an import stores meanwhile comes before segments.
        import(&store, [titled("w", DAY_START_MS, "segment", "first")]).await;
        assert_eq!(seen_ids(&store, "w").await, expected);
        let summary = store.fold().await.unwrap();
        assert_eq!((summary.stored, summary.repeated), (1, 4));
        assert_eq!(stored_ids(&root.open(), "w").await, expected);
        assert_eq!(seen_ids(&store, "w").await, expected);
    }
}

#[tokio::test]
async fn a_fold_that_stops_before_it_deletes_changes_nothing() {
    let root = Root::in_memory();
    let store = root.open();
    let ingest = store.ingest(by_hand());
    write(
        &ingest,
        [event("w", DAY_START_MS, "1"), event("v", DAY_START_MS, "2")],
    )
    .await;
    let (path, bytes) = only_segment(&store).await;
    for _ in 0..2 {
        store.fold().await.unwrap();
        store
            .object_store()
            .put(&path, bytes.clone().into())
            .await
            .unwrap();
        for store in [&root.open(), &store] {
            assert_eq!(seen_ids(store, "w").await, ["1"]);
            assert_eq!(seen_ids(store, "v").await, ["2"]);
        }
    }
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    assert_eq!((snapshot.files.len(), snapshot.rows()), (1, 1));
}

#[tokio::test]
async fn two_nodes_that_fold_the_same_segments_store_them_once() {
    for root in Root::all() {
        let ingest = root.open().ingest(by_hand());
        for number in 0..5 {
            write(&ingest, [event("w", DAY_START_MS, &number.to_string())]).await;
        }
        let (one, other) = (root.open(), root.open());
        let (first, second) = tokio::join!(one.fold(), other.fold());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.failed.is_empty() && second.failed.is_empty());
        assert_eq!(first.stored + second.stored, 5);
        assert_eq!(stored_ids(&one, "w").await, ["0", "1", "2", "3", "4"]);
        assert_eq!(segments(&one).await, [""; 0]);
    }
}

#[tokio::test]
async fn many_clients_and_workspaces_share_a_segment() {
    const CLIENTS: usize = 300;
    let root = Root::on_disk();
    let store = root.open();
    let ingest = store.ingest(by_hand());
    let writes = (0..CLIENTS).map(|client| {
        let ingest = ingest.clone();
        let id = format!("w{client}");
        async move { write(&ingest, [event(&id, DAY_START_MS, "1")]).await }
    });
    let written = futures::future::join_all(writes).await;
    let mut tokens: Vec<String> = written
        .iter()
        .map(|written| written.token.unwrap().to_string())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert!(tokens.len() <= 8, "{} segments", tokens.len());
    assert_eq!(segments(&store).await.len(), tokens.len());
    assert_eq!(root.open().workspaces().await.unwrap().len(), CLIENTS);
    assert_eq!(seen_ids(&root.open(), "w299").await, ["1"]);
}

#[tokio::test]
async fn a_numbered_batch_follows_the_one_before_it_on_any_node() {
    for root in Root::all() {
        let (one, other) = (root.open().ingest(by_hand()), root.open().ingest(by_hand()));
        let gap = one
            .write(numbered(2, [event("w", DAY_START_MS, "2")]))
            .await;
        assert!(
            matches!(gap, Err(IngestError::SequenceGap { expected: 1, .. })),
            "{gap:?}"
        );
        one.write(numbered(1, [event("w", DAY_START_MS, "1")]))
            .await
            .unwrap();
        other
            .write(numbered(2, [event("w", DAY_START_MS, "2")]))
            .await
            .unwrap();
        // The answer to it was lost, and the producer asks the first node.
        one.write(numbered(2, [event("w", DAY_START_MS, "2")]))
            .await
            .unwrap();
        let conflict = one
            .write(numbered(2, [event("w", DAY_START_MS, "3")]))
            .await;
        assert!(
            matches!(conflict, Err(IngestError::SequenceConflict { .. })),
            "{conflict:?}"
        );
        other.write(numbered(3, [])).await.unwrap();
        assert_eq!(seen_ids(&root.open(), "w").await, ["1", "2"]);
        root.open().fold().await.unwrap();
        let later = root.open().ingest(by_hand());
        let gap = later.write(numbered(5, [])).await;
        assert!(
            matches!(gap, Err(IngestError::SequenceGap { expected: 4, .. })),
            "{gap:?}"
        );
        let conflict = later
            .write(numbered(3, [event("w", DAY_START_MS, "x")]))
            .await;
        assert!(
            matches!(conflict, Err(IngestError::SequenceConflict { .. })),
            "{conflict:?}"
        );
        later
            .write(numbered(4, [event("w", DAY_START_MS, "4")]))
            .await
            .unwrap();
        assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2"]);
        assert_eq!(seen_ids(&root.open(), "w").await, ["1", "2", "4"]);
    }
}

#[tokio::test]
async fn a_damaged_segment_is_an_error_that_names_it() {
    let root = Root::in_memory();
    let ingest = root.open().ingest(by_hand());
    write(&ingest, [event("w", DAY_START_MS, "1")]).await;
    let store = root.open();
    let (path, whole) = only_segment(&store).await;
    let mut changed = whole.to_vec();
    changed[whole.len() - 20] ^= 1;
    for damaged in [&whole[..0], &whole[..whole.len() - 1], &changed[..]] {
        let damaged = damaged.to_vec();
        store
            .object_store()
            .put(&path, damaged.into())
            .await
            .unwrap();
        let error = root.open().view(&workspace("w")).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { path: named, .. } if *named == path.to_string())
        );
        let folded = root.open().fold().await.unwrap();
        assert_eq!(folded.segments, 0);
        assert!(folded.damaged.contains_key(path.as_ref()), "{folded:?}");
    }
    store.object_store().put(&path, whole.into()).await.unwrap();
    assert_eq!(seen_ids(&store, "w").await, ["1"]);
}

#[tokio::test]
async fn a_table_that_cannot_be_written_keeps_only_its_own_events_back() {
    let root = Root::in_memory();
    import(&root.open(), [event("broken", DAY_START_MS, "0")]).await;
    let ingest = root.open().ingest(by_hand());
    write(
        &ingest,
        [
            event("broken", DAY_START_MS, "1"),
            event("w", DAY_START_MS, "2"),
        ],
    )
    .await;
    let store = root.open();
    let entry =
        object_store::path::Path::from("workspace=broken/_delta_log/00000000000000000001.json");
    let whole = store
        .object_store()
        .get(&entry)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    store.object_store().put(&entry, "{".into()).await.unwrap();
    let summary = store.fold().await.unwrap();
    assert_eq!(summary.segments, 0);
    assert_eq!(
        summary.failed.into_keys().collect::<Vec<_>>(),
        [workspace("broken")]
    );
    assert_eq!(stored_ids(&root.open(), "w").await, ["2"]);
    assert_eq!(seen_ids(&root.open(), "w").await, ["2"]);
    store
        .object_store()
        .put(&entry, whole.into())
        .await
        .unwrap();
    root.open().fold().await.unwrap();
    assert_eq!(stored_ids(&root.open(), "broken").await, ["0", "1"]);
    assert_eq!(stored_ids(&root.open(), "w").await, ["2"]);
}

#[tokio::test]
async fn segments_of_a_vanished_node_are_folded_by_another() {
    let root = Root::in_memory();
    let gone = root.open().ingest(by_hand());
    write(&gone, [event("w", DAY_START_MS, "1")]).await;
    let options = IngestOptions {
        fold_interval: Duration::from_millis(5),
        abandoned_after: Duration::ZERO,
        ..IngestOptions::default()
    };
    let _living = root.open().ingest(options);
    let store = root.open();
    for _ in 0..400 {
        if !segments(&store).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(segments(&store).await, [""; 0]);
    assert_eq!(stored_ids(&store, "w").await, ["1"]);
}

/// An object store that takes no segment.
struct Stuck;

#[async_trait::async_trait]
impl crate::tests::faults::Delegate for Stuck {
    async fn before_put(&self, path: &object_store::path::Path) {
        if path.as_ref().starts_with("segments/") {
            std::future::pending::<()>().await;
        }
    }
}

/// An object store that takes 12 s for each segment.
struct Slow;

#[async_trait::async_trait]
impl crate::tests::faults::Delegate for Slow {
    async fn before_put(&self, path: &object_store::path::Path) {
        if path.as_ref().starts_with("segments/") {
            tokio::time::sleep(Duration::from_secs(12)).await;
        }
    }
}

/// The time at which events count as received is taken before the first put, and all of them have to be done within 30 s
/// of it.
#[tokio::test]
async fn what_takes_too_long_to_be_durable_is_not_acknowledged() {
    let root = Root::in_memory();
    let store = crate::tests::faults::interpose(&root, Slow);
    let ingest = store.ingest(IngestOptions {
        largest_segment_bytes: 1,
        ..by_hand()
    });
    let events = ["1", "2", "3"].map(|id| event("w", DAY_START_MS, id));
    let outcome = ingest.write(batch(events)).await;
    let Err(IngestError::Store(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        matches!(*error, StoreError::OutcomeUnknown { .. }),
        "{error}"
    );
    // What came all the same is not lost.
    assert_eq!(seen_ids(&root.open(), "w").await, ["2", "3"]);
    ingest.kill().await;
}

#[tokio::test]
async fn events_wait_when_the_object_store_is_slow_and_are_refused_in_the_end() {
    let root = Root::in_memory();
    let store = crate::tests::faults::interpose(&root, Stuck);
    let event_bytes = event("w", DAY_START_MS, "00").memory_bytes();
    let ingest = store.ingest(IngestOptions {
        waiting_bytes: 10 * event_bytes,
        patience: Duration::from_millis(50),
        ..by_hand()
    });
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..20 {
        let ingest = ingest.clone();
        let event = event("w", DAY_START_MS, &format!("{number:02}"));
        writes.spawn(async move { ingest.write(batch([event])).await });
    }
    // There is room for ten of them, which wait for their segment.
    for _ in 0..10 {
        let refused = writes.join_next().await.unwrap().unwrap();
        assert!(
            matches!(refused, Err(IngestError::Overloaded { .. })),
            "{refused:?}"
        );
    }
    assert!(writes.try_join_next().is_none());
    // A request that is larger than all that may wait is only taken in alone.
    let many = (0..100).map(|number| event("w", DAY_START_MS, &format!("large {number}")));
    let refused = ingest.write(batch(many)).await;
    assert!(
        matches!(refused, Err(IngestError::Overloaded { .. })),
        "{refused:?}"
    );
}
