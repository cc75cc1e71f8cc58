//! Aggregates that are made of others: differences, rates, lists, counts of chosen values.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{Expr, ExprFunctionExt, cast, lit};
use dql::ast::{Call, ExprKind, InSet};

use super::{Bind, Binder, Grouping, arguments, wrong};
use crate::functions::json_array::json_array;
use crate::types::{Type, Typed};

/// Their names.
pub(super) const DERIVED: [&str; 8] = [
    "any",
    "stddev",
    "spread",
    "count_filter",
    "rate_over_count",
    "rate_over_sum",
    "collect",
    "collect_distinct",
];

impl Binder<'_> {
    /// Binds a derived aggregate: an expression over columns of the grouped rows.
    pub(super) fn derived(
        &mut self,
        name: &str,
        call: &Call,
        grouping: &mut Grouping,
    ) -> Bind<Typed> {
        match name {
            // The newest value is as good as any, and always the same.
            "any" => {
                let written = arguments::between(call, 1, 1)?[0];
                let value = self.aggregated(written)?;
                let (picked, value_type) = self.first_or_last(false, value)?;
                Ok(grouping.column_of(picked, value_type))
            }
            "count_filter" => self.count_filter(call, grouping),
            "collect" | "collect_distinct" => self.collect(name, call, grouping),
            "rate_over_count" => {
                let written = arguments::between(call, 1, 1)?[0];
                let value = self.aggregated(written)?;
                let count = grouping.column_of(aggregates::count(value.expr), Type::Int);
                Ok(self.per_second(count))
            }
            _ => {
                let written = arguments::between(call, 1, 1)?[0];
                let value = self.aggregated(written)?;
                let number = self.number(value, written)?;
                let float = cast(number.expr.clone(), DataType::Float64);
                Ok(match name {
                    "stddev" => grouping.column_of(aggregates::stddev(float), Type::Float),
                    "rate_over_sum" => {
                        let sum = grouping.column_of(aggregates::sum(float), Type::Float);
                        self.per_second(sum)
                    }
                    _ => {
                        let value_type = number.value_type;
                        let largest =
                            grouping.column_of(aggregates::max(number.expr.clone()), value_type);
                        let smallest = grouping.column_of(aggregates::min(number.expr), value_type);
                        Typed::new(largest.expr - smallest.expr, value_type)
                    }
                })
            }
        }
    }

    /// A sum divided by the seconds it was gathered in: those of the step, else of the window.
    fn per_second(&self, total: Typed) -> Typed {
        let window_ms = self.range.to_ms.saturating_sub(self.range.from_ms);
        let seconds = self.step_ms.unwrap_or(window_ms) as f64 / 1000.0;
        let rate = cast(total.expr, DataType::Float64) / lit(seconds);
        Typed::new(rate, Type::Float)
    }

    /// `count_filter(x, ['a', 'b'])`: the events whose `x` is in the list.
    fn count_filter(&mut self, call: &Call, grouping: &mut Grouping) -> Bind<Typed> {
        let values = arguments::between(call, 2, 2)?;
        let ExprKind::Array(items) = &values[1].kind else {
            return Err(wrong(
                "wrong_argument_kind",
                "the values to count are a list: `['a', 'b']`",
                values[1].span,
            ));
        };
        let field = match arguments::field_of(values[0]) {
            Some(field) => dql::ast::Expr {
                kind: ExprKind::Field(field),
                span: values[0].span,
            },
            None => values[0].clone(),
        };
        let chosen = self.membership(&field, &InSet::List(items.clone()), false)?;
        let count = aggregates::count(lit(1)).filter(chosen).build();
        let count = count
            .map_err(|error| wrong("invalid_expression", error.to_string(), values[0].span))?;
        Ok(grouping.column_of(count, Type::Int))
    }

    /// `collect(x [, n])`: the values, newest first; `collect_distinct(x [, n])`: each value once, in
    /// ascending order of its JSON text. `n` is the most that are kept.
    fn collect(&mut self, name: &str, call: &Call, grouping: &mut Grouping) -> Bind<Typed> {
        let values = arguments::between(call, 1, 2)?;
        let most = values
            .get(1)
            .map(|most| arguments::count(most, "the number of values"))
            .transpose()?;
        let value = self.aggregated(values[0])?;
        let present: Expr = value.expr.clone().is_not_null();
        let distinct = name == "collect_distinct";
        let list = aggregates::array_agg(value.expr).filter(present);
        let list = match distinct {
            true => list.distinct().build(),
            false => list.order_by(self.time_order(false)).build(),
        };
        let list =
            list.map_err(|error| wrong("invalid_expression", error.to_string(), values[0].span))?;
        let column = grouping.column_of(list, Type::Json);
        let is_json = value.value_type == Type::Json;
        Ok(Typed::new(
            json_array(column.expr, is_json, distinct, most),
            Type::Json,
        ))
    }
}
