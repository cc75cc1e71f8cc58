//! `eval`: arithmetic between the series of several queries.
//!
//! Points are paired by their tags and their time. A query with fewer keys pairs with every group of the
//! others that has the same values of these, and one row without a time with every time. A point without
//! a partner in each of the others has no result, and a division by zero none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api::Series;
use dql::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use dql::{Code, Diagnostic, Severity};
use plan::Type;
use serde_json::Value;

use super::points::number;
use super::wrong;
use crate::error::EngineError;
use crate::whole::Whole;

/// The keys and series of an expression over named answers.
pub(super) async fn eval(
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
    let groups: Vec<(&str, Groups<'_>)> = operands
        .iter()
        .map(|(name, whole)| (name.as_str(), Groups::new(whole)))
        .collect();
    let mut result = Vec::new();
    for series in &widest.answer.series {
        let partners = groups
            .iter()
            .filter_map(|(name, groups)| Some((*name, Partner::new(groups.partner(series)?))));
        let partners: Vec<(&str, Partner<'_>)> = partners.collect();
        let timed = partners.iter().find(|(_, partner)| !partner.is_timeless);
        let times = match (is_timeless(series), timed) {
            (true, Some((_, partner))) => partner.series,
            _ => series,
        };
        let mut values = Vec::new();
        let mut seen = BTreeSet::new();
        for row in &times.values {
            // An evaluation that was given up ends here.
            tokio::task::consume_budget().await;
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
        let warning = Diagnostic::new(Severity::Warning, Code::SharedTime, message, None);
        let warnings = &mut whole.answer.summary.warnings;
        warnings.push(warning.with_hint("summarise them by an aggregate with a step: `[1d::1h]`"));
    }
}

/// Whether a series is one row that summarises a whole window.
fn is_timeless(series: &Series) -> bool {
    matches!(series.values.as_slice(), [row] if row[0].is_null())
}

/// The tags of a group, by name.
type Tags<'s> = Vec<(&'s str, &'s Value)>;

/// The series of an answer by their tags.
struct Groups<'s> {
    /// The names of the tags, which all series of an answer share, in alphabetical order.
    names: Vec<&'s str>,
    series: HashMap<Tags<'s>, &'s Series>,
}

impl<'s> Groups<'s> {
    fn new(whole: &'s Whole) -> Self {
        let all = &whole.answer.series;
        let tags = all.first().map(|series| series.tags.iter());
        let names: BTreeSet<&str> = tags
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let mut series = HashMap::with_capacity(all.len());
        for one in all {
            // Groups whose keys differ in their types only have the same tags; the first one is the partner.
            let tags = tags_of(one, &names);
            tags.map(|tags| series.entry(tags).or_insert(one));
        }
        Self { names, series }
    }

    /// The series with the same values of the tags that this answer has.
    fn partner(&self, series: &'s Series) -> Option<&'s Series> {
        let tags = tags_of(series, &self.names)?;
        self.series.get(&tags).copied()
    }
}

/// The named tags of a series; `None` when it lacks one.
fn tags_of<'s>(series: &'s Series, names: &[&'s str]) -> Option<Tags<'s>> {
    let value = |name: &&'s str| {
        let mut tags = series.tags.iter();
        let (_, value) = tags.find(|(known, _)| known == name)?;
        Some((*name, value))
    };
    names.iter().map(value).collect()
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
                return Err(wrong(Code::UnknownQuery, message, expression.span));
            };
            let known = |column: &str| whole.columns.iter().any(|(known, _)| known == column);
            match column.filter(|column| !known(column)) {
                Some(column) => {
                    let message = format!("the query `{letter}` has no column `{column}`");
                    Err(wrong(Code::UnknownField, message, expression.span))
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
            Err(wrong(Code::InvalidExpression, message, expression.span))
        }
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Power, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Modulo | Power)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dql::ast::Statement;

    use super::*;
    use crate::tests::{engine, request, store, whole};

    /// An evaluation that was given up ends while there are more points; otherwise each series has its partner.
    #[tokio::test]
    async fn series_are_paired_until_the_question_is_given_up() {
        let store = store(1, 300, 0).await;
        let engine = engine(&store, 1 << 30);
        let counts = whole(&engine, &request("TAE::audit:(count(*)) BY df_event_id")).await;
        let total = whole(&engine, &request("TAE::audit:(count(*))")).await;
        let operands = [("A".to_owned(), counts), ("B".to_owned(), total)];
        let script = dql::parse("eval(A / B, A = \"TAE::audit:(count(*))\")").unwrap();
        let [Statement::Outer(outer)] = script.statements.as_slice() else {
            panic!("a function is called")
        };
        let expression = &outer.call.args[0].value;
        let given_up = eval(expression, &operands, "share");
        assert!(
            tokio::time::timeout(Duration::ZERO, given_up)
                .await
                .is_err()
        );
        let (keys, series) = eval(expression, &operands, "share").await.unwrap();
        assert_eq!(keys, ["df_event_id"]);
        assert_eq!(series.len(), 300);
        let tags: BTreeSet<String> = series
            .iter()
            .map(|series| series.tags[0].1.to_string())
            .collect();
        assert_eq!(tags.len(), 300);
        assert!(
            series
                .iter()
                .all(|series| series.values[0][1] == 1.0 / 300.0)
        );
    }
}
