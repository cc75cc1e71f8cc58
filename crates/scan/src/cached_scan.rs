//! Scans of data files by cached columns.

mod admission;
mod aggregate_scan;
mod column_expr;
mod date_order;
mod filter_mask;
mod group_accumulator;
mod monotonic;
mod ordered_scan;
mod predicate;
mod row_group_groups;
mod row_group_reader;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use store::DataFile;

pub(crate) use self::aggregate_scan::AggregateScanExec;
pub(crate) use self::date_order::DateOrder;
pub(crate) use self::ordered_scan::OrderedScanExec;

use self::admission::Admission;
use self::column_expr::ColumnExpr;
use self::predicate::{Predicate, TextTest};
use self::row_group_reader::{RowGroupReader, external};
use crate::column_cache::{ColumnCache, RowGroupRef, RowGroupStatistics, RowSelection};
use crate::event_data_source::EventDataSource;
use crate::metrics::{MeteredStream, ScanMetrics, record_pruning};
use crate::pruning::Pruning;

/// The number of row groups of all partitions that are prepared concurrently.
const CONCURRENT_ROW_GROUPS: usize = 8;

/// A scan of data files by the columns of the session's [`ColumnCache`].
#[derive(Debug, Clone)]
pub(crate) struct CachedScan {
    events: EventDataSource,
    metrics: ExecutionPlanMetricsSet,
}

/// How the row groups of a scan are read.
struct ReadOptions {
    order: DateOrder,
    concurrency: usize,
    /// The expressions to prepare for all rows that pass the condition.
    prepared: Vec<ColumnExpr>,
    /// All columns that the scan may read; `None` when they are not known before.
    columns: Option<BTreeSet<usize>>,
}

impl CachedScan {
    /// The scan of a plan that reads data files, and nothing else.
    pub(crate) fn from_plan(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let scan = plan.downcast_ref::<DataSourceExec>()?;
        let events = scan.data_source().downcast_ref::<EventDataSource>()?;
        Some(Self {
            events: events.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// The row groups of a partition that have rows for which the condition holds, with the columns that the
    /// expressions `prepared` need of these rows. Several row groups are prepared concurrently, so that the scan
    /// works on one while others are fetched. A file counts as one row group, and is not read, when the log says
    /// that the condition holds for all rows and has the values of all `columns`.
    fn scan(
        &self,
        partition: usize,
        prepared: Vec<ColumnExpr>,
        columns: BTreeSet<usize>,
        context: &TaskContext,
    ) -> Result<RowGroupStream> {
        let options = ReadOptions {
            order: DateOrder::NewestFirst,
            // Each partition of many waits less often for a fetch, and all of them hold more memory.
            concurrency: (CONCURRENT_ROW_GROUPS / self.events.partitions()).max(2),
            prepared,
            columns: Some(columns),
        };
        self.row_groups(partition, options, context)
    }

    /// The row groups in an order, each evaluated only when it is requested, because a dynamic filter may exclude
    /// it by then.
    fn scan_in_order(
        &self,
        partition: usize,
        order: DateOrder,
        context: &TaskContext,
    ) -> Result<RowGroupStream> {
        let options = ReadOptions {
            order,
            concurrency: 1,
            prepared: Vec::new(),
            columns: None,
        };
        self.row_groups(partition, options, context)
    }

    /// The output of a partition, with its baseline metrics.
    fn metered(
        &self,
        partition: usize,
        schema: SchemaRef,
        batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let batches = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        Box::pin(MeteredStream::new(batches, metrics))
    }

    fn row_groups(
        &self,
        partition: usize,
        options: ReadOptions,
        context: &TaskContext,
    ) -> Result<RowGroupStream> {
        let cache = context.session_config().get_extension::<ColumnCache>();
        let cache =
            cache.ok_or_else(|| internal_datafusion_err!("the session has no column cache"))?;
        let metrics = ScanMetrics::new(&self.metrics, partition);
        let ReadOptions {
            order, concurrency, ..
        } = options;
        let table = &self.events.table;
        let predicate = Arc::new(Predicate::new(&self.events.filters, table)?);
        let pruning = self.events.pruning()?;
        let files = pruning.prune_files(self.events.files_of(partition), &metrics.files);
        let mut files: Vec<_> = files.into_iter().cloned().collect();
        order.sort(&mut files);
        let memory = MemoryConsumer::new("columns of events").register(context.memory_pool());
        let opener = FileOpener {
            cache,
            table: Arc::clone(table),
            predicate: Arc::clone(&predicate),
            pruning,
            columns: options.columns.map(Arc::new),
            memory: Arc::new(memory),
            metrics: metrics.clone(),
        };
        let admission = Admission::new(self.events.partitions(), &opener, context);
        let files = FilesInOrder {
            files: files.into_iter(),
            order,
            predicate: Arc::clone(&predicate),
            pruned: metrics.files_pruned_dynamic_filter.clone(),
        };
        let row_groups = stream::iter(files)
            .map(move |file| opener.clone().open(file))
            .buffered(concurrency)
            .map_ok(move |row_groups| stream::iter(order.apply(row_groups)).map(Ok))
            .try_flatten()
            .and_then(move |row_group| admission.clone().admit(row_group));
        let filter = Arc::clone(&predicate);
        let filtering = metrics.clone();
        let prepared: Arc<[ColumnExpr]> = options.prepared.into();
        let row_groups = row_groups
            .map_ok(move |row_group| {
                let (filter, prepared) = (Arc::clone(&filter), Arc::clone(&prepared));
                prepare(row_group, filter, prepared, filtering.clone())
            })
            .try_buffered(concurrency)
            .try_filter(|(_, rows)| future::ready(!rows.is_empty()));
        Ok(RowGroupStream {
            predicate,
            metrics,
            row_groups: row_groups.boxed(),
        })
    }
}

/// Files in the order of their dates, without those that dynamic filters exclude when they are requested.
struct FilesInOrder {
    files: std::vec::IntoIter<Arc<DataFile>>,
    order: DateOrder,
    predicate: Arc<Predicate>,
    pruned: Count,
}

impl Iterator for FilesInOrder {
    type Item = Arc<DataFile>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let file = self.files.next()?;
            match self.order.prune(&file, &self.predicate) {
                Some(true) => return Some(file),
                Some(false) => self.pruned.add(1),
                None => {
                    self.pruned.add(1 + self.files.len());
                    self.files = Vec::new().into_iter();
                }
            }
        }
    }
}

/// A row group before its rows are filtered, and its file.
type Unfiltered = (RowGroupReader, Arc<DataFile>);

/// Opens data files: prunes row groups, and makes readers of the others.
#[derive(Debug, Clone)]
struct FileOpener {
    cache: Arc<ColumnCache>,
    table: SchemaRef,
    predicate: Arc<Predicate>,
    pruning: Pruning,
    /// All columns that the scan may read; `None` when they are not known before.
    columns: Option<Arc<BTreeSet<usize>>>,
    /// The template of the reservation of each row group.
    memory: Arc<MemoryReservation>,
    metrics: ScanMetrics,
}

impl FileOpener {
    /// The row groups of a file, the oldest first, without those that the log or Bloom filters exclude.
    async fn open(self, file: Arc<DataFile>) -> Result<Vec<Unfiltered>> {
        tokio::task::consume_budget().await;
        if !self.predicate.may_hold(&file) {
            let pruned = &self.metrics.files.pruned_statistics;
            pruned.subtract_matched(1);
            pruned.add_pruned(1);
            return Ok(Vec::new());
        }
        if let Some(columns) = &self.columns
            && self.predicate.holds_for_all(&file)
            && let Some(row_group) = RowGroupReader::from_log(
                &self.cache,
                &self.table,
                &file,
                columns,
                &self.memory,
                &self.metrics.cache,
            )
        {
            self.metrics.files_answered_by_log.add(1);
            return Ok(vec![(row_group, file)]);
        }
        let groups = self.matching_row_groups(&file).await?.into_iter();
        let readers = groups.map(|group| {
            let (cache, metrics) = (&self.cache, &self.metrics.cache);
            let reader = RowGroupReader::new(cache, &self.table, group, &self.memory, metrics);
            (reader, Arc::clone(&file))
        });
        Ok(readers.collect())
    }

    /// The row groups of a file that Bloom filters and statistics do not exclude.
    async fn matching_row_groups(&self, file: &Arc<DataFile>) -> Result<Vec<RowGroupRef>> {
        let mut kept: Option<Vec<bool>> = None;
        for TextTest { column, text, .. } in self.predicate.bloom_filter_texts() {
            let bytes_scanned = &self.metrics.cache.bytes_scanned;
            let found = self.cache.may_contain(file, column, text, bytes_scanned);
            let found = found.await.map_err(external)?.into_iter();
            kept = Some(match kept {
                Some(kept) => kept.into_iter().zip(found).map(|(a, b)| a && b).collect(),
                None => found.collect(),
            });
        }
        if let Some(kept) = &kept {
            let matched = kept.iter().filter(|is_kept| **is_kept).count();
            let metrics = &self.metrics.row_groups_pruned_bloom_filter;
            record_pruning(metrics, kept.len(), matched);
            // Without a footer, which may not be in memory.
            if matched == 0 {
                return Ok(Vec::new());
            }
        }
        let mut row_groups = self.cache.row_groups(file).await.map_err(external)?;
        if let Some(kept) = kept {
            row_groups.retain(|group| kept[group.index]);
        }
        self.prune_by_statistics(&mut row_groups);
        Ok(row_groups)
    }

    /// Removes the row groups of a file that statistics exclude.
    fn prune_by_statistics(&self, row_groups: &mut Vec<RowGroupRef>) {
        let Some(first) = row_groups.first() else {
            return;
        };
        let (file, footer) = (Arc::clone(&first.file), Arc::clone(&first.footer));
        let statistics = RowGroupStatistics {
            footer: &footer,
            delivery: file.delivery.as_deref(),
        };
        let count = row_groups.len();
        row_groups.retain(|group| {
            let dates = statistics.dates(group.index);
            dates.is_none_or(|dates| self.pruning.may_match_dates(dates))
        });
        let metrics = &self.metrics.row_groups_pruned_date;
        record_pruning(metrics, count, row_groups.len());
        // A row group whose columns are in memory is filtered as fast as it is pruned.
        let is_cached = |group: &RowGroupRef| {
            let mut fields = self
                .pruning
                .columns()
                .map(|column| self.table.field(column));
            fields.all(|field| self.cache.bytes_to_load(group, field) == 0)
        };
        if row_groups.iter().all(is_cached) {
            return;
        }
        let count = row_groups.len();
        let kept = self.pruning.may_match(&statistics);
        row_groups.retain(|group| kept[group.index]);
        let metrics = &self.metrics.row_groups_pruned_statistics;
        record_pruning(metrics, count, row_groups.len());
    }
}

/// Filters the rows of a row group, and loads what the scan needs of the remaining ones.
async fn prepare(
    (mut row_group, file): Unfiltered,
    predicate: Arc<Predicate>,
    prepared: Arc<[ColumnExpr]>,
    metrics: ScanMetrics,
) -> Result<(RowGroupReader, RowSelection)> {
    tokio::task::consume_budget().await;
    let rows = predicate.filter(&mut row_group, &file, &metrics).await?;
    if !rows.is_empty() {
        row_group.prepare(prepared.iter(), &rows).await?;
    }
    Ok((row_group, rows))
}

/// The row groups of one partition that have rows for which the condition holds.
struct RowGroupStream {
    predicate: Arc<Predicate>,
    metrics: ScanMetrics,
    row_groups: BoxStream<'static, Result<(RowGroupReader, RowSelection)>>,
}

impl RowGroupStream {
    /// The next row group, and its rows for which the condition held at the time of its evaluation, at least one.
    /// The caller has to drop the row group before, because this one may need its memory.
    async fn next(&mut self) -> Result<Option<(RowGroupReader, RowSelection)>> {
        self.row_groups.try_next().await
    }

    /// Those of the rows of a row group whose dates the dynamic filters still accept.
    async fn still_in_range(
        &mut self,
        row_group: &mut RowGroupReader,
        rows: RowSelection,
    ) -> Result<RowSelection> {
        self.predicate.still_in_range(row_group, rows).await
    }

    /// Those of the rows of a row group that the dynamic filters still accept.
    async fn filter_dynamic(
        &mut self,
        row_group: &mut RowGroupReader,
        rows: RowSelection,
    ) -> Result<RowSelection> {
        let filtered = self
            .predicate
            .filter_dynamic(row_group, rows, &self.metrics);
        filtered.await
    }
}
