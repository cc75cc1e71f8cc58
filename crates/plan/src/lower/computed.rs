//! Columns computed along the rows of each group: filled steps, and functions of points.

use datafusion::common::Result;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition,
};
use functions::NoteId;
use functions::pinned::pinned;
use functions::points::{along_points, point_arguments};
use functions::whole_number::narrowed;

use super::{fill, key_columns};
use crate::bind::column;
use crate::bound::{BoundQuery, Computed, Point};

/// The rows with the columns `c0`, `c1`, …, and where any is filled with a row for every step.
pub(super) fn computed(query: &BoundQuery, shaped: LogicalPlan) -> Result<LogicalPlan> {
    let keys = key_columns(query);
    let is_filled = query
        .computed
        .iter()
        .any(|computed| matches!(computed, Computed::Fill(_)));
    let mut plan = match query.step_ms {
        Some(step_ms) if is_filled => fill::every_step(query, step_ms, shaped)?,
        _ => LogicalPlanBuilder::from(shaped),
    };
    // Each may be computed of those before it.
    for (index, computed) in query.computed.iter().enumerate() {
        let name = format!("c{index}");
        plan = match computed {
            Computed::Fill(fill) => fill::filled(plan, &name, fill, &keys)?,
            Computed::Point(point) => plan.window(vec![along(point, &keys)?.alias(&name)])?,
        };
        let overflow = match computed {
            Computed::Point(point) if point.is_whole => Some(point.overflow),
            _ => None,
        };
        plan = settled(plan, &name, overflow)?;
    }
    plan.build()
}

/// The rows with a column that later ones may read. DataFusion 55 computes the common subexpressions of two window
/// functions below both, even if one is the result of a window function between them. `overflow` is the note of a column
/// of whole numbers that still have 128 bits.
fn settled(
    plan: LogicalPlanBuilder,
    name: &str,
    overflow: Option<NoteId>,
) -> Result<LogicalPlanBuilder> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns
        .map(|other| {
            if other != column(name) {
                return other;
            }
            let value = match overflow {
                Some(overflow) => narrowed(other, overflow),
                None => other,
            };
            pinned(value).alias(name)
        })
        .collect();
    plan.project(columns)
}

/// A function of the points of each group.
fn along(point: &Point, keys: &[Expr]) -> Result<Expr> {
    let function = WindowFunctionDefinition::WindowUDF(along_points(point.is_whole));
    let (value, time) = (point.value.clone(), point.time.clone());
    let arguments = point_arguments(point.function, value, time);
    Expr::from(WindowFunction::new(function, arguments))
        .partition_by(keys.to_vec())
        .order_by(point.order.clone())
        .build()
}
