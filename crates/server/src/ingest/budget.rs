//! The memory that requests share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::WriteError;

/// What one permit stands for.
const UNIT_BYTES: usize = 1 << 10;

/// The longest that a request waits for memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// A number of bytes that everybody who holds a clone shares.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    units: u32,
    patience: Duration,
}

/// A part of a [`Budget`]; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    held: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of that many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            free: Arc::new(Semaphore::new(units)),
            units: u32::try_from(units).unwrap_or(u32::MAX),
            patience: PATIENCE,
        }
    }

    /// Waits until that many bytes are free, and takes them. Who wants more than there are gets all.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] when that takes too long.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Reservation, WriteError> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let free = self.free.clone().acquire_many_owned(units.min(self.units));
        match tokio::time::timeout(self.patience, free).await {
            Ok(Ok(held)) => Ok(Reservation { held: Some(held) }),
            // It is never closed; a request that waited in vain is all that can be told.
            Ok(Err(_)) | Err(_) => Err(WriteError::Overloaded {
                waited: self.patience,
            }),
        }
    }
}

impl Reservation {
    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.held
            .as_ref()
            .map_or(0, |held| held.num_permits() * UNIT_BYTES)
    }

    /// The bytes of both.
    pub(crate) fn join(&mut self, mut other: Self) {
        match (&mut self.held, other.held.take()) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_too_long_is_refused() {
        let budget = Budget {
            patience: Duration::from_millis(10),
            ..Budget::new(10 << 10)
        };
        let mut first = budget.reserve(6 << 10).await.unwrap();
        first.join(budget.reserve(1).await.unwrap());
        assert!(matches!(
            budget.reserve(4 << 10).await,
            Err(WriteError::Overloaded { .. })
        ));
        budget.reserve(3 << 10).await.unwrap();
        drop(first);
        budget.reserve(usize::MAX).await.unwrap();
    }
}
