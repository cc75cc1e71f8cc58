//! Numbers of rows and of values.

use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{ExprFunctionExt, lit};
use dql::Code;
use dql::ast::{ExprKind, InSet};

use super::{Function, call_of};
use crate::bind::arguments::{self, Arguments};
use crate::bind::series_function::{BoundFunction, SeriesBinder};
use crate::bind::{BindResult, Binder, Grouping, wrong};
use crate::bound::{Reducer, SeriesFunction, Summary};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::aggregate("count", count)
        .with_reducer(|_, _| Some(Reducer::Count))
        .over_series(|series| Ok(series.summary(Summary::Count))),
    Function::aggregate("count_distinct", count_distinct)
        .over_series(|series| Ok(series.summary(Summary::CountDistinct))),
    Function::aggregate("count_filter", count_filter).over_series(series_count_filter),
    Function::aggregate("rate_over_count", rate_over_count),
    Function::unsupported(
        "count_series",
        "events form no series before they are grouped; `count_distinct(key)` counts groups",
    ),
];

/// The name of the only column of `count_filter` (Guance documentation, outer functions).
const FILTER_COUNT: &str = "filter_count";

/// `count(*)`, `count(x)`, and `count(distinct(x))`, which counts the values.
fn count(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let written = arguments.values[0];
    let count = if matches!(written.kind, ExprKind::Star) {
        aggregates::count(lit(1))
    } else if let Some(call) = call_of(written, "distinct") {
        let distinct = Arguments::of(call, written.span)?;
        aggregates::count_distinct(binder.operand(distinct.values[0])?.expr)
    } else {
        aggregates::count(binder.operand(written)?.expr)
    };
    Ok(grouping.column_of(count, Type::Int))
}

fn count_distinct(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let value = binder.operand(arguments.values[0])?;
    Ok(grouping.column_of(aggregates::count_distinct(value.expr), Type::Int))
}

/// `count_filter(x, ['a', 'b'])`: the number of events whose `x` is in the list.
fn count_filter(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let [value, list] = [arguments.values[0], arguments.values[1]];
    let ExprKind::Array(items) = &list.kind else {
        let message = "the values to count are a list: `['a', 'b']`";
        return Err(wrong(Code::WrongArgumentKind, message, list.span));
    };
    let field = arguments::unquoted(value);
    let is_counted = binder.membership(&field, &InSet::List(items.clone()), false)?;
    let count = aggregates::count(lit(1)).filter(is_counted).build();
    let count =
        count.map_err(|error| wrong(Code::InvalidExpression, error.to_string(), value.span))?;
    Ok(grouping.column_of(count, Type::Int))
}

fn rate_over_count(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let value = binder.operand(arguments.values[0])?;
    let count = grouping.column_of(aggregates::count(value.expr), Type::Int);
    Ok(binder.per_second(count))
}

/// `count_filter(query, condition)`: the number of points that fulfil the condition.
fn series_count_filter(series: &mut SeriesBinder<'_>) -> BindResult<BoundFunction> {
    let condition = series.condition()?;
    Ok(BoundFunction {
        function: SeriesFunction::CountFilter(condition),
        columns: vec![(FILTER_COUNT.to_owned(), Type::Int)],
    })
}
