//! `fill`: a row for every step of every group, and values for those that events gave none.

use arrow::datatypes::DataType;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::nth_value::{first_value_udwf, last_value_udwf};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition, WindowUDF, cast, col, lit, when,
};
use datafusion::scalar::ScalarValue;
use functions::step_start::step_starts;
use std::sync::Arc;

use super::{key_column, key_columns};
use crate::bind::column;
use crate::bound::{BoundQuery, Fill, FillMode};

/// The grouped rows, and an empty one for every step of the window in which a group has none. Rows
/// without a time, and those of a step before the window, stay as they are.
pub(super) fn every_step(
    query: &BoundQuery,
    step_ms: i64,
    shaped: LogicalPlan,
) -> Result<LogicalPlanBuilder> {
    let keys = key_columns(query);
    let columns = shaped.schema().columns();
    let either = |grid: Expr, row: Expr| coalesce(vec![grid, row]);
    let mut wanted: Vec<Expr> = (0..keys.len())
        .map(|index| {
            let (grid, row) = (column(&format!("g{index}")), key_column(index));
            either(grid, row).alias(format!("k{index}"))
        })
        .collect();
    wanted.push(either(col("step"), col("time")).alias("time"));
    let is_given = |name: &str| name == "time" || keys.iter().any(|key| *key == column(name));
    for given in columns.iter().filter(|given| !is_given(given.name())) {
        let value = Expr::Column(given.clone());
        wanted.push(match given.name() {
            "hits" => coalesce(vec![value, lit(0_i64)]).alias("hits"),
            name => value.alias(name),
        });
    }
    joined(query, step_ms, &keys, shaped)?.project(wanted)
}

/// Every group at every step, joined with the rows: the columns `g0`, `g1`, …, `step`, and those of the
/// grouped rows.
fn joined(
    query: &BoundQuery,
    step_ms: i64,
    keys: &[Expr],
    shaped: LogicalPlan,
) -> Result<LogicalPlanBuilder> {
    let starts = step_starts(query.range, step_ms, query.time_zone);
    let rows: Vec<Vec<Expr>> = starts.map(|start| vec![lit(start)]).collect();
    let steps = match rows.is_empty() {
        // The window of a day that begins now.
        true => LogicalPlanBuilder::values(vec![vec![lit(0_i64)]])?.filter(lit(false))?,
        false => LogicalPlanBuilder::values(rows)?,
    };
    let steps = steps.project(vec![col("column1").alias("step")])?;
    let mut left: Vec<Column> = (0..keys.len())
        .map(|index| Column::new_unqualified(format!("g{index}")))
        .collect();
    let mut right: Vec<Column> = (0..keys.len())
        .map(|index| Column::new_unqualified(format!("k{index}")))
        .collect();
    left.push(Column::new_unqualified("step"));
    right.push(Column::new_unqualified("time"));
    let grid = if keys.is_empty() {
        steps
    } else {
        let renamed = keys.iter().enumerate();
        LogicalPlanBuilder::from(shaped.clone())
            .aggregate(keys.to_vec(), Vec::<Expr>::new())?
            .project(renamed.map(|(index, key)| key.clone().alias(format!("g{index}"))))?
            .cross_join(steps.build()?)?
    };
    // Rows that lack a key form a group like any other, so missing keys are equal here.
    grid.join_detailed(
        shaped,
        JoinType::Full,
        (left, right),
        None,
        NullEquality::NullEqualsNull,
    )
}

/// The rows with a column of filled values.
pub(super) fn filled(
    plan: LogicalPlanBuilder,
    name: &str,
    fill: &Fill,
    keys: &[Expr],
) -> Result<LogicalPlanBuilder> {
    let value = cast(fill.value.clone(), fill.value_type.planned());
    let columns: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    match &fill.mode {
        FillMode::Value(literal) => {
            let literal = cast(lit(literal.clone()), fill.value_type.planned());
            plan.project(
                columns
                    .into_iter()
                    .chain([coalesce(vec![value, literal]).alias(name)]),
            )
        }
        FillMode::Previous => plan.window(vec![nearest(Side::Before, value, keys)?.alias(name)]),
        FillMode::Linear => {
            let time = cast(col("time"), DataType::Float64);
            let known_time = when(value.clone().is_not_null(), time.clone()).end()?;
            let around = [
                (Side::Before, value.clone(), "value_before"),
                (Side::Before, known_time.clone(), "time_before"),
                (Side::After, value.clone(), "value_after"),
                (Side::After, known_time, "time_after"),
            ];
            let mut plan = plan;
            for (side, expr, name) in around {
                plan = plan.window(vec![nearest(side, expr, keys)?.alias(name)])?;
            }
            let share = (time - col("time_before")) / (col("time_after") - col("time_before"));
            let line = col("value_before") + (col("value_after") - col("value_before")) * share;
            plan.project(
                columns
                    .into_iter()
                    .chain([coalesce(vec![value, line]).alias(name)]),
            )
        }
    }
}

/// Where the nearest known value is looked for.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

/// The nearest known value of the group at or before this step, or at or after it.
fn nearest(side: Side, value: Expr, keys: &[Expr]) -> Result<Expr> {
    let unbounded = ScalarValue::UInt64(None);
    let here = WindowFrameBound::CurrentRow;
    let (function, from, to): (Arc<WindowUDF>, _, _) = match side {
        Side::Before => (
            last_value_udwf(),
            WindowFrameBound::Preceding(unbounded),
            here,
        ),
        Side::After => (
            first_value_udwf(),
            here,
            WindowFrameBound::Following(unbounded),
        ),
    };
    // A row without a time is near no step.
    let mut partition = keys.to_vec();
    partition.push(col("time").is_null());
    Expr::from(WindowFunction::new(
        WindowFunctionDefinition::WindowUDF(function),
        vec![value],
    ))
    .partition_by(partition)
    .order_by(vec![col("time").sort(true, false)])
    .window_frame(WindowFrame::new_bounds(WindowFrameUnits::Rows, from, to))
    .null_treatment(NullTreatment::IgnoreNulls)
    .build()
}
