//! Scans of cached columns in the place of operators over data files.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use events::fields::DATE;

use crate::cached_scan::{AggregateScanExec, CachedScan, DateOrder, OrderedScanExec};

/// Lets partial aggregations over data files, and sorts by date with a limit, read the columns of the
/// [`ColumnCache`](crate::ColumnCache) of the session. All other plans read every row once, for which DataFusion's
/// scan takes less memory.
#[derive(Debug)]
pub struct ColumnCacheRule;

impl PhysicalOptimizerRule for ColumnCacheRule {
    fn name(&self) -> &str {
        "column_cache"
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
            let changed = match node.downcast_ref::<AggregateExec>() {
                Some(aggregate) => with_aggregate_scan(aggregate)?,
                None => with_ordered_scan(&node)?,
            };
            Ok(match changed {
                Some(changed) => Transformed::yes(changed),
                None => Transformed::no(node),
            })
        })?;
        Ok(changed.data)
    }
}

/// An aggregation that reads cached columns; `None` when it is not the first half of one over data files.
fn with_aggregate_scan(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if *aggregate.mode() != AggregateMode::Partial {
        return Ok(None);
    }
    let Some(union) = aggregate.input().downcast_ref::<UnionExec>() else {
        let source = CachedScan::from_plan(aggregate.input());
        let scan = source.and_then(|source| AggregateScanExec::new(aggregate, source));
        return Ok(scan.map(|scan| Arc::new(scan) as _));
    };
    // The final aggregation merges the states of any number of partial ones.
    let partial = union.inputs().iter().map(|input| {
        let partial: Arc<dyn ExecutionPlan> = Arc::new(aggregate.clone());
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let partial = partial.replace_children(vec![Arc::clone(input)], options)?;
        let scan = match partial.downcast_ref::<AggregateExec>() {
            Some(partial) => with_aggregate_scan(partial)?,
            None => None,
        };
        Ok(scan.unwrap_or(partial))
    });
    UnionExec::try_new(partial.collect::<Result<_>>()?).map(Some)
}

/// A sort whose scans read cached columns; `None` when it has no limit, or another first key than the date.
fn with_ordered_scan(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let sort = node.downcast_ref::<SortExec>();
    let Some((sort, fetch)) = sort.and_then(|sort| Some((sort, sort.fetch()?))) else {
        return Ok(None);
    };
    let first = sort.expr().first();
    let column = first.expr.downcast_ref::<Column>();
    if column.is_none_or(|column| column.name() != DATE) {
        return Ok(None);
    }
    let order = match first.options.descending {
        true => DateOrder::NewestFirst,
        false => DateOrder::OldestFirst,
    };
    let changed = sort.input().clone().transform_up(|input| {
        Ok(match CachedScan::from_plan(&input) {
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
    let sort = Arc::clone(node).replace_children(vec![changed.data], options)?;
    Ok(Some(sort))
}
