//! Events of many clients, made durable together.
//!
//! Requests that arrive while a segment is being written wait and share the next one, so that the
//! number of durable writes does not grow with the number of clients or workspaces. A request is
//! answered when its segment is durable. Folding runs concurrently.

pub(crate) mod date_admission;
pub(crate) mod error;
pub(crate) mod fold;
mod fold_task;
mod sequence;
mod stuck;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::WriteToken;
use events::{Event, Origin, Rejection, WorkspaceId};
use tokio::sync::{
    Mutex as AsyncMutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::delta::heads::Head;
use crate::error::StoreError;
use crate::ingest::error::IngestError;
use crate::ingest::fold::FoldSummary;
use crate::segment::{BatchSequence, MAX_WITNESSED};
use crate::store::Store;

/// With more segments than this that are not folded, they are folded at once, and written less often.
const MANY_SEGMENTS: usize = 256;

/// How events are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestOptions {
    /// How long events wait for others at most while an earlier segment is being written; 200 ms.
    pub linger: Duration,
    /// The size of events from which a segment is written without waiting, in bytes of their values; 16 MiB.
    pub segment_bytes: usize,
    /// The least time between the beginnings of two writes; none. On object stores that charge for
    /// each write it limits what an hour costs.
    pub write_interval: Duration,
    /// What the events of all requests that wait for their segment may take, in bytes of memory; 64 MiB. A
    /// request beyond it waits before it is taken in.
    pub waiting_bytes: usize,
    /// What segments of this node that are not folded may take, in bytes of memory; 256 MiB. Requests wait
    /// while it is exceeded. Segments that cannot be folded do not count.
    pub unfolded_bytes: usize,
    /// What the events of one workspace whose table cannot be written may take, in bytes of memory; 64 MiB.
    /// Requests with events of that workspace are refused while it is exceeded.
    pub parked_bytes: usize,
    /// The size of events from which the events of one write are split into several segments, in bytes of
    /// their values; 64 MiB.
    pub largest_segment_bytes: usize,
    /// How long a request waits to be taken in before it is refused; 30 s.
    pub patience: Duration,
    /// How long segments wait to be folded; a minute. It stretches where folding takes long, so that it
    /// does not take more than a fifth of the time.
    pub fold_interval: Duration,
    /// The age from which segments of other nodes are folded too, because their node seems to have
    /// vanished; 15 minutes. A node that starts folds those of all others at once, and so does one that knows
    /// of more than `unfolded_bytes`.
    pub abandoned_after: Duration,
}

impl Default for IngestOptions {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            linger: Duration::from_millis(200),
            segment_bytes: 16 * MIB,
            write_interval: Duration::ZERO,
            waiting_bytes: 64 * MIB,
            unfolded_bytes: 256 * MIB,
            parked_bytes: 64 * MIB,
            largest_segment_bytes: 64 * MIB,
            patience: Duration::from_secs(30),
            fold_interval: Duration::from_mins(1),
            abandoned_after: Duration::from_mins(15),
        }
    }
}

/// Some events that arrive together.
#[derive(Debug, Clone)]
pub struct WriteBatch {
    /// The events, of any workspaces and days.
    pub events: Vec<Event>,
    /// From whom they come, and through which door.
    pub origin: Origin,
    /// The number that their producer has given them.
    pub number: Option<BatchNumber>,
    /// Store none of the events when one of them is refused.
    pub all_or_nothing: bool,
}

/// What a producer calls a batch, so that a lost batch is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchNumber {
    /// The name of the producer.
    pub producer: String,
    /// The workspace of all events of the batch.
    pub workspace: WorkspaceId,
    /// Counted from 1 without gaps, for each producer and workspace.
    pub number: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// The events that were refused, in the order of the batch.
    pub refused: Vec<RejectedEvent>,
    /// What makes a question on any node see the events; `None` when none was stored.
    pub token: Option<WriteToken>,
}

/// An event that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedEvent {
    /// Its index in [`WriteBatch::events`].
    pub index: usize,
    /// Why.
    pub rejection: Rejection,
}

/// Takes events in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    tasks: Arc<AsyncMutex<Option<Tasks>>>,
}

#[derive(Debug)]
struct Tasks {
    writer: JoinHandle<()>,
    fold_task: JoinHandle<()>,
}

/// The state that the tasks of an ingest share.
#[derive(Debug)]
struct Shared {
    store: Store,
    options: IngestOptions,
    /// The name of this node, new at each start.
    node: Uuid,
    /// The bytes that may wait.
    waiting: Arc<Semaphore>,
    numbered: sequence::Producers,
    stuck: stuck::StuckTables,
    /// The newest versions of tables that this node has committed, some of them.
    committed: Mutex<BTreeMap<WorkspaceId, u64>>,
    /// The statements of this node about the store.
    head: AsyncMutex<OwnHead>,
    /// There is much to fold.
    fold_soon: Notify,
    /// Something was folded.
    folded: Notify,
    closing: watch::Sender<bool>,
}

/// The head of this node.
#[derive(Debug, Default)]
struct OwnHead {
    head: Head,
    /// When it was put last.
    put: Option<Instant>,
}

/// A batch that waits for its segment.
#[derive(Debug)]
struct Request {
    events: Vec<Event>,
    origin: Origin,
    number: Option<BatchSequence>,
    /// The bytes of its values, by which segments are made.
    size_bytes: usize,
    answer: oneshot::Sender<Result<WriteToken, Arc<StoreError>>>,
    /// Its share of the bytes that may wait, given back with the request.
    _waiting: OwnedSemaphorePermit,
}

impl Store {
    /// Begins to take events in; its tasks run on the current runtime until [`Ingest::close`].
    #[must_use]
    pub fn ingest(&self, options: IngestOptions) -> Ingest {
        let shared = Arc::new(Shared {
            store: self.clone(),
            node: Uuid::new_v4(),
            waiting: Arc::new(Semaphore::new(
                options.waiting_bytes.min(Semaphore::MAX_PERMITS),
            )),
            numbered: sequence::Producers::default(),
            stuck: stuck::StuckTables::default(),
            committed: Mutex::default(),
            head: AsyncMutex::default(),
            fold_soon: Notify::new(),
            folded: Notify::new(),
            closing: watch::Sender::new(false),
            options,
        });
        // The bytes that may wait are counted; the number of requests is not what limits.
        let (requests, waiting) = mpsc::channel(writer::WAITING_REQUESTS);
        let tasks = Tasks {
            writer: tokio::spawn(writer::run(Arc::clone(&shared), waiting)),
            fold_task: tokio::spawn(fold_task::run(Arc::clone(&shared))),
        };
        Ingest {
            shared,
            requests,
            tasks: Arc::new(AsyncMutex::new(Some(tasks))),
        }
    }
}

impl Ingest {
    /// The store that the events go to.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Stores events. When this returns, those that are not refused are durable, and in every later
    /// answer of this node.
    ///
    /// Sending the same events again does no harm: an event whose id is stored on that day already is
    /// not stored a second time.
    ///
    /// # Errors
    ///
    /// [`IngestError::Overloaded`] when there was no room for them for too long, [`IngestError::Parked`] when
    /// that is so of one of their workspaces, [`IngestError::SequenceGap`] and
    /// [`IngestError::SequenceConflict`] for numbers out of order. With [`StoreError::OutcomeUnknown`] in
    /// [`IngestError::Store`] the events may be stored; with every other error nothing was stored.
    pub async fn write(&self, batch: WriteBatch) -> Result<WriteOutcome, IngestError> {
        let WriteBatch {
            events,
            mut origin,
            number,
            all_or_nothing,
        } = batch;
        if let Some(number) = &number {
            origin.batch = Some(format!("{}/{}", number.producer, number.number));
        }
        let number = number.map(|number| sequence::describe(number, &events));
        let refused = self.refused(&events).await;
        let is_stored = refused.is_empty() || !all_or_nothing;
        let events = match is_stored {
            true => without(events, &refused),
            false => Vec::new(),
        };
        let token = match number {
            Some(number) if is_stored => {
                let mut turn = self
                    .shared
                    .numbered
                    .permit(&self.shared.store, &number)
                    .await?;
                let token = self
                    .store_events(events, origin, Some(number.clone()))
                    .await?;
                turn.advance(&number, self.shared.store.location().corrected_ms());
                Some(token)
            }
            _ if events.is_empty() => None,
            _ => Some(self.store_events(events, origin, None).await?),
        };
        Ok(WriteOutcome { refused, token })
    }

    /// Stops: what was taken in is made durable and folded; later writes fail.
    ///
    /// # Errors
    ///
    /// When what is in segments could not be folded. It stays where it is, seen by every question.
    pub async fn close(&self) -> Result<(), StoreError> {
        let tasks = self.tasks.lock().await.take();
        let Some(tasks) = tasks else {
            return Ok(());
        };
        self.shared.closing.send_replace(true);
        for task in [tasks.writer, tasks.fold_task] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the ingest has failed");
            }
        }
        let folded = self.shared.fold_own().await;
        self.shared.put_last_head().await;
        folded
    }

    /// Stops at once, as a process that is killed.
    #[cfg(test)]
    pub(crate) async fn kill(&self) {
        if let Some(tasks) = self.tasks.lock().await.take() {
            tasks.writer.abort();
            tasks.fold_task.abort();
        }
    }

    async fn refused(&self, events: &[Event]) -> Vec<RejectedEvent> {
        let mut admission = self.shared.store.admission();
        let mut refused = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let rejection = admission.refusal(event).await;
            refused.extend(rejection.map(|rejection| RejectedEvent { index, rejection }));
        }
        refused
    }

    /// Refuses events of a workspace of which many wait for its table to be repaired.
    fn refuse_parked(&self, events: &[Event]) -> Result<(), IngestError> {
        let limit_bytes = self.shared.options.parked_bytes;
        let parked = self.shared.store.known_segments().parked_bytes();
        let is_full = |event: &&Event| {
            let bytes = parked.get(event.workspace());
            bytes.is_some_and(|bytes| *bytes >= limit_bytes)
        };
        match events.iter().find(is_full) {
            Some(event) => Err(IngestError::Parked {
                workspace: event.workspace().clone(),
                limit_bytes,
            }),
            None => Ok(()),
        }
    }

    async fn store_events(
        &self,
        events: Vec<Event>,
        origin: Origin,
        number: Option<BatchSequence>,
    ) -> Result<WriteToken, IngestError> {
        self.refuse_parked(&events)?;
        let memory_bytes = events.iter().map(Event::memory_bytes).sum();
        let patience = self.shared.options.patience;
        let room = tokio::time::timeout(patience, self.shared.room(memory_bytes)).await;
        let waiting = room.map_err(|_| IngestError::Overloaded { patience })??;
        let (answer, answered) = oneshot::channel();
        let size_bytes = events.iter().map(Event::size_bytes).sum();
        let request = Request {
            events,
            origin,
            number,
            size_bytes,
            answer,
            _waiting: waiting,
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| IngestError::Closed)?;
        let outcome = answered.await.map_err(|_| IngestError::Closed)?;
        outcome.map_err(IngestError::Store)
    }
}

impl Shared {
    /// Waits until there is room for a request whose events take `memory_bytes`.
    async fn room(&self, memory_bytes: usize) -> Result<OwnedSemaphorePermit, IngestError> {
        loop {
            let folded = self.folded.notified();
            let (_, own_bytes) = self.store.known_segments().foldable_of(self.node);
            if own_bytes < self.options.unfolded_bytes {
                break;
            }
            self.fold_soon.notify_one();
            folded.await;
        }
        // A request that is larger than everything that may wait takes all of it.
        let share = memory_bytes.min(self.options.waiting_bytes);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.waiting).acquire_many_owned(share).await;
        permit.map_err(|_| IngestError::Closed)
    }
}

impl Shared {
    /// Notes which versions a fold has committed, for the headers of later segments.
    fn note_committed(&self, summary: &FoldSummary) {
        let mut committed = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let newest = &summary.committed;
        committed.extend(
            newest
                .iter()
                .map(|(workspace, version)| (workspace.clone(), *version)),
        );
        // Those of the newest fold say most.
        let mut excess = committed.len().saturating_sub(MAX_WITNESSED);
        committed.retain(|workspace, _| {
            let is_dropped = excess > 0 && !newest.contains_key(workspace);
            excess -= usize::from(is_dropped);
            !is_dropped
        });
        while committed.len() > MAX_WITNESSED {
            committed.pop_last();
        }
    }
}

fn without(events: Vec<Event>, refused: &[RejectedEvent]) -> Vec<Event> {
    let mut refused = refused.iter().map(|refused| refused.index).peekable();
    let events = events.into_iter().enumerate();
    let kept = events.filter(|(index, _)| refused.next_if_eq(index).is_none());
    kept.map(|(_, event)| event).collect()
}
