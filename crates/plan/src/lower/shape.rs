//! What becomes of the rows of a group: kept, summarised, or picked from.

use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, col, lit,
};
use events::fields::DATE;
use functions::pinned::pinned;
use functions::step_start::step_start;

use super::histogram::histogram;
use super::{key_columns, over, with_computed};
use crate::bind::{SHIFT, SOURCE_TIME, column};
use crate::bound::{BoundQuery, BoundSource, Key, Shape, sort_exprs};

/// Shapes the rows of the source.
pub(super) fn shape(query: &BoundQuery, rows: LogicalPlan) -> Result<LogicalPlan> {
    match &query.shape {
        Shape::Rows if query.keys.is_empty() => Ok(rows),
        Shape::Rows => with_keys(query, rows)?.build(),
        Shape::Newest => first_rows(query, rows, &sort_exprs(&query.order), 1),
        Shape::Extreme {
            order,
            present,
            count,
        } => {
            let rows = LogicalPlanBuilder::from(rows)
                .filter(present.clone())?
                .build()?;
            let order = &sort_exprs(order);
            if query.keys.is_empty() {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                let (builder, order) =
                    with_computed(LogicalPlanBuilder::from(rows), order, "picked")?;
                return builder.sort(order)?.limit(0, Some(count))?.build();
            }
            first_rows(query, rows, order, *count)
        }
        Shape::Distinct { value, newest, .. } => {
            let mut groups = keys(&query.keys);
            groups.push(value.clone().alias("value"));
            let newest = newest.iter().enumerate();
            let newest = newest.map(|(index, taken)| taken.clone().alias(format!("n{index}")));
            LogicalPlanBuilder::from(rows)
                .filter(value.clone().is_not_null())?
                .aggregate(groups, newest.chain([hits()]))?
                .build()
        }
        Shape::Histogram {
            bucket,
            buckets,
            least,
        } => histogram(query, rows, bucket, *buckets, *least),
        Shape::Aggregate { aggregates } => {
            let mut groups = keys(&query.keys);
            groups.extend(step(query));
            let aggregates = aggregates
                .iter()
                .enumerate()
                .map(|(index, aggregate)| aggregate.clone().alias(format!("a{index}")))
                .chain([own_hits(query)?]);
            let is_one_row = groups.is_empty();
            let builder =
                LogicalPlanBuilder::from(rows).aggregate(groups, aggregates.collect::<Vec<_>>())?;
            if is_one_row {
                // DataFusion 55 moves a condition that names no column below the aggregate, which then
                // summarises nothing instead of having no row. It moves none below a limit.
                return builder.limit(0, Some(1))?.build();
            }
            builder.build()
        }
    }
}

pub(super) fn keys(keys: &[Key]) -> Vec<Expr> {
    keys.iter()
        .enumerate()
        .map(|(index, key)| key.expr.clone().alias(format!("k{index}")))
        .collect()
}

/// The events behind a shaped row.
pub(super) fn hits() -> Expr {
    count(lit(1)).alias("hits")
}

/// The events of the query's own window behind a shaped row.
fn own_hits(query: &BoundQuery) -> Result<Expr> {
    if query.column_shifts_ms.is_empty() {
        return Ok(hits());
    }
    let is_own = column(SHIFT).eq(lit(query.shift_ms));
    Ok(count(lit(1)).filter(is_own).build()?.alias("hits"))
}

fn step(query: &BoundQuery) -> Option<Expr> {
    let time = match query.source {
        BoundSource::Events => column(DATE),
        BoundSource::Query(_) => column(SOURCE_TIME),
    };
    let time = match (query.shift_ms, query.column_shifts_ms.as_slice()) {
        (0, []) => time,
        (shift_ms, []) => time + lit(shift_ms),
        _ => time + column(SHIFT),
    };
    query
        .step_ms
        .map(|step_ms| step_start(time, step_ms, query.time_zone).alias("time"))
}

/// The first `wanted` rows of each group, with the keys as columns and the group's rows as `hits`.
fn first_rows(
    query: &BoundQuery,
    rows: LogicalPlan,
    order: &[SortExpr],
    wanted: u64,
) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = rows
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    let partition = key_columns(query);
    let builder = with_keys(query, rows)?;
    let (builder, order) = with_computed(builder, order, "picked")?;
    let number = row_number()
        .partition_by(partition.clone())
        .order_by(order)
        .build()?
        .alias("row");
    let all = over(count(lit(1)), &partition)?.alias("hits");
    builder
        .window(vec![number])?
        .window(vec![all])?
        .filter(col("row").lt_eq(lit(wanted)))?
        .project(columns.into_iter().chain(partition).chain([col("hits")]))?
        .build()
}

/// The rows with the keys as columns.
fn with_keys(query: &BoundQuery, rows: LogicalPlan) -> Result<LogicalPlanBuilder> {
    let columns = rows.schema().columns().into_iter().map(Expr::Column);
    let keys = query.keys.iter().enumerate().map(|(index, key)| {
        let value = match &key.expr {
            Expr::Column(_) => key.expr.clone(),
            computed => pinned(computed.clone()),
        };
        value.alias(format!("k{index}"))
    });
    let columns: Vec<Expr> = columns.chain(keys).collect();
    LogicalPlanBuilder::from(rows).project(columns)
}
