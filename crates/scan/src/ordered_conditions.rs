//! Filters evaluate their conditions in stages.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

use crate::filter_stages::FilterStages;

/// Splits each [`FilterExec`] into one filter per stage: conditions without notes first, then those of inner queries
/// before those of the queries around them. Scans evaluate their conditions in the same order.
#[derive(Debug)]
pub struct OrderedConditionsRule;

impl PhysicalOptimizerRule for OrderedConditionsRule {
    fn name(&self) -> &str {
        "ordered_conditions"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let split = node.downcast_ref::<FilterExec>().map(split_stages);
            Ok(match split.transpose()?.flatten() {
                Some(split) => Transformed::yes(split),
                None => Transformed::no(node),
            })
        })?;
        Ok(changed.data)
    }
}

/// One filter per stage; `None` when there is one stage.
fn split_stages(filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut stages = FilterStages::default();
    stages.add(filter.predicate())?;
    let mut stages: Vec<_> = stages
        .iter()
        .map(|stage| conjunction(stage.to_vec()))
        .collect();
    let Some(last) = stages.pop().filter(|_| !stages.is_empty()) else {
        return Ok(None);
    };
    let mut input = Arc::clone(filter.input());
    for stage in stages {
        input = Arc::new(FilterExecBuilder::new(stage, input).build()?);
    }
    let outermost = FilterExecBuilder::from(filter)
        .with_predicate(last)
        .with_input(input);
    Ok(Some(Arc::new(outermost.build()?)))
}
