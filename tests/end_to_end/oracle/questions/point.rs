//! Random columns of earlier windows, and functions of points.

use dql::ast::{BinaryOp, ByItem, DurationUnit, Expr, ExprKind, Item, Select};

use super::super::tree::{binary, call, duration, float, ident, int};
use super::clause::{is_aggregate, is_summary};
use super::{Projection, Questioner};

impl Questioner<'_> {
    /// Columns of earlier windows.
    pub(super) fn shift_columns(&mut self, query: &Select, projection: &mut Projection) {
        let learns = |key: &ByItem| key.expr.to_string().contains("drain(");
        if query.by.iter().any(learns) {
            return;
        }
        for (place, item) in projection.items.iter_mut().enumerate() {
            if is_summary(item) && self.random.percent(60) {
                let days = duration(1 + u32::from(self.random.percent(30)), DurationUnit::Day);
                let hours = duration(7, DurationUnit::Hour);
                item.shift = Some(match self.random.percent(60) {
                    true => days,
                    false => hours,
                });
                let alias = format!("s{place}{}", self.depth);
                item.alias.get_or_insert_with(|| ident(&alias));
            }
        }
    }

    /// Functions of the points of the summaries, which come behind HAVING.
    pub(super) fn point_columns(&mut self, query: &mut Select, projection: &mut Projection) {
        let items = projection.items.iter().zip(&projection.gives);
        let numbers = items
            .filter(|(item, gives)| {
                gives.is_number() && gives.is_exact() && is_aggregate(&item.expr)
            })
            .map(|(item, _)| item.clone());
        let numbers: Vec<Item> = numbers.collect();
        if numbers.is_empty() {
            return;
        }
        for place in 0..=self.random.below(2) {
            let mut column = self.random.pick(&numbers).clone();
            let is_filled =
                matches!(&column.expr.kind, ExprKind::Call(call) if call.name.text == "fill");
            if self.random.percent(25) && !is_filled && self.names.are_events {
                column.expr = call("fill", vec![column.expr, int(0)]);
            }
            column.expr = self.of_points(column.expr);
            column.alias = Some(ident(&format!("p{place}{}", self.depth)));
            let gives = self.number_of(&column.expr);
            projection.push(column, gives);
        }
        self.order_by_columns(query, projection);
        if !query.by.is_empty() && self.random.percent(30) {
            query.sorder_by = self.series_order(query, projection);
        }
    }

    /// A function of points of a value, perhaps of another such function, perhaps in arithmetic.
    pub(super) fn of_points(&mut self, value: Expr) -> Expr {
        let plain = [
            "difference",
            "non_negative_difference",
            "increase",
            "derivative",
            "deriv",
            "non_negative_derivative",
            "rate",
            "irate",
            "cumsum",
            "cumsum",
            "zscore",
            "mad_score",
        ];
        let points = match self.random.below(6) {
            0 => {
                let count = i64::try_from(1 + self.random.below(4)).unwrap();
                call("moving_average", vec![value, int(count)])
            }
            1 => {
                let share = float(self.random.choose(&[0.25, 0.5, 1.0]));
                call("ewma", vec![value, share])
            }
            _ => call(self.random.choose(&plain), vec![value]),
        };
        match self.random.below(6) {
            0 => call("abs", vec![points]),
            1 => binary(BinaryOp::Add, points, int(1)),
            2 if self.number_of(&points).is_exact() => self.of_points(points),
            _ => points,
        }
    }
}
