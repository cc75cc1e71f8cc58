//! The order of the numbered batches of a producer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::{Event, PackedEvents, WorkspaceId};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::BatchNumber;
use crate::error::StoreError;
use crate::ingest::error::IngestError;
use crate::read_view::LISTING_AGE;
use crate::segment::BatchSequence;
use crate::segment::sequence::{LastBatch, ProducerState};
use crate::store::Store;

type Slot = Arc<AsyncMutex<Known>>;

/// The state of a producer, as this node knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    newest: Option<LastBatch>,
    /// When the store was asked last.
    asked: Option<Instant>,
}

impl Known {
    fn number(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.number)
    }

    /// Asks the store, which may know of batches that went to another node.
    async fn ask(
        &mut self,
        store: &Store,
        number: &BatchSequence,
        age: Duration,
    ) -> Result<(), StoreError> {
        let asked = Instant::now();
        let newest = newest_in(store, number, age).await?;
        if newest
            .as_ref()
            .is_some_and(|newest| newest.number >= self.number())
        {
            self.newest = newest;
        }
        self.asked = Some(asked);
        Ok(())
    }
}

/// With more producers than this, those that send nothing at the moment are forgotten.
const MAX_SLOTS: usize = 10_000;

/// The newest batch that this node knows of each producer and workspace.
#[derive(Debug, Default)]
pub(super) struct Producers {
    slots: Mutex<HashMap<(WorkspaceId, String), Slot>>,
}

/// The right to store the next batch of a producer; held until the batch is durable, because the batch
/// after it needs that.
#[derive(Debug)]
pub(super) struct SequencePermit {
    slot: OwnedMutexGuard<Known>,
}

impl SequencePermit {
    /// The batch is durable.
    pub(super) fn advance(&mut self, number: &BatchSequence, now_ms: i64) {
        if number.number > self.slot.number() {
            self.slot.newest = Some(LastBatch {
                number: number.number,
                digest: number.digest.clone(),
                seen_ms: now_ms,
            });
        }
    }
}

impl Producers {
    /// Waits until the batches before `number` are through, and checks that it may follow them.
    ///
    /// An earlier batch that comes again may: its events are stored already and are not stored twice.
    pub(super) async fn permit(
        &self,
        store: &Store,
        number: &BatchSequence,
    ) -> Result<SequencePermit, IngestError> {
        let slot = self.slot(number);
        let mut slot = slot.lock_owned().await;
        if slot.asked.is_none() || number.number > slot.number() + 1 {
            // The producer may have sent the batches before to another node.
            slot.ask(store, number, Duration::ZERO).await?;
        } else if number.number > slot.number()
            && slot.asked.is_none_or(|asked| asked.elapsed() > LISTING_AGE)
        {
            // It may have sent another batch with this number to another node.
            slot.ask(store, number, LISTING_AGE).await?;
        }
        let expected = slot.number() + 1;
        if number.number > expected || number.number == 0 {
            return Err(IngestError::SequenceGap {
                producer: number.producer.clone(),
                number: number.number,
                expected,
            });
        }
        let is_other =
            |newest: &LastBatch| newest.number == number.number && newest.digest != number.digest;
        if slot.newest.as_ref().is_some_and(is_other) {
            return Err(IngestError::SequenceConflict {
                producer: number.producer.clone(),
                number: number.number,
            });
        }
        Ok(SequencePermit { slot })
    }

    fn slot(&self, number: &BatchSequence) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SLOTS {
            // Of a producer without waiting requests, the store knows all that this node knows.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let key = (number.workspace.clone(), number.producer.clone());
        Arc::clone(slots.entry(key).or_default())
    }
}

/// The newest batch of a producer in the whole store.
async fn newest_in(
    store: &Store,
    number: &BatchSequence,
    age: Duration,
) -> Result<Option<LastBatch>, StoreError> {
    // In this order: numbers move from segments to tables, as events do.
    let segments = store.segments(age).await?;
    let table = store.snapshot(&number.workspace).await?;
    let mut numbers = match &table {
        Some(table) => ProducerState::of(&table.metadata, &number.workspace)?,
        None => ProducerState::default(),
    };
    let now_ms = store.location().corrected_ms();
    for other in segments.iter().flat_map(|segment| segment.numbers()) {
        if other.workspace == number.workspace {
            numbers.add(other, now_ms);
        }
    }
    Ok(numbers.newest(&number.producer).cloned())
}

/// A numbered batch as segments describe it.
pub(super) fn describe(number: BatchNumber, events: &[Event]) -> BatchSequence {
    let mut hasher = blake3::Hasher::new();
    let mut packed = PackedEvents::default();
    events.iter().for_each(|event| packed.push(event));
    packed
        .iter()
        .for_each(|event| event.digest_into(&mut hasher));
    BatchSequence {
        workspace: number.workspace,
        producer: number.producer,
        number: number.number,
        digest: hasher.finalize().to_hex().to_string(),
    }
}
