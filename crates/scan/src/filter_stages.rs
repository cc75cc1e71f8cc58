//! Conditions in stages: a row reaches a stage only when it has passed all earlier ones.

use std::cmp::Reverse;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{conjunction_opt, split_conjunction};
use functions::{NoteId, innermost_note};

/// The conditions of a filter in the order of their evaluation.
///
/// Conditions without notes come first, then those of inner queries before those of the queries around them. So what
/// functions count does not depend on rows that another condition removes. Conditions may be reordered inside a stage,
/// and never across stages: a barrier between two conditions is a stage for each.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilterStages {
    stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
struct Stage {
    /// The depth of the query, deepest first; `None` for conditions without notes.
    rank: Option<Reverse<i64>>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
}

impl FilterStages {
    /// Adds the parts of a conjunction.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn add(&mut self, condition: &Arc<dyn PhysicalExpr>) -> Result<()> {
        for part in split_conjunction(condition) {
            let rank = innermost_note(part)?.map(NoteId::depth).map(Reverse);
            let part = Arc::clone(part);
            match self.stages.binary_search_by_key(&rank, |stage| stage.rank) {
                Ok(index) => self.stages[index].conditions.push(part),
                Err(index) => {
                    let conditions = vec![part];
                    self.stages.insert(index, Stage { rank, conditions });
                }
            }
        }
        Ok(())
    }

    /// The conditions of each stage, in the order of the stages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Arc<dyn PhysicalExpr>]> {
        self.stages.iter().map(|stage| stage.conditions.as_slice())
    }

    /// All conditions in their order.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.iter().flatten()
    }

    /// The conjunction of all conditions in their order; `None` without conditions.
    pub(crate) fn conjunction(&self) -> Option<Arc<dyn PhysicalExpr>> {
        conjunction_opt(self.conditions().map(Arc::clone))
    }

    /// The same stages with each condition replaced by `f`.
    ///
    /// # Errors
    /// The error of `f`.
    pub(crate) fn try_map(
        mut self,
        f: impl Fn(Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>>,
    ) -> Result<Self> {
        let stages = self.stages.iter_mut();
        for condition in stages.flat_map(|stage| &mut stage.conditions) {
            *condition = f(Arc::clone(condition))?;
        }
        Ok(self)
    }
}
