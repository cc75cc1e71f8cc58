//! Bounds the memory of the row groups that are prepared concurrently.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryLimit;
use tokio::sync::Semaphore;

use super::{FileOpener, Unfiltered};

/// The columns of prepared row groups take at most this fraction of the memory pool, unless a single row group of each
/// partition takes more.
const POOL_FRACTION: usize = 8;

/// The bytes that they take where the pool has no limit.
const UNLIMITED_POOL_BYTES: usize = 128 << 20;

/// The bytes of one permit.
const PERMIT_BYTES: usize = 1 << 10;

/// Admits row groups while their columns fit into the limit; one row group is always admitted.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    columns: Arc<BTreeSet<usize>>,
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl Admission {
    /// The limit of one of `partitions` partitions.
    pub(super) fn new(partitions: usize, opener: &FileOpener, context: &TaskContext) -> Self {
        let bytes = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(limit) => limit / POOL_FRACTION,
            _ => UNLIMITED_POOL_BYTES,
        };
        let permits = (bytes / partitions / PERMIT_BYTES).clamp(1, u32::MAX as usize);
        let columns = opener.columns.iter().flat_map(|columns| columns.iter());
        // Ordered scans read row groups one by one, and do not know their columns before.
        let conditions = opener
            .predicate
            .columns()
            .filter(|_| opener.columns.is_some());
        Self {
            columns: Arc::new(columns.copied().chain(conditions).collect()),
            semaphore: Arc::new(Semaphore::new(permits)),
            permits,
        }
    }

    /// Waits until the columns of a row group fit. The row group holds its permits.
    pub(super) async fn admit(self, (row_group, file): Unfiltered) -> Result<Unfiltered> {
        let bytes = row_group.bytes_to_load(&self.columns);
        let permits = bytes.div_ceil(PERMIT_BYTES).min(self.permits);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let permit = self.semaphore.acquire_many_owned(permits).await;
        let permit = permit.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok((row_group.with_permit(permit), file))
    }
}
