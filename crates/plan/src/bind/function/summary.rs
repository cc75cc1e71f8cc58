//! Summaries of the numbers of a group: sums, means, extremes, deviations; and the most frequent value.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{Expr, cast};
use functions::finite::finite;
use functions::mode::mode as most_frequent;
use functions::whole_number::{WholeOperator, narrowed, wide_sum};

use super::Function;
use crate::bind::arguments::Arguments;
use crate::bind::{BindResult, Binder, Grouping};
use crate::bound::{Reducer, Summary};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::aggregate("avg", |binder, arguments, grouping| {
        of_floats(binder, arguments, grouping, aggregates::avg)
    })
    .with_reducer(|_, _| Some(Reducer::Avg))
    .over_series(|series| Ok(series.summary(Summary::Mean))),
    Function::aggregate("sum", sum)
        .with_reducer(|_, _| Some(Reducer::Sum))
        .over_series(|series| Ok(series.summary(Summary::Sum))),
    Function::aggregate("min", |binder, arguments, grouping| {
        of_numbers(binder, arguments, grouping, aggregates::min)
    })
    .with_reducer(|_, _| Some(Reducer::Min))
    .over_series(|series| Ok(series.summary(Summary::Min))),
    Function::aggregate("max", |binder, arguments, grouping| {
        of_numbers(binder, arguments, grouping, aggregates::max)
    })
    .with_reducer(|_, _| Some(Reducer::Max))
    .over_series(|series| Ok(series.summary(Summary::Max))),
    Function::aggregate("spread", spread),
    Function::aggregate("stddev", |binder, arguments, grouping| {
        of_floats(binder, arguments, grouping, aggregates::stddev)
    }),
    Function::aggregate("mode", mode),
    Function::aggregate("rate_over_sum", rate_over_sum),
];

/// A summary of numbers, which has their type.
fn of_numbers(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
    aggregate: fn(Expr) -> Expr,
) -> BindResult<Typed> {
    let number = binder.number_operand(arguments.values[0])?;
    Ok(grouping.column_of(aggregate(number.expr), number.value_type))
}

/// A summary of numbers as floats, which is a float.
fn of_floats(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
    aggregate: fn(Expr) -> Expr,
) -> BindResult<Typed> {
    let number = binder.number_operand(arguments.values[0])?;
    let float = cast(number.expr, DataType::Float64);
    Ok(grouping.column_of(aggregate(float), Type::Float))
}

/// Whole numbers are added in 128 bits; a sum of more than 64 is missing.
fn sum(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let number = binder.number_operand(arguments.values[0])?;
    if number.value_type != Type::Int {
        return Ok(grouping.column_of(aggregates::sum(number.expr), number.value_type));
    }
    let sum = grouping.column_of(wide_sum(number.expr), Type::Int);
    let overflow = binder.number_overflow(arguments.span);
    Ok(Typed::new(narrowed(sum.expr, overflow), Type::Int))
}

fn spread(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let number = binder.number_operand(arguments.values[0])?;
    let value_type = number.value_type;
    let largest = grouping.column_of(aggregates::max(number.expr.clone()), value_type);
    let smallest = grouping.column_of(aggregates::min(number.expr), value_type);
    if value_type == Type::Int {
        let span = arguments.span;
        return Ok(binder.whole_number(WholeOperator::Distance, largest, smallest, span));
    }
    Ok(Typed::new(
        finite(largest.expr - smallest.expr),
        Type::Float,
    ))
}

fn mode(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let value = binder.operand(arguments.values[0])?;
    let is_json = value.value_type == Type::Json;
    Ok(grouping.column_of(most_frequent(value.expr, is_json), value.value_type))
}

fn rate_over_sum(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let number = binder.number_operand(arguments.values[0])?;
    let sum = aggregates::sum(cast(number.expr, DataType::Float64));
    let sum = grouping.column_of(sum, Type::Float);
    Ok(binder.per_second(sum))
}
