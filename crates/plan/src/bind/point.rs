//! Functions of points: the clauses in which they may be called, and the rows that they run along.

use arrow::datatypes::DataType;
use datafusion::logical_expr::cast;
use dql::Code;
use dql::ast::Call;

use super::arguments::Arguments;
use super::function::BindPoint;
use super::name::column;
use super::{BindResult, Binder, wrong};
use crate::bound::{Computed, Point};
use crate::types::{Type, Typed};

/// The rows that a function of points runs along in the clause that is bound.
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
    LastRow,
}

impl Binder<'_> {
    /// Binds a call of a function of points: a column computed along the rows of each group.
    pub(super) fn point(
        &mut self,
        arguments: &Arguments<'_>,
        bind: BindPoint,
    ) -> BindResult<Typed> {
        let (call, written) = (arguments.call, arguments.values[0]);
        let function = bind(arguments)?;
        let (time, order) = match self.along {
            Along::Steps => {
                let time = column("time");
                // A row without a time is before all others, as in an ascending ORDER BY.
                (time.clone(), vec![time.sort(true, true)])
            }
            Along::Rows => (self.row_time(), self.time_order(true)),
            Along::Nothing | Along::Summary | Along::LastRow => return Err(self.nowhere(call)),
        };
        let value = match self.along {
            Along::Rows => self.operand(written)?,
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

    /// The error for a call in a clause without points.
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
            Along::LastRow => (
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
