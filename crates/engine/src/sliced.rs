//! Bounds the texts of results with several computed columns.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};
use scan::column_bytes;

/// The approximate bytes of text that the computed columns of one batch may take.
const RESULT_BYTES: usize = 32 << 20;

/// Computes the columns of the result from as few rows at a time that each column may be as long as all texts of a row.
#[derive(Debug)]
pub(crate) struct SlicedResultRule;

impl PhysicalOptimizerRule for SlicedResultRule {
    fn name(&self) -> &str {
        "sliced_result"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        with_sliced_result(plan)
    }
}

fn with_sliced_result(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
        return Ok(plan);
    };
    let mut computed = 0;
    for output in projection.expr() {
        let is_computed = output
            .expr
            .exists(|part| Ok(part.is::<ScalarFunctionExpr>()))?;
        computed += usize::from(is_computed);
    }
    if computed < 2 {
        return Ok(plan);
    }
    let sliced = SlicedExec {
        input: Arc::clone(projection.input()),
        computed,
    };
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    plan.replace_children(vec![Arc::new(sliced)], options)
}

/// Returns the rows of its input in smaller batches when they are large.
#[derive(Debug)]
struct SlicedExec {
    input: Arc<dyn ExecutionPlan>,
    /// The number of columns that the projection above computes.
    computed: usize,
}

impl DisplayAs for SlicedExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SlicedExec: columns={}", self.computed)
    }
}

impl ExecutionPlan for SlicedExec {
    fn name(&self) -> &str {
        "SlicedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("SlicedExec has one input");
        };
        Ok(Arc::new(Self {
            input,
            computed: self.computed,
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
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
        let batches = self.input.execute(partition, context)?;
        let computed = self.computed;
        let slices = batches.map_ok(move |batch| {
            let rows = rows_at_once(&batch, computed);
            let starts = (0..batch.num_rows()).step_by(rows);
            let slice = move |start| batch.slice(start, rows.min(batch.num_rows() - start));
            stream::iter(starts.map(slice).map(Ok))
        });
        let schema = self.input.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            slices.try_flatten(),
        )))
    }
}

/// The number of rows of a slice of a batch.
fn rows_at_once(batch: &RecordBatch, computed: usize) -> usize {
    let bytes: usize = batch.columns().iter().map(column_bytes).sum();
    let slices = bytes.saturating_mul(computed).div_ceil(RESULT_BYTES).max(1);
    batch.num_rows().div_ceil(slices).max(1)
}
