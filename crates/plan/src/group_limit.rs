//! Limits inside groups of several rows and between such groups, in one pass over sorted rows.
//!
//! | module | holds |
//! |---|---|
//! | `node` | the step of a logical plan |
//! | `exec` | the step of a physical plan |
//! | `limiter` | which rows pass, and their numbers |

mod exec;
mod limiter;
mod node;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::{LexOrdering, create_physical_expr, create_physical_sort_exprs};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use self::exec::GroupLimitExec;
pub(crate) use self::node::GroupLimit;

/// The number of a row in its group, from 1, with the rows that were skipped.
pub(crate) const GROUP_ROW: &str = "group_row";
/// Whether the row is the last that the limit leaves of its group, and the group has more.
pub(crate) const GROUP_CUT: &str = "group_cut";
/// The number of a group, from 1, with the groups that were skipped.
pub(crate) const GROUP_RANK: &str = "group_rank";

/// The rows of each group, and the groups, that pass. Either may be `None`; its output columns are then omitted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// The numbers of the rows. Adds [`GROUP_ROW`] and [`GROUP_CUT`].
    pub(crate) rows: Option<RangeInclusive<u64>>,
    /// The numbers of the groups, of which only those with rows left count. Adds [`GROUP_RANK`].
    pub(crate) groups: Option<RangeInclusive<u64>>,
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, wanted) in [("rows", &self.rows), ("groups", &self.groups)] {
            let Some(wanted) = wanted else { continue };
            write!(formatter, ", {what}={}..", wanted.start())?;
            if *wanted.end() < u64::MAX {
                write!(formatter, "={}", wanted.end())?;
            }
        }
        Ok(())
    }
}

/// DataFusion's planner with the operators of Vouch.
#[derive(Debug, Default)]
pub struct VouchQueryPlanner;

#[async_trait]
impl QueryPlanner for VouchQueryPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(GroupLimitPlanner)])
            .create_physical_plan(plan, session)
            .await
    }
}

struct GroupLimitPlanner;

#[async_trait]
impl ExtensionPlanner for GroupLimitPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(node), [rows], [input]) = (
            node.as_any().downcast_ref::<GroupLimit>(),
            logical_inputs,
            physical_inputs,
        ) else {
            return Ok(None);
        };
        let properties = session.execution_props();
        let keys = node.group_by().iter();
        let keys = keys.map(|key| create_physical_expr(key, rows.schema(), properties, context));
        let keys = keys.collect::<Result<_>>()?;
        let sort = create_physical_sort_exprs(node.sort(), rows.schema(), properties, context)?;
        let order = LexOrdering::new(sort);
        let exec = GroupLimitExec::new(Arc::clone(input), keys, order, node.wanted().clone())?;
        Ok(Some(Arc::new(exec)))
    }
}
