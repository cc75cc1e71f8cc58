//! The first half of an aggregation, straight from row groups.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};

use super::chunk::Chunk;
use super::expression::ColumnExpr;
use super::groups::LocalGroups;
use super::reduce::{GroupedRows, Reduction};
use super::source::{Fitting, Source};

/// With so many groups it is better to give them on than to look for more rows of them.
const MOST_GROUPS: usize = 1 << 17;

/// Groups and aggregates the rows of data files, without making rows of them first. It gives the same as
/// [`AggregateExec`] gives in its mode [`AggregateMode::Partial`].
#[derive(Debug, Clone)]
pub(super) struct AggregateScanExec {
    source: Source,
    aggregate: AggregateExec,
}

impl AggregateScanExec {
    /// What `aggregate` does with the rows of `source`, if it is the first half of an aggregation.
    pub(super) fn new(aggregate: &AggregateExec, source: Source) -> Option<Self> {
        let is_plain =
            *aggregate.mode() == AggregateMode::Partial && aggregate.group_expr().is_single();
        is_plain.then(|| Self {
            source,
            aggregate: aggregate.clone(),
        })
    }

    /// An expression over what the scan gives, as one over the columns of the files.
    fn expand(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        self.source.events.projection.unproject_expr(expr)
    }
}

impl DisplayAs for AggregateScanExec {
    fn fmt_as(&self, format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AggregateScanExec: ")?;
        self.aggregate.fmt_as(format, formatter)?;
        write!(formatter, ", {}", self.source.events)
    }
}

impl ExecutionPlan for AggregateScanExec {
    fn name(&self) -> &str {
        "AggregateScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
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
        let consumer = MemoryConsumer::new(format!("AggregateScanExec[{partition}]"));
        let groups = Groups::new(self)?;
        let running = Running {
            fitting: self.source.all_fitting(
                partition,
                groups.needed(),
                groups.columns(),
                &context,
            )?,
            groups,
            scan: self.clone(),
            memory: consumer.register(context.memory_pool()),
            is_done: false,
        };
        let batches = stream::try_unfold(running, |mut running| async move {
            let batch = running.next().await?;
            Ok::<_, DataFusionError>(batch.map(|batch| (batch, running)))
        });
        let batch_rows = context.session_config().batch_size().max(1);
        let batches = batches.map_ok(move |batch| {
            let starts = (0..batch.num_rows()).step_by(batch_rows);
            let slice = move |start| batch.slice(start, batch_rows.min(batch.num_rows() - start));
            stream::iter(starts.map(slice).map(Ok))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches.try_flatten(),
        )))
    }
}

/// The aggregation of one partition.
struct Running {
    scan: AggregateScanExec,
    fitting: Fitting,
    groups: Groups,
    memory: MemoryReservation,
    is_done: bool,
}

impl Running {
    /// The groups so far, when there is room for no more of them or nothing left to read. The second half
    /// of the aggregation puts together what comes in several batches.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.is_done {
            let Some((mut chunk, rows)) = self.fitting.next().await? else {
                self.is_done = true;
                return self.take_groups();
            };
            self.groups.add(&mut chunk, &rows).await?;
            if self.is_full() {
                return self.take_groups();
            }
        }
        Ok(None)
    }

    fn is_full(&mut self) -> bool {
        let is_refused = self.memory.try_resize(self.groups.size_bytes()).is_err();
        is_refused || self.groups.count() >= MOST_GROUPS
    }

    fn take_groups(&mut self) -> Result<Option<RecordBatch>> {
        if self.groups.count() == 0 {
            return Ok(None);
        }
        let next = Groups::new(&self.scan)?;
        let groups = std::mem::replace(&mut self.groups, next);
        self.memory.free();
        groups.finish().map(Some)
    }
}

/// The groups so far and their aggregates.
struct Groups {
    keys: Vec<ColumnExpr>,
    /// The values of the keys; `None` without keys, where there is one group.
    values: Option<Box<dyn GroupValues>>,
    reductions: Vec<Reduction>,
    schema: SchemaRef,
}

impl Groups {
    fn new(scan: &AggregateScanExec) -> Result<Self> {
        let aggregate = &scan.aggregate;
        let table = &scan.source.events.table;
        let group_by = aggregate.group_expr();
        let keys = group_by.expr().iter().map(|(expr, _)| {
            let expr = scan.expand(expr)?;
            ColumnExpr::new(&expr, table)
        });
        let keys: Vec<ColumnExpr> = keys.collect::<Result<_>>()?;
        let values = match keys.is_empty() {
            true => None,
            false => {
                let schema = group_by.group_schema(&aggregate.input_schema())?;
                Some(new_group_values(schema, &GroupOrdering::None)?)
            }
        };
        let aggregates = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
        let reductions = aggregates.map(|(aggregate, filter)| {
            let expand = |expr: &Arc<dyn PhysicalExpr>| scan.expand(expr);
            Reduction::new(aggregate, filter.as_ref(), expand, table, values.is_some())
        });
        Ok(Self {
            reductions: reductions.collect::<Result<_>>()?,
            keys,
            values,
            schema: aggregate.schema(),
        })
    }

    /// What is evaluated for all rows.
    fn needed(&self) -> Vec<ColumnExpr> {
        let needed = self.reductions.iter().flat_map(Reduction::first_needed);
        self.keys.iter().chain(needed).cloned().collect()
    }

    /// All columns that are looked at.
    fn columns(&self) -> BTreeSet<usize> {
        let keys = self.keys.iter().flat_map(|key| key.columns.iter().copied());
        let reductions = self.reductions.iter();
        keys.chain(reductions.flat_map(Reduction::columns))
            .collect()
    }

    /// Takes rows of a row group, of which there is at least one.
    async fn add(&mut self, chunk: &mut Chunk, rows: &store::RowSelection) -> Result<()> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            keys.push(chunk.evaluate(key, rows).await?);
        }
        let local = LocalGroups::new(keys, rows.len())?;
        let mut found = Vec::new();
        match &mut self.values {
            Some(values) => values.intern(&local.keys, &mut found)?,
            None => found.push(0),
        }
        let mut numbers = vec![0; local.sizes.len()];
        for (group, number) in local.used().zip(found) {
            numbers[group] = number;
        }
        let grouped = GroupedRows {
            rows,
            local: &local,
            numbers: &numbers,
            total: self.count(),
        };
        for reduction in &mut self.reductions {
            reduction.add(chunk, &grouped).await?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.values.as_ref().map_or(1, |values| values.len())
    }

    fn size_bytes(&self) -> usize {
        let values = self.values.as_ref().map_or(0, |values| values.size());
        let reductions = self.reductions.iter().map(Reduction::size_bytes);
        values + reductions.sum::<usize>()
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let count = self.count();
        let mut columns: Vec<ArrayRef> = match &mut self.values {
            Some(values) => values.emit(EmitTo::All)?,
            None => Vec::new(),
        };
        for reduction in &mut self.reductions {
            columns.extend(reduction.finish(count)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(
            self.schema,
            columns,
            &options,
        )?)
    }
}
