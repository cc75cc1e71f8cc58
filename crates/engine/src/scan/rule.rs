//! Which parts of a plan read columns from memory.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use events::fields::DATE;
use store::ColumnCache;

use super::aggregate::AggregateScanExec;
use super::ordered::OrderedScanExec;
use super::source::{DateOrder, Source};

/// The same plan, in which aggregates of events, and questions for the newest or oldest ones, work on
/// columns that are kept in memory. All others go through all rows once, and DataFusion's scan does that
/// with less memory.
pub(crate) fn with_columns_in_memory(
    plan: Arc<dyn ExecutionPlan>,
    columns: &Arc<ColumnCache>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let changed = match node.downcast_ref::<AggregateExec>() {
            Some(aggregate) => of_aggregate(aggregate, columns)?,
            None => of_sort(&node, columns)?,
        };
        Ok(match changed {
            Some(changed) => Transformed::yes(changed),
            None => Transformed::no(node),
        })
    })?;
    Ok(changed.data)
}

fn of_aggregate(
    aggregate: &AggregateExec,
    columns: &Arc<ColumnCache>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if *aggregate.mode() != AggregateMode::Partial {
        return Ok(None);
    }
    let Some(union) = aggregate.input().downcast_ref::<UnionExec>() else {
        let source = Source::of_plan(aggregate.input(), columns);
        let scan = source.and_then(|source| AggregateScanExec::new(aggregate, source));
        return Ok(scan.map(|scan| Arc::new(scan) as _));
    };
    // Halves of an aggregation may be done apart: the second half puts them together.
    let halves = union.inputs().iter().map(|input| {
        let half: Arc<dyn ExecutionPlan> = Arc::new(aggregate.clone());
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let half = half.replace_children(vec![Arc::clone(input)], options)?;
        let scan = match half.downcast_ref::<AggregateExec>() {
            Some(half) => of_aggregate(half, columns)?,
            None => None,
        };
        Ok(scan.unwrap_or(half))
    });
    UnionExec::try_new(halves.collect::<Result<_>>()?).map(Some)
}

fn of_sort(
    node: &Arc<dyn ExecutionPlan>,
    columns: &Arc<ColumnCache>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let sort = node.downcast_ref::<SortExec>();
    let Some((sort, fetch)) = sort.and_then(|sort| Some((sort, sort.fetch()?))) else {
        return Ok(None);
    };
    let first = sort.expr().first();
    let column = first
        .expr
        .downcast_ref::<datafusion::physical_expr::expressions::Column>();
    if column.is_none_or(|column| column.name() != DATE) {
        return Ok(None);
    }
    let order = match first.options.descending {
        true => DateOrder::NewestFirst,
        false => DateOrder::OldestFirst,
    };
    let changed = sort.input().clone().transform_up(|input| {
        Ok(match Source::of_plan(&input, columns) {
            Some(source) => {
                let scan = OrderedScanExec::new(&input, source, order, fetch);
                Transformed::yes(Arc::new(scan) as _)
            }
            None => Transformed::no(input),
        })
    })?;
    if !changed.transformed {
        return Ok(None);
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(node)
        .replace_children(vec![changed.data], options)
        .map(Some)
}
