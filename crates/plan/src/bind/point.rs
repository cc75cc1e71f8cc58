//! Functions of the points of a series: where they may stand, and what they run along.

use arrow::datatypes::DataType;
use datafusion::logical_expr::cast;
use dql::Code;
use dql::ast::{Call, Expr as AstExpr, ExprKind};
use functions::points::PointFunction;

use super::limits::LARGEST_COUNT;
use super::name::column;
use super::{Bind, Binder, any_call, arguments, wrong};
use crate::bound::{Computed, Point};
use crate::types::{Type, Typed};

/// Their names.
pub(super) const POINTS: [&str; 13] = [
    "derivative",
    "deriv",
    "difference",
    "non_negative_derivative",
    "non_negative_difference",
    "rate",
    "irate",
    "increase",
    "moving_average",
    "cumsum",
    "ewma",
    "zscore",
    "mad_score",
];

/// What a function of points could run along while an expression is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// Nothing: the clause is computed before there are rows of the answer.
    Nothing,
    /// The points of each group, one a step.
    Steps,
    /// One summary of each group.
    Summary,
    /// The rows of each group.
    Rows,
    /// The newest row of each group.
    Newest,
}

/// Whether the name is that of a function of points, in any case.
pub(super) fn is_point_function(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    POINTS.contains(&name.as_str())
}

/// Whether the expression calls a function of points, outside any sub-query.
pub(super) fn has_point_function(expr: &AstExpr) -> bool {
    any_call(expr, &|call| is_point_function(&call.name.text))
}

impl Binder<'_> {
    /// Binds a call of a function of points: a column computed along the rows of each group.
    pub(super) fn point(&mut self, name: &str, call: &Call) -> Bind<Typed> {
        let (function, written) = point_function(name, call)?;
        let (time, order) = match self.along {
            Along::Steps => {
                let time = column("time");
                // A row without a time stands before all others, as in an ascending ORDER BY.
                (time.clone(), vec![time.sort(true, true)])
            }
            Along::Rows => (self.row_time(), self.time_order(true)),
            Along::Nothing | Along::Summary | Along::Newest => return Err(self.nowhere(call)),
        };
        let value = match self.along {
            Along::Rows => self.aggregated(written)?,
            _ => self.expression(written)?,
        };
        let value = self.number(value, written)?;
        let is_whole = value.value_type == Type::Int && function.keeps_whole_numbers();
        let value_type = if is_whole { Type::Int } else { Type::Float };
        let value = match value.value_type {
            Type::Int => value.expr,
            _ => cast(value.expr, DataType::Float64),
        };
        let point = Point {
            function,
            value,
            time,
            order,
            is_whole,
            overflow: self.number_overflow(call.name.span),
        };
        Ok(self.computed_column(Computed::Point(point), value_type))
    }

    /// The column of the rows of the answer that holds a computed value; equal ones share it.
    pub(super) fn computed_column(&mut self, computed: Computed, value_type: Type) -> Typed {
        let known = self.computed.iter().position(|known| *known == computed);
        let index = known.unwrap_or_else(|| {
            self.computed.push(computed);
            self.computed.len() - 1
        });
        Typed::new(column(&format!("c{index}")), value_type)
    }

    /// Why a function of points cannot stand here.
    fn nowhere(&self, call: &Call) -> Box<dql::Diagnostic> {
        let name = &call.name.text;
        let (code, message, hint) = match self.along {
            Along::Summary => (
                Code::PointsWithoutStep,
                format!(
                    "`{name}` runs along the points of a series, and without a step there is one"
                ),
                "add a step to the window: `[1d::1h]`",
            ),
            Along::Newest => (
                Code::PointsWithoutStep,
                format!("`{name}` runs along the rows of a group, and here each group has one"),
                "put it into the list of columns, so that BY keeps all rows of a group",
            ),
            _ => (
                Code::MisplacedPointFunction,
                format!(
                    "`{name}` runs along the rows of the answer, after `{{…}}`, BY, the aggregates and HAVING"
                ),
                "to test or summarise it, put the query in the place of the source of another",
            ),
        };
        Box::new(wrong(code, message, call.name.span).with_hint(hint))
    }
}

/// The function that a call means, and what it is a function of.
fn point_function<'c>(name: &str, call: &'c Call) -> Bind<(PointFunction, &'c AstExpr)> {
    let function = match name {
        "difference" => PointFunction::Difference,
        "non_negative_difference" | "increase" => PointFunction::RisingDifference,
        "derivative" | "deriv" => PointFunction::Derivative,
        // Between the points of a series, the rate of the window and that of an instant are the same.
        "non_negative_derivative" | "rate" | "irate" => PointFunction::RisingDerivative,
        "cumsum" => PointFunction::RunningSum,
        "zscore" => PointFunction::DeviationsFromMean,
        "mad_score" => PointFunction::DeviationsFromMedian,
        "moving_average" => {
            let values = arguments::between(call, 2, 2)?;
            return Ok((moving_average(values[1])?, values[0]));
        }
        _ => {
            let values = arguments::between(call, 2, 2)?;
            let weight = arguments::number(values[1], "the weight of the newest point")?;
            if !(weight > 0.0 && weight <= 1.0) {
                let message = "the weight of the newest point is above 0 and up to 1";
                return Err(wrong(Code::WrongArgumentKind, message, values[1].span));
            }
            return Ok((PointFunction::SmoothedMean(weight), values[0]));
        }
    };
    Ok((function, arguments::between(call, 1, 1)?[0]))
}

fn moving_average(written: &AstExpr) -> Bind<PointFunction> {
    let size = match written.kind {
        ExprKind::Int(size) if (1..=LARGEST_COUNT as i64).contains(&size) => size.unsigned_abs(),
        _ => {
            let message = format!(
                "the number of points to average is a whole number from 1 to {LARGEST_COUNT}"
            );
            return Err(wrong(Code::WrongArgumentKind, message, written.span));
        }
    };
    Ok(PointFunction::MovingAverage(
        usize::try_from(size).unwrap_or(usize::MAX),
    ))
}
