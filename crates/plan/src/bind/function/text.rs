//! Texts made of texts.

use arrow::datatypes::DataType;
use datafusion::functions::expr_fn as builtin;
use datafusion::logical_expr::{Expr, cast, lit};
use functions::concat::concat as concatenated;

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::predicate::as_text;
use crate::bind::{BindResult, Binder};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("md5", |binder, arguments| {
        text(binder, arguments, builtin::md5)
    }),
    Function::scalar("lower", |binder, arguments| {
        text(binder, arguments, builtin::lower)
    }),
    Function::scalar("upper", |binder, arguments| {
        text(binder, arguments, builtin::upper)
    }),
    Function::scalar("trim", |binder, arguments| {
        text(binder, arguments, |text| builtin::btrim(vec![text]))
    }),
    Function::scalar("ltrim", |binder, arguments| {
        text(binder, arguments, |text| builtin::ltrim(vec![text]))
    }),
    Function::scalar("rtrim", |binder, arguments| {
        text(binder, arguments, |text| builtin::rtrim(vec![text]))
    }),
    Function::scalar("length", length),
    Function::scalar("substr", substr),
    Function::scalar("concat", concat),
];

/// A text made of the only argument.
fn text(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    function: fn(Expr) -> Expr,
) -> BindResult<Typed> {
    let text = as_text(binder.operand(arguments.values[0])?);
    Ok(Typed::new(function(text), Type::String))
}

fn length(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let text = as_text(binder.operand(arguments.values[0])?);
    let length = cast(builtin::character_length(text), DataType::Int64);
    Ok(Typed::new(length, Type::Int))
}

/// `substr(text, start [, length])`: characters from 0; a negative start counts from the end.
fn substr(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let values = &arguments.values;
    let text = as_text(binder.operand(values[0])?);
    let start = arguments::whole_number(values[1])?;
    let length = values
        .get(2)
        .map(|length| arguments::count(length, "the length"))
        .transpose()?;
    let suffix = if start < 0 {
        builtin::right(text, lit(start.saturating_neg()))
    } else {
        builtin::substr(text, lit(start.saturating_add(1)))
    };
    let expr = match length {
        Some(length) => builtin::left(suffix, lit(i64::try_from(length).unwrap_or(i64::MAX))),
        None => suffix,
    };
    Ok(Typed::new(expr, Type::String))
}

/// The arguments are values, not names of fields in quotes.
fn concat(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let parts = arguments.values.iter();
    let parts: BindResult<Vec<Expr>> = parts
        .map(|part| Ok(as_text(binder.expression(part)?)))
        .collect();
    Ok(Typed::new(concatenated(parts?), Type::String))
}
