//! Conditions on the points of an answer, known to be right before any point is read.

use std::borrow::Cow;
use std::cmp::Ordering;

use api::Series;
use dql::ast::BinaryOp;
use serde_json::Value;

/// What is true or false of a point.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    /// One of them holds, or more.
    Any(Vec<Self>),
    IsTrue(Operand),
    IsMissing(Operand),
    Compares(Kind, Test, Operand, Operand),
}

/// What two values are compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Numbers,
    Texts,
    Truths,
    /// Values of attributes: numbers where both are, else texts.
    Attributes,
}

/// What an order has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value of a point.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// A column or a key.
    Named(String),
    Constant(Value),
    Negative(Box<Self>),
    Arithmetic(BinaryOp, Box<Self>, Box<Self>),
}

impl Predicate {
    /// Whether it holds; as everywhere in DQL a comparison with a missing value is false.
    pub(super) fn holds(&self, series: &Series, row: &[Value]) -> bool {
        match self {
            Self::Not(inner) => !inner.holds(series, row),
            Self::And(left, right) => left.holds(series, row) && right.holds(series, row),
            Self::Any(inner) => inner.iter().any(|inner| inner.holds(series, row)),
            Self::IsTrue(operand) => operand.value(series, row) == Value::Bool(true),
            Self::IsMissing(operand) => operand.value(series, row).is_null(),
            Self::Compares(kind, test, left, right) => {
                let (left, right) = (left.value(series, row), right.value(series, row));
                kind.order(&left, &right)
                    .is_some_and(|order| test.fits(order))
            }
        }
    }
}

impl Kind {
    fn order(self, left: &Value, right: &Value) -> Option<Ordering> {
        match self {
            Self::Numbers => numbers(left, right),
            Self::Texts => texts(left, right),
            Self::Truths => Some(left.as_bool()?.cmp(&right.as_bool()?)),
            Self::Attributes => match left.is_number() && right.is_number() {
                true => numbers(left, right),
                false => texts(left, right),
            },
        }
    }
}

impl Test {
    /// The test of a comparison; none of an operator that is no order.
    pub(super) fn of(op: BinaryOp) -> Option<Self> {
        Some(match op {
            BinaryOp::Eq => Self::Equal,
            BinaryOp::Lt => Self::Less,
            BinaryOp::LtEq => Self::LessOrEqual,
            BinaryOp::Gt => Self::Greater,
            BinaryOp::GtEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn fits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Operand {
    fn value(&self, series: &Series, row: &[Value]) -> Value {
        match self {
            Self::Named(name) => {
                let column = series.columns.iter().position(|known| known == name);
                let cell = column.and_then(|column| row.get(column));
                let tag = || {
                    let tags = &mut series.tags.iter();
                    tags.find(|(known, _)| known == name).map(|(_, tag)| tag)
                };
                cell.or_else(tag).cloned().unwrap_or_default()
            }
            Self::Constant(value) => value.clone(),
            Self::Negative(operand) => match operand.value(series, row).as_f64() {
                Some(number) => Value::from(-number),
                None => Value::Null,
            },
            Self::Arithmetic(op, left, right) => {
                let numbers = [left, right].map(|side| side.value(series, row).as_f64());
                let result = match numbers {
                    [Some(left), Some(right)] => super::arithmetic::compute(*op, left, right),
                    _ => None,
                };
                result.map_or(Value::Null, Value::from)
            }
        }
    }
}

fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn texts(left: &Value, right: &Value) -> Option<Ordering> {
    Some(text(left)?.cmp(&text(right)?))
}

/// A value as text, as `string` gives it; JSON for lists and objects.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}
