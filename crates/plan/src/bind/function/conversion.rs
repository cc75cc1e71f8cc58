//! Conversions: text that is no number, and numbers out of range, become missing.

use arrow::datatypes::DataType;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::expr_fn::{btrim, trunc};
use datafusion::logical_expr::{Expr, cast, lit, try_cast, when};
use dql::Code;
use functions::finite::finite;
use functions::float_text::float_text;

use super::Function;
use crate::bind::arguments::Arguments;
use crate::bind::predicate::as_text;
use crate::bind::{BindResult, Binder, wrong};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("int", int),
    Function::scalar("uint", uint),
    Function::scalar("float", float),
    Function::scalar("string", string),
    Function::scalar("bool", bool),
];

fn int(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let (value, from) = operand(binder, arguments)?;
    Ok(Typed::new(whole(value, from), Type::Int))
}

/// The whole number, if it is not negative.
fn uint(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let (value, from) = operand(binder, arguments)?;
    let whole = whole(value, from);
    let unsigned = when(whole.clone().gt_eq(lit(0)), whole).end();
    let unsigned = unsigned.map_err(|error| {
        let span = arguments.values[0].span;
        wrong(Code::InvalidExpression, error.to_string(), span)
    })?;
    Ok(Typed::new(unsigned, Type::Int))
}

fn float(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let (value, _) = operand(binder, arguments)?;
    Ok(Typed::new(as_float(value), Type::Float))
}

fn string(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let (value, from) = operand(binder, arguments)?;
    let text = match from {
        Type::Float => float_text(value),
        _ => cast(value, DataType::Utf8View),
    };
    Ok(Typed::new(text, Type::String))
}

fn bool(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let (value, _) = operand(binder, arguments)?;
    Ok(Typed::new(try_cast(value, DataType::Boolean), Type::Bool))
}

/// The converted value, texts without blanks at both ends, and its type before the conversion.
fn operand(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<(Expr, Type)> {
    let value = binder.operand(arguments.values[0])?;
    let from = value.value_type;
    let plain = match from {
        Type::Json => as_text(value),
        Type::String => btrim(vec![value.expr]),
        _ => value.expr,
    };
    Ok((plain, from))
}

fn as_float(value: Expr) -> Expr {
    finite(try_cast(value, DataType::Float64))
}

fn whole(value: Expr, from: Type) -> Expr {
    let truncated = |number| try_cast(trunc(vec![number]), DataType::Int64);
    match from {
        // Through a float, a text of more than 15 digits would lose some.
        Type::String | Type::Json => coalesce(vec![
            try_cast(value.clone(), DataType::Int64),
            truncated(try_cast(value, DataType::Float64)),
        ]),
        Type::Float => truncated(value),
        _ => try_cast(value, DataType::Int64),
    }
}
