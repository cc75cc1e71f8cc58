//! Conditions in an order in which what functions meet does not depend on rows that a condition below them removes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{conjunction, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use functions::innermost_note;

/// The conditions that a condition consists of, in the order in which they have to be tested: first those that leave no
/// trace, then those of inner queries before those of the queries around them. What is tested together is in one list.
///
/// # Errors
/// None that is known.
pub(crate) fn ordered(
    condition: &Arc<dyn PhysicalExpr>,
) -> Result<Vec<Vec<Arc<dyn PhysicalExpr>>>> {
    let mut tests = Vec::new();
    for test in split_conjunction(condition) {
        let depth = innermost_note(test)?.map(functions::NoteId::depth);
        // The deepest first, and after what is of no depth.
        tests.push((depth.map(|depth| -depth), Arc::clone(test)));
    }
    tests.sort_by_key(|(rank, _)| *rank);
    let groups = tests.chunk_by(|(left, _), (right, _)| left == right);
    let groups = groups.map(|group| group.iter().map(|(_, test)| Arc::clone(test)).collect());
    Ok(groups.collect())
}

/// The same plan, in which each filter tests its conditions in that order, one filter after the other.
///
/// # Errors
/// None that is known.
pub(crate) fn with_ordered_conditions(
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let Some(filter) = node.downcast_ref::<FilterExec>() else {
            return Ok(Transformed::no(node));
        };
        let mut groups = ordered(filter.predicate())?;
        let Some(last) = groups.pop().filter(|_| !groups.is_empty()) else {
            return Ok(Transformed::no(node));
        };
        let mut input = Arc::clone(filter.input());
        for group in groups {
            input = Arc::new(FilterExecBuilder::new(conjunction(group), input).build()?);
        }
        let outermost = FilterExecBuilder::from(filter)
            .with_predicate(conjunction(last))
            .with_input(input);
        Ok(Transformed::yes(Arc::new(outermost.build()?) as _))
    })?;
    Ok(changed.data)
}
