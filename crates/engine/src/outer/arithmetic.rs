//! `eval`: arithmetic between the series of several queries.
//!
//! Points are paired by their tags and their time. A query with fewer keys pairs with every group of the
//! others that has the same values of these, and one row without a time with every time. A point without
//! a partner in each of the others has no result, and a division by zero none.

use std::collections::{BTreeMap, BTreeSet};

use dql::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use dql::{Diagnostic, Severity};
use plan::Type;
use serde_json::Value;

use super::points::number;
use super::wrong;
use crate::answer::Series;
use crate::error::EngineError;
use crate::whole::Whole;

/// The keys and series of an expression over named answers.
pub(super) fn eval(
    expression: &Expr,
    operands: &[(String, Whole)],
    column: &str,
) -> Result<(Vec<String>, Vec<Series>), EngineError> {
    check(expression, operands)?;
    // The query with the most keys tells the groups of the result, and that with the most points the
    // times, because a value without a time pairs with all of them.
    let points = |whole: &Whole| {
        let series = whole.answer.series.iter();
        series.filter(|series| !is_timeless(series)).count()
    };
    let widest = operands
        .iter()
        .max_by_key(|(_, whole)| (whole.keys.len(), points(whole)));
    let Some((_, widest)) = widest else {
        return Ok((Vec::new(), Vec::new()));
    };
    let mut result = Vec::new();
    for series in &widest.answer.series {
        let partners: Vec<(&str, Partner<'_>)> = operands
            .iter()
            .filter_map(|(name, whole)| {
                let is_partner = |candidate: &&Series| {
                    candidate.tags.iter().all(|tag| series.tags.contains(tag))
                };
                let partner = whole.answer.series.iter().find(is_partner)?;
                Some((name.as_str(), Partner::new(partner)))
            })
            .collect();
        let timed = partners.iter().find(|(_, partner)| !partner.is_timeless);
        let times = match (is_timeless(series), timed) {
            (true, Some((_, partner))) => partner.series,
            _ => series,
        };
        let mut values = Vec::new();
        let mut seen = BTreeSet::new();
        for row in &times.values {
            if !seen.insert(row[0].as_i64()) {
                continue;
            }
            if let Some(value) = value_at(expression, &partners, row[0].as_i64()) {
                let value = value.map_or(Value::Null, |value| number(value, Type::Float));
                values.push(vec![row[0].clone(), value]);
            }
        }
        if !values.is_empty() {
            result.push(Series {
                name: None,
                tags: series.tags.clone(),
                columns: vec!["time".to_owned(), column.to_owned()],
                values,
            });
        }
    }
    Ok((widest.keys.clone(), result))
}

/// Says how many rows of the answer called `letter` share the time of another in their series, so that
/// only one of them could be computed with.
pub(super) fn warn_of_shared_times(whole: &mut Whole, letter: &str) {
    let shared = |series: &Series| {
        let times: BTreeSet<Option<i64>> =
            series.values.iter().map(|row| row[0].as_i64()).collect();
        series.values.len() - times.len()
    };
    let count: usize = whole.answer.series.iter().map(shared).sum();
    if count > 0 {
        let message = format!(
            "rows of `{letter}` share the time of another, and one of each time is computed with: {count} were not"
        );
        let warning = Diagnostic::new(Severity::Warning, "shared_time", message, None);
        let warnings = &mut whole.answer.summary.warnings;
        warnings.push(warning.with_hint("summarise them by an aggregate with a step: `[1d::1h]`"));
    }
}

/// Whether a series is one row that summarises a whole window.
fn is_timeless(series: &Series) -> bool {
    matches!(series.values.as_slice(), [row] if row[0].is_null())
}

/// A series that can be asked for its value at a time.
struct Partner<'s> {
    series: &'s Series,
    is_timeless: bool,
    rows: BTreeMap<Option<i64>, &'s Vec<Value>>,
}

impl<'s> Partner<'s> {
    fn new(series: &'s Series) -> Self {
        let rows = series
            .values
            .iter()
            .map(|row| (row[0].as_i64(), row))
            .collect();
        Self {
            series,
            is_timeless: is_timeless(series),
            rows,
        }
    }

    /// The value of a column, the first one when none is named; `None` without a row of that time.
    fn value(&self, column: Option<&str>, time: Option<i64>) -> Option<Option<f64>> {
        let time = if self.is_timeless { None } else { time };
        let row = self.rows.get(&time)?;
        let index = match column {
            Some(name) => self.series.columns.iter().position(|known| known == name)?,
            None => 1,
        };
        Some(row.get(index).and_then(Value::as_f64))
    }
}

/// The letter of a name, and the column behind its dot.
fn operand(name: &str) -> (&str, Option<&str>) {
    match name.split_once('.') {
        Some((letter, column)) => (letter, Some(column)),
        None => (name, None),
    }
}

/// The outer `None` is a point without a partner, the inner one a partner without a value.
fn value_at(
    expression: &Expr,
    partners: &[(&str, Partner<'_>)],
    time: Option<i64>,
) -> Option<Option<f64>> {
    match &expression.kind {
        ExprKind::Int(number) => Some(Some(*number as f64)),
        ExprKind::Float(number) => Some(Some(*number)),
        ExprKind::Field(field) => {
            let (letter, column) = operand(&field.name);
            let (_, partner) = partners.iter().find(|(name, _)| *name == letter)?;
            partner.value(column, time)
        }
        ExprKind::Unary {
            op: UnaryOp::Minus,
            operand,
        } => value_at(operand, partners, time).map(|value| value.map(|value| -value)),
        ExprKind::Binary { op, left, right } => {
            let (left, right) = (
                value_at(left, partners, time)?,
                value_at(right, partners, time)?,
            );
            Some(
                left.zip(right)
                    .and_then(|(left, right)| compute(*op, left, right)),
            )
        }
        _ => None,
    }
}

/// The result of an operator; none where it is no number, as in a division by zero.
pub(super) fn compute(op: BinaryOp, left: f64, right: f64) -> Option<f64> {
    let value = match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo => left % right,
        BinaryOp::Power => left.powf(right),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// Everything in the expression is a number, a query, or arithmetic between them.
fn check(expression: &Expr, operands: &[(String, Whole)]) -> Result<(), EngineError> {
    match &expression.kind {
        ExprKind::Int(_) | ExprKind::Float(_) => Ok(()),
        ExprKind::Field(field) => {
            let (letter, column) = operand(&field.name);
            let Some((_, whole)) = operands.iter().find(|(name, _)| name == letter) else {
                let message = format!("`eval` has no query `{letter}`");
                return Err(wrong("unknown_query", message, expression.span));
            };
            let known = |column: &str| whole.columns.iter().any(|(known, _)| known == column);
            match column.filter(|column| !known(column)) {
                Some(column) => {
                    let message = format!("the query `{letter}` has no column `{column}`");
                    Err(wrong("unknown_field", message, expression.span))
                }
                None => Ok(()),
            }
        }
        ExprKind::Unary {
            op: UnaryOp::Minus,
            operand,
        } => check(operand, operands),
        ExprKind::Binary { op, left, right } if is_arithmetic(*op) => {
            check(left, operands)?;
            check(right, operands)
        }
        _ => {
            let message = "`eval` computes with numbers and queries: `A / B * 100`".to_owned();
            Err(wrong("invalid_expression", message, expression.span))
        }
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Power, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Modulo | Power)
}
