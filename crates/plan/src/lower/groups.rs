//! Order and limits inside groups and between them.

use std::ops::RangeInclusive;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, sum};
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, cast, col, lit};
use functions::NoteId;
use functions::percentile::{percentile, percentile_value};

use super::{key_columns, key_order, over, page, sorted, with_computed};
use crate::bind::sort_keys;
use crate::bound::{BoundQuery, Limit, Reducer, SeriesOrder, sort_exprs};
use crate::group_limit::{GROUP_ROW, GroupLimit, Wanted};

/// Groups of one row each, in their order.
pub(super) fn single_rows(
    query: &BoundQuery,
    shaped: LogicalPlan,
    sentinel: u64,
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
    let fetch = slimit.map(|count| count.saturating_add(sentinel));
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

/// Groups of several rows, with the columns [`GROUP_CUT`] and [`GROUP_RANK`].
pub(super) fn limit(query: &BoundQuery, shaped: LogicalPlan, sentinel: u64) -> Result<LogicalPlan> {
    let limits = query.limits;
    let rows = wanted(limits.offset, limits.limit, 0);
    let groups = wanted(limits.soffset, limits.slimit, sentinel);
    let of_group = key_order(query).into_iter().chain(sort_exprs(&query.order));
    let of_group: Vec<SortExpr> = of_group.collect();
    let Some(order) = &query.series_order else {
        // The cursor has the keys of a group only, so their rows may be limited later.
        let shaped = page::after(query, shaped)?;
        return limited(query, shaped, &of_group, Some(rows), Some(groups));
    };
    let rows = limited(query, shaped, &of_group, Some(rows), None)?;
    let reduced = over(reduce(order, query), &key_columns(query))?.alias(page::GROUP_ORDER);
    let rows = LogicalPlanBuilder::from(rows).window(vec![reduced])?;
    let rows = match order.reducer {
        Reducer::Percentile(_, estimated) => with_percentile_value(rows, estimated)?,
        _ => rows,
    };
    let rows = page::after(query, rows.build()?)?;
    let mut between = between_groups(order, col(page::GROUP_ORDER));
    between.extend(key_order(query));
    between.push(col(GROUP_ROW).sort(true, false));
    limited(query, rows, &between, None, Some(groups))
}

fn limited(
    query: &BoundQuery,
    input: LogicalPlan,
    order: &[SortExpr],
    rows: Option<RangeInclusive<u64>>,
    groups: Option<RangeInclusive<u64>>,
) -> Result<LogicalPlan> {
    let prefix = if rows.is_some() { "order" } else { "between" };
    let (input, order) = with_computed(LogicalPlanBuilder::from(input), order, prefix)?;
    GroupLimit::plan(
        input.build()?,
        key_columns(query),
        order,
        Wanted { rows, groups },
    )
}

/// The numbers, from 1, of the rows or groups after the skipped ones up to a limit and the sentinels.
fn wanted(skipped: u64, limit: Limit, sentinel: u64) -> RangeInclusive<u64> {
    let last = limit.count().map_or(u64::MAX, |count| {
        skipped.saturating_add(count).saturating_add(sentinel)
    });
    skipped.saturating_add(1)..=last
}

/// The rows with the value of the percentile that orders groups instead of its state.
fn with_percentile_value(
    rows: LogicalPlanBuilder,
    estimated: NoteId,
) -> Result<LogicalPlanBuilder> {
    let columns = rows.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns
        .map(|column| {
            if column == col(page::GROUP_ORDER) {
                percentile_value(column, estimated).alias(page::GROUP_ORDER)
            } else {
                column
            }
        })
        .collect();
    rows.project(columns)
}

/// The order of groups by their values of `SORDER BY`.
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
                col(GROUP_ROW).sort(true, false),
            ],
        ),
        Reducer::Min => min(value),
        Reducer::Max => max(value),
        Reducer::Avg => avg(cast(value, DataType::Float64)),
        // Sums only rank groups here, and floats do not overflow.
        Reducer::Sum => sum(cast(value, DataType::Float64)),
        Reducer::Count => count(value),
        Reducer::Percentile(percent, _) => percentile(cast(value, DataType::Float64), percent),
    }
}
