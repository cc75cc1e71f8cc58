//! Plans whose rows come in the order that they were sorted in.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    ReplaceChildrenOptions,
};

/// The plan without the last spreading of its rows: DataFusion 55 spreads sorted rows over several
/// partitions when columns are computed above the last sort, and nothing puts these in order again.
pub(crate) fn in_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.output_partitioning().partition_count() == 1 {
        return Ok(plan);
    }
    if let Some(spread) = plan.downcast_ref::<RepartitionExec>()
        && matches!(spread.partitioning(), Partitioning::RoundRobinBatch(_))
        && spread.input().output_partitioning().partition_count() == 1
    {
        return Ok(Arc::clone(spread.input()));
    }
    let child = match plan.children().as_slice() {
        [child] if plan.maintains_input_order() == [true] => Arc::clone(child),
        _ => return Ok(plan),
    };
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    plan.replace_children(vec![in_order(child)?], options)
}
