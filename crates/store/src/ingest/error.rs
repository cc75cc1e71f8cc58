//! The errors of writing events.

use std::sync::Arc;
use std::time::Duration;

use events::WorkspaceId;

use crate::error::StoreError;

/// The error of a write of events.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// There was no room for new events, because the object store or the folding is slow.
    #[error(
        "events arrive faster than they can be stored, and there was no room for these for {} s; send them again later",
        patience.as_secs()
    )]
    Overloaded {
        /// How long the events have waited.
        patience: Duration,
    },
    /// The table of a workspace cannot be written, and many of its events wait for that.
    #[error(
        "workspace `{workspace}` takes no more events for now: its table cannot be written, and events of {limit_bytes} bytes wait for that; ask an operator to run `vouch verify` and repair the table, then send the events again"
    )]
    Parked {
        /// The workspace.
        workspace: WorkspaceId,
        /// How many bytes may wait.
        limit_bytes: usize,
    },
    /// The ingest is stopping.
    #[error("this node is stopping; send the events to another one, or again later")]
    Closed,
    /// A numbered batch came before the batches that it follows.
    #[error(
        "batch {number} of producer `{producer}` cannot follow: batch {expected} is expected; send that one first"
    )]
    SequenceGap {
        /// The producer.
        producer: String,
        /// The number of the batch.
        number: u64,
        /// The number that is expected next.
        expected: u64,
    },
    /// A batch has the number of another one that is stored.
    #[error(
        "batch {number} of producer `{producer}` is not the batch that was stored under this number; give it the next number, or give each producer a name of its own"
    )]
    SequenceConflict {
        /// The producer.
        producer: String,
        /// The number of both batches.
        number: u64,
    },
    /// The store failed. The requests that share a segment share the error.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl From<StoreError> for IngestError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
