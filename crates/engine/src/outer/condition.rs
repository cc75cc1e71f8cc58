//! `count_filter(query, condition)`: how many points of each series fulfil a condition on their columns.

use dql::ast::{Arg, BinaryOp, Call, Expr, ExprKind, InSet, UnaryOp};
use plan::Type;
use serde_json::Value;

use super::wrong;
use crate::answer::Series;
use crate::error::EngineError;
use crate::whole::Whole;

/// The name of the only column (Guance documentation, outer functions).
const COLUMN: &str = "filter_count";

/// Puts the number of points that fulfil the condition in the place of each series.
pub(super) fn count_filter(
    call: &Call,
    others: &[&Arg],
    whole: &mut Whole,
) -> Result<(), EngineError> {
    let Some(condition) = others.first().map(|argument| &argument.value) else {
        let message = "`count_filter` needs a condition such as `n > 5`".to_owned();
        return Err(wrong("wrong_argument_count", message, call.name.span));
    };
    check(condition, whole)?;
    for series in &mut whole.answer.series {
        let is_counted = |row: &&Vec<Value>| Row { series, row }.is_true(condition);
        let count = series.values.iter().filter(is_counted).count();
        series.values = vec![vec![Value::from(0), Value::from(count)]];
    }
    whole.columns = vec![(COLUMN.to_owned(), Type::Int)];
    Ok(())
}

/// Everything in the condition is known and can be tested.
fn check(expr: &Expr, whole: &Whole) -> Result<(), EngineError> {
    let name = dql::column_name(expr);
    let columns = whole.columns.iter().map(|(name, _)| name);
    let names: Vec<&String> = columns.chain(&whole.keys).collect();
    if names.iter().any(|known| **known == name) {
        return Ok(());
    }
    match &expr.kind {
        ExprKind::Nil
        | ExprKind::Bool(_)
        | ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::String(_) => Ok(()),
        ExprKind::Field(_) if name == "time" => Ok(()),
        ExprKind::Field(_) => {
            let message = format!("the query has no column `{name}`");
            let shown: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let error = dql::Diagnostic::error("unknown_field", message, expr.span)
                .with_hint(format!("its columns and keys are `{}`", shown.join("`, `")));
            Err(EngineError::Query(vec![error]))
        }
        ExprKind::Unary { operand, .. } => check(operand, whole),
        ExprKind::Binary { op, left, right }
            if !matches!(op, BinaryOp::Match | BinaryOp::NotMatch) =>
        {
            check(left, whole)?;
            check(right, whole)
        }
        ExprKind::In {
            expr,
            set: InSet::List(items),
            ..
        } => {
            check(expr, whole)?;
            items.iter().try_for_each(|item| check(item, whole))
        }
        _ => {
            let message = "`count_filter` compares the columns of points: `n > 5 AND n != 7`";
            let error = dql::Diagnostic::error("invalid_expression", message, expr.span)
                .with_hint("test text, lists and patterns in the `{…}` of the query");
            Err(EngineError::Query(vec![error]))
        }
    }
}

/// A point that can be tested.
struct Row<'s> {
    series: &'s Series,
    row: &'s [Value],
}

impl Row<'_> {
    /// Whether a condition holds; as everywhere in DQL a missing value makes a test false, and `!=` and
    /// `NOT IN` true.
    fn is_true(&self, condition: &Expr) -> bool {
        match &condition.kind {
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => !self.is_true(operand),
            ExprKind::Binary { op, left, right } => match op {
                BinaryOp::And => self.is_true(left) && self.is_true(right),
                BinaryOp::Or => self.is_true(left) || self.is_true(right),
                op => compare(*op, &self.value(left), &self.value(right)),
            },
            ExprKind::In {
                expr,
                negated,
                set: InSet::List(items),
            } => {
                let value = self.value(expr);
                let is_member = |item: &Expr| compare(BinaryOp::Eq, &value, &self.value(item));
                items.iter().any(is_member) != *negated
            }
            _ => self.value(condition) == Value::Bool(true),
        }
    }

    fn value(&self, expr: &Expr) -> Value {
        let name = dql::column_name(expr);
        let column = self.series.columns.iter().position(|known| *known == name);
        if let Some(cell) = column.and_then(|index| self.row.get(index)) {
            return cell.clone();
        }
        if let Some((_, tag)) = self.series.tags.iter().find(|(known, _)| *known == name) {
            return tag.clone();
        }
        match &expr.kind {
            ExprKind::Bool(truth) => Value::from(*truth),
            ExprKind::Int(number) => Value::from(*number),
            ExprKind::Float(number) => Value::from(*number),
            ExprKind::String(text) => Value::from(text.as_str()),
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => self
                .value(operand)
                .as_f64()
                .map_or(Value::Null, |number| Value::from(-number)),
            ExprKind::Binary { op, left, right } => {
                let numbers = self.value(left).as_f64().zip(self.value(right).as_f64());
                let result =
                    numbers.and_then(|(left, right)| super::arithmetic::compute(*op, left, right));
                result.map_or(Value::Null, Value::from)
            }
            _ => Value::Null,
        }
    }
}

fn compare(op: BinaryOp, left: &Value, right: &Value) -> bool {
    let order = match (
        left.as_f64().zip(right.as_f64()),
        left.as_str().zip(right.as_str()),
    ) {
        (Some((left, right)), _) => left.partial_cmp(&right),
        (_, Some((left, right))) => Some(left.cmp(right)),
        _ => None,
    };
    let is_equal = order.map_or(left == right, std::cmp::Ordering::is_eq);
    match op {
        BinaryOp::Eq => is_equal,
        BinaryOp::NotEq => !is_equal,
        BinaryOp::Lt => order.is_some_and(std::cmp::Ordering::is_lt),
        BinaryOp::LtEq => order.is_some_and(std::cmp::Ordering::is_le),
        BinaryOp::Gt => order.is_some_and(std::cmp::Ordering::is_gt),
        BinaryOp::GtEq => order.is_some_and(std::cmp::Ordering::is_ge),
        _ => false,
    }
}
