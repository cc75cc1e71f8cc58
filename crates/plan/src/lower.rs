//! From a bound query to a DataFusion plan, in the order of execution: source and filter, shape, HAVING, columns
//! computed along the rows of a group, order and limits inside a group, order and limits between groups.

mod computed;
mod fill;
mod groups;
mod histogram;
mod opaque;
mod page;
mod shape;
mod source;

use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, col, lit,
};
use datafusion::scalar::ScalarValue;
use functions::pinned::{pinned, pinned_test};

use crate::bind::{column, sort_keys};
use crate::bound::{BoundQuery, Lowered, Shape, sort_exprs};
use crate::group_limit::{GROUP_CUT, GROUP_RANK};
use crate::types::Type;

pub use opaque::with_opaque_conditions;

/// Lowers a query onto `events`, a plan of all events with the catalogue's columns.
///
/// # Errors
/// When DataFusion refuses the plan, which a bound query should never cause.
pub fn lower(query: &BoundQuery, events: &LogicalPlan) -> Result<Lowered> {
    limited(query, events, 1)
}

/// Lowers a query with `sentinel` rows and groups more than its limits, which show that a limit cut the answer.
fn limited(query: &BoundQuery, events: &LogicalPlan, sentinel: u64) -> Result<Lowered> {
    let rows = with_prepass(query, source::source(query, events)?)?;
    let rows = on_page(query, rows)?;
    let shaped = shape::shape(query, rows)?;
    let shaped = match &query.having {
        Some(having) => {
            // The optimiser would take a tested value for a constant, and drop an order by it.
            let test = pinned_test(having.clone(), &shaped);
            LogicalPlanBuilder::from(shaped).filter(test)?.build()?
        }
        None => shaped,
    };
    let shaped = computed::computed(query, shaped)?;
    let has_hits = matches!(
        query.shape,
        Shape::Aggregate { .. } | Shape::Distinct { .. } | Shape::Histogram { .. } | Shape::LastRow
    );
    let many_rows = query.shape.is_many_rows(query.step_ms);
    let is_ranked = many_rows && !query.keys.is_empty();
    // Groups of several rows are compared with the page before where their order is known.
    let shaped = if is_ranked {
        shaped
    } else {
        page::after(query, shaped)?
    };
    let ordered = if is_ranked {
        groups::limit(query, shaped, sentinel)?
    } else if query.keys.is_empty() {
        rows_in_order(query, shaped, sentinel)?
    } else {
        groups::single_rows(query, shaped, sentinel)?
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
        cursor: page::types(query),
    })
}

/// A plan of one row and one column, `hits`: how many rows of the source match the conditions.
///
/// # Errors
/// As [`lower`].
pub fn count_plan(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(on_page(query, source::unshifted(query, events)?)?)
        .aggregate(Vec::<Expr>::new(), vec![count(lit(1)).alias("hits")])?
        .build()
}

/// The rows after the page before.
fn on_page(query: &BoundQuery, rows: LogicalPlan) -> Result<LogicalPlan> {
    match &query.after {
        Some(after) => LogicalPlanBuilder::from(rows)
            .filter(after.clone())?
            .build(),
        None => Ok(rows),
    }
}

/// The rows with the columns `d0`, `d1`, … of the prepass over all of them.
fn with_prepass(query: &BoundQuery, rows: LogicalPlan) -> Result<LogicalPlan> {
    if query.prepass.is_empty() {
        return Ok(rows);
    }
    let prepass = query.prepass.iter().enumerate();
    let prepass = prepass.map(|(index, aggregate)| aggregate.clone().alias(format!("d{index}")));
    // The one row is the left input, which the join collects.
    LogicalPlanBuilder::from(rows.clone())
        .aggregate(Vec::<Expr>::new(), prepass)?
        .cross_join(rows)?
        .build()
}

/// Rows of the one group there is, sorted and limited.
fn rows_in_order(query: &BoundQuery, shaped: LogicalPlan, sentinel: u64) -> Result<LogicalPlan> {
    let limits = query.limits;
    if limits.soffset > 0 || limits.slimit.count() == Some(0) {
        // The one group there is, is skipped.
        return LogicalPlanBuilder::from(shaped).limit(0, Some(0))?.build();
    }
    let limit = limits.limit.count();
    let fetch = limit.map(|count| count.saturating_add(sentinel));
    let skip = limits.offset;
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
        (0, fetch) => builder.sort_with_limit(order, fetch.map(as_usize))?.build(),
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
/// recognise an order by CASE as the required one, and refuses the plan.
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
    let mut output = key_columns(query);
    output.push(query.time.clone().alias("time"));
    for (index, column) in query.columns.iter().enumerate() {
        let value = match column.value_type {
            // A result must have one type, whichever plan it came from.
            Type::Null => typed(&column.expr, Type::String, &plan)?,
            Type::Bool | Type::Float => column.expr.clone(),
            other => typed(&column.expr, other, &plan)?,
        };
        output.push(value.alias(format!("v{index}")));
    }
    output.extend(has_hits.then(|| col("hits")));
    if is_ranked {
        output.extend([col(GROUP_CUT), col(GROUP_RANK)]);
    }
    output.extend(page::columns(query, &plan)?);
    LogicalPlanBuilder::from(plan).project(output)?.build()
}

/// An expression over the rows of a plan in a type, without a cast to the type that it has.
fn typed(expr: &Expr, value_type: Type, plan: &LogicalPlan) -> Result<Expr> {
    expr.clone().cast_to(&value_type.planned(), plan.schema())
}

/// An aggregate over the rows of each group, as a column of every row.
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

/// The columns of all keys.
fn key_columns(query: &BoundQuery) -> Vec<Expr> {
    (0..query.keys.len()).map(key_column).collect()
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
