//! The value of one row of a group.

use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Expr, ExprFunctionExt, SortExpr, cast, lit};
use dql::ast::{Call, Expr as AstExpr, Field, Ident};
use dql::{Code, Span};

use super::fill::substitute;
use super::{Function, has_aggregate};
use crate::bind::arguments::{self, Arguments};
use crate::bind::{BindResult, Binder, Grouping, sort_keys, wrong};
use crate::bound::{Reducer, Summary};
use crate::types::Typed;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::aggregate("first", first)
        .with_row_time(first_time)
        .over_series(|series| Ok(series.summary(Summary::First))),
    Function::aggregate("last", last)
        .with_row_time(last_time)
        .with_reducer(|_, _| Some(Reducer::Last))
        .over_series(|series| Ok(series.summary(Summary::Last))),
    Function::aggregate("last_row", last).with_row_time(last_time),
    Function::aggregate("any", any),
    Function::of_aggregates("default", default),
];

fn first(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let row = chosen_row(binder, arguments, true)?;
    first_of(row.value, row.order, grouping)
}

fn last(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let row = chosen_row(binder, arguments, false)?;
    first_of(row.value, row.order, grouping)
}

fn first_time(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Expr> {
    row_time(binder, arguments, true)
}

fn last_time(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Expr> {
    row_time(binder, arguments, false)
}

/// The newest value, which is the same in every run.
fn any(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let value = binder.operand(arguments.values[0])?;
    first_of(value, binder.time_order(false), grouping)
}

/// The row that `first` or `last` takes.
struct ChosenRow {
    value: Typed,
    order: Vec<SortExpr>,
    /// Whether only time orders the rows.
    by_time: bool,
}

/// The row that `first`, `last` or `last_row` takes: the first with a value, in the order of `sort`, then of time, or in
/// the reverse of that order.
fn chosen_row(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    is_first: bool,
) -> BindResult<ChosenRow> {
    let value = binder.operand(arguments.values[0])?;
    let mut order = Vec::new();
    let sort = arguments.named("sort");
    for key in sort.map(arguments::list_items).unwrap_or_default() {
        let (field, is_ascending) = sort_key(key)?;
        let key = binder.field(&field, key.span)?;
        let ascending = is_ascending == is_first;
        order.extend(sort_keys(key.expr, key.value_type, ascending, ascending));
    }
    let by_time = order.is_empty();
    order.extend(binder.time_order(is_first));
    // DataFusion 55 fails on an order that has a key twice.
    let mut known: Vec<Expr> = Vec::new();
    order.retain(|key: &SortExpr| {
        let is_new = !known.contains(&key.expr);
        known.push(key.expr.clone());
        is_new
    });
    Ok(ChosenRow {
        value,
        order,
        by_time,
    })
}

/// The time of the chosen row.
fn row_time(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    is_first: bool,
) -> BindResult<Expr> {
    let row = chosen_row(binder, arguments, is_first)?;
    let time = binder.row_time();
    let present = row.value.expr.is_not_null();
    let time = match (row.by_time, is_first) {
        (true, true) => aggregates::min(time).filter(present),
        (true, false) => aggregates::max(time).filter(present),
        (false, _) => first_value(time, Vec::new())
            .order_by(row.order)
            .filter(present),
    };
    let span = arguments.call.name.span;
    time.build()
        .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), span))
}

/// The value of the first row in an order that has one.
fn first_of(value: Typed, order: Vec<SortExpr>, grouping: &mut Grouping) -> BindResult<Typed> {
    let present = value.expr.clone().is_not_null();
    let first = first_value(value.expr, Vec::new())
        .order_by(order)
        .filter(present)
        .build()
        .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), Span::default()))?;
    Ok(grouping.column_of(first, value.value_type))
}

/// A key of `sort`: a field, or `'field:desc'`; and whether its smallest value comes first.
fn sort_key(written: &AstExpr) -> BindResult<(Field, bool)> {
    let Some(field) = arguments::field_of(written) else {
        let message = "a key of `sort` is the name of a field: `sort=['df_title:desc']`";
        return Err(wrong(Code::WrongArgumentKind, message, written.span));
    };
    let (name, ascending) = match field.name.rsplit_once(':') {
        Some((name, direction)) if direction.eq_ignore_ascii_case("asc") => (name, true),
        Some((name, direction)) if direction.eq_ignore_ascii_case("desc") => (name, false),
        _ => return Ok((field, true)),
    };
    let field = Field {
        name: name.to_owned(),
        path: field.path,
    };
    Ok((field, ascending))
}

/// `default(x, v)`: `v` where the group has no value of `x`, which is an aggregate, or a field and then `last(x)`.
fn default(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let [written, default] = [arguments.values[0], arguments.values[1]];
    let value = if has_aggregate(written) {
        binder.expression(written)?
    } else {
        let last = Call {
            name: Ident {
                text: "last".to_owned(),
                span: arguments.call.name.span,
            },
            args: vec![arguments.call.args[0].clone()],
        };
        binder.call(&last, arguments.span)?
    };
    let Some((substitute, value_type)) = substitute(default, value.value_type)? else {
        let message = "what stands for a missing value is a number, a text, a truth value or `nil`";
        return Err(wrong(Code::WrongArgumentKind, message, default.span));
    };
    let both = [value.expr, lit(substitute)].map(|value| cast(value, value_type.planned()));
    Ok(Typed::new(coalesce(both.to_vec()), value_type))
}
