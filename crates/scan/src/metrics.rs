//! Metrics of scans, under the names of DataFusion's Parquet scan where it has the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricCategory, MetricType,
    PruningMetrics,
};
use futures::{Stream, StreamExt};

/// The files that a partition prunes by the log.
#[derive(Debug, Clone)]
pub(crate) struct FileMetrics {
    /// By their date ranges.
    pub(crate) pruned_date: PruningMetrics,
    /// By all other statistics.
    pub(crate) pruned_statistics: PruningMetrics,
}

impl FileMetrics {
    pub(crate) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let pruning = |name| pruning(metrics, partition, name);
        Self {
            pruned_date: pruning("files_pruned_date"),
            pruned_statistics: pruning("files_pruned_statistics"),
        }
    }
}

/// The metrics of one partition of a scan of cached columns.
#[derive(Debug, Clone)]
pub(crate) struct ScanMetrics {
    pub(crate) files: FileMetrics,
    /// Files pruned by dynamic filters on the date.
    pub(crate) files_pruned_dynamic_filter: Count,
    /// Files of which nothing is read, because the log has all values that the scan needs.
    pub(crate) files_answered_by_log: Count,
    /// Row groups pruned by their dates.
    pub(crate) row_groups_pruned_date: PruningMetrics,
    /// Row groups pruned by the statistics of other columns.
    pub(crate) row_groups_pruned_statistics: PruningMetrics,
    /// Row groups pruned by Bloom filters.
    pub(crate) row_groups_pruned_bloom_filter: PruningMetrics,
    /// Row groups pruned by a condition on a column with one value.
    pub(crate) row_groups_pruned_constant: Count,
    pub(crate) cache: CacheMetrics,
}

/// What a scan takes from the column cache.
#[derive(Debug, Clone)]
pub(crate) struct CacheMetrics {
    /// Columns of row groups that were in memory.
    pub(crate) hits: Count,
    /// Columns of row groups that were read, as a whole or in part.
    pub(crate) misses: Count,
    /// The bytes of the files that were read for them.
    pub(crate) bytes_scanned: Count,
}

impl ScanMetrics {
    pub(crate) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let pruning = |name| pruning(metrics, partition, name);
        let counter = |name| counter(metrics, partition, name);
        Self {
            files: FileMetrics::new(metrics, partition),
            files_pruned_dynamic_filter: counter("files_pruned_dynamic_filter"),
            files_answered_by_log: counter("files_answered_by_log"),
            row_groups_pruned_date: pruning("row_groups_pruned_date"),
            row_groups_pruned_statistics: pruning("row_groups_pruned_statistics"),
            row_groups_pruned_bloom_filter: pruning("row_groups_pruned_bloom_filter"),
            row_groups_pruned_constant: counter("row_groups_pruned_constant"),
            cache: CacheMetrics {
                hits: counter("column_cache_hits"),
                misses: counter("column_cache_misses"),
                bytes_scanned: bytes_scanned(metrics, partition),
            },
        }
    }
}

/// The bytes of files that a partition reads.
pub(crate) fn bytes_scanned(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Count {
    MetricBuilder::new(metrics)
        .with_type(MetricType::Summary)
        .with_category(MetricCategory::Bytes)
        .counter("bytes_scanned", partition)
}

fn pruning(
    metrics: &ExecutionPlanMetricsSet,
    partition: usize,
    name: &'static str,
) -> PruningMetrics {
    MetricBuilder::new(metrics)
        .with_type(MetricType::Summary)
        .pruning_metrics(name, partition)
}

fn counter(metrics: &ExecutionPlanMetricsSet, partition: usize, name: &'static str) -> Count {
    MetricBuilder::new(metrics)
        .with_type(MetricType::Summary)
        .with_category(MetricCategory::Rows)
        .counter(name, partition)
}

/// Records that `matched` of `total` containers were not pruned.
pub(crate) fn record_pruning(metrics: &PruningMetrics, total: usize, matched: usize) {
    metrics.add_pruned(total - matched);
    metrics.add_matched(matched);
}

/// Batches of an operator, with its baseline metrics.
pub(crate) struct MeteredStream {
    batches: SendableRecordBatchStream,
    metrics: BaselineMetrics,
}

impl MeteredStream {
    pub(crate) fn new(batches: SendableRecordBatchStream, metrics: BaselineMetrics) -> Self {
        Self { batches, metrics }
    }
}

impl Stream for MeteredStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let elapsed = self.metrics.elapsed_compute().clone();
        let timer = elapsed.timer();
        let poll = self.batches.poll_next_unpin(context);
        timer.done();
        self.metrics.record_poll(poll)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

impl RecordBatchStream for MeteredStream {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }
}
