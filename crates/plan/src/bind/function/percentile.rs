//! The distribution of the numbers of a group.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{Expr, ExprFunctionExt, cast};
use dql::Code;
use dql::ast::{Call, Expr as AstExpr};
use functions::number_summary::{LISTS, RANKS, number_summary, summary_part};
use functions::percentile::{percentile as percentile_of, percentile_value};

use super::{Function, QueryBinding};
use crate::bind::arguments::{self, Arguments};
use crate::bind::{BindResult, Binder, Grouping, wrong};
use crate::bound::{Column, Reducer};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::aggregate("percentile", percentile),
    Function::aggregate("median", |binder, arguments, grouping| {
        bind(binder, arguments.values[0], 50.0, grouping)
    }),
    Function::in_query("histogram_auto", QueryBinding::Columns(histogram_auto)),
    Function::unsupported(
        "histogram_quantile",
        "it reads buckets that a metric was counted into; `percentile(x, n)` reads the values",
    ),
];

/// `p95(x)` and the like.
static BY_NAME: Function = Function::aggregate("pN", |binder, arguments, grouping| {
    let name = arguments.call.name.text.to_ascii_lowercase();
    let percent = percent_in_name(&name).unwrap_or_default();
    bind(binder, arguments.values[0], percent, grouping)
})
.with_reducer(reducer);

/// The function with the percentage in its name, in lower case.
pub(super) fn by_name(name: &str) -> Option<&'static Function> {
    percent_in_name(name).map(|_| &BY_NAME)
}

/// `p95(x)` and the like with whole percentages order groups.
fn reducer(binder: &mut Binder<'_>, call: &Call) -> Option<Reducer> {
    let digits = call.name.text.get(1..)?;
    let percent: u8 = digits.parse().ok()?;
    Some(Reducer::Percentile(
        percent.into(),
        binder.estimated_percentile(),
    ))
}

/// The percentage in `p95`.
fn percent_in_name(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p')?;
    let plain = !digits.is_empty()
        && digits
            .bytes()
            .all(|digit| digit.is_ascii_digit() || digit == b'.');
    digits
        .parse()
        .ok()
        .filter(|percent| plain && *percent <= 100.0)
}

/// `percentile(x, n)`.
fn percentile(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let percent = arguments::number(arguments.values[1], "the percentage")?;
    if !(0.0..=100.0).contains(&percent) {
        let message = "a percentage is 0 to 100";
        let span = arguments.values[1].span;
        return Err(wrong(Code::WrongArgumentKind, message, span));
    }
    bind(binder, arguments.values[0], percent, grouping)
}

fn bind(
    binder: &mut Binder<'_>,
    written: &AstExpr,
    percent: f64,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let number = binder.number_operand(written)?;
    let float = cast(number.expr, DataType::Float64);
    let column = grouping.column_of(percentile_of(float, percent), Type::Float);
    let value = percentile_value(column.expr, binder.estimated_percentile());
    Ok(Typed::new(value, Type::Float))
}

/// `histogram_auto(x)`: the columns of a summary of the numbers of a group.
fn histogram_auto(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Vec<Column>> {
    let written = arguments.values[0];
    let number = binder.number_operand(written)?;
    let float = cast(number.expr, DataType::Float64);
    let list = aggregates::array_agg(float.clone())
        .filter(float.is_not_null())
        .build()
        .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), written.span))?;
    let summary: Expr = number_summary(grouping.column_of(list, Type::Json).expr);
    let lists = LISTS.map(|name| (name, Type::Json)).into_iter();
    let ranks = RANKS.map(|(name, _)| (name, Type::Float));
    let parts = lists.chain(ranks).enumerate();
    let columns = parts.map(|(index, (name, value_type))| Column {
        name: name.to_owned(),
        expr: summary_part(summary.clone(), index),
        value_type,
    });
    Ok(columns.collect())
}
