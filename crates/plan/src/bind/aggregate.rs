//! Aggregate functions: what becomes of the rows of a group.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Expr, ExprFunctionExt, cast, lit};
use dql::Span;
use dql::ast::{Call, Expr as AstExpr, ExprKind};

use super::derived::DERIVED;
use super::point::Along;
use super::{Bind, Binder, arguments, wrong};
use crate::functions::percentile::percentile;
use crate::types::{Type, Typed};
use std::sync::Arc;

/// Every aggregate function that is computed as one, but `p50`, `p95` and the like.
pub(super) const AGGREGATES: [&str; 10] = [
    "count",
    "count_distinct",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "percentile",
    "median",
];

/// Whether the name is that of an aggregate function, in any case.
pub(super) fn is_aggregate(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    AGGREGATES.contains(&name.as_str())
        || DERIVED.contains(&name.as_str())
        || percent_in_name(&name).is_some()
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

impl Binder<'_> {
    /// Binds an aggregate call: the column of the grouped rows that will hold its value.
    pub(super) fn aggregate(&mut self, name: &str, call: &Call, span: Span) -> Bind<Typed> {
        let Some(mut grouping) = self.grouping.take() else {
            let message =
                format!("`{name}` summarises a group, and here a value of one event is needed");
            return Err(wrong("misplaced_aggregate", message, span)
                .with_hint("test the result of a group with HAVING")
                .into());
        };
        let along = std::mem::replace(&mut self.along, Along::Nothing);
        let typed = if DERIVED.contains(&name) {
            self.derived(name, call, &mut grouping)
        } else {
            self.aggregate_over_rows(name, call)
                .map(|(aggregate, value_type)| grouping.column_of(aggregate, value_type))
        };
        self.grouping = Some(grouping);
        self.along = along;
        typed
    }

    fn aggregate_over_rows(&mut self, name: &str, call: &Call) -> Bind<(Expr, Type)> {
        if let Some(percent) = percent_in_name(name) {
            let written = arguments::between(call, 1, 1)?[0];
            return self.percentile_of(written, percent);
        }
        if name == "percentile" {
            let values = arguments::between(call, 2, 2)?;
            let percent = arguments::number(values[1], "the percentage")?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(wrong(
                    "wrong_argument_kind",
                    "a percentage is 0 to 100",
                    values[1].span,
                ));
            }
            return self.percentile_of(values[0], percent);
        }
        let written = arguments::between(call, 1, 1)?[0];
        if name == "count" && matches!(written.kind, ExprKind::Star) {
            return Ok((aggregates::count(lit(1)), Type::Int));
        }
        let value = self.aggregated(written)?;
        Ok(match name {
            "count" => (aggregates::count(value.expr), Type::Int),
            "count_distinct" => (aggregates::count_distinct(value.expr), Type::Int),
            "first" | "last" => self.first_or_last(name == "first", value)?,
            "median" => return self.percentile_of(written, 50.0),
            "sum" | "avg" | "min" | "max" => {
                let number = self.number(value, written)?;
                match name {
                    "avg" => (
                        aggregates::avg(cast(number.expr, DataType::Float64)),
                        Type::Float,
                    ),
                    "sum" => (aggregates::sum(number.expr), number.value_type),
                    "min" => (aggregates::min(number.expr), number.value_type),
                    _ => (aggregates::max(number.expr), number.value_type),
                }
            }
            _ => {
                return Err(wrong(
                    "unknown_function",
                    format!("there is no aggregate `{name}`"),
                    call.name.span,
                ));
            }
        })
    }

    /// The aggregated value; text in quotes names a field here.
    pub(super) fn aggregated(&mut self, written: &AstExpr) -> Bind<Typed> {
        match (&written.kind, arguments::field_of(written)) {
            (ExprKind::String(_), Some(field)) => self.field(&field, written.span),
            _ => self.expression(written),
        }
    }

    fn percentile_of(&mut self, written: &AstExpr, percent: f64) -> Bind<(Expr, Type)> {
        let value = self.aggregated(written)?;
        let number = self.number(value, written)?;
        let float = cast(number.expr, DataType::Float64);
        Ok((
            percentile(float, percent, Arc::clone(&self.notes.estimate)),
            Type::Float,
        ))
    }

    /// The value of the oldest or newest row that has one.
    pub(super) fn first_or_last(&mut self, first: bool, value: Typed) -> Bind<(Expr, Type)> {
        let present = value.expr.clone().is_not_null();
        let picked = first_value(value.expr, Vec::new())
            .order_by(self.time_order(first))
            .filter(present)
            .build()
            .map_err(|error| wrong("invalid_expression", error.to_string(), Span::default()))?;
        Ok((picked, value.value_type))
    }

    /// The time of the oldest or newest row that has a value: the `time` of a lone `first` or `last`.
    pub(super) fn picked_time(&mut self, call: &Call) -> Bind<Expr> {
        let first = call.name.text.eq_ignore_ascii_case("first");
        let written = arguments::between(call, 1, 1)?[0];
        let value = self.aggregated(written)?;
        let time = self.row_time();
        let extreme = if first {
            aggregates::min(time)
        } else {
            aggregates::max(time)
        };
        extreme
            .filter(value.expr.is_not_null())
            .build()
            .map_err(|error| wrong("invalid_expression", error.to_string(), written.span))
    }
}
