//! RowSelection of data files for a question that wants only the newest few of them, or the oldest.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream;
use store::RowSelection;

use super::chunk::Chunk;
use super::expression::ColumnExpr;
use super::source::{DateOrder, Fitting, Source};
use crate::charged_scan::{charge_column, reservation};

/// The rows of data files in the order of their dates, as far as their files and row groups tell.
#[derive(Debug)]
pub(super) struct OrderedScanExec {
    source: Source,
    properties: Arc<PlanProperties>,
    order: DateOrder,
    fetch: usize,
}

impl OrderedScanExec {
    /// Gives what `scan` gives, which reads `source`, for somebody who wants the first `fetch` rows in an
    /// order. When so many were given, what is known then often shows that the others are not needed.
    pub(super) fn new(
        scan: &Arc<dyn ExecutionPlan>,
        source: Source,
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
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
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
        let running = Running {
            schema: self.schema(),
            outputs: outputs.collect::<Result<_>>()?,
            fitting: source.fitting_in_order(partition, self.order, &context)?,
            order: self.order,
            current: None,
            batch_rows,
            next_rows: self.fetch.clamp(1, batch_rows),
            reservation: reservation(&context),
        };
        let batches = stream::try_unfold(running, |mut running| async move {
            let batch = running.next().await?;
            Ok(batch.map(|batch| (batch, running)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

/// The scan of one partition.
struct Running {
    fitting: Fitting,
    order: DateOrder,
    outputs: Vec<ColumnExpr>,
    schema: SchemaRef,
    /// The row group that is read, and the rows of it that were not given yet.
    current: Option<(Chunk, RowSelection)>,
    batch_rows: usize,
    next_rows: usize,
    /// For the batch that was given last.
    reservation: MemoryReservation,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            tokio::task::consume_budget().await;
            let current = match self.current.take() {
                Some(current) => Some(current),
                None => self.fitting.next().await?,
            };
            let Some((mut chunk, rows)) = current else {
                return Ok(None);
            };
            let predicate = self.fitting.predicate();
            let rows = predicate.still(&mut chunk, rows).await?;
            let (next, left) = self.order.split(&rows, self.next_rows);
            let next = predicate.dynamic_rows(&mut chunk, next).await?;
            let batch = match next.is_empty() {
                true => None,
                false => Some(self.batch(&mut chunk, &next).await?),
            };
            if !left.is_empty() {
                self.current = Some((chunk, left));
            }
            if batch.is_some() {
                self.next_rows = self.next_rows.saturating_mul(2).min(self.batch_rows);
                return Ok(batch);
            }
        }
    }

    async fn batch(&mut self, chunk: &mut Chunk, rows: &RowSelection) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.outputs.len());
        chunk.prepare(&self.outputs, rows).await?;
        for output in &self.outputs {
            let column = chunk.evaluate(output, rows).await?;
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
