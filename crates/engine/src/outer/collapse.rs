//! Functions that make one row of each series.

use std::collections::HashSet;

use api::Series;
use plan::Type;
use serde_json::Value;

use super::points::{Point, number, points, summed, warn_of_others};
use crate::whole::Whole;

/// One value of many.
enum Collapse {
    /// Of the numbers, oldest first; there is at least one.
    Numbers(fn(&[Point]) -> f64),
    /// Of all values, oldest first.
    Values(fn(&[&Value]) -> Value),
}

/// Applies a function that makes one row of each series, if there is one of that name. The row stands at
/// time 0, as in the answers of DQL (Guance documentation, outer functions).
pub(super) fn apply(name: &str, whole: &mut Whole) -> bool {
    let Some(collapse) = collapse(name) else {
        return false;
    };
    if matches!(collapse, Collapse::Numbers(_)) {
        warn_of_others(whole);
    }
    for (_, value_type) in &mut whole.columns {
        *value_type = match name {
            "avg" => Type::Float,
            "count" | "count_distinct" => Type::Int,
            "first" | "last" => *value_type,
            _ => summed(*value_type),
        };
    }
    for series in &mut whole.answer.series {
        let columns = whole.columns.iter().enumerate();
        let cells = columns.map(|(index, (_, value_type))| match &collapse {
            Collapse::Numbers(function) => {
                let points = points(series, index + 1);
                match points.is_empty() {
                    true => Value::Null,
                    false => number(function(&points), *value_type),
                }
            }
            Collapse::Values(function) => function(&values(series, index + 1)),
        });
        let row = std::iter::once(Value::from(0)).chain(cells).collect();
        series.values = vec![row];
    }
    true
}

/// The values of a column that are there, oldest first.
fn values(series: &Series, column: usize) -> Vec<&Value> {
    let mut rows: Vec<&Vec<Value>> = series.values.iter().rev().collect();
    rows.sort_by_key(|row| row[0].as_i64());
    let cells = rows.into_iter().filter_map(|row| row.get(column));
    cells.filter(|cell| !cell.is_null()).collect()
}

fn collapse(name: &str) -> Option<Collapse> {
    let sum = |points: &[Point]| points.iter().map(|point| point.value).sum::<f64>();
    Some(match name {
        "avg" => Collapse::Numbers(|points| {
            points.iter().map(|point| point.value).sum::<f64>() / points.len() as f64
        }),
        "sum" => Collapse::Numbers(sum),
        "min" => Collapse::Numbers(|points| {
            let values = points.iter().map(|point| point.value);
            values.fold(f64::INFINITY, f64::min)
        }),
        "max" => Collapse::Numbers(|points| {
            let values = points.iter().map(|point| point.value);
            values.fold(f64::NEG_INFINITY, f64::max)
        }),
        "count" => Collapse::Values(|values| Value::from(values.len())),
        "count_distinct" => Collapse::Values(|values| {
            let texts = values.iter().map(|value| value.to_string());
            Value::from(texts.collect::<HashSet<_>>().len())
        }),
        "first" => {
            Collapse::Values(|values| values.first().map_or(Value::Null, |value| (*value).clone()))
        }
        "last" => {
            Collapse::Values(|values| values.last().map_or(Value::Null, |value| (*value).clone()))
        }
        _ => return None,
    })
}
