//! Random conditions.

use chrono::DateTime;
use dql::ast::{BinaryOp, Expr, ExprKind, InSet, Source};

use super::super::tree::{binary, call, expr, field, float, ident, int, item, not, select, text};
use super::{Gives, Questioner};

const ORDERS: [BinaryOp; 6] = [
    BinaryOp::Eq,
    BinaryOp::NotEq,
    BinaryOp::Lt,
    BinaryOp::LtEq,
    BinaryOp::Gt,
    BinaryOp::GtEq,
];

/// The tests of texts, and patterns that find something, nothing or all.
const TEXT_TESTS: [(&str, &[&str]); 6] = [
    (
        "re",
        &[
            ".*login.*",
            "[a-z]+",
            "Login.*|ana",
            "",
            "登.+",
            "10\\..*",
            "(?i)ANA",
        ],
    ),
    (
        "match",
        &["LOGIN", "ana", "失败", "*b", "", "ü", "10.1", "e"],
    ),
    (
        "search",
        &[
            "login",
            "failed login",
            "bob #\"wrong password\"",
            "失败",
            "log",
            "二 x",
        ],
    ),
    (
        "wildcard",
        &["*login*", "a?a", "*", "", "登录*", "a*c", "10.*.3", "?na"],
    ),
    (
        "query_string",
        &[
            "login AND NOT failed",
            "login OR token_created",
            "(bob OR ana) login",
            "dash*",
            "-login",
            "\"wrong password\", bob",
            "失败",
            "a?a",
        ],
    ),
    (
        "cidr",
        &[
            "10.0.0.0/8",
            "10.1.2.0/24",
            "2001:db8::/32",
            "0.0.0.0/0",
            "10.1.2.3/32",
        ],
    ),
];

impl Questioner<'_> {
    /// A condition on a row.
    pub(crate) fn condition(&mut self, depth: usize) -> Expr {
        if depth > 0 && self.random.percent(40) {
            let left = self.condition(depth - 1);
            return match self.random.below(3) {
                0 => not(left),
                1 => binary(BinaryOp::And, left, self.condition(depth - 1)),
                _ => binary(BinaryOp::Or, left, self.condition(depth - 1)),
            };
        }
        let nested = usize::from(depth > 0 && self.random.percent(30));
        match self.random.below(12) {
            0 | 1 => self.text_comparison(nested),
            2 | 3 => self.number_comparison(nested),
            4 => self.presence(),
            5 | 6 => self.text_test(),
            7 => self.list(),
            8 if self.in_where && self.depth < 2 => self.in_query(),
            9 => self.truth(),
            10 => self.time_comparison(),
            _ => self.text_comparison(0),
        }
    }

    fn literal(&mut self) -> String {
        let pool = self.random.pick(&self.vocabulary.values);
        self.random.pick(pool).clone()
    }

    fn text_comparison(&mut self, depth: usize) -> Expr {
        let left = self.text(depth);
        let op = self.random.choose(&ORDERS);
        let others = ["Success", "audit", "true", "200", "1", "info", "ana"];
        let right = match self.random.percent(40) {
            true => self.random.choose(&others).to_owned(),
            false => self.literal(),
        };
        binary(op, left, text(&right))
    }

    fn number_comparison(&mut self, depth: usize) -> Expr {
        let left = match depth {
            0 => self.numeric_name(),
            _ => self.number(depth),
        };
        let op = self.random.choose(&ORDERS);
        let right = match self.random.below(4) {
            0 => float(self.random.choose(&[0.25, 1.0, -2.75, 250.0])),
            1 => self.number(1),
            _ => int(self.random.choose(&[0, 1, 7, 60, 200, 404, -5, 3600])),
        };
        binary(op, left, right)
    }

    fn presence(&mut self) -> Expr {
        let name = self.name().0;
        let op = self.random.choose(&[BinaryOp::Eq, BinaryOp::NotEq]);
        let right = match self.random.percent(50) {
            true => expr(ExprKind::Nil),
            false => call("exists", Vec::new()),
        };
        binary(op, field(&name), right)
    }

    fn text_test(&mut self) -> Expr {
        let Some(name) = self.textual_name() else {
            return self.number_comparison(0);
        };
        let (test, patterns) = self.random.choose(&TEXT_TESTS);
        let mut pattern = text(self.random.choose(patterns));
        let words = &self.vocabulary.words;
        if !words.is_empty() && self.random.percent(60) {
            let word = self.random.pick(words);
            pattern = match test {
                "re" => text(&format!(".*{word}.*")),
                "wildcard" => text(&format!("*{word}*")),
                "cidr" => pattern,
                _ => text(word),
            };
        }
        let is_event = self.names.are_events;
        match self.random.below(5) {
            0 if test != "cidr" => binary(BinaryOp::Eq, name, call(test, vec![pattern])),
            1 if test != "cidr" => binary(BinaryOp::NotEq, name, call(test, vec![pattern])),
            2 if test == "re" => binary(BinaryOp::Match, name, pattern),
            3 if test == "re" => binary(BinaryOp::NotMatch, name, pattern),
            2 if is_event && !matches!(test, "re" | "cidr") => call(test, vec![pattern]),
            _ => call(test, vec![name, pattern]),
        }
    }

    fn list(&mut self) -> Expr {
        let (name, gives) = self.name();
        let mut items = Vec::new();
        for _ in 0..self.random.below(4) {
            items.push(match (self.random.below(6), gives) {
                (0, _) => expr(ExprKind::Nil),
                (1, Gives::Text | Gives::Json) => expr(ExprKind::Regex("[a-z]+".to_owned())),
                (2, Gives::Json) => expr(ExprKind::Bool(true)),
                (_, Gives::Bool) => expr(ExprKind::Bool(true)),
                (3, Gives::Number | Gives::Fraction) => {
                    text(self.random.choose(&["60", "7", "1.5"]))
                }
                (_, Gives::Number | Gives::Fraction) => int(self.random.choose(&[0, 1, 7, 60, -5])),
                (3 | 4, _) => int(self.random.choose(&[1, 12, 200, 404])),
                _ => text(&self.literal()),
            });
        }
        in_set(field(&name), self.random.percent(40), InSet::List(items))
    }

    /// `IN` a query of one column.
    fn in_query(&mut self) -> Expr {
        let Some(tested) = self.textual_name() else {
            return self.number_comparison(0);
        };
        let is_number = self.names.are_events && self.random.percent(25);
        let around = (self.names.clone(), self.depth, self.in_where);
        let lists = self.lists.take();
        let tested = match is_number {
            true => field("date"),
            false => tested,
        };
        self.names = self.vocabulary.names.clone();
        self.depth += 1;
        let mut query = select(vec![Source::All(dql::Span::default())]);
        query.window = self.window();
        if self.random.percent(70) {
            self.lists = Some(Vec::new());
            let test = self.condition(1);
            query.conditions = Some(vec![test]);
            query.sources.extend(self.lists.take().unwrap_or_default());
        }
        self.in_where = false;
        let column = match is_number {
            true => field("date"),
            false => self.textual_name().unwrap_or_else(|| field("df_title")),
        };
        query.target = Some(vec![match self.random.below(4) {
            3 => {
                let name = self
                    .random
                    .choose(&["collect", "collect_distinct", "field_values"]);
                item(call(name, vec![column]), Some("x"))
            }
            0 => item(call("distinct", vec![column]), Some("x")),
            1 => item(call("last", vec![column]), Some("x")),
            _ => item(column, None),
        }]);
        if self.random.percent(30) {
            self.keys(&mut query);
        }
        self.limits(&mut query);
        (self.names, self.depth, self.in_where) = around;
        let negated = self.random.percent(40);
        self.lists = lists;
        if let Some(lists) = &mut self.lists
            && self.random.percent(40)
        {
            let name = format!("@list{}{}", lists.len(), self.depth);
            if let Some(item) = query.target.iter_mut().flatten().next() {
                item.alias = Some(ident(&name));
            }
            lists.push(Source::Subquery {
                query: Box::new(query),
                alias: None,
            });
            return in_set(tested, negated, InSet::Named(ident(&name)));
        }
        in_set(tested, negated, InSet::Subquery(Box::new(query)))
    }

    /// A truth value: an attribute, a conversion, a CASE.
    fn truth(&mut self) -> Expr {
        let jsons = self.names.of(Gives::Json);
        if jsons.is_empty() {
            return self.number_comparison(0);
        }
        let name = field(self.random.choose(&jsons));
        match self.random.below(5) {
            0 => name,
            1 => binary(BinaryOp::Eq, name, expr(ExprKind::Bool(true))),
            2 => binary(BinaryOp::NotEq, name, expr(ExprKind::Bool(false))),
            3 => call("bool", vec![name]),
            _ => {
                let branch = (text("1"), text("one"));
                let case = expr(ExprKind::Case {
                    operand: Some(Box::new(name)),
                    branches: vec![branch],
                    otherwise: None,
                });
                binary(BinaryOp::NotEq, case, text("one"))
            }
        }
    }

    fn time_comparison(&mut self) -> Expr {
        if !self.names.are_events {
            return self.number_comparison(0);
        }
        let op = self.random.choose(&ORDERS);
        let name = self.random.choose(&["date", "time"]);
        let hours = i64::try_from(self.random.below(48)).unwrap();
        let time = DateTime::from_timestamp_millis(self.now_ms - 3_600_000 * hours).unwrap();
        binary(op, field(name), text(&time.to_rfc3339()))
    }
}

fn in_set(tested: Expr, negated: bool, set: InSet) -> Expr {
    expr(ExprKind::In {
        expr: Box::new(tested),
        negated,
        set,
    })
}
