//! Functions of one number, also of each number of a series.

use arrow::datatypes::DataType;
use datafusion::functions::expr_fn as builtin;
use datafusion::logical_expr::{Expr, cast, lit};
use functions::finite::finite;
use functions::whole_number::WholeOperator;

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::{BindResult, Binder};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("abs", abs).over_series(|series| series.numbers()),
    Function::scalar("ceil", |binder, arguments| {
        float(binder, arguments, builtin::ceil)
    })
    .over_series(|series| series.numbers()),
    Function::scalar("floor", |binder, arguments| {
        float(binder, arguments, builtin::floor)
    })
    .over_series(|series| series.numbers()),
    Function::scalar("round", round).over_series(|series| series.numbers()),
    Function::scalar("log", log).over_series(|series| series.numbers()),
    Function::scalar("log2", |binder, arguments| {
        float(binder, arguments, builtin::log2)
    })
    .over_series(|series| series.numbers()),
    Function::scalar("log10", |binder, arguments| {
        float(binder, arguments, builtin::log10)
    })
    .over_series(|series| series.numbers()),
];

/// A float computed of the only argument.
fn float(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    function: fn(Expr) -> Expr,
) -> BindResult<Typed> {
    let value = binder.number_operand(arguments.values[0])?;
    Ok(finite_float(function(as_float(value))))
}

fn as_float(number: Typed) -> Expr {
    cast(number.expr, DataType::Float64)
}

fn finite_float(expr: Expr) -> Typed {
    Typed::new(finite(expr), Type::Float)
}

fn abs(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let value = binder.number_operand(arguments.values[0])?;
    if value.value_type == Type::Int {
        let zero = Typed::new(lit(0_i64), Type::Int);
        return Ok(binder.whole_number(WholeOperator::Distance, value, zero, arguments.span));
    }
    Ok(finite_float(builtin::abs(as_float(value))))
}

/// `round(x [, digits])`.
fn round(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let value = binder.number_operand(arguments.values[0])?;
    let digits = arguments.values.get(1);
    let digits = digits.map_or(Ok(0), |digits| arguments::whole_number(digits))?;
    // No float has a digit outside of this range.
    let digits = lit(digits.clamp(-300, 300));
    Ok(finite_float(builtin::round(vec![as_float(value), digits])))
}

/// `log(x [, base])`: natural without a base.
fn log(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let value = binder.number_operand(arguments.values[0])?;
    let natural = builtin::ln(as_float(value));
    let Some(base) = arguments.values.get(1) else {
        return Ok(finite_float(natural));
    };
    let base = arguments::number(base, "the base")?;
    Ok(finite_float(natural / builtin::ln(lit(base))))
}
