//! Answers of different engines, and whether they agree.

use std::time::Duration;

use serde_json::Value;

use crate::question::Agreement;

/// An answer, and how long the one who asked waited for it.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The time.
    pub(crate) took: Duration,
    /// The compared columns of each row.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// How much the percentiles of two engines may differ.
const TOLERANCE: f64 = 0.01;

/// What two answers differ in; `None` when they agree.
pub(crate) fn disagreement(
    agreement: Agreement,
    own: &Answered,
    other: &Answered,
) -> Option<String> {
    let (own, other) = (comparable(agreement, own), comparable(agreement, other));
    if own.len() != other.len() {
        return Some(format!("{} rows, not {}", other.len(), own.len()));
    }
    let differs = |(own, other): &(&Vec<String>, &Vec<String>)| !agree(agreement, own, other);
    let (own, other) = own.iter().zip(&other).find(differs)?;
    Some(format!("{other:?}, not {own:?}"))
}

/// Rows as texts, in an order that does not depend on the engine.
fn comparable(agreement: Agreement, answered: &Answered) -> Vec<Vec<String>> {
    let texts = |row: &Vec<Value>| row.iter().map(text).collect();
    let mut rows: Vec<Vec<String>> = answered.rows.iter().map(texts).collect();
    if agreement == Agreement::CutAtLast {
        let last = |row: &Vec<String>| row.last().and_then(|text| text.parse::<i64>().ok());
        let least = rows.iter().filter_map(last).min();
        rows.retain(|row| last(row) != least);
    }
    rows.sort();
    rows
}

fn agree(agreement: Agreement, own: &[String], other: &[String]) -> bool {
    let (Agreement::WithinOnePercent, [own @ .., own_last], [other @ .., other_last]) =
        (agreement, own, other)
    else {
        return own == other;
    };
    match (own_last.parse::<f64>(), other_last.parse::<f64>()) {
        (Ok(one), Ok(two)) => own == other && (one - two).abs() <= TOLERANCE * one.abs(),
        _ => false,
    }
}

/// A value as text: whole floats as integers, what is missing as the empty text, since ClickHouse's
/// columns here cannot be null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_i64() && float.fract() == 0.0 => format!("{float:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
