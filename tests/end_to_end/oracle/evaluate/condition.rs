//! Conditions, which are true or false and nothing else.

use dql::ast::{BinaryOp, Call, Expr, ExprKind, Field, InSet, Select, Source, UnaryOp};
use serde_json::Value as Json;

use super::scope::{Scope, is_arithmetic, plain_name};
use super::text;
use super::value::{Kind, Value};

impl Scope<'_> {
    /// Whether a condition holds.
    pub(super) fn condition(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => !self.condition(operand),
            ExprKind::Binary {
                op: BinaryOp::And,
                left,
                right,
            } => self.condition(left) && self.condition(right),
            ExprKind::Binary {
                op: BinaryOp::Or,
                left,
                right,
            } => self.condition(left) || self.condition(right),
            ExprKind::Binary { op, left, right } if !is_arithmetic(*op) => {
                self.compares(*op, left, right)
            }
            ExprKind::In { expr, negated, set } => self.is_in(expr, set) != *negated,
            ExprKind::Call(call) if text::is_test(&call.name.text.to_lowercase()) => {
                self.test_call(call)
            }
            _ => matches!(
                self.value(expr),
                Value::Bool(true) | Value::Json(Json::Bool(true))
            ),
        }
    }

    /// Whether a comparison holds; with a missing value only `!=`, `!~` and `= nil` do.
    pub(super) fn compares(&self, op: BinaryOp, left: &Expr, right: &Expr) -> bool {
        match op {
            BinaryOp::NotEq => return !self.compares(BinaryOp::Eq, left, right),
            BinaryOp::NotMatch => return !self.compares(BinaryOp::Match, left, right),
            _ => {}
        }
        match &right.kind {
            ExprKind::Nil => return self.value(left).is_missing(),
            ExprKind::Regex(pattern) => return self.passes(left, "re", pattern),
            ExprKind::String(pattern) if op == BinaryOp::Match => {
                return self.passes(left, "re", pattern);
            }
            ExprKind::Call(call) if call.name.text.eq_ignore_ascii_case("exists") => {
                let value = self.value(left);
                return match value {
                    Value::Text(_) | Value::Json(_) => value.text() != Some(String::new()),
                    other => !other.is_missing(),
                };
            }
            ExprKind::Call(call) if text::is_test(&call.name.text.to_lowercase()) => {
                return self.passes(left, &call.name.text, &literal(&call.args[0].value));
            }
            _ => {}
        }
        let value = self.value(left);
        if let (ExprKind::String(text), Kind::Int, Some(name)) =
            (&right.kind, self.kind(left), plain_name(left))
            && matches!(name, "date" | "time")
        {
            let time = chrono::DateTime::parse_from_rfc3339(text).unwrap();
            return holds(op, &value, &Value::Int(time.timestamp_millis()));
        }
        holds(op, &value, &self.value(right))
    }

    /// Whether a value as text passes a test.
    fn passes(&self, tested: &Expr, test: &str, pattern: &str) -> bool {
        self.value(tested)
            .text()
            .is_some_and(|text| text::passes(&test.to_lowercase(), &text, pattern))
    }

    /// `test(field, 'text')`, or `test('text')` on the message.
    fn test_call(&self, call: &Call) -> bool {
        let pattern = literal(&call.args[call.args.len() - 1].value);
        let message = |name: &str| Expr {
            kind: ExprKind::Field(Field {
                name: name.to_owned(),
                path: Vec::new(),
            }),
            span: dql::Span::default(),
        };
        match call.args.as_slice() {
            [_] => self.passes(&message("df_message"), &call.name.text, &pattern),
            [tested, ..] => match &tested.value.kind {
                ExprKind::String(name) => self.passes(&message(name), &call.name.text, &pattern),
                _ => self.passes(&tested.value, &call.name.text, &pattern),
            },
            [] => panic!("a test without arguments"),
        }
    }

    /// The query among the sources that gives a named list.
    fn named_list(&self, name: &str) -> &Select {
        let mut sources = self.select.sources.iter();
        let found = sources.find(|source| super::list_name(source) == Some(name));
        match found {
            Some(Source::Subquery { query, .. }) => query,
            other => panic!("`{name}` is {other:?}"),
        }
    }

    /// Whether a value is in a set.
    pub(super) fn is_in(&self, expr: &Expr, set: &InSet) -> bool {
        let value = self.value(expr);
        match set {
            InSet::List(items) => items.iter().any(|item| match &item.kind {
                ExprKind::Nil => value.is_missing(),
                ExprKind::Regex(pattern) => value
                    .text()
                    .is_some_and(|text| text::matches_whole(&text, pattern)),
                _ => is_member(&value, &self.value(item)),
            }),
            InSet::Named(_) | InSet::Subquery(_) => {
                let query = match set {
                    InSet::Subquery(query) => query,
                    InSet::Named(name) => self.named_list(&name.text),
                    InSet::List(_) => panic!("a list has no query"),
                };
                let members = self.run.members(query, self);
                let numbers = matches!(value, Value::Int(_) | Value::Float(_));
                members.iter().any(|member| match numbers {
                    true => value.number() == member.number(),
                    false => !value.is_missing() && value.text() == member.text(),
                })
            }
        }
    }
}

/// Whether a value equals a member of a list, which may be of another kind.
pub(super) fn is_member(value: &Value, member: &Value) -> bool {
    match (value, member) {
        (Value::Missing, _) | (_, Value::Missing) => false,
        (Value::Text(_), _) | (Value::Json(_), Value::Text(_)) => value.text() == member.text(),
        (Value::Int(_) | Value::Float(_), Value::Text(text)) => {
            text.parse::<f64>().ok() == value.number()
        }
        _ => holds(BinaryOp::Eq, value, member),
    }
}

fn literal(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::String(text) | ExprKind::Regex(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}

/// Whether two values compare as `op` says; kinds that have nothing in common never do.
pub(super) fn holds(op: BinaryOp, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Missing, _) | (_, Value::Missing) => None,
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Text(_), _) | (_, Value::Text(_)) => left.text().partial_cmp(&right.text()),
        (Value::Bool(left), Value::Bool(right))
        | (Value::Bool(left), Value::Json(Json::Bool(right)))
        | (Value::Json(Json::Bool(left)), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Json(Json::Number(_)), Value::Json(Json::Number(_))) => {
            left.number().partial_cmp(&right.number())
        }
        (Value::Json(_), Value::Json(_)) => left.text().partial_cmp(&right.text()),
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => None,
        },
    };
    match op {
        BinaryOp::Eq => order.is_some_and(|order| order.is_eq()),
        BinaryOp::Lt => order.is_some_and(|order| order.is_lt()),
        BinaryOp::LtEq => order.is_some_and(|order| order.is_le()),
        BinaryOp::Gt => order.is_some_and(|order| order.is_gt()),
        BinaryOp::GtEq => order.is_some_and(|order| order.is_ge()),
        _ => panic!("{op:?} compares nothing"),
    }
}
