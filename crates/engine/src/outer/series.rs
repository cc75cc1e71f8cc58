//! What a function does to series: point by point, many points to one, or several series to one.

use std::collections::{BTreeMap, HashSet};

use dql::ast::{Arg, Call, ExprKind};
use serde_json::{Number, Value};

use super::{with_values, wrong};
use crate::answer::Series;
use crate::error::EngineError;

/// One point: Unix milliseconds and a number.
type Point = (i64, f64);

/// A function of the points of a series, oldest first.
type PointFunction = fn(&[Point]) -> Vec<Point>;

/// The sums of each column by time.
type Sums = BTreeMap<Option<i64>, Vec<f64>>;

/// Applies a function to series; `others` are its arguments beside the query.
pub(super) fn apply(
    call: &Call,
    others: &[&Arg],
    series: Vec<Series>,
) -> Result<Vec<Series>, EngineError> {
    let others: Vec<&Arg> = if others.is_empty() {
        call.args.iter().collect()
    } else {
        others.to_vec()
    };
    let others: Vec<&Arg> = others
        .into_iter()
        .filter(|arg| !super::is_query(arg))
        .collect();
    let name = call.name.text.to_ascii_lowercase();
    match name.as_str() {
        "series_sum" => return series_sum(call, &others, &series),
        "top" | "bottom" => return whole_series(call, &others, series, name == "top"),
        _ => {}
    }
    if let Some(function) = by_value(&name) {
        return Ok(series
            .iter()
            .map(|series| each_value(series, function))
            .collect());
    }
    if let Some(function) = by_point(&name) {
        return Ok(series
            .iter()
            .map(|series| each_column(series, function))
            .collect());
    }
    if name == "moving_average" {
        let size = whole_number(call, &others)?;
        let average = |points: &[Point]| moving_average(points, size);
        return Ok(series
            .iter()
            .map(|series| each_column(series, average))
            .collect());
    }
    if name == "fill" {
        let value = fill_value(call, &others)?;
        return Ok(series.iter().map(|series| filled(series, &value)).collect());
    }
    match collapse(&name) {
        Some(function) => Ok(series
            .iter()
            .map(|series| collapsed(series, function))
            .collect()),
        None => {
            let message = format!("the outer function `{name}` is not supported");
            Err(wrong("not_supported", message, call.name.span))
        }
    }
}

/// Functions of one value.
fn by_value(name: &str) -> Option<fn(f64) -> f64> {
    match name {
        "abs" => Some(f64::abs),
        "log2" => Some(f64::log2),
        "log10" => Some(f64::log10),
        _ => None,
    }
}

/// Functions of the points of a series, oldest first.
fn by_point(name: &str) -> Option<PointFunction> {
    match name {
        "cumsum" => Some(cumsum),
        "difference" => Some(difference),
        "derivative" => Some(derivative),
        "non_negative_difference" => Some(|points| rising(difference(points))),
        // Between the points of a series, the rate of the window and that of an instant are the same.
        "non_negative_derivative" | "rate" | "irate" => Some(|points| rising(derivative(points))),
        _ => None,
    }
}

fn cumsum(points: &[Point]) -> Vec<Point> {
    let sum = |total: &mut f64, (time, value): &Point| {
        *total += value;
        Some((*time, *total))
    };
    points.iter().scan(0.0, sum).collect()
}

fn difference(points: &[Point]) -> Vec<Point> {
    points
        .windows(2)
        .map(|pair| (pair[1].0, pair[1].1 - pair[0].1))
        .collect()
}

/// The difference by second.
fn derivative(points: &[Point]) -> Vec<Point> {
    let per_second = |pair: &[Point]| {
        let seconds = (pair[1].0 - pair[0].0) as f64 / 1000.0;
        (pair[1].0, (pair[1].1 - pair[0].1) / seconds)
    };
    points.windows(2).map(per_second).collect()
}

fn rising(points: Vec<Point>) -> Vec<Point> {
    points
        .into_iter()
        .filter(|(_, value)| *value >= 0.0)
        .collect()
}

fn moving_average(points: &[Point], size: usize) -> Vec<Point> {
    let mean = |window: &[Point]| {
        let sum: f64 = window.iter().map(|(_, value)| value).sum();
        (window[size - 1].0, sum / size as f64)
    };
    points.windows(size).map(mean).collect()
}

/// Functions that make one value of the values of a series; none of none.
fn collapse(name: &str) -> Option<fn(&[Point]) -> f64> {
    match name {
        "avg" => {
            Some(|points| points.iter().map(|(_, value)| value).sum::<f64>() / points.len() as f64)
        }
        "sum" => Some(|points| points.iter().map(|(_, value)| value).sum()),
        "count" => Some(|points| points.len() as f64),
        "count_distinct" => Some(|points| {
            points
                .iter()
                .map(|(_, value)| value.to_bits())
                .collect::<HashSet<_>>()
                .len() as f64
        }),
        "first" => Some(|points| points.first().map_or(f64::NAN, |(_, value)| *value)),
        "last" => Some(|points| points.last().map_or(f64::NAN, |(_, value)| *value)),
        "min" => Some(|points| {
            points
                .iter()
                .map(|(_, value)| *value)
                .fold(f64::INFINITY, f64::min)
        }),
        "max" => Some(|points| {
            points
                .iter()
                .map(|(_, value)| *value)
                .fold(f64::NEG_INFINITY, f64::max)
        }),
        _ => None,
    }
}

fn each_value(series: &Series, function: fn(f64) -> f64) -> Series {
    let row = |row: &Vec<Value>| {
        let value = |value: &Value| {
            value
                .as_f64()
                .map_or(Value::Null, |number| json_number(function(number)))
        };
        row.iter()
            .enumerate()
            .map(|(index, cell)| {
                if index == 0 {
                    cell.clone()
                } else {
                    value(cell)
                }
            })
            .collect()
    };
    with_values(
        series,
        series.columns.clone(),
        series.values.iter().map(row).collect(),
    )
}

/// The function over every column of a series; a row of the result has the values of its time.
fn each_column(series: &Series, function: impl Fn(&[Point]) -> Vec<Point>) -> Series {
    let columns = series.columns.len();
    let mut rows: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for column in 1..columns {
        for (time, value) in function(&points(series, column)) {
            let row = rows.entry(time).or_insert_with(|| {
                let mut row = vec![Value::Null; columns];
                row[0] = Value::from(time);
                row
            });
            row[column] = json_number(value);
        }
    }
    with_values(
        series,
        series.columns.clone(),
        rows.into_values().rev().collect(),
    )
}

/// One row at time 0, as the vendor's samples have it.
fn collapsed(series: &Series, function: fn(&[Point]) -> f64) -> Series {
    let mut row = vec![Value::from(0)];
    for column in 1..series.columns.len() {
        let points = points(series, column);
        row.push(if points.is_empty() {
            Value::Null
        } else {
            json_number(function(&points))
        });
    }
    with_values(series, series.columns.clone(), vec![row])
}

fn filled(series: &Series, value: &Value) -> Series {
    let row = |row: &Vec<Value>| {
        let fill = |cell: &Value| {
            if cell.is_null() {
                value.clone()
            } else {
                cell.clone()
            }
        };
        row.iter()
            .enumerate()
            .map(|(index, cell)| if index == 0 { cell.clone() } else { fill(cell) })
            .collect()
    };
    with_values(
        series,
        series.columns.clone(),
        series.values.iter().map(row).collect(),
    )
}

/// `series_sum(query [, sumBy = [tags]])`: the sum over all series at each time, or over those that
/// share the named tags.
fn series_sum(call: &Call, others: &[&Arg], series: &[Series]) -> Result<Vec<Series>, EngineError> {
    let kept = kept_tags(call, others)?;
    let mut groups: Vec<(Series, Sums)> = Vec::new();
    for part in series {
        let tags: Vec<(String, Value)> = part
            .tags
            .iter()
            .filter(|(name, _)| kept.contains(name))
            .cloned()
            .collect();
        let at = groups
            .iter()
            .position(|(group, _)| group.tags == tags)
            .unwrap_or_else(|| {
                let group = Series {
                    tags,
                    ..with_values(part, part.columns.clone(), Vec::new())
                };
                groups.push((group, BTreeMap::new()));
                groups.len() - 1
            });
        let (group, sums) = &mut groups[at];
        for row in &part.values {
            let sum = sums
                .entry(row[0].as_i64())
                .or_insert_with(|| vec![0.0; group.columns.len()]);
            for (total, value) in sum.iter_mut().zip(row).skip(1) {
                *total += value.as_f64().unwrap_or_default();
            }
        }
    }
    let finished = groups.into_iter().map(|(group, sums)| {
        let row = |(time, sum): (Option<i64>, Vec<f64>)| {
            let values = sum.into_iter().skip(1).map(json_number);
            std::iter::once(time.map_or(Value::Null, Value::from))
                .chain(values)
                .collect()
        };
        let values = sums.into_iter().rev().map(row).collect();
        Series { values, ..group }
    });
    Ok(finished.collect())
}

fn kept_tags(call: &Call, others: &[&Arg]) -> Result<Vec<String>, EngineError> {
    let Some(argument) = others.first() else {
        return Ok(Vec::new());
    };
    let ExprKind::Array(items) = &argument.value.kind else {
        let message = "the tags to keep are a list: `sumBy = ['host']`".to_owned();
        return Err(wrong("wrong_argument_kind", message, call.name.span));
    };
    Ok(items.iter().filter_map(super::text_of).collect())
}

/// `top(query, n)` and `bottom(query, n)`: the series whose newest value is largest or smallest.
fn whole_series(
    call: &Call,
    others: &[&Arg],
    mut series: Vec<Series>,
    largest: bool,
) -> Result<Vec<Series>, EngineError> {
    let count = whole_number(call, others)?;
    let newest = |series: &Series| points(series, 1).last().map(|(_, value)| *value);
    series.retain(|series| newest(series).is_some());
    series.sort_by(|left, right| {
        let (left, right) = (
            newest(left).unwrap_or_default(),
            newest(right).unwrap_or_default(),
        );
        if largest {
            right.total_cmp(&left)
        } else {
            left.total_cmp(&right)
        }
    });
    series.truncate(count);
    Ok(series)
}

fn whole_number(call: &Call, others: &[&Arg]) -> Result<usize, EngineError> {
    let number = others
        .first()
        .and_then(|argument| match argument.value.kind {
            ExprKind::Int(number) => usize::try_from(number).ok().filter(|number| *number > 0),
            _ => None,
        });
    number.ok_or_else(|| {
        let message = format!(
            "`{}` needs a whole number from 1 beside the query",
            call.name.text
        );
        wrong("wrong_argument_kind", message, call.name.span)
    })
}

fn fill_value(call: &Call, others: &[&Arg]) -> Result<Value, EngineError> {
    let value = others
        .first()
        .and_then(|argument| match &argument.value.kind {
            ExprKind::Int(number) => Some(Value::from(*number)),
            ExprKind::Float(number) => Some(json_number(*number)),
            ExprKind::String(text) => Some(Value::from(text.as_str())),
            ExprKind::Nil => Some(Value::Null),
            _ => None,
        });
    value.ok_or_else(|| {
        let message =
            "around a query `fill` takes a value; `LINEAR` and `PREVIOUS` work inside one"
                .to_owned();
        wrong("wrong_argument_kind", message, call.name.span)
    })
}

/// The numbers of a column with their times, oldest first; rows without a time come at time 0.
fn points(series: &Series, column: usize) -> Vec<Point> {
    let point = |row: &Vec<Value>| Some((row[0].as_i64().unwrap_or(0), row.get(column)?.as_f64()?));
    let mut points: Vec<Point> = series.values.iter().filter_map(point).collect();
    points.sort_by_key(|(time, _)| *time);
    points
}

/// A number as JSON; whole ones without a fraction, and null for what JSON has no word for.
pub(super) fn json_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [Point; 4] = [(0, 1.0), (1000, 4.0), (2000, 2.0), (4000, 6.0)];

    #[test]
    fn functions_of_points() {
        assert_eq!(
            cumsum(&POINTS),
            [(0, 1.0), (1000, 5.0), (2000, 7.0), (4000, 13.0)]
        );
        assert_eq!(
            difference(&POINTS),
            [(1000, 3.0), (2000, -2.0), (4000, 4.0)]
        );
        assert_eq!(
            derivative(&POINTS),
            [(1000, 3.0), (2000, -2.0), (4000, 2.0)]
        );
        assert_eq!(rising(derivative(&POINTS)), [(1000, 3.0), (4000, 2.0)]);
        assert_eq!(
            moving_average(&POINTS, 2),
            [(1000, 2.5), (2000, 3.0), (4000, 4.0)]
        );
        assert!(difference(&POINTS[..1]).is_empty());
        assert!(moving_average(&POINTS, 5).is_empty());
    }

    #[test]
    fn functions_of_whole_series() {
        let value = |name: &str| collapse(name).unwrap()(&POINTS);
        assert_eq!(value("avg"), 3.25);
        assert_eq!(value("sum"), 13.0);
        assert_eq!(value("count"), 4.0);
        assert_eq!((value("first"), value("last")), (1.0, 6.0));
        assert_eq!((value("min"), value("max")), (1.0, 6.0));
    }

    #[test]
    fn numbers_have_a_form_in_json() {
        assert_eq!(json_number(2.0), Value::from(2));
        assert_eq!(json_number(2.5), Value::from(2.5));
        assert_eq!(json_number(f64::INFINITY), Value::Null);
    }
}
