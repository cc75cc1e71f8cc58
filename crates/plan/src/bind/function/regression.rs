//! Straight lines through the values of a group.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, cast, lit};
use dql::ast::Expr as AstExpr;
use events::TimeRange;
use functions::regression::Regression;

use super::Function;
use crate::bind::arguments::Arguments;
use crate::bind::{BindResult, Binder, Grouping};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::aggregate("corr", corr),
    Function::aggregate("slope", slope),
];

/// `corr(l, r)`: Pearson's coefficient of the rows that have both; missing where one does not vary.
fn corr(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let left = float(binder, arguments.values[0])?;
    let right = float(binder, arguments.values[1])?;
    let coefficient = Regression::Correlation.of(left, right);
    Ok(grouping.column_of(coefficient, Type::Float))
}

/// `slope(x)`: the slope of the line with the least squares over time, per second.
fn slope(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    let value = float(binder, arguments.values[0])?;
    // Times count from the window, because those since 1970 leave a float few digits.
    let start_ms = match binder.range {
        TimeRange::ALL => 0,
        range => range.from_ms,
    };
    // In milliseconds, which a float holds exactly.
    let times = cast(binder.row_time() - lit(start_ms), DataType::Float64);
    let slope = grouping.column_of(Regression::Slope.of(value, times), Type::Float);
    Ok(Typed::new(slope.expr * lit(1000.0), Type::Float))
}

fn float(binder: &mut Binder<'_>, written: &AstExpr) -> BindResult<Expr> {
    let number = binder.number_operand(written)?;
    Ok(cast(number.expr, DataType::Float64))
}
