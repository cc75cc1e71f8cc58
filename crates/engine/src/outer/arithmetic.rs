//! `eval`: arithmetic between the series of several queries.
//!
//! Points are paired by their tags and their time. A query without `BY` pairs with every group of the
//! others. A point without a partner in each of the others has no result, and a division by zero none.

use std::collections::BTreeMap;

use dql::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use serde_json::Value;

use super::series::json_number;
use super::wrong;
use crate::answer::Series;
use crate::error::EngineError;

/// The series of an expression over named series.
pub(super) fn eval(
    expression: &Expr,
    operands: &[(String, Vec<Series>)],
    column: &str,
) -> Result<Vec<Series>, EngineError> {
    check(expression, operands)?;
    // The query with the most keys tells the groups of the result.
    let Some((_, widest)) = operands.iter().max_by_key(|(_, series)| keys(series)) else {
        return Ok(Vec::new());
    };
    let mut result = Vec::new();
    for series in widest {
        let partners: Vec<(&str, Partner<'_>)> = operands
            .iter()
            .filter_map(|(name, candidates)| {
                let partner = candidates
                    .iter()
                    .find(|candidate| candidate.tags.is_empty() || candidate.tags == series.tags)?;
                Some((name.as_str(), Partner::new(partner)))
            })
            .collect();
        let mut values = Vec::new();
        for row in &series.values {
            let time = row[0].as_i64();
            if let Some(value) = value_at(expression, &partners, time) {
                values.push(vec![row[0].clone(), value.map_or(Value::Null, json_number)]);
            }
        }
        if !values.is_empty() {
            let columns = vec!["time".to_owned(), column.to_owned()];
            result.push(Series {
                name: None,
                tags: series.tags.clone(),
                columns,
                values,
            });
        }
    }
    Ok(result)
}

fn keys(series: &[Series]) -> usize {
    series
        .iter()
        .map(|series| series.tags.len())
        .max()
        .unwrap_or(0)
}

/// A series that can be asked for its value at a time.
struct Partner<'s> {
    series: &'s Series,
    rows: BTreeMap<Option<i64>, &'s Vec<Value>>,
}

impl<'s> Partner<'s> {
    fn new(series: &'s Series) -> Self {
        let rows = series
            .values
            .iter()
            .map(|row| (row[0].as_i64(), row))
            .collect();
        Self { series, rows }
    }

    /// The value of a column, the first one when none is named; `None` without a row of that time.
    fn value(&self, column: Option<&str>, time: Option<i64>) -> Option<Option<f64>> {
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

fn compute(op: BinaryOp, left: f64, right: f64) -> Option<f64> {
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
fn check(expression: &Expr, operands: &[(String, Vec<Series>)]) -> Result<(), EngineError> {
    match &expression.kind {
        ExprKind::Int(_) | ExprKind::Float(_) => Ok(()),
        ExprKind::Field(field) => {
            let (letter, column) = operand(&field.name);
            let Some((_, series)) = operands.iter().find(|(name, _)| name == letter) else {
                let message = format!("`eval` has no query `{letter}`");
                return Err(wrong("unknown_query", message, expression.span));
            };
            let known = |column: &str| {
                series
                    .iter()
                    .all(|series| series.columns.iter().any(|known| known == column))
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use dql::ast::Statement;
    use serde_json::json;

    fn series(tag: Option<&str>, values: &[(i64, Value)]) -> Series {
        Series {
            name: None,
            tags: tag
                .map(|tag| ("user".to_owned(), Value::from(tag)))
                .into_iter()
                .collect(),
            columns: vec!["time".to_owned(), "n".to_owned()],
            values: values
                .iter()
                .map(|(time, value)| vec![Value::from(*time), value.clone()])
                .collect(),
        }
    }

    fn expression(text: &str) -> Expr {
        let script = dql::parse(&format!("eval({text}, A = 'x')")).unwrap();
        let Statement::Outer(outer) = &script.statements[0] else {
            panic!()
        };
        outer.call.args[0].value.clone()
    }

    #[test]
    fn points_pair_by_tags_and_time() {
        let errors = vec![
            series(Some("a"), &[(2, json!(1)), (1, json!(3))]),
            series(Some("b"), &[(1, json!(5))]),
        ];
        let all = vec![series(None, &[(2, json!(4)), (1, json!(0))])];
        let operands = [("A".to_owned(), errors), ("B".to_owned(), all)];
        let result = eval(&expression("A / B * 100"), &operands, "percent").unwrap();
        assert_eq!(result[0].columns, ["time", "percent"]);
        assert_eq!(
            result[0].values,
            [vec![json!(2), json!(25)], vec![json!(1), Value::Null]]
        );
        assert_eq!(result[1].values, [vec![json!(1), Value::Null]]);
        let named = eval(&expression("-A.n + 2 ^ 3"), &operands, "x").unwrap();
        assert_eq!(named[0].values[0], vec![json!(2), json!(7)]);
    }

    #[test]
    fn a_point_without_a_partner_has_no_result() {
        let operands = [
            (
                "A".to_owned(),
                vec![series(None, &[(2, json!(1)), (1, json!(3))])],
            ),
            ("B".to_owned(), vec![series(None, &[(1, json!(1))])]),
        ];
        let result = eval(&expression("A - B"), &operands, "x").unwrap();
        assert_eq!(result[0].values, [vec![json!(1), json!(2)]]);
    }

    #[test]
    fn unknown_letters_and_columns_are_said() {
        let operands = [("A".to_owned(), vec![series(None, &[(1, json!(1))])])];
        for text in ["C + 1", "A.m", "(A = 1)"] {
            assert!(eval(&expression(text), &operands, "x").is_err(), "{text}");
        }
    }
}
