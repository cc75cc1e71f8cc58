//! Partial aggregation of row groups.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::datasource::source::DataSource;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};

use super::column_expr::ColumnExpr;
use super::group_accumulator::{GroupAccumulator, GroupedRows};
use super::row_group_groups::RowGroupGroups;
use super::row_group_reader::RowGroupReader;
use super::{CachedScan, RowGroupStream};
use crate::column_cache::RowSelection;

/// With this number of groups, the scan emits them instead of collecting more rows of them.
const MAX_GROUPS: usize = 1 << 17;

/// Groups and aggregates the rows of data files without materialising them. The output is that of [`AggregateExec`] in
/// [`AggregateMode::Partial`].
#[derive(Debug, Clone)]
pub(crate) struct AggregateScanExec {
    source: CachedScan,
    aggregate: AggregateExec,
}

impl AggregateScanExec {
    /// `aggregate` over the rows of `source`; `None` when it is not a partial aggregation without grouping sets.
    pub(crate) fn new(aggregate: &AggregateExec, source: CachedScan) -> Option<Self> {
        let is_plain =
            *aggregate.mode() == AggregateMode::Partial && aggregate.group_expr().is_single();
        is_plain.then(|| Self {
            source,
            aggregate: aggregate.clone(),
        })
    }

    /// Makes an expression over the columns of the files of one over the scan.
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
        let recursion = self.source.events.apply_expressions(f)?;
        recursion.visit_sibling(|| self.aggregate.apply_expressions(f))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.source.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("AggregateScanExec[{partition}]"));
        let groups = Groups::new(self)?;
        let scan = AggregateStream {
            row_groups: self.source.scan(
                partition,
                groups.exprs_of_all_rows(),
                groups.columns(),
                &context,
            )?,
            groups,
            scan: self.clone(),
            memory: consumer.register(context.memory_pool()),
            is_done: false,
        };
        let batches = stream::try_unfold(scan, |mut scan| async move {
            let batch = scan.next().await?;
            Ok::<_, DataFusionError>(batch.map(|batch| (batch, scan)))
        });
        let batch_rows = context.session_config().batch_size().max(1);
        let batches = batches.map_ok(move |batch| {
            let starts = (0..batch.num_rows()).step_by(batch_rows);
            let slice = move |start| batch.slice(start, batch_rows.min(batch.num_rows() - start));
            stream::iter(starts.map(slice).map(Ok))
        });
        let batches = batches.try_flatten();
        Ok(self.source.metered(partition, self.schema(), batches))
    }
}

/// The aggregation of one partition.
struct AggregateStream {
    scan: AggregateScanExec,
    row_groups: RowGroupStream,
    groups: Groups,
    memory: MemoryReservation,
    is_done: bool,
}

impl AggregateStream {
    /// The groups so far, at the end of the input or when there is no room for more. The final aggregation merges groups
    /// of several batches.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.is_done {
            let Some((mut row_group, rows)) = self.row_groups.next().await? else {
                self.is_done = true;
                return self.take_groups();
            };
            self.groups.add(&mut row_group, &rows).await?;
            if self.is_full() {
                return self.take_groups();
            }
        }
        Ok(None)
    }

    fn is_full(&mut self) -> bool {
        let is_refused = self.memory.try_resize(self.groups.size_bytes()).is_err();
        is_refused || self.groups.count() >= MAX_GROUPS
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
    /// The values of the keys; `None` without keys, when there is one group.
    values: Option<Box<dyn GroupValues>>,
    accumulators: Vec<GroupAccumulator>,
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
        let accumulators = aggregates.map(|(aggregate, filter)| {
            let expand = |expr: &Arc<dyn PhysicalExpr>| scan.expand(expr);
            GroupAccumulator::new(aggregate, filter.as_ref(), expand, table, values.is_some())
        });
        Ok(Self {
            accumulators: accumulators.collect::<Result<_>>()?,
            keys,
            values,
            schema: aggregate.schema(),
        })
    }

    /// The expressions that are evaluated for all rows.
    fn exprs_of_all_rows(&self) -> Vec<ColumnExpr> {
        let accumulators = self.accumulators.iter();
        let exprs = accumulators.flat_map(GroupAccumulator::exprs_of_all_rows);
        self.keys.iter().chain(exprs).cloned().collect()
    }

    /// All columns that may be read.
    fn columns(&self) -> BTreeSet<usize> {
        let keys = self.keys.iter().flat_map(|key| key.columns.iter().copied());
        let accumulators = self.accumulators.iter();
        keys.chain(accumulators.flat_map(GroupAccumulator::columns))
            .collect()
    }

    /// Adds at least one row of a row group.
    async fn add(&mut self, row_group: &mut RowGroupReader, rows: &RowSelection) -> Result<()> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            keys.push(row_group.evaluate(key, rows).await?);
        }
        let local = RowGroupGroups::new(keys, rows.len())?;
        let mut found = Vec::new();
        match &mut self.values {
            Some(values) => values.intern(&local.keys, &mut found)?,
            None => found.push(0),
        }
        let mut indices = vec![0; local.sizes.len()];
        for (group, index) in local.used().zip(found) {
            indices[group] = index;
        }
        let grouped = GroupedRows {
            rows,
            local: &local,
            indices: &indices,
            total: self.count(),
        };
        for accumulator in &mut self.accumulators {
            accumulator.add(row_group, &grouped).await?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.values.as_ref().map_or(1, |values| values.len())
    }

    fn size_bytes(&self) -> usize {
        let values = self.values.as_ref().map_or(0, |values| values.size());
        let accumulators = self.accumulators.iter().map(GroupAccumulator::size_bytes);
        values + accumulators.sum::<usize>()
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let count = self.count();
        let mut columns: Vec<ArrayRef> = match &mut self.values {
            Some(values) => values.emit(EmitTo::All)?,
            None => Vec::new(),
        };
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.finish(count)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(
            self.schema,
            columns,
            &options,
        )?)
    }
}
