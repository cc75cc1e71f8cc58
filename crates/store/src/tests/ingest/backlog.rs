//! Events that wait to be folded: whose they are, and whom they hold up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use object_store::ObjectStoreExt;

use crate::segment::Segment;
use crate::tests::faults::{Delegate, Fault, interpose};
use crate::tests::ingest::write::{batch, by_hand, numbered, seen_ids, segments, write};
use crate::tests::*;
use crate::{Ingest, IngestOptions};

/// An event of about this size makes a backlog soon.
const TEXT_BYTES: usize = 4096;

fn large(id: &str, workspace: &str) -> Event {
    titled(workspace, DAY_START_MS, id, &"x".repeat(TEXT_BYTES))
}

/// Folds often, and lets little wait.
fn hasty() -> IngestOptions {
    IngestOptions {
        fold_interval: Duration::from_millis(5),
        unfolded_bytes: 64 * 1024,
        patience: Duration::from_secs(20),
        ..IngestOptions::default()
    }
}

async fn try_write(
    ingest: &Ingest,
    events: impl IntoIterator<Item = Event>,
) -> Result<(), IngestError> {
    ingest.write(batch(events)).await.map(drop)
}

/// Waits until `is_done`, for at most some seconds.
async fn wait_until(store: &Store, is_done: impl Fn(&[String]) -> bool) {
    for _ in 0..2000 {
        if is_done(&segments(store).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not done: {:?}", segments(store).await);
}

fn entry() -> Path {
    Path::from("workspace=broken/_delta_log/00000000000000000001.json")
}

/// A root with a table that cannot be read, and the bytes that would make it readable.
async fn root_with_broken_table() -> (Root, bytes::Bytes) {
    let root = Root::in_memory();
    let store = root.open();
    import(&store, [event("broken", DAY_START_MS, "0")]).await;
    let objects = store.object_store();
    let whole = objects.get(&entry()).await.unwrap().bytes().await.unwrap();
    objects.put(&entry(), "{".into()).await.unwrap();
    (root, whole)
}

/// The events of a table that cannot be written are parked: neither the memory nor the folds of others wait
/// for them, and they are stored when the table is repaired.
#[tokio::test]
async fn a_table_that_cannot_be_written_does_not_refuse_the_events_of_others() {
    let (root, whole) = root_with_broken_table().await;
    let ingest = root.open().ingest(hasty());
    let mut expected = vec!["0".to_owned()];
    for number in 0..60 {
        let id = format!("{number:02} ");
        write(&ingest, [large(&id, "broken"), large(&id, "w")]).await;
        expected.push(id);
    }
    let store = root.open();
    wait_until(&store, |segments| segments.is_empty()).await;
    expected.sort_unstable();
    assert_eq!(stored_ids(&store, "w").await, expected[1..]);
    let parked = objects(&store).await;
    let parked = parked.iter().filter(|path| path.starts_with("parked/"));
    assert!(parked.count() > 0);

    let objects = store.object_store();
    objects.put(&entry(), whole.into()).await.unwrap();
    for store in [&store, &root.open()] {
        assert_eq!(seen_ids(store, "broken").await, expected);
    }
    root.open().fold().await.unwrap();
    for store in [&store, &root.open()] {
        assert_eq!(stored_ids(store, "broken").await, expected);
        assert_eq!(seen_ids(store, "broken").await, expected);
    }
    let left = crate::tests::objects(&store).await;
    assert!(!left.iter().any(|path| path.starts_with("parked/")));
}

/// When much of a workspace is parked, its events are refused, and those of others are not.
#[tokio::test]
async fn a_workspace_with_many_parked_events_is_refused_alone() {
    let (root, _) = root_with_broken_table().await;
    let ingest = root.open().ingest(IngestOptions {
        parked_bytes: 256 * 1024,
        ..hasty()
    });
    let mut refused = None;
    for number in 0..2000 {
        let event = large(&number.to_string(), "broken");
        if let Err(error) = try_write(&ingest, [event]).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.unwrap();
    assert!(
        matches!(&refused, IngestError::Parked { workspace, .. } if workspace.as_str() == "broken"),
        "{refused}"
    );
    for number in 0..40 {
        try_write(&ingest, [large(&number.to_string(), "w")])
            .await
            .unwrap();
    }
}

/// A node that was killed with all the backlog that there may be is started again: it takes events in, and
/// folds what was left without waiting for its age.
#[tokio::test]
async fn a_node_takes_events_in_whatever_a_killed_one_has_left() {
    let root = Root::in_memory();
    let killed = root.open().ingest(by_hand());
    for number in 0..40 {
        write(&killed, [large(&number.to_string(), "w")]).await;
    }
    killed.kill().await;
    let store = root.open();
    // A question has all of them in memory.
    assert_eq!(seen_ids(&store, "w").await.len(), 40);
    let ingest = store.ingest(IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..hasty()
    });
    try_write(&ingest, [event("w", DAY_START_MS, "new")])
        .await
        .unwrap();
    wait_until(&store, |segments| segments.len() <= 1).await;
    assert_eq!(stored_ids(&store, "w").await.len(), 40);
    assert_eq!(seen_ids(&store, "w").await.len(), 41);
}

/// What a killed node has left is folded at the start also where the store did not answer at first.
#[tokio::test]
async fn a_start_at_which_the_store_fails_is_repeated() {
    let root = Root::in_memory();
    let killed = root.open().ingest(by_hand());
    write(&killed, [event("w", DAY_START_MS, "1")]).await;
    killed.kill().await;
    let store = interpose(&root, FailsAtFirst::default());
    let _ingest = store.ingest(hasty());
    let reader = root.open();
    wait_until(&reader, |segments| segments.is_empty()).await;
    assert_eq!(stored_ids(&reader, "w").await, ["1"]);
}

/// Objects whose first listings of segments fail.
#[derive(Default)]
struct FailsAtFirst(AtomicUsize);

impl Delegate for FailsAtFirst {
    fn fault(&self, path: &Path, is_put: bool) -> Option<Fault> {
        let is_listing = !is_put && path.as_ref() == "segments";
        let fails = is_listing && self.0.fetch_add(1, Ordering::SeqCst) < 3;
        fails.then_some(Fault::RequestLost)
    }
}

/// The clock of a vanished node was ahead: its segments are as old as another node has known them.
#[tokio::test]
async fn segments_of_a_node_whose_clock_was_ahead_are_folded() {
    let root = Root::in_memory();
    let _living = root.open().ingest(IngestOptions {
        abandoned_after: Duration::from_millis(20),
        ..hasty()
    });
    let writer = root.open().ingest(by_hand());
    let store = root.open();
    // The living node is through with what was there at its start.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let written = write(&writer, [event("w", DAY_START_MS, "1")]).await;
    let token = written.token.unwrap().to_string();
    let objects = store.object_store();
    let from = Path::from(format!("segments/{token}"));
    let bytes = objects.get(&from).await.unwrap().bytes().await.unwrap();
    let mut segment = Segment::decode(token.parse().unwrap(), &bytes);
    segment.key.written_ms += 3 * 60 * 60 * 1000;
    let to = Path::from(format!("segments/{}", segment.key));
    let bytes = segment.encode().unwrap();
    objects.put(&to, bytes.into()).await.unwrap();
    wait_until(&store, |segments| segments.is_empty()).await;
    assert_eq!(stored_ids(&store, "w").await, ["1"]);
}

/// The events of one request that would take much memory are in several segments, and acknowledged together.
#[tokio::test]
async fn a_large_request_is_split_over_segments() {
    let root = Root::in_memory();
    let event_bytes = large("00", "w").size_bytes();
    let ingest = root.open().ingest(IngestOptions {
        largest_segment_bytes: 10 * event_bytes,
        ..by_hand()
    });
    let events = (0..95).map(|number| large(&format!("{number:02}"), "w"));
    let written = ingest.write(numbered(1, events)).await.unwrap();
    let store = root.open();
    assert_eq!(segments(&store).await.len(), 10);
    store.catch_up(&[written.token.unwrap()]).await.unwrap();
    assert_eq!(seen_ids(&store, "w").await.len(), 95);
    let again = root.open().ingest(by_hand());
    let gap = again.write(numbered(3, [])).await;
    assert!(
        matches!(gap, Err(IngestError::SequenceGap { expected: 2, .. })),
        "{gap:?}"
    );
}

/// Another batch under a number that another node has stored is refused, also when this node has had the
/// batch before it.
#[tokio::test]
async fn a_number_is_compared_with_what_other_nodes_have_stored() {
    let root = Root::in_memory();
    let (one, other) = (root.open().ingest(by_hand()), root.open().ingest(by_hand()));
    let first = [event("w", DAY_START_MS, "1")];
    one.write(numbered(1, first)).await.unwrap();
    let second = [event("w", DAY_START_MS, "2")];
    other.write(numbered(2, second)).await.unwrap();
    let third = [event("w", DAY_START_MS, "3")];
    one.write(numbered(3, third.clone())).await.unwrap();
    for is_folded in [false, true] {
        if is_folded {
            root.open().fold().await.unwrap();
        }
        // What another node has acknowledged is seen half a second later.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let conflict = other
            .write(numbered(3, [event("w", DAY_START_MS, "other")]))
            .await;
        assert!(
            matches!(conflict, Err(IngestError::SequenceConflict { .. })),
            "{conflict:?}"
        );
    }
    other.write(numbered(3, third)).await.unwrap();
    assert_eq!(seen_ids(&root.open(), "w").await, ["1", "2", "3"]);
}
