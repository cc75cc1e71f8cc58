//! Summaries with HAVING and orders.

use dql::ast::{BinaryOp, ByItem, DurationUnit, Expr, ExprKind, Item, OrderKey, Select, Step};

use super::super::tree::{binary, call, duration, expr, field, float, int, item, named_call, text};
use super::{Gives, Projection, Questioner};

impl Questioner<'_> {
    /// Aggregates, with or without groups.
    pub(super) fn summary(&mut self, query: &mut Select) -> Projection {
        if self.random.percent(75) {
            self.keys(query);
        }
        let mut projection = Projection::new();
        if self.random.percent(15) {
            self.key_of_projection(query, &mut projection);
        }
        if self.depth == 0 && self.random.percent(4) {
            let spread = call("histogram_auto", vec![self.numeric_name()]);
            projection.push(item(spread, None), Gives::Json);
            return projection;
        }
        for place in 0..=self.random.below(3) {
            let alias = self.alias(place);
            let (summary, gives) = self.aggregate();
            if self.random.percent(15) && gives.is_number() {
                let (other, other_gives) = self.aggregate();
                if other_gives.is_number() {
                    let op =
                        self.random
                            .choose(&[BinaryOp::Add, BinaryOp::Divide, BinaryOp::Multiply]);
                    let alias = alias.unwrap_or_else(|| format!("c{place}{}", self.depth));
                    let combined = binary(op, summary, other);
                    let gives = self.number_of(&combined);
                    projection.push(item(combined, Some(&alias)), gives);
                    continue;
                }
            }
            projection.push(item(summary, alias.as_deref()), gives);
        }
        if self.random.percent(25)
            && let Some(key) = query.by.first()
        {
            let name = dql::column_name(&key.expr);
            let mut items = projection.items.iter().zip(&projection.gives);
            let aliased =
                items.find(|(item, _)| item.alias.as_ref().is_some_and(|alias| alias.text == name));
            let gives = aliased.map_or_else(|| self.gives(&key.expr), |(_, gives)| *gives);
            let alias = format!("key{}", self.depth);
            projection.push(item(key.expr.clone(), Some(&alias)), gives);
        }
        if self.random.percent(7) && self.names.are_events {
            self.shift_columns(query, &mut projection);
        }
        if self.random.percent(30) {
            let test = self.group_test(&projection);
            query.having.push(test);
        }
        self.order_by_columns(query, &projection);
        if self.random.percent(20) {
            let time = self.order_key(field("time"));
            query.order_by.push(time);
        }
        if !query.by.is_empty() && self.random.percent(40) {
            query.sorder_by = self.series_order(query, &projection);
        }
        projection
    }

    /// A key that is an alias of the projection.
    fn key_of_projection(&mut self, query: &mut Select, projection: &mut Projection) {
        let Some(name) = self.textual_name() else {
            return;
        };
        let value = match self.random.below(3) {
            0 => call("regexp_extract", vec![name, text("[a-z]+")]),
            1 => call("upper", vec![name]),
            _ => call("length", vec![name]),
        };
        let gives = match &value.kind {
            ExprKind::Call(call) if call.name.text == "length" => Gives::Number,
            _ => Gives::Text,
        };
        let alias = format!("m{}", self.depth);
        projection.push(item(value, Some(&alias)), gives);
        query.by = vec![ByItem {
            expr: field(&alias),
            alias: None,
            direction: None,
        }];
    }

    /// Aggregates by step.
    pub(super) fn points(&mut self, query: &mut Select) -> Projection {
        let mut window = self.ranged_window();
        window.step = Some(match self.random.below(8) {
            // The evaluator learns the chosen width from the answer, which has only that of the outer query.
            0 if self.depth == 0 => Step::Auto {
                points: None,
                span: dql::Span::default(),
            },
            1 if self.depth == 0 => Step::Auto {
                points: Some(1 + u64::try_from(self.random.below(30)).unwrap()),
                span: dql::Span::default(),
            },
            2 => Step::Every(duration(50, DurationUnit::Minute)),
            3 => Step::Every(duration(1, DurationUnit::Day)),
            4 => Step::Every(duration(1, DurationUnit::Week)),
            5 => Step::Every(duration(7, DurationUnit::Hour)),
            _ => Step::Every(duration(1, DurationUnit::Hour)),
        });
        query.window = Some(window);
        let mut projection = self.summary(query);
        // A gap is filled behind HAVING and before the orders, which then see columns only.
        // Rows without a time fall into no step that could be filled.
        if self.names.are_events && self.random.percent(40) {
            query.order_by.clear();
            query.sorder_by = None;
            let places = projection.items.len();
            let chosen = self.random.below(places);
            let is_summary = |item: &Item| matches!(item.expr.kind, ExprKind::Call(_));
            let names = projection.items.iter().zip(&projection.gives).enumerate();
            let fits = names
                .filter(|(_, (item, gives))| is_summary(item) && gives.is_number())
                .map(|(place, _)| place);
            let fits: Vec<usize> = fits.collect();
            if let Some(place) = fits.get(chosen % fits.len().max(1)) {
                self.fill(&mut projection.items[*place]);
                projection.gives[*place] = self.number_of(&projection.items[*place].expr);
            }
            self.order_by_columns(query, &projection);
        }
        if !self.is_exact && self.random.percent(35) {
            self.point_columns(query, &mut projection);
        }
        projection
    }

    /// Fills the gaps of a column.
    fn fill(&mut self, item: &mut Item) {
        let how = match self.random.below(6) {
            0 => field("LINEAR"),
            1 => field("PREVIOUS"),
            2 => expr(ExprKind::Nil),
            3 => float(0.5),
            _ => int(0),
        };
        let filled = std::mem::replace(&mut item.expr, int(0));
        let is_aggregate = is_aggregate(&filled);
        item.expr = match is_aggregate {
            true => call("fill", vec![filled, how]),
            false => filled,
        };
    }

    /// An aggregate.
    fn aggregate(&mut self) -> (Expr, Gives) {
        let (summary, gives) = self.any_aggregate();
        let gives = match gives {
            Gives::Number => self.number_of(&summary),
            other => other,
        };
        match gives {
            Gives::Estimate if self.is_exact => {
                (call("count", vec![expr(ExprKind::Star)]), Gives::Number)
            }
            _ => (summary, gives),
        }
    }

    fn any_aggregate(&mut self) -> (Expr, Gives) {
        let argument = match self.random.below(5) {
            0 => self.argument(1),
            1 => {
                let (name, gives) = self.name();
                match gives {
                    Gives::Text => call("float", vec![field(&name)]),
                    Gives::Bool => self.numeric_name(),
                    _ => field(&name),
                }
            }
            _ => self.numeric_name(),
        };
        let (any, any_gives) = self.name();
        let number = |expr: Expr| (expr, Gives::Number);
        match self.random.below(24) {
            20 => (call("mode", vec![field(&any)]), any_gives),
            21 => self.with_default(argument),
            22 => self.sorted_pick(),
            23 => self.rarer_summary(&any),
            14 => (call("any", vec![field(&any)]), any_gives),
            15 if self.names.are_events => number(call("stddev", vec![field("df_date_range")])),
            16 => number(call("spread", vec![argument])),
            17 => number(self.chosen_values()),
            18 => {
                let mut arguments = vec![field(&any)];
                if self.random.percent(30) {
                    arguments.push(int(2));
                }
                let name = self
                    .random
                    .choose(&["collect", "collect_distinct", "field_values"]);
                if name == "field_values" {
                    arguments.truncate(1);
                }
                (call(name, arguments), Gives::Json)
            }
            19 if self.names.are_events => {
                let name = self.random.choose(&["rate_over_count", "rate_over_sum"]);
                number(call(name, vec![argument]))
            }
            0 | 1 => number(call("count", vec![expr(ExprKind::Star)])),
            2 => number(call("count", vec![field(&any)])),
            3 => number(call("count_distinct", vec![field(&any)])),
            4 | 5 => number(call("sum", vec![argument])),
            6 => number(call("avg", vec![argument])),
            7 => number(call("min", vec![argument])),
            8 => number(call("max", vec![argument])),
            9 => (call("first", vec![field(&any)]), any_gives),
            10 => {
                let name = self.random.choose(&["last", "last", "last_row"]);
                (call(name, vec![field(&any)]), any_gives)
            }
            11 => {
                let percent = self.random.choose(&[0, 7, 50, 55, 95, 100]);
                number(call("percentile", vec![argument, int(percent)]))
            }
            12 => number(call(
                self.random.choose(&["p50", "p90", "p99"]),
                vec![argument],
            )),
            _ => number(call("median", vec![argument])),
        }
    }

    /// How many rows have one of some values.
    fn chosen_values(&mut self) -> Expr {
        let values = [text("ana"), text("12"), text("200"), text("Success")];
        let (tested, gives) = self.name();
        let tested = match gives {
            Gives::Text | Gives::Json => field(&tested),
            _ => call("string", vec![field(&tested)]),
        };
        let list = expr(ExprKind::Array(values.to_vec()));
        call("count_filter", vec![tested, list])
    }

    /// `default` of an aggregate or of a field.
    fn with_default(&mut self, argument: Expr) -> (Expr, Gives) {
        let (name, gives) = self.name();
        if self.random.percent(50) || gives == Gives::Bool {
            let name = self.random.choose(&["sum", "max", "avg", "median"]);
            let value = self.random.pick(&[int(0), float(0.5)]).clone();
            let value = match name {
                "sum" | "max" => int(-1),
                _ => value,
            };
            return (
                call("default", vec![call(name, vec![argument]), value]),
                Gives::Number,
            );
        }
        let value = match gives {
            Gives::Number | Gives::Fraction => self.random.pick(&[int(7), float(0.5)]).clone(),
            _ => text("none"),
        };
        (call("default", vec![field(&name), value]), gives)
    }

    /// `first` or `last` in an order of its own.
    fn sorted_pick(&mut self) -> (Expr, Gives) {
        let (name, gives) = self.name();
        let mut keys = Vec::new();
        for _ in 0..=self.random.below(2) {
            let (key, _) = self.name();
            let direction = self.random.choose(&["", ":asc", ":desc"]);
            if !key.contains('@') {
                keys.push(text(&format!("{key}{direction}")));
            }
        }
        let picked = self.random.choose(&["first", "last"]);
        if keys.is_empty() {
            return (call(picked, vec![field(&name)]), gives);
        }
        let sort = ("sort", expr(ExprKind::Array(keys)));
        (named_call(picked, vec![field(&name)], sort), gives)
    }

    /// Counts of different values, and what two columns have to do with each other.
    fn rarer_summary(&mut self, any: &str) -> (Expr, Gives) {
        if !self.names.are_events || self.random.percent(40) {
            let distinct = call("distinct", vec![field(any)]);
            return (call("count", vec![distinct]), Gives::Number);
        }
        let mut number = || {
            let names = ["df_date_range", "score", "code"];
            let number = field(self.random.choose(&names));
            match self.random.percent(30) {
                true => call("float", vec![field("df_cost")]),
                false => number,
            }
        };
        let summary = match (number(), number()) {
            // Of small numbers: of large ones, a millisecond apart, hardly a digit is right.
            (left, right) if left == right => call("slope", vec![field("score")]),
            (left, right) => call("corr", vec![left, right]),
        };
        // Rounded, because more than the last digits are a matter of the order of additions.
        let rounded = call("round", vec![summary, int(6)]);
        (binary(BinaryOp::Add, rounded, int(0)), Gives::Number)
    }

    /// A condition on a group.
    fn group_test(&mut self, projection: &Projection) -> Expr {
        let tested: Option<&Item> = projection
            .items
            .iter()
            .zip(&projection.gives)
            .find(|(_, gives)| gives.is_number() && gives.is_exact())
            .map(|(item, _)| item);
        let tested = match tested {
            Some(item) => match &item.alias {
                Some(alias) if self.random.percent(70) => field(&alias.text),
                _ => item.expr.clone(),
            },
            None => call("count", vec![expr(ExprKind::Star)]),
        };
        let op = self.random.choose(&[
            BinaryOp::Gt,
            BinaryOp::GtEq,
            BinaryOp::Lt,
            BinaryOp::LtEq,
            BinaryOp::Eq,
            BinaryOp::NotEq,
        ]);
        let bound = match self.random.below(3) {
            0 => float(self.random.choose(&[0.5, 2.5, -0.25, 30.0])),
            _ => int(self.random.choose(&[0, 1, 2, 3, 60])),
        };
        binary(op, tested, bound)
    }

    /// `SORDER BY` a column, a key, or a column reduced by a function.
    pub(super) fn series_order(
        &mut self,
        query: &Select,
        projection: &Projection,
    ) -> Option<OrderKey> {
        let column = self.column(projection);
        let numeric = projection
            .items
            .iter()
            .zip(&projection.gives)
            .filter(|(_, gives)| matches!(gives, Gives::Number | Gives::Fraction | Gives::Json))
            .find_map(|(item, gives)| Some((field(&item.alias.as_ref()?.text), *gives)));
        let key = query.by.first().map(|key| match &key.alias {
            Some(alias) => field(&alias.text),
            None => key.expr.clone(),
        });
        let expr = match self.random.below(3) {
            0 => column,
            1 => key,
            _ => numeric.map(|(column, gives)| {
                let reducers = ["min", "max", "count", "last", "p50", "p90", "avg", "sum"];
                let reducers = match gives {
                    Gives::Fraction => &reducers[..6],
                    _ => &reducers,
                };
                call(self.random.choose(reducers), vec![column])
            }),
        };
        expr.map(|expr| self.order_key(expr))
    }
}

/// Whether an expression is an aggregate, and no function of a key.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call(call) => !["upper", "length", "regexp_extract", "lower", "drain"]
            .contains(&call.name.text.as_str()),
        _ => false,
    }
}

/// Whether a column summarises rows, and is no key.
pub(super) fn is_summary(item: &Item) -> bool {
    match &item.expr.kind {
        ExprKind::Binary { .. } => true,
        _ => is_aggregate(&item.expr),
    }
}
