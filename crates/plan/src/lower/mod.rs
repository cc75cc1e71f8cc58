//! From what a query means to a DataFusion plan, in the order of execution: source and filter, shape,
//! HAVING, order and limits inside a group, order and limits between groups.

mod fill;
mod groups;
mod page;
mod shape;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, cast, col, in_subquery, lit,
};
use datafusion::scalar::ScalarValue;
use events::TimeRange;
use events::fields::DATE;

use crate::bind::{ROW_TIME, column, membership_place, output_name, sort_keys};
use crate::bound::{BoundQuery, BoundSource, Lowered, Shape, arrow_type, sort_exprs};
use crate::functions::pinned::pinned;
use crate::types::Type;

/// Lowers a query onto `events`, a plan that gives every event with the catalogue's columns.
///
/// # Errors
/// When DataFusion refuses the plan, which a bound query should never cause.
pub fn lower(query: &BoundQuery, events: &LogicalPlan) -> Result<Lowered> {
    limited(query, events, 1)
}

/// Lowers a query with `beyond` rows and groups more than its limits want, by which a cut is noticed.
fn limited(query: &BoundQuery, events: &LogicalPlan, beyond: u64) -> Result<Lowered> {
    let rows = source(query, events)?;
    let shaped = shape::shape(query, rows)?;
    let shaped = match &query.having {
        Some(having) => LogicalPlanBuilder::from(shaped)
            .filter(having.clone())?
            .build()?,
        None => shaped,
    };
    let shaped = match query.step_ms {
        Some(step_ms) if fill::is_filled(query) => fill::fill(query, step_ms, shaped)?,
        _ => shaped,
    };
    let has_hits = matches!(
        query.shape,
        Shape::Aggregate { .. } | Shape::Distinct { .. } | Shape::Newest
    );
    let many_rows = query.shape.is_many_rows(query.step_ms);
    let is_ranked = many_rows && !query.keys.is_empty();
    // Groups of several rows are put behind a place where their order is known.
    let shaped = if is_ranked {
        shaped
    } else {
        page::behind(query, shaped)?
    };
    let ordered = if is_ranked {
        groups::rank(query, shaped, beyond)?
    } else if query.keys.is_empty() {
        rows_in_order(query, shaped, beyond)?
    } else {
        groups::single_rows(query, shaped, beyond)?
    };
    let plan = project(query, ordered, has_hits, is_ranked)?;
    Ok(Lowered {
        plan,
        keys: query
            .keys
            .iter()
            .map(|key| (key.name.clone(), key.value_type))
            .collect(),
        columns: query
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.value_type))
            .collect(),
        has_hits,
        is_ranked,
        row_is_group: !query.keys.is_empty() && !many_rows,
        place: page::types(query),
    })
}

/// A plan of one row and one column, `hits`: how many rows of the source match the conditions.
///
/// # Errors
/// As [`lower`].
pub fn count_plan(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(source(query, events)?)
        .aggregate(Vec::<Expr>::new(), vec![count(lit(1)).alias("hits")])?
        .build()
}

/// The rows of the source inside the window that match the conditions.
fn source(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    let builder = match &query.source {
        BoundSource::Events => {
            LogicalPlanBuilder::from(events.clone()).filter(inside(query.window))?
        }
        BoundSource::Query(inner) => {
            let builder = LogicalPlanBuilder::from(subquery(inner, events)?);
            let time = column(ROW_TIME);
            match query.window {
                TimeRange::ALL => builder,
                // Summaries of a whole window have no time and are not outside any window.
                window => builder.filter(time.clone().is_null().or(within(time, window)))?,
            }
        }
    };
    match &query.filter {
        Some(filter) => builder
            .filter(with_memberships(query, filter.clone(), events)?)?
            .build(),
        None => builder.build(),
    }
}

/// The rows of a query inside another: its time, columns and keys under names that no step of the
/// query around it uses.
fn subquery(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    let plan = limited(query, events, 0)?.plan;
    let values = (0..query.columns.len()).map(|index| column(&format!("v{index}")));
    let outputs = values.chain((0..query.keys.len()).map(key_column));
    // What one row holds is constant, and so is the time of a summary: see `pinned`.
    let is_one_row = is_one_row(query);
    let renamed = outputs.enumerate().map(|(index, output)| {
        let value = if is_one_row { pinned(output) } else { output };
        value.alias(output_name(index))
    });
    let time = match &query.time {
        Expr::Column(_) if !is_one_row => column("time"),
        _ => pinned(column("time")),
    };
    LogicalPlanBuilder::from(plan)
        .project(std::iter::once(time.alias(ROW_TIME)).chain(renamed))?
        .build()
}

/// The filter with the plans of its sub-queries in the places that binding left for them.
fn with_memberships(query: &BoundQuery, filter: Expr, events: &LogicalPlan) -> Result<Expr> {
    let mut tests = HashMap::new();
    for (index, membership) in query.memberships.iter().enumerate() {
        let members = subquery(&membership.members, events)?;
        let member = membership.member.clone();
        let members = LogicalPlanBuilder::from(members)
            .filter(member.clone().is_not_null())?
            .project(vec![member.alias("member")])?
            .build()?;
        let test = in_subquery(membership.value.clone(), Arc::new(members));
        tests.insert(membership_place(index), test);
    }
    let filled = filter.transform_up(|expr| {
        Ok(match tests.get(&expr) {
            Some(test) => Transformed::yes(test.clone()),
            None => Transformed::no(expr),
        })
    })?;
    Ok(filled.data)
}

fn inside(window: TimeRange) -> Expr {
    within(column(DATE), window)
}

fn within(time: Expr, window: TimeRange) -> Expr {
    time.clone()
        .gt_eq(lit(window.from_ms))
        .and(time.lt(lit(window.to_ms)))
}

/// Rows of the one group there is, sorted and limited.
fn rows_in_order(query: &BoundQuery, shaped: LogicalPlan, beyond: u64) -> Result<LogicalPlan> {
    let limit = query.limits.limit.count();
    let fetch = limit.map(|count| count.saturating_add(beyond));
    let skip = query.limits.offset;
    if is_one_row(query) {
        let fetch = fetch.map(as_usize);
        return LogicalPlanBuilder::from(shaped)
            .limit(as_usize(skip), fetch)?
            .build();
    }
    sorted(shaped, &sort_exprs(&query.order), skip, fetch)
}

/// The rows in an order, without the first `skip`, at most `fetch`.
fn sorted(
    rows: LogicalPlan,
    order: &[SortExpr],
    skip: u64,
    fetch: Option<u64>,
) -> Result<LogicalPlan> {
    let (builder, order) = with_computed(LogicalPlanBuilder::from(rows), order, "order")?;
    match (skip, fetch) {
        (0, None) => builder.sort(order)?.build(),
        (skip, Some(fetch)) => {
            let builder = builder.sort(order)?;
            builder
                .limit(as_usize(skip), Some(as_usize(fetch)))?
                .build()
        }
        // Below a limit without an end DataFusion 55 drops the sort, unless it is the last step.
        (skip, None) => {
            let position = row_number().order_by(order).build()?.alias("position");
            builder
                .window(vec![position])?
                .filter(col("position").gt(lit(skip)))?
                .sort(vec![col("position").sort(true, false)])?
                .build()
        }
    }
}

/// Sort keys that are no columns become columns `<prefix>0`, `<prefix>1`, …: DataFusion 55 does not
/// recognise an order by CASE as the one that it asked for, and refuses the plan.
fn with_computed(
    builder: LogicalPlanBuilder,
    order: &[SortExpr],
    prefix: &str,
) -> Result<(LogicalPlanBuilder, Vec<SortExpr>)> {
    let is_column = |key: &SortExpr| matches!(key.expr, Expr::Column(_));
    if order.iter().all(is_column) {
        return Ok((builder, order.to_vec()));
    }
    let columns = builder.schema().columns().into_iter();
    let mut columns: Vec<Expr> = columns.map(Expr::Column).collect();
    let mut keys = Vec::with_capacity(order.len());
    for (index, key) in order.iter().enumerate() {
        let mut key = key.clone();
        if !is_column(&key) {
            let name = format!("{prefix}{index}");
            columns.push(pinned(key.expr).alias(&name));
            key.expr = column(&name);
        }
        keys.push(key);
    }
    Ok((builder.project(columns)?, keys))
}

fn is_one_row(query: &BoundQuery) -> bool {
    matches!(query.shape, Shape::Aggregate { .. })
        && query.step_ms.is_none()
        && query.keys.is_empty()
}

/// The columns that [`Lowered`] promises, in its order.
fn project(
    query: &BoundQuery,
    plan: LogicalPlan,
    has_hits: bool,
    is_ranked: bool,
) -> Result<LogicalPlan> {
    let mut output: Vec<Expr> = (0..query.keys.len()).map(key_column).collect();
    output.push(query.time.clone().alias("time"));
    for (index, column) in query.columns.iter().enumerate() {
        let value = match column.value_type {
            // A result must have one type, whichever plan it came from.
            Type::Null => cast(column.expr.clone(), arrow_type(Type::String)),
            Type::Bool | Type::Float => column.expr.clone(),
            other => cast(column.expr.clone(), arrow_type(other)),
        };
        output.push(value.alias(format!("v{index}")));
    }
    output.extend(has_hits.then(|| col("hits")));
    if is_ranked {
        output.extend([col("group_rows"), col("group_rank")]);
    }
    output.extend(page::columns(query));
    LogicalPlanBuilder::from(plan).project(output)?.build()
}

/// An aggregate over the rows of each group, beside every row.
fn over(aggregate: Expr, keys: &[Expr]) -> Result<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = aggregate else {
        return plan_err!("`{aggregate}` is no aggregate");
    };
    let function = WindowFunctionDefinition::AggregateUDF(func);
    // Without this frame an order would make the aggregate a running one.
    let whole_group = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Following(ScalarValue::UInt64(None)),
    );
    Expr::from(WindowFunction::new(function, params.args))
        .partition_by(keys.to_vec())
        .order_by(params.order_by)
        .window_frame(whole_group)
        .build()
}

/// The column of a key.
fn key_column(index: usize) -> Expr {
    column(&format!("k{index}"))
}

/// Groups in the order of their keys, missing ones last.
fn key_order(query: &BoundQuery) -> Vec<SortExpr> {
    let keys = query.keys.iter().enumerate();
    keys.flat_map(|(index, key)| sort_keys(key_column(index), key.value_type, true, false))
        .collect()
}

fn as_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
