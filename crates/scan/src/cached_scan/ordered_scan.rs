//! Rows of data files for a sort by date with a limit.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::datasource::source::DataSource;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream;

use super::column_expr::ColumnExpr;
use super::row_group_reader::RowGroupReader;
use super::{CachedScan, DateOrder, RowGroupStream};
use crate::column_cache::RowSelection;
use crate::memory::{charge_column, reservation};

/// Reads files and row groups in the order of their dates, so that the dynamic filter of the sort above soon excludes
/// the others.
#[derive(Debug)]
pub(crate) struct OrderedScanExec {
    source: CachedScan,
    properties: Arc<PlanProperties>,
    order: DateOrder,
    fetch: usize,
}

impl OrderedScanExec {
    /// Returns the rows of `scan`, which reads `source`, to a sort that takes the first `fetch` rows in an order.
    pub(crate) fn new(
        scan: &Arc<dyn ExecutionPlan>,
        source: CachedScan,
        order: DateOrder,
        fetch: usize,
    ) -> Self {
        Self {
            order,
            fetch,
            source,
            properties: Arc::clone(scan.properties()),
        }
    }
}

impl DisplayAs for OrderedScanExec {
    fn fmt_as(
        &self,
        _format: DisplayFormatType,
        formatter: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        write!(formatter, "OrderedScanExec: {}", self.source.events)
    }
}

impl ExecutionPlan for OrderedScanExec {
    fn name(&self) -> &str {
        "OrderedScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("{} has no children", self.name()),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        self.replace_children(children, options)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.source.events.apply_expressions(f)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.source.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let source = &self.source;
        let outputs = source.events.projection.iter();
        let outputs = outputs.map(|output| ColumnExpr::new(&output.expr, &source.events.table));
        let batch_rows = context.session_config().batch_size().max(1);
        let batch_rows = source.events.batch_rows(partition, batch_rows);
        let scan = OrderedScanStream {
            schema: self.schema(),
            outputs: outputs.collect::<Result<_>>()?,
            row_groups: source.scan_in_order(partition, self.order, &context)?,
            order: self.order,
            current: None,
            batch_rows,
            next_rows: self.fetch.clamp(1, batch_rows),
            reservation: reservation(&context),
        };
        let batches = stream::try_unfold(scan, |mut scan| async move {
            let batch = scan.next().await?;
            Ok(batch.map(|batch| (batch, scan)))
        });
        Ok(source.metered(partition, self.schema(), batches))
    }
}

/// The scan of one partition.
struct OrderedScanStream {
    row_groups: RowGroupStream,
    order: DateOrder,
    outputs: Vec<ColumnExpr>,
    schema: SchemaRef,
    /// The row group under work, and its rows that were not returned yet.
    current: Option<(RowGroupReader, RowSelection)>,
    batch_rows: usize,
    next_rows: usize,
    /// Charges the last batch.
    reservation: MemoryReservation,
}

impl OrderedScanStream {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            tokio::task::consume_budget().await;
            let current = match self.current.take() {
                Some(current) => Some(current),
                None => self.row_groups.next().await?,
            };
            let Some((mut row_group, rows)) = current else {
                return Ok(None);
            };
            let rows = self.row_groups.still_in_range(&mut row_group, rows);
            let rows = rows.await?;
            let (next, left) = self.order.split(&rows, self.next_rows);
            let next = self.row_groups.filter_dynamic(&mut row_group, next).await?;
            let batch = match next.is_empty() {
                true => None,
                false => Some(self.batch(&mut row_group, &next).await?),
            };
            if !left.is_empty() {
                self.current = Some((row_group, left));
            }
            if batch.is_some() {
                self.next_rows = self.next_rows.saturating_mul(2).min(self.batch_rows);
                return Ok(batch);
            }
        }
    }

    async fn batch(
        &mut self,
        row_group: &mut RowGroupReader,
        rows: &RowSelection,
    ) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.outputs.len());
        row_group.prepare(&self.outputs, rows).await?;
        for output in &self.outputs {
            let column = row_group.evaluate(output, rows).await?;
            let column = column.into_array(rows.len())?;
            charge_column(&self.reservation, &column, columns.is_empty())?;
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}
