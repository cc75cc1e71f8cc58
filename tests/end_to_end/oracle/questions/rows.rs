//! Random queries that show rows of their source, or choose among them.

use dql::ast::{Expr, ExprKind, Select};

use super::super::tree::{call, expr, field, float, int, item, named_call};
use super::{Gives, Projection, Questioner};

impl Questioner<'_> {
    pub(super) fn rows(&mut self, query: &mut Select) -> Projection {
        let mut projection = Projection::new();
        if self.random.percent(25) {
            self.order_rows(query);
            return projection;
        }
        self.row_items(&mut projection);
        self.order_by_columns(query, &projection);
        if query.order_by.is_empty() {
            self.order_rows(query);
        }
        projection
    }

    /// Rows with functions along them.
    pub(super) fn points_of_rows(&mut self, query: &mut Select) -> Projection {
        let mut projection = Projection::new();
        if self.random.percent(50) {
            self.keys(query);
        }
        let number = self.argument(1);
        let points = self.of_points(number);
        let alias = format!("p{}", self.depth);
        let gives = self.number_of(&points);
        projection.push(item(points, Some(&alias)), gives);
        if query.by.is_empty() {
            self.row_items(&mut projection);
        }
        self.order_by_columns(query, &projection);
        if !query.by.is_empty() && self.random.percent(40) {
            query.sorder_by = self.series_order(query, &projection);
        }
        projection
    }

    /// Columns of single rows.
    fn row_items(&mut self, projection: &mut Projection) {
        for place in 0..=self.random.below(3) {
            let alias = self.alias(place);
            if self.random.percent(40) {
                let (name, gives) = self.random.pick(&self.names.all).clone();
                projection.push(item(field(&name), alias.as_deref()), gives);
            } else if self.random.percent(5) {
                let template = self.template();
                let alias = format!("c{place}{}", self.depth);
                projection.push(item(template, Some(&alias)), Gives::Text);
            } else {
                let (expr, gives) = self.any(2);
                let alias = alias.unwrap_or_else(|| format!("c{place}{}", self.depth));
                projection.push(item(expr, Some(&alias)), gives);
            }
        }
    }

    /// The template of a text.
    pub(super) fn template(&mut self) -> Expr {
        let name = match self.random.percent(70) && self.names.are_events {
            true => field("df_message"),
            false => match self.textual_name() {
                Some(name) => name,
                None => call("string", vec![field("time")]),
            },
        };
        let threshold = float(self.random.choose(&[0.1, 0.3, 0.5, 0.75, 1.0]));
        let mut arguments = vec![name, threshold];
        if self.random.percent(30) {
            arguments.push(int(self.random.choose(&[1, 2, 4])));
        }
        call("drain", arguments)
    }

    fn order_rows(&mut self, query: &mut Select) {
        for _ in 0..self.random.below(3) {
            let expr = match self.random.below(3) {
                0 => field("time"),
                1 => field(&self.name().0),
                _ => self.any(1).0,
            };
            let key = self.order_key(expr);
            query.order_by.push(key);
        }
    }

    pub(super) fn newest(&mut self, query: &mut Select) -> Projection {
        self.keys(query);
        let mut projection = Projection::new();
        for place in 0..self.random.below(3) {
            let (name, gives) = self.random.pick(&self.names.all).clone();
            let alias = self.alias(place);
            projection.push(item(field(&name), alias.as_deref()), gives);
        }
        if self.random.percent(30) {
            let test = self.condition(1);
            query.having.push(test);
        }
        self.order_by_columns(query, &projection);
        if self.random.percent(40) {
            query.sorder_by = self.series_order(query, &projection);
        }
        projection
    }

    pub(super) fn distinct(&mut self, query: &mut Select) -> Projection {
        let (name, gives) = self.name();
        let alias = self.alias(0);
        self.picked(query, call("distinct", vec![field(&name)]), gives, alias)
    }

    /// One row a value, with fields of its newest row.
    pub(super) fn collapsed(&mut self, query: &mut Select) -> Projection {
        let (name, gives) = self.name();
        let mut fields = Vec::new();
        for _ in 0..self.random.below(3) {
            let (beside, _) = self.name();
            let is_known = fields.contains(&field(&beside)) || beside.contains('@');
            if !is_known && beside != name && beside != "time" {
                fields.push(field(&beside));
            }
        }
        let alias = self.alias(0);
        let picked = match fields.is_empty() {
            true => call("distinct_by_collapse", vec![field(&name)]),
            false => {
                let fields = ("fields", expr(ExprKind::Array(fields)));
                named_call("distinct_by_collapse", vec![field(&name)], fields)
            }
        };
        self.picked(query, picked, gives, alias)
    }

    /// How many values lie in intervals.
    pub(super) fn histogram(&mut self, query: &mut Select) -> Projection {
        let name = self.numeric_name();
        let width = int(self.random.choose(&[30, 70, 7]));
        let mut arguments = vec![name, int(-10), int(130), width];
        if self.random.percent(40) {
            arguments.push(int(self.random.choose(&[0, 1, 2])));
        }
        let alias = self.alias(0);
        self.picked(query, call("histogram", arguments), Gives::Number, alias)
    }

    pub(super) fn extreme(&mut self, query: &mut Select) -> Projection {
        let name = self.random.choose(&["top", "bottom"]);
        let (value, gives) = self.name();
        let rows = int(i64::try_from(1 + self.random.below(5)).unwrap());
        let alias = self.alias(0);
        self.picked(query, call(name, vec![field(&value), rows]), gives, alias)
    }

    fn picked(
        &mut self,
        query: &mut Select,
        picked: Expr,
        gives: Gives,
        alias: Option<String>,
    ) -> Projection {
        let mut projection = Projection::new();
        if self.random.percent(50) {
            self.keys(query);
        }
        projection.push(item(picked, alias.as_deref()), gives);
        if self.random.percent(30)
            && let Some(key) = query.by.first()
        {
            let expr = match &key.alias {
                Some(alias) => field(&alias.text),
                None => key.expr.clone(),
            };
            let gives = self.gives(&key.expr);
            projection.push(item(expr, Some(&format!("key{}", self.depth))), gives);
        }
        self.order_by_columns(query, &projection);
        if !query.by.is_empty() && self.random.percent(40) {
            query.sorder_by = self.series_order(query, &projection);
        }
        projection
    }
}
