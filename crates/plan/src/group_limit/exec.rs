//! Limits of groups as a step of a physical plan.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{EmissionType, ExecutionPlanProperties};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan,
    Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};

use super::Wanted;
use super::limiter::Limiter;
use super::node::added;

/// Numbers the rows of groups, and the groups, of one partition of sorted rows, and returns those inside the limits. It
/// stops reading after the last such group.
#[derive(Debug)]
pub(super) struct GroupLimitExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// `None` when there is nothing to sort by.
    order: Option<LexOrdering>,
    wanted: Wanted,
    properties: Arc<PlanProperties>,
}

impl GroupLimitExec {
    /// Limits groups of rows with equal `keys`, which lie together in `order`.
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        order: Option<LexOrdering>,
        wanted: Wanted,
    ) -> Result<Self> {
        let schema = input.schema();
        let fields = schema.fields().iter().cloned();
        let fields = fields.chain(added(&wanted).into_iter().map(Arc::new));
        let fields: Vec<_> = fields.collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let orders = order.clone();
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, orders),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            input.boundedness(),
        );
        Ok(Self {
            input,
            keys,
            order,
            wanted,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for GroupLimitExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(formatter, "GroupLimitExec: gby=[{}]", keys.join(", "))?;
        write!(formatter, "{}", self.wanted)
    }
}

impl ExecutionPlan for GroupLimitExec {
    fn name(&self) -> &str {
        "GroupLimitExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone().map(OrderingRequirements::from)]
    }

    /// It does, but DataFusion 55 moves a sort above below an operator that reports so, even if that operator requires
    /// another order of its input.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("limits of groups have one input");
        };
        let (keys, order) = (self.keys.clone(), self.order.clone());
        let changed = Self::new(input, keys, order, self.wanted.clone())?;
        Ok(Arc::new(changed))
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
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut recursion = TreeNodeRecursion::Continue;
        for key in &self.keys {
            recursion = recursion.visit_sibling(|| f(key))?;
        }
        Ok(recursion)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("limits of groups have one partition, not {partition}");
        }
        let running = Running {
            input: Some(self.input.execute(0, context)?),
            keys: self.keys.clone(),
            limiter: Limiter::new(self.wanted.clone(), self.schema()),
        };
        let batches = stream::try_unfold(running, |mut running| async move {
            let batch = running.next().await?;
            Ok::<_, DataFusionError>(batch.map(|batch| (batch, running)))
        });
        let schema: SchemaRef = self.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

struct Running {
    /// `None` after the last group inside the limits.
    input: Option<SendableRecordBatchStream>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    limiter: Limiter,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(input) = &mut self.input {
            if self.limiter.is_done() {
                break;
            }
            let Some(batch) = input.next().await.transpose()? else {
                break;
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let keys = self.keys(&batch)?;
            if let Some(passed) = self.limiter.add(&batch, keys)? {
                return Ok(Some(passed));
            }
        }
        self.input = None;
        self.limiter.finish()
    }

    fn keys(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let keys = self.keys.iter();
        let keys = keys.map(|key| key.evaluate(batch)?.into_array(batch.num_rows()));
        keys.collect()
    }
}
