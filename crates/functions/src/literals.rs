//! The literal arguments of calls.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

/// The literal at an index of the arguments.
///
/// # Errors
/// The argument is missing or differs from row to row.
fn literal(args: &ScalarFunctionArgs, index: usize) -> Result<&ScalarValue> {
    match args.args.get(index) {
        Some(ColumnarValue::Scalar(value)) => Ok(value),
        _ => Err(exec_datafusion_err!("argument {index} has to be a literal")),
    }
}

/// The text at an index of the arguments.
///
/// # Errors
/// The argument is no text literal.
pub(crate) fn text(args: &ScalarFunctionArgs, index: usize) -> Result<&str> {
    let text = literal(args, index)?.try_as_str().flatten();
    text.ok_or_else(|| exec_datafusion_err!("argument {index} has to be a text"))
}

/// The whole number at an index of the arguments.
///
/// # Errors
/// The argument is no literal of 64 bits.
pub(crate) fn int(args: &ScalarFunctionArgs, index: usize) -> Result<i64> {
    match literal(args, index)? {
        ScalarValue::Int64(Some(value)) => Ok(*value),
        _ => Err(exec_datafusion_err!(
            "argument {index} has to be a whole number"
        )),
    }
}

/// The truth value at an index of the arguments.
///
/// # Errors
/// The argument is no such literal.
pub(crate) fn boolean(args: &ScalarFunctionArgs, index: usize) -> Result<bool> {
    match literal(args, index)? {
        ScalarValue::Boolean(Some(value)) => Ok(*value),
        _ => Err(exec_datafusion_err!(
            "argument {index} has to be true or false"
        )),
    }
}

/// The literal at an index of the arguments of an aggregate or window function.
///
/// # Errors
/// The argument is missing or no literal.
pub(crate) fn of_expressions(args: &[Arc<dyn PhysicalExpr>], index: usize) -> Result<&ScalarValue> {
    let literal = args
        .get(index)
        .and_then(|arg| arg.downcast_ref::<Literal>());
    match literal {
        Some(literal) => Ok(literal.value()),
        None => Err(exec_datafusion_err!("argument {index} has to be a literal")),
    }
}

/// The same for a float.
///
/// # Errors
/// The argument is no such literal.
pub(crate) fn float_of_expressions(args: &[Arc<dyn PhysicalExpr>], index: usize) -> Result<f64> {
    match of_expressions(args, index)? {
        ScalarValue::Float64(Some(value)) => Ok(*value),
        _ => Err(exec_datafusion_err!("argument {index} has to be a number")),
    }
}
