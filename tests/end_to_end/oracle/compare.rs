//! Two answers to one question, and how they differ.

use api::{Answer, Series};
use serde_json::Value as Json;

use super::evaluate::{Output, OutputGroup, Value};
use super::world::shown;

/// The first difference between the engine's answer and the evaluator's.
pub(crate) fn difference(answer: &Answer, output: &Output) -> Option<String> {
    let expected: Vec<Series> = output
        .groups
        .iter()
        .map(|group| series(output, group))
        .collect();
    if answer.series.len() != expected.len() {
        let tags = |series: &[Series]| -> Vec<String> {
            let tags = series.iter().map(|series| format!("{:?}", series.tags));
            tags.collect()
        };
        return Some(format!(
            "{} series instead of {}\n  engine    {:?}\n  evaluator {:?}",
            answer.series.len(),
            expected.len(),
            tags(&answer.series),
            tags(&expected),
        ));
    }
    for (actual, expected) in answer.series.iter().zip(&expected) {
        let heads = [actual, expected].map(|series| (&series.name, &series.tags, &series.columns));
        if heads[0] != heads[1] {
            return Some(format!(
                "another series\n  engine    {:?}\n  evaluator {:?}",
                heads[0], heads[1]
            ));
        }
        let by_value = output.numbers_by_value;
        if !same_cells(&actual.values, &expected.values, by_value) {
            return Some(format!(
                "other rows in {:?} {:?}\n  engine\n      {}\n  evaluator\n      {}",
                actual.tags,
                actual.columns,
                shown(&actual.values),
                shown(&expected.values)
            ));
        }
    }
    summary_difference(answer, output)
}

fn summary_difference(answer: &Answer, output: &Output) -> Option<String> {
    let warned = |code: &str| {
        answer
            .summary
            .warnings
            .iter()
            .any(|warning| warning.code.as_str() == code)
    };
    for (code, expected) in [
        ("limit_reached", output.rows_cut),
        ("slimit_reached", output.groups_cut),
    ] {
        if warned(code) != expected {
            return Some(format!("{code} should be {expected}"));
        }
    }
    let hits = answer.summary.total_hits;
    let right = match hits.exact {
        true => hits.value == output.hits,
        false => hits.value <= output.hits,
    };
    (!right).then(|| format!("{hits:?} instead of {}", output.hits))
}

fn series(output: &Output, group: &OutputGroup) -> Series {
    let tags = output.keys.iter().cloned();
    let columns = output.columns.iter().cloned();
    Series {
        name: output.name.clone(),
        tags: tags.zip(group.keys.iter().map(Value::tag)).collect(),
        columns: std::iter::once("time".to_owned()).chain(columns).collect(),
        values: group.rows.iter().map(|row| cells(row)).collect(),
    }
}

/// A row of the evaluator as an answer has it.
pub(crate) fn cells(row: &[Value]) -> Vec<Json> {
    row.iter().map(Value::cell).collect()
}

/// Whether two answers of the engine are the same.
pub(crate) fn same_series(left: &[Series], right: &[Series]) -> bool {
    let same = |(left, right): (&Series, &Series)| {
        let heads = [left, right].map(|series| (&series.name, &series.tags, &series.columns));
        heads[0] == heads[1] && same_rows(&left.values, &right.values)
    };
    left.len() == right.len() && left.iter().zip(right).all(same)
}

pub(crate) fn same_rows(left: &[Vec<Json>], right: &[Vec<Json>]) -> bool {
    same_cells(left, right, false)
}

fn same_cells(left: &[Vec<Json>], right: &[Vec<Json>], by_value: bool) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .flatten()
            .zip(right.iter().flatten())
            .all(|(left, right)| same(left, right, by_value))
}

/// Equal, or floats that differ no more than the order of additions can make them.
fn same(left: &Json, right: &Json, by_value: bool) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right))
            if by_value || left.is_f64() && right.is_f64() =>
        {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            let near = 1e-9 * left.abs().max(right.abs());
            (left - right).abs() <= near.max(1e-12)
        }
        (Json::Array(left), Json::Array(right)) => {
            let mut pairs = left.iter().zip(right);
            left.len() == right.len() && pairs.all(|(left, right)| same(left, right, by_value))
        }
        _ => left == right,
    }
}
