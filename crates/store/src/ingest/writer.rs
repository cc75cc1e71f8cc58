//! Requests into segments, segments into the root.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::Utc;
use events::{Event, EventBatchBuilder, WorkspaceId};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Request, Shared};
use crate::error::StoreError;
use crate::location::Location;
use crate::paths;
use crate::segment::{Header, Segment, SegmentKey, WriteToken};

/// How many requests may wait, whatever their size.
pub(super) const WAITING_REQUESTS: usize = 64 * 1024;

/// With more segments than this that are not folded, they are folded at once, and written less often.
const MANY_SEGMENTS: usize = 256;

/// How many segments are written at the same time.
const CONCURRENT_WRITES: usize = 4;

/// How often a segment is sent before its outcome is called unknown.
const ATTEMPTS: u32 = 4;

/// How long to wait before a segment is sent again; twice as long each time.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Writes segments until the ingest is closed and nothing waits any more.
pub(super) async fn run(shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut closing = shared.closing.subscribe();
    let mut writes = JoinSet::new();
    let mut sequence = 0;
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
        let key = SegmentKey {
            written_ms: u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default(),
            node: shared.node,
            sequence,
        };
        sequence += 1;
        begun = Some(Instant::now());
        writes.spawn(write(Arc::clone(&shared), key, group));
    }
    while writes.join_next().await.is_some() {}
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

/// Writes one segment and answers its requests.
async fn write(shared: Arc<Shared>, key: SegmentKey, group: Vec<Request>) {
    let mut answers = Vec::with_capacity(group.len());
    let mut events = Vec::with_capacity(group.len());
    let mut header = Header::default();
    for request in group {
        events.push(request.events);
        header.numbers.extend(request.number);
        answers.push((request.answer, request._waiting));
    }
    let outcome = store(&shared, key, header, events).await;
    let outcome = outcome.map_err(Arc::new);
    for (answer, waiting) in answers {
        // Nobody waits for it when the client is gone.
        let _ = answer.send(outcome.clone());
        drop(waiting);
    }
}

async fn store(
    shared: &Shared,
    key: SegmentKey,
    header: Header,
    events: Vec<Vec<Event>>,
) -> Result<WriteToken, StoreError> {
    let encoding = tokio::task::spawn_blocking(move || encode(key, header, events));
    let (segment, bytes) = match encoding.await {
        Ok(encoded) => encoded?,
        Err(error) => return Err(ArrowError::from_external_error(error.into()).into()),
    };
    put(shared.store.location(), key, bytes).await?;
    let known = shared.store.known_segments();
    known.add(Arc::new(segment));
    if shared.has_many_segments() || known.memory_bytes() > shared.options.unfolded_bytes / 4 {
        shared.fold_soon.notify_one();
    }
    Ok(WriteToken(key))
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
        self.store.known_segments().count() > MANY_SEGMENTS
    }
}

fn encode(
    key: SegmentKey,
    header: Header,
    events: Vec<Vec<Event>>,
) -> Result<(Segment, Vec<u8>), StoreError> {
    let mut builders: BTreeMap<WorkspaceId, EventBatchBuilder> = BTreeMap::new();
    for event in events.into_iter().flatten() {
        let workspace = event.workspace();
        match builders.get_mut(workspace) {
            Some(builder) => builder.append(&event),
            None => {
                let builder = builders.entry(workspace.clone()).or_default();
                builder.append(&event);
            }
        }
    }
    let mut batches = Vec::with_capacity(builders.len());
    for (workspace, mut builder) in builders {
        batches.push((workspace, builder.finish()?));
    }
    let segment = Segment::new(key, header, batches);
    let bytes = segment.encode()?;
    Ok((segment, bytes))
}

/// Writes the object of a segment. Its name is used by nobody else, so whatever lies there after a lost
/// answer is an earlier attempt at the same.
async fn put(location: &Location, key: SegmentKey, bytes: Vec<u8>) -> Result<(), StoreError> {
    let path = paths::segment(&key);
    let bytes = Bytes::from(bytes);
    let mut attempt = 1;
    let mut mode = PutMode::Create;
    loop {
        let sent = location
            .objects
            .put_opts(&path, bytes.clone().into(), mode.clone().into())
            .await;
        let source = match sent {
            Ok(_) => return Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                match read(location, &path).await {
                    Ok(present) if present == bytes => return Ok(()),
                    Ok(_) => {
                        // An attempt that was cut off.
                        mode = PutMode::Overwrite;
                        continue;
                    }
                    // Also when it is gone again, because another node has folded it meanwhile: to
                    // send it once more does no harm.
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if attempt == ATTEMPTS {
            return Err(StoreError::OutcomeUnknown {
                path: path.to_string(),
                source,
            });
        }
        tracing::warn!(%path, error = %source, "a segment was not answered and is sent again");
        tokio::time::sleep(RETRY_AFTER * 2_u32.pow(attempt - 1)).await;
        attempt += 1;
    }
}

async fn read(location: &Location, path: &Path) -> object_store::Result<Bytes> {
    location.objects.get(path).await?.bytes().await
}
