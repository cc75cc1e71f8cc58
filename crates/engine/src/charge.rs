//! Memory of an answer, charged to the pool of all questions.

use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use crate::error::EngineError;

/// What a value takes besides its text, in memory and again in a message.
const CELL_BYTES: usize = 80;
/// What a series takes besides its rows and texts.
const SERIES_BYTES: usize = 512;

/// The bytes of an answer's series while it exists, under a limit.
#[derive(Debug)]
pub(crate) struct Charge {
    reservation: MemoryReservation,
    /// The least that a message of the answer takes.
    message_bytes: usize,
    most_bytes: usize,
}

impl Charge {
    /// Of nothing yet, for an answer of at most so many bytes.
    pub(crate) fn new(pool: &Arc<dyn MemoryPool>, most_bytes: usize) -> Self {
        Self {
            reservation: MemoryConsumer::new("series of an answer").register(pool),
            message_bytes: 0,
            most_bytes,
        }
    }

    /// Charges rows before they are made: how many values there are, and the bytes of their texts.
    ///
    /// # Errors
    /// The answer would pass its limit, or the pool has no room.
    pub(crate) fn values(&mut self, count: usize, text_bytes: usize) -> Result<(), EngineError> {
        // A value takes at least two bytes of a message.
        self.grow(2 * count + text_bytes, CELL_BYTES * count + 2 * text_bytes)
    }

    /// Charges a series without rows: the bytes of its names and tags.
    ///
    /// # Errors
    /// As [`Charge::values`].
    pub(crate) fn series(&mut self, text_bytes: usize) -> Result<(), EngineError> {
        self.grow(text_bytes, 2 * text_bytes + SERIES_BYTES)
    }

    fn grow(&mut self, message_bytes: usize, memory_bytes: usize) -> Result<(), EngineError> {
        self.message_bytes = self.message_bytes.saturating_add(message_bytes);
        if self.message_bytes > self.most_bytes {
            return Err(EngineError::AnswerTooLarge(self.most_bytes));
        }
        Ok(self.reservation.try_grow(memory_bytes)?)
    }
}
