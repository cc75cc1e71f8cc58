//! What outer functions do to the series of an answer.

use std::collections::{BTreeMap, BTreeSet};

use dql::ast::{Arg, Call, Expr, ExprKind};

use super::value::{Kind, Value};
use super::{Output, OutputGroup, Run, across, point};

/// A number of a column: its row, the time of that, and the number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    row: usize,
    pub(super) time: Option<i64>,
    pub(super) number: f64,
}

/// A function over the series of an answer; `others` are its arguments beside the query.
pub(super) fn applied(run: &Run<'_>, call: &Call, others: &[&Arg], output: Output) -> Output {
    let name = call.name.text.to_lowercase();
    let mut output = output;
    output.numbers_by_value = true;
    match name.as_str() {
        "fill" => fill(&mut output, &others[0].value),
        "top" | "bottom" => {
            let newest = |group: &OutputGroup| points(group, 1).last().map(|point| point.number);
            output.groups.retain(|group| newest(group).is_some());
            output.groups.sort_by(|left, right| {
                let order = newest(left).unwrap().total_cmp(&newest(right).unwrap());
                if name == "top" {
                    order.reverse()
                } else {
                    order
                }
            });
            output.groups.truncate(float(&others[0].value) as usize);
        }
        "series_sum" => across::series_sum(&mut output, others),
        "window" => across::regrouped(run, &mut output, others),
        "dbscan" => across::noise(&mut output, others),
        "count_filter" => across::count_filter(&mut output, &others[0].value),
        _ => {
            let parameter = others.first().map(|argument| float(&argument.value));
            let columns = output.columns.len();
            for group in &mut output.groups {
                match collapses(&name) {
                    true => collapse(&name, group, columns),
                    false => each_point(group, columns, &|points| along(&name, points, parameter)),
                }
            }
        }
    }
    output.kinds = vec![Kind::Float; output.columns.len()];
    output.groups.retain(|group| !group.rows.is_empty());
    output
}

pub(super) fn float(written: &Expr) -> f64 {
    match written.kind {
        ExprKind::Int(number) => number as f64,
        ExprKind::Float(number) => number,
        ref other => panic!("{other:?} is no number"),
    }
}

pub(super) fn time_of(row: &[Value]) -> Option<i64> {
    match row[0] {
        Value::Int(time) => Some(time),
        _ => None,
    }
}

/// The rows of a group oldest first, those without a time before all others.
fn oldest_first(group: &OutputGroup) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..group.rows.len()).rev().collect();
    rows.sort_by_key(|row| time_of(&group.rows[*row]));
    rows
}

pub(super) fn points(group: &OutputGroup, column: usize) -> Vec<Point> {
    let rows = oldest_first(group).into_iter();
    let point = |row: usize| {
        Some(Point {
            row,
            time: time_of(&group.rows[row]),
            number: group.rows[row][column].number()?,
        })
    };
    rows.filter_map(point).collect()
}

/// Rows, and the numbers that a function gives them.
type Results = Vec<(usize, f64)>;

/// Each column becomes what `function` makes of its points; a row without any is left out.
fn each_point(group: &mut OutputGroup, columns: usize, function: &dyn Fn(&[Point]) -> Results) {
    let mut rows: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    for column in 1..=columns {
        for (place, number) in function(&points(group, column)) {
            let row = rows.entry(place).or_insert_with(|| {
                let cells = std::iter::repeat_n(Value::Missing, columns);
                std::iter::once(group.rows[place][0].clone())
                    .chain(cells)
                    .collect()
            });
            row[column] = Value::finite(number);
        }
    }
    group.rows = rows.into_values().collect();
}

/// A function along the points of a column.
fn along(name: &str, points: &[Point], parameter: Option<f64>) -> Results {
    let mut results = Vec::new();
    for (index, here) in points.iter().enumerate() {
        let number = here.number;
        let before = index.checked_sub(1).map(|index| points[index]);
        let rise = before.map(|before| number - before.number);
        let seconds = before.and_then(|before| Some((here.time? - before.time?) as f64 / 1000.0));
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        let rate = rise.zip(seconds).map(|(rise, seconds)| rise / seconds);
        let result = match name {
            "abs" => Some(number.abs()),
            "log2" => Some(number.log2()),
            "log10" => Some(number.log10()),
            "ceil" => Some(number.ceil()),
            "floor" => Some(number.floor()),
            "log" => Some(parameter.map_or(number.ln(), |base| number.ln() / base.ln())),
            "round" => {
                let unit = 10_f64.powf(parameter.unwrap_or(0.0));
                Some((number * unit).round() / unit)
            }
            "cumsum" => Some(points[..=index].iter().map(|point| point.number).sum()),
            "moving_average" => {
                let size = parameter.unwrap() as usize;
                let first = (index + 1).checked_sub(size);
                first.map(|first| {
                    let part = points[first..=index].iter().map(|point| point.number);
                    part.sum::<f64>() / size as f64
                })
            }
            "difference" => rise,
            "non_negative_difference" | "increase" => rise.filter(|rise| *rise >= 0.0),
            "derivative" => rate,
            "non_negative_derivative" | "rate" | "irate" => rate.filter(|rate| *rate >= 0.0),
            other => panic!("the evaluator has no outer function `{other}`"),
        };
        results.extend(result.map(|result| (here.row, result)));
    }
    results
}

fn collapses(name: &str) -> bool {
    let names = [
        "avg",
        "sum",
        "count",
        "count_distinct",
        "first",
        "last",
        "min",
        "max",
    ];
    names.contains(&name)
}

/// One row at time 0 of all rows of a series.
fn collapse(name: &str, group: &mut OutputGroup, columns: usize) {
    let mut result = vec![Value::Int(0)];
    for column in 1..=columns {
        let rows = oldest_first(group).into_iter();
        let values: Vec<&Value> = rows
            .map(|row| &group.rows[row][column])
            .filter(|value| !value.is_missing())
            .collect();
        let numbers: Vec<f64> = values.iter().filter_map(|value| value.number()).collect();
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap());
        let picked =
            |value: Option<&&Value>| value.map_or(Value::Missing, |value| (*value).clone());
        let most = |order: fn(&f64, &f64) -> std::cmp::Ordering| {
            numbers.iter().copied().reduce(|best, number| {
                if order(&number, &best).is_gt() {
                    number
                } else {
                    best
                }
            })
        };
        let sum = numbers.iter().sum::<f64>();
        result.push(match name {
            "count" => count(values.len()),
            "count_distinct" => {
                let texts: BTreeSet<String> = values
                    .iter()
                    .map(|value| value.cell().to_string())
                    .collect();
                count(texts.len())
            }
            "first" => picked(values.first()),
            "last" => picked(values.last()),
            _ if numbers.is_empty() => Value::Missing,
            "sum" => Value::finite(sum),
            "avg" => Value::finite(sum / numbers.len() as f64),
            "max" => most(f64::total_cmp).map_or(Value::Missing, Value::finite),
            _ => most(|left, right| right.total_cmp(left)).map_or(Value::Missing, Value::finite),
        });
    }
    group.rows = vec![result];
}

/// Values in the place of missing ones.
fn fill(output: &mut Output, how: &Expr) {
    for group in &mut output.groups {
        for column in 1..=output.columns.len() {
            let order = oldest_first(group);
            let known = points(group, column);
            let mut last = Value::Missing;
            for row in order {
                let cell = group.rows[row][column].clone();
                let time = time_of(&group.rows[row]);
                let value = if point::is_word(how, "previous") {
                    if cell.is_missing() {
                        last.clone()
                    } else {
                        cell
                    }
                } else if point::is_word(how, "linear") {
                    let on_line = || on_line(&known, time?);
                    let number = cell.number().or_else(on_line);
                    number.map_or(Value::Missing, Value::finite)
                } else if cell.is_missing() {
                    Value::Float(float(how))
                } else {
                    cell
                };
                last = value.clone();
                group.rows[row][column] = value;
            }
        }
    }
}

/// The number on the line between the nearest points before and behind a time.
fn on_line(points: &[Point], time: i64) -> Option<f64> {
    let later = points.iter().find(|point| point.time > Some(time))?;
    let earlier = points.iter().rfind(|point| point.time <= Some(time))?;
    let share = (time - earlier.time?) as f64 / (later.time? - earlier.time?) as f64;
    Some(earlier.number + (later.number - earlier.number) * share)
}
