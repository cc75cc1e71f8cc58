//! What outer functions do to the series of an answer.

use std::collections::{BTreeMap, BTreeSet};

use dql::ast::{Arg, Call, ExprKind};

use super::value::{Kind, Value};
use super::{Output, OutputGroup, Run};

/// The rows, times and numbers of a column, oldest first.
type Points = Vec<(usize, Option<i64>, f64)>;
/// Rows and the numbers that a function gives them.
type Given = Vec<(usize, f64)>;
/// The sums of columns by time.
type Sums = BTreeMap<Option<i64>, Vec<Option<f64>>>;

/// A function over the series of an answer; `others` are its arguments beside the query.
pub(super) fn applied(_run: &Run<'_>, call: &Call, others: &[&Arg], output: Output) -> Output {
    let name = call.name.text.to_lowercase();
    let number = || others[0].value.kind.clone();
    let mut output = output;
    output.kinds.fill(Kind::Float);
    output.numbers_by_value = true;
    match name.as_str() {
        "abs" | "log2" | "log10" | "log" | "ceil" | "floor" | "round" => {
            let argument = others.first().map(|argument| float(&argument.value.kind));
            each_cell(&mut output, |cell| {
                let number = cell.number().map(|number| changed(&name, number, argument));
                number.map_or(Value::Missing, Value::finite)
            });
        }
        "fill" => {
            let filler = match number() {
                ExprKind::String(text) => Value::Text(text),
                other => Value::Float(float(&other)),
            };
            each_cell(&mut output, |cell| match cell.is_missing() {
                true => filler.clone(),
                false => cell.clone(),
            });
        }
        "top" | "bottom" => {
            let newest = |group: &OutputGroup| points(group, 1).last().map(|point| point.2);
            output.groups.retain(|group| newest(group).is_some());
            output.groups.sort_by(|left, right| {
                let order = newest(left).unwrap().total_cmp(&newest(right).unwrap());
                if name == "top" {
                    order.reverse()
                } else {
                    order
                }
            });
            output.groups.truncate(float(&number()) as usize);
        }
        "series_sum" => series_sum(&mut output, others),
        _ => {
            let size = others
                .first()
                .map(|argument| float(&argument.value.kind) as usize);
            let columns = output.columns.len();
            for group in &mut output.groups {
                match collapses(&name) {
                    true => collapse(&name, group, columns),
                    false => each_point(group, columns, |points| along(&name, points, size)),
                }
            }
        }
    }
    output
}

fn float(written: &ExprKind) -> f64 {
    match written {
        ExprKind::Int(number) => *number as f64,
        ExprKind::Float(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

fn each_cell(output: &mut Output, change: impl Fn(&Value) -> Value) {
    for row in output.groups.iter_mut().flat_map(|group| &mut group.rows) {
        for cell in &mut row[1..] {
            *cell = change(cell);
        }
    }
}

fn changed(name: &str, number: f64, argument: Option<f64>) -> f64 {
    match name {
        "abs" => number.abs(),
        "log2" => number.log2(),
        "log10" => number.log10(),
        "ceil" => number.ceil(),
        "floor" => number.floor(),
        "log" => argument.map_or_else(|| number.ln(), |base| number.ln() / base.ln()),
        _ => {
            let scale = 10_f64.powf(argument.unwrap_or(0.0));
            (number * scale).round() / scale
        }
    }
}

fn points(group: &OutputGroup, column: usize) -> Points {
    let mut points: Points = Vec::new();
    for (index, row) in group.rows.iter().enumerate().rev() {
        let time = match row[0] {
            Value::Int(time) => Some(time),
            _ => None,
        };
        points.extend(row[column].number().map(|number| (index, time, number)));
    }
    points.sort_by_key(|point| point.1);
    points
}

/// Each column becomes the points that `function` makes of it; rows without any go.
fn each_point(group: &mut OutputGroup, columns: usize, function: impl Fn(Points) -> Given) {
    let mut rows: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    for column in 1..=columns {
        for (index, number) in function(points(group, column)) {
            let row = rows.entry(index).or_insert_with(|| {
                let cells = std::iter::repeat_n(Value::Missing, columns);
                std::iter::once(group.rows[index][0].clone())
                    .chain(cells)
                    .collect()
            });
            row[column] = Value::finite(number);
        }
    }
    group.rows = rows.into_values().collect();
}

/// A function along the points of a column.
fn along(name: &str, points: Points, size: Option<usize>) -> Given {
    if name == "cumsum" {
        let sums = (0..points.len()).map(|last| {
            let sum = points[..=last].iter().map(|point| point.2).sum();
            (points[last].0, sum)
        });
        return sums.collect();
    }
    if name == "moving_average" {
        let size = size.unwrap();
        let means = (size..=points.len()).map(|end| {
            let part = &points[end - size..end];
            let sum: f64 = part.iter().map(|point| point.2).sum();
            (points[end - 1].0, sum / size as f64)
        });
        return means.collect();
    }
    let mut steps = Given::new();
    for index in 1..points.len() {
        let ((_, before, low), (row, time, high)) = (points[index - 1], points[index]);
        let seconds = time
            .zip(before)
            .map(|(time, before)| (time - before) as f64 / 1000.0)
            .filter(|seconds| *seconds > 0.0);
        let is_rate = !name.ends_with("difference") && name != "increase";
        if is_rate && seconds.is_none() {
            continue;
        }
        let seconds = seconds.unwrap_or(1.0);
        let step = match name {
            "difference" => high - low,
            "derivative" => (high - low) / seconds,
            _ if high < low => continue,
            "non_negative_difference" | "increase" => high - low,
            "non_negative_derivative" | "rate" | "irate" => (high - low) / seconds,
            other => panic!("the evaluator has no outer function `{other}`"),
        };
        steps.push((row, step));
    }
    steps
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

/// The values of a column that are there, oldest first.
fn present(group: &OutputGroup, column: usize) -> Vec<&Value> {
    let mut rows: Vec<&Vec<Value>> = group.rows.iter().rev().collect();
    rows.sort_by_key(|row| match row[0] {
        Value::Int(time) => Some(time),
        _ => None,
    });
    let cells = rows.into_iter().map(|row| &row[column]);
    cells.filter(|cell| !cell.is_missing()).collect()
}

/// One row at time 0 of all rows of a series.
fn collapse(name: &str, group: &mut OutputGroup, columns: usize) {
    let mut row = vec![Value::Int(0)];
    for column in 1..=columns {
        let numbers: Vec<f64> = points(group, column).iter().map(|point| point.2).collect();
        let values: Vec<&Value> = present(group, column);
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        let count = numbers.len() as f64;
        let distinct: BTreeSet<String> = values.iter().map(|value| format!("{value:?}")).collect();
        let whole = |count: usize| Value::Int(i64::try_from(count).unwrap());
        let of_values = match name {
            "count" => Some(whole(values.len())),
            "count_distinct" => Some(whole(distinct.len())),
            "first" => Some(
                values
                    .first()
                    .map_or(Value::Missing, |value| (*value).clone()),
            ),
            "last" => Some(
                values
                    .last()
                    .map_or(Value::Missing, |value| (*value).clone()),
            ),
            _ => None,
        };
        if let Some(value) = of_values {
            row.push(value);
            continue;
        }
        row.push(match numbers.as_slice() {
            [] => Value::Missing,
            [..] => Value::finite(match name {
                "avg" => numbers.iter().sum::<f64>() / count,
                "sum" => numbers.iter().sum(),
                "min" => sorted[0],
                _ => sorted[sorted.len() - 1],
            }),
        });
    }
    group.rows = vec![row];
}

/// The sums by time over all series, or over those that share the named tags.
fn series_sum(output: &mut Output, others: &[&Arg]) {
    let kept: Vec<usize> = match others.first().map(|argument| &argument.value.kind) {
        None => Vec::new(),
        Some(ExprKind::Array(names)) => (0..output.keys.len())
            .filter(|key| {
                let is_it = |name: &dql::ast::Expr| {
                    name.kind == ExprKind::String(output.keys[*key].clone())
                };
                names.iter().any(is_it)
            })
            .collect(),
        other => panic!("{other:?} is no list of tags"),
    };
    let columns = output.columns.len();
    let mut sums: Vec<(Vec<Value>, Sums)> = Vec::new();
    for group in &output.groups {
        let keys: Vec<Value> = kept.iter().map(|key| group.keys[*key].clone()).collect();
        let place = sums.iter().position(|(known, _)| *known == keys);
        let place = place.unwrap_or_else(|| {
            sums.push((keys, BTreeMap::new()));
            sums.len() - 1
        });
        for row in &group.rows {
            let time = match row[0] {
                Value::Int(time) => Some(time),
                _ => None,
            };
            let sum = sums[place]
                .1
                .entry(time)
                .or_insert_with(|| vec![None; columns]);
            for (sum, cell) in sum.iter_mut().zip(&row[1..]) {
                if let Some(number) = cell.number() {
                    *sum = Some(sum.unwrap_or(0.0) + number);
                }
            }
        }
    }
    output.keys = kept.iter().map(|key| output.keys[*key].clone()).collect();
    output.key_kinds = kept.iter().map(|key| output.key_kinds[*key]).collect();
    let group = |(keys, sums): (Vec<Value>, Sums)| OutputGroup {
        keys,
        rows: sums
            .into_iter()
            .rev()
            .map(|(time, sums)| {
                let time = time.map_or(Value::Missing, Value::Int);
                std::iter::once(time)
                    .chain(
                        sums.into_iter()
                            .map(|sum| sum.map_or(Value::Missing, Value::finite)),
                    )
                    .collect()
            })
            .collect(),
    };
    output.groups = sums.into_iter().map(group).collect();
}
