//! Order and limits inside groups and between them.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, sum};
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::functions_window::expr_fn::{dense_rank, row_number};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, cast, col, lit,
};

use super::{as_usize, key_column, key_order, over, page, sorted, with_computed};
use crate::bind::sort_keys;
use crate::bound::{BoundQuery, BoundSource, Reducer, SeriesOrder, Shape, sort_exprs};
use crate::functions::percentile::percentile;
use crate::functions::pinned::pinned;
use crate::functions::step_start::step_starts;

/// Groups of one row each, in their order.
pub(super) fn single_rows(
    query: &BoundQuery,
    shaped: LogicalPlan,
    beyond: u64,
) -> Result<LogicalPlan> {
    let limits = query.limits;
    let mut builder = LogicalPlanBuilder::from(shaped);
    if limits.offset > 0 || limits.limit.count() == Some(0) {
        builder = builder.filter(lit(false))?;
    }
    let mut order: Vec<SortExpr> = query
        .series_order
        .iter()
        .flat_map(|order| between_groups(order, of_one_row(order)))
        .collect();
    order.extend(key_order(query));
    let slimit = limits.slimit.count();
    let fetch = slimit.map(|count| count.saturating_add(beyond));
    sorted(builder.build()?, &order, limits.soffset, fetch)
}

/// The value of a group of one row.
pub(super) fn of_one_row(order: &SeriesOrder) -> Expr {
    let value = order.expr.clone();
    match order.reducer {
        Reducer::Count => cast(value.is_not_null(), DataType::Int64),
        _ => value,
    }
}

/// Groups of several rows: `group_rows` counts the rows of a group before its limit, as far as that may cut
/// any off, `group_rank` the groups from 1.
pub(super) fn rank(query: &BoundQuery, shaped: LogicalPlan, beyond: u64) -> Result<LogicalPlan> {
    let limits = query.limits;
    let keys: Vec<Expr> = (0..query.keys.len()).map(key_column).collect();
    let order = sort_exprs(&query.order);
    let (builder, order) = with_computed(pinned_keys(shaped, &keys)?, &order, "order")?;
    if query.series_order.is_none() && keeps_all_rows(query) {
        let rows = page::behind(query, builder.build()?)?;
        let ranked = ranked(query, rows, key_order(query), beyond)?;
        let columns = ranked.schema().columns().into_iter().map(Expr::Column);
        let columns: Vec<Expr> = columns.collect();
        let group_rows = lit(0_i64).alias("group_rows");
        let order = key_order(query).into_iter().chain(order);
        return ranked
            .project(columns.into_iter().chain([group_rows]))?
            .sort(order)?
            .build();
    }
    let row = row_number()
        .partition_by(keys.clone())
        .order_by(order)
        .build()?;
    let rows = over(count(lit(1)), &keys)?;
    let mut plan = builder
        .window(vec![row.alias("group_row")])?
        .window(vec![rows.alias("group_rows")])?;
    if limits.offset > 0 {
        plan = plan.filter(col("group_row").gt(lit(limits.offset)))?;
    }
    if let Some(count) = limits.limit.count() {
        plan = plan.filter(col("group_row").lt_eq(lit(limits.offset.saturating_add(count))))?;
    }
    let mut between = Vec::new();
    if let Some(order) = &query.series_order {
        let reduced = over(reduce(order, query), &keys)?.alias(page::GROUP_ORDER);
        plan = plan.window(vec![reduced])?;
        between.extend(between_groups(order, col(page::GROUP_ORDER)));
    }
    between.extend(key_order(query));
    let rows = page::behind(query, plan.build()?)?;
    ranked(query, rows, between, beyond)?
        .sort(vec![
            col("group_rank").sort(true, false),
            col("group_row").sort(true, false),
        ])?
        .build()
}

/// Whether the limit of a group's rows is as large as the number of steps, of which each has one row.
fn keeps_all_rows(query: &BoundQuery) -> bool {
    let is_of_steps = matches!(query.shape, Shape::Aggregate { .. })
        && matches!(query.source, BoundSource::Events)
        && query.column_shifts_ms.is_empty();
    let limits = query.limits;
    match (query.step_ms, limits.limit.count()) {
        (Some(step_ms), Some(limit)) if is_of_steps && limits.offset == 0 => {
            let limit = as_usize(limit);
            let mut steps = step_starts(query.range, step_ms, query.time_zone);
            steps.nth(limit).is_none()
        }
        _ => false,
    }
}

/// The rows with the rank of their group as `group_rank`, of the groups that the limits want.
fn ranked(
    query: &BoundQuery,
    rows: LogicalPlan,
    between: Vec<SortExpr>,
    beyond: u64,
) -> Result<LogicalPlanBuilder> {
    let limits = query.limits;
    let rank = dense_rank().order_by(between).build()?.alias("group_rank");
    let mut ranked = LogicalPlanBuilder::from(rows).window(vec![rank])?;
    if limits.soffset > 0 {
        ranked = ranked.filter(col("group_rank").gt(lit(limits.soffset)))?;
    }
    match limits.slimit.count() {
        Some(count) => {
            let last = limits.soffset.saturating_add(count).saturating_add(beyond);
            ranked.filter(col("group_rank").lt_eq(lit(last)))
        }
        None => Ok(ranked),
    }
}

/// The rows with keys of which the optimiser does not think that a condition makes them constant: the
/// windows of groups are sorted by them.
fn pinned_keys(shaped: LogicalPlan, keys: &[Expr]) -> Result<LogicalPlanBuilder> {
    let columns = shaped.schema().columns().into_iter();
    let columns: Vec<Expr> = columns
        .map(|column| {
            let name = column.name.clone();
            let value = Expr::Column(column);
            match keys.contains(&value) {
                true => pinned(value).alias(name),
                false => value,
            }
        })
        .collect();
    LogicalPlanBuilder::from(shaped).project(columns)
}

/// The order of groups by the value that `SORDER BY` gives each.
fn between_groups(order: &SeriesOrder, value: Expr) -> Vec<SortExpr> {
    sort_keys(value, order.value_type, order.ascending, order.ascending)
}

/// One value for a group of rows.
fn reduce(order: &SeriesOrder, query: &BoundQuery) -> Expr {
    let value = order.expr.clone();
    match order.reducer {
        Reducer::Last => first_value(
            value,
            vec![
                query.time.clone().sort(false, false),
                col("group_row").sort(true, false),
            ],
        ),
        Reducer::Min => min(value),
        Reducer::Max => max(value),
        Reducer::Avg => avg(cast(value, DataType::Float64)),
        // Sums only rank groups here, and floats do not overflow.
        Reducer::Sum => sum(cast(value, DataType::Float64)),
        Reducer::Count => count(value),
        Reducer::Percentile(percent) => percentile(
            cast(value, DataType::Float64),
            percent,
            std::sync::Arc::clone(&query.notes.estimate),
        ),
    }
}
