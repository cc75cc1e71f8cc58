//! Order and limits inside groups and between them.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, sum};
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::functions_window::expr_fn::{dense_rank, row_number};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, cast, col, lit,
};

use super::{as_usize, key_column, key_order, over};
use crate::bound::{BoundQuery, Reducer, SeriesOrder};
use crate::functions::percentile::percentile;

/// Groups of one row each, in their order. One group more than wanted shows a cut.
pub(super) fn single_rows(query: &BoundQuery, shaped: LogicalPlan) -> Result<LogicalPlan> {
    let limits = query.limits;
    let mut builder = LogicalPlanBuilder::from(shaped);
    if limits.offset > 0 || limits.limit.count() == Some(0) {
        builder = builder.filter(lit(false))?;
    }
    let mut order: Vec<SortExpr> = query
        .series_order
        .iter()
        .map(|order| order.expr.clone().sort(order.ascending, order.ascending))
        .collect();
    order.extend(key_order(query));
    let fetch = limits
        .slimit
        .count()
        .map(|count| as_usize(count.saturating_add(1)));
    let builder = builder.sort(order)?;
    match (as_usize(limits.soffset), fetch) {
        (0, None) => builder.build(),
        (skip, fetch) => builder.limit(skip, fetch)?.build(),
    }
}

/// Groups of several rows: `group_rows` counts the rows of a group before its limit, `group_rank` the
/// groups from 1 behind the skipped. One group more than wanted shows a cut.
pub(super) fn rank(query: &BoundQuery, shaped: LogicalPlan) -> Result<LogicalPlan> {
    let limits = query.limits;
    let keys: Vec<Expr> = (0..query.keys.len()).map(key_column).collect();
    let row = row_number()
        .partition_by(keys.clone())
        .order_by(query.order.clone())
        .build()?;
    let rows = over(count(lit(1)), &keys)?;
    let mut plan = LogicalPlanBuilder::from(shaped)
        .window(vec![row.alias("group_row")])?
        .window(vec![rows.alias("group_rows")])?;
    plan = plan.filter(col("group_row").gt(lit(limits.offset)))?;
    if let Some(count) = limits.limit.count() {
        plan = plan.filter(col("group_row").lt_eq(lit(limits.offset.saturating_add(count))))?;
    }
    let mut between = Vec::new();
    if let Some(order) = &query.series_order {
        let reduced = over(reduce(order, query), &keys)?.alias("group_order");
        plan = plan.window(vec![reduced])?;
        between.push(col("group_order").sort(order.ascending, order.ascending));
    }
    between.extend(key_order(query));
    let rank = dense_rank().order_by(between).build()?.alias("group_rank");
    plan = plan
        .window(vec![rank])?
        .filter(col("group_rank").gt(lit(limits.soffset)))?;
    if let Some(count) = limits.slimit.count() {
        let last = limits.soffset.saturating_add(count).saturating_add(1);
        plan = plan.filter(col("group_rank").lt_eq(lit(last)))?;
    }
    plan.sort(vec![
        col("group_rank").sort(true, false),
        col("group_row").sort(true, false),
    ])?
    .build()
}

/// One value for a group of rows.
fn reduce(order: &SeriesOrder, query: &BoundQuery) -> Expr {
    let value = order.expr.clone();
    match order.reducer {
        Reducer::Last => first_value(value, vec![query.time.clone().sort(false, false)]),
        Reducer::Min => min(value),
        Reducer::Max => max(value),
        Reducer::Avg => avg(cast(value, DataType::Float64)),
        Reducer::Sum => sum(value),
        Reducer::Count => count(value),
        Reducer::Percentile(percent) => percentile(
            cast(value, DataType::Float64),
            percent,
            std::sync::Arc::clone(&query.notes.estimate),
        ),
    }
}
