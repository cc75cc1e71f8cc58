//! Whose turn it is among the numbered batches of a producer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use events::{Event, PackedEvents, WorkspaceId};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::BatchNumber;
use crate::error::StoreError;
use crate::numbers::{Newest, Numbers};
use crate::segment::Number;
use crate::store::Store;

type Slot = Arc<AsyncMutex<Option<Newest>>>;

/// The newest batch that this node knows of each producer and workspace.
#[derive(Debug, Default)]
pub(super) struct Producers {
    slots: Mutex<HashMap<(WorkspaceId, String), Slot>>,
}

/// The right to store the next batch of a producer; held until the batch is durable, because the batch
/// after it needs that.
#[derive(Debug)]
pub(super) struct Turn {
    slot: OwnedMutexGuard<Option<Newest>>,
}

impl Turn {
    /// The batch is durable.
    pub(super) fn advance(&mut self, number: &Number) {
        let newest = self.slot.as_ref().map_or(0, |newest| newest.number);
        if number.number > newest {
            *self.slot = Some(Newest {
                number: number.number,
                digest: number.digest.clone(),
                seen_ms: Utc::now().timestamp_millis(),
            });
        }
    }
}

impl Producers {
    /// Waits until the batches before `number` are through, and checks that it may follow them.
    ///
    /// An earlier batch that comes again may: its events are stored already and are not stored twice.
    pub(super) async fn turn(&self, store: &Store, number: &Number) -> Result<Turn, StoreError> {
        let slot = self.slot(number);
        let mut slot = slot.lock_owned().await;
        let newest = |slot: &Option<Newest>| slot.as_ref().map_or(0, |newest| newest.number);
        if slot.is_none() || number.number > newest(&slot) + 1 {
            // The producer may have sent the batches before to another node.
            *slot = newest_in(store, number).await?;
        }
        let expected = newest(&slot) + 1;
        if number.number > expected || number.number == 0 {
            return Err(StoreError::SequenceGap {
                producer: number.producer.clone(),
                number: number.number,
                expected,
            });
        }
        let is_other =
            |newest: &Newest| newest.number == number.number && newest.digest != number.digest;
        if slot.as_ref().is_some_and(is_other) {
            return Err(StoreError::SequenceConflict {
                producer: number.producer.clone(),
                number: number.number,
            });
        }
        Ok(Turn { slot })
    }

    fn slot(&self, number: &Number) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (number.workspace.clone(), number.producer.clone());
        Arc::clone(slots.entry(key).or_default())
    }
}

/// The newest batch of a producer in the whole store.
async fn newest_in(store: &Store, number: &Number) -> Result<Option<Newest>, StoreError> {
    // In this order: numbers move from segments to tables, as events do.
    let segments = store.segments(Duration::ZERO).await?;
    let table = store.snapshot(&number.workspace).await?;
    let mut numbers = match &table {
        Some(table) => Numbers::of(&table.metadata, &number.workspace)?,
        None => Numbers::default(),
    };
    let now_ms = Utc::now().timestamp_millis();
    for other in segments.iter().flat_map(|segment| &segment.header.numbers) {
        if other.workspace == number.workspace {
            numbers.add(other, now_ms);
        }
    }
    Ok(numbers.newest(&number.producer).cloned())
}

/// A numbered batch as segments describe it.
pub(super) fn describe(number: BatchNumber, events: &[Event]) -> Number {
    let mut hasher = blake3::Hasher::new();
    let mut packed = PackedEvents::default();
    events.iter().for_each(|event| packed.push(event));
    packed
        .iter()
        .for_each(|event| event.digest_into(&mut hasher));
    Number {
        workspace: number.workspace,
        producer: number.producer,
        number: number.number,
        digest: hasher.finalize().to_hex().to_string(),
    }
}
