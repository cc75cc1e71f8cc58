//! Requests into segments, segments into the root.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use arrow::error::ArrowError;
use events::WriteToken;
use events::{Delivery, Event, EventBatchBuilder, Origin, WorkspaceId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until};

use super::{MANY_SEGMENTS, Request, Shared};
use crate::error::StoreError;
use crate::root::paths;
use crate::root::segment_key::SegmentKey;
use crate::segment::{Batch, BatchSequence, Header, MAX_PUT_TIME, Segment, put};

/// How many requests may wait, whatever their size.
pub(super) const WAITING_REQUESTS: usize = 64 * 1024;

/// How many segments are written at the same time.
const CONCURRENT_WRITES: usize = 4;

/// Writes segments until the ingest is closed and nothing waits any more.
pub(super) async fn run(shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut closing = shared.closing.subscribe();
    let mut writes = JoinSet::new();
    let mut sequence = 0;
    let mut latest_ms = 0;
    let mut begun: Option<Instant> = None;
    loop {
        let first = tokio::select! {
            biased;
            request = requests.recv() => request,
            _ = closing.wait_for(|closing| *closing), if !requests.is_closed() => {
                // What was sent before is still received.
                requests.close();
                continue;
            }
        };
        let Some(first) = first else {
            break;
        };
        let earliest = begun.map(|begun| begun + shared.write_interval());
        let group = gather(&shared, first, &mut requests, &mut writes, earliest).await;
        while writes.len() >= CONCURRENT_WRITES {
            writes.join_next().await;
        }
        let work = Work::new(group, shared.options.largest_segment_bytes);
        let key = SegmentKey {
            written_ms: received_ms(&shared, &mut latest_ms).await,
            node: shared.node,
            sequence,
        };
        sequence += work.parts.len() as u64;
        let now = Instant::now();
        begun = Some(now);
        writes.spawn(write(Arc::clone(&shared), key, now + MAX_PUT_TIME, work));
    }
    while writes.join_next().await.is_some() {}
}

/// When requests are received that are written now. What is received later never has an earlier time, whatever becomes
/// of the clock. `latest_ms` is the latest time before; the node's own time, which counts only while the store's is not
/// known, is none of them, as it may be far ahead.
async fn received_ms(shared: &Shared, latest_ms: &mut u64) -> u64 {
    let location = shared.store.location();
    match location.measured_ms().await {
        Some(now_ms) => {
            *latest_ms = u64::try_from(now_ms).unwrap_or_default().max(*latest_ms);
            *latest_ms
        }
        None => u64::try_from(location.now_ms()).unwrap_or_default(),
    }
}

/// The requests of one segment: those that wait already and, while earlier segments are being written,
/// those that come within the linger.
async fn gather(
    shared: &Shared,
    first: Request,
    requests: &mut mpsc::Receiver<Request>,
    writes: &mut JoinSet<()>,
    earliest: Option<Instant>,
) -> Vec<Request> {
    let deadline = Instant::now() + shared.options.linger;
    let mut size_bytes = first.size_bytes;
    let mut group = vec![first];
    while size_bytes < shared.options.segment_bytes {
        if let Ok(request) = requests.try_recv() {
            size_bytes += request.size_bytes;
            group.push(request);
            continue;
        }
        let now = Instant::now();
        let too_early = earliest.filter(|earliest| *earliest > now);
        let until = match too_early {
            Some(earliest) => earliest,
            None if writes.is_empty() || deadline <= now => break,
            None => deadline,
        };
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => {
                    size_bytes += request.size_bytes;
                    group.push(request);
                }
                None => break,
            },
            _ = writes.join_next(), if !writes.is_empty() => {}
            () = sleep_until(until) => {}
        }
    }
    group
}

/// Requests that are answered together.
struct Work {
    /// Their events, for a segment each.
    parts: Vec<Vec<Delivered>>,
    numbers: Vec<BatchSequence>,
    answers: Vec<Answer>,
}

/// Events of a request.
struct Delivered {
    origin: Origin,
    events: Vec<Event>,
}

/// A request without its events.
struct Answer {
    answer: oneshot::Sender<Result<WriteToken, Arc<StoreError>>>,
    /// Given back with the answer.
    _waiting: OwnedSemaphorePermit,
}

impl Work {
    /// The events of some requests in parts of about `largest_bytes` each.
    fn new(group: Vec<Request>, largest_bytes: usize) -> Self {
        let mut work = Self {
            parts: Vec::new(),
            numbers: Vec::new(),
            answers: Vec::with_capacity(group.len()),
        };
        let mut part: Vec<Delivered> = Vec::new();
        let mut part_bytes = 0;
        for request in group {
            let mut events = Vec::new();
            for event in request.events {
                let size_bytes = event.size_bytes();
                if part_bytes + size_bytes > largest_bytes && part_bytes > 0 {
                    let origin = request.origin.clone();
                    part.push(Delivered { origin, events });
                    work.parts.push(std::mem::take(&mut part));
                    (part_bytes, events) = (0, Vec::new());
                }
                part_bytes += size_bytes;
                events.push(event);
            }
            part.push(Delivered {
                origin: request.origin,
                events,
            });
            work.numbers.extend(request.number);
            work.answers.push(Answer {
                answer: request.answer,
                _waiting: request._waiting,
            });
        }
        work.parts.push(part);
        work
    }
}

/// Writes the segments of some requests, from `key` on, and answers them. What is not durable at the `deadline` is not
/// acknowledged, as questions for what came lately do not wait for it: its events count as received when the store says
/// that they came.
async fn write(shared: Arc<Shared>, key: SegmentKey, deadline: Instant, work: Work) {
    let stored = store(&shared, key, work.parts, work.numbers);
    let stored = tokio::time::timeout_at(deadline, stored).await;
    let outcome = stored.unwrap_or_else(|elapsed| {
        shared.store.activity().puts.record(false);
        Err(StoreError::OutcomeUnknown {
            path: paths::segment(&key).to_string(),
            source: object_store::Error::Generic {
                store: "segments",
                source: elapsed.into(),
            },
        })
    });
    let outcome = outcome.map_err(Arc::new);
    for Answer { answer, _waiting } in work.answers {
        // No client waits for it when its connection is gone.
        let _ = answer.send(outcome.clone());
    }
}

/// Writes the segments, the first one last: a listing that shows it shows those after it too, so that its
/// key proves all of them. It also has the numbers, which say that all events are durable.
async fn store(
    shared: &Shared,
    key: SegmentKey,
    parts: Vec<Vec<Delivered>>,
    numbers: Vec<BatchSequence>,
) -> Result<WriteToken, StoreError> {
    for (index, events) in parts.into_iter().enumerate().rev() {
        let key = SegmentKey {
            sequence: key.sequence + index as u64,
            ..key
        };
        let numbers = match index {
            0 => numbers.clone(),
            _ => Vec::new(),
        };
        store_one(shared, key, events, numbers).await?;
    }
    Ok(key.into())
}

async fn store_one(
    shared: &Shared,
    key: SegmentKey,
    events: Vec<Delivered>,
    numbers: Vec<BatchSequence>,
) -> Result<(), StoreError> {
    let writable = shared.store.location().check_writable().await;
    if writable.is_err() {
        shared.store.activity().puts.record(false);
    }
    let header = shared.header(Header::of(writable?.as_ref()));
    let encoding = tokio::task::spawn_blocking(move || encode(key, header, events, numbers));
    let (segment, bytes) = match encoding.await {
        Ok(encoded) => encoded?,
        Err(error) => return Err(ArrowError::from_external_error(error.into()).into()),
    };
    let put = put(shared.store.location(), key, bytes).await;
    shared.store.activity().puts.record(put.is_ok());
    put?;
    let known = shared.store.known_segments();
    known.add(Arc::new(segment));
    let (count, bytes) = known.foldable_of(shared.node);
    if count > MANY_SEGMENTS || bytes > shared.options.unfolded_bytes / 4 {
        shared.fold_soon.notify_one();
    }
    Ok(())
}

impl Shared {
    /// The least time between the beginnings of two writes. Where segments come faster than they are
    /// folded, more requests share one, so that readers do not have to join ever more of them.
    fn write_interval(&self) -> Duration {
        let options = &self.options;
        match self.has_many_segments() {
            true => options.write_interval.max(options.linger),
            false => options.write_interval,
        }
    }

    fn has_many_segments(&self) -> bool {
        let (count, _) = self.store.known_segments().foldable_of(self.node);
        count > MANY_SEGMENTS
    }

    /// The statements of the next segment about the store.
    fn header(&self, header: Header) -> Header {
        let committed = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Header {
            unfolded: self.store.known_segments().keys_of(self.node),
            committed: committed.clone(),
            ..header
        }
    }
}

fn encode(
    key: SegmentKey,
    header: Header,
    delivered: Vec<Delivered>,
    numbers: Vec<BatchSequence>,
) -> Result<(Segment, Vec<u8>), StoreError> {
    let mut builders: BTreeMap<WorkspaceId, EventBatchBuilder> = BTreeMap::new();
    for Delivered { origin, events } in delivered {
        let delivery = Delivery {
            received_ms: i64::try_from(key.written_ms).ok(),
            origin,
        };
        for event in events {
            let workspace = event.workspace();
            match builders.get_mut(workspace) {
                Some(builder) => builder.append_delivered(&event, &delivery),
                None => {
                    let builder = builders.entry(workspace.clone()).or_default();
                    builder.append_delivered(&event, &delivery);
                }
            }
        }
    }
    let mut batches: BTreeMap<WorkspaceId, Batch> = BTreeMap::new();
    for (workspace, mut builder) in builders {
        let events = Some(builder.finish()?);
        batches.insert(workspace.clone(), Batch::new(workspace, events));
    }
    for number in numbers {
        let workspace = number.workspace.clone();
        let new = || Batch::new(workspace.clone(), None);
        let batch = batches.entry(workspace.clone()).or_insert_with(new);
        batch.numbers.push(number);
    }
    let segment = Segment::new(key, header, batches.into_values().collect());
    let bytes = segment.encode()?;
    Ok((segment, bytes))
}
