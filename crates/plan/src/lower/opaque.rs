//! A plan whose conditions the optimiser draws no conclusions from.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Operator};
use functions::pinned::pinned_test;

use crate::combine::all_of;

/// The same plan for DataFusion 55 when it has refused the first: of `x = 1` one of its steps concludes
/// that an order by `x` is not needed, and the next misses it. Conditions that may make a value constant
/// are hidden from it here. That costs time, so it is not the first choice.
///
/// # Errors
/// When DataFusion refuses the rewritten plan, which it never should.
pub fn with_opaque_conditions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let hidden = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => {
            let tests = split_conjunction_owned(filter.predicate);
            let tests = tests.into_iter().map(|test| match is_clear(&test) {
                true => test,
                false => pinned_test(test, &filter.input),
            });
            let Some(predicate) = all_of(tests) else {
                return Ok(Transformed::no(filter.input.as_ref().clone()));
            };
            let filter = Filter::try_new(predicate, filter.input)?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(hidden.data)
}

/// Whether a condition makes no value constant, or cannot be hidden because a plan is part of it.
fn is_clear(test: &Expr) -> bool {
    let is_range = matches!(test, Expr::BinaryExpr(binary)
        if matches!(binary.op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq));
    let has_plan = || {
        test.exists(|part| {
            Ok(matches!(
                part,
                Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_)
            ))
        })
    };
    is_range || has_plan().unwrap_or(true)
}
