//! What outer functions do to the series of an answer.

use std::collections::{BTreeMap, BTreeSet};

use dql::ast::{Arg, Call, ExprKind};

use super::value::{Kind, Value};
use super::{Output, OutputGroup, Run};

/// The numbers of a column with their times, oldest first.
type Points = Vec<(i64, f64)>;

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
            let newest = |group: &OutputGroup| points(group, 1).last().map(|point| point.1);
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
    for row in &group.rows {
        let time = match row[0] {
            Value::Int(time) => time,
            _ => 0,
        };
        points.extend(row[column].number().map(|number| (time, number)));
    }
    points.sort_by_key(|point| point.0);
    points
}

/// Each column becomes the points that `function` makes of it; a row has those of its time.
fn each_point(group: &mut OutputGroup, columns: usize, function: impl Fn(Points) -> Points) {
    let mut rows: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for column in 1..=columns {
        for (time, number) in function(points(group, column)) {
            let row = rows.entry(time).or_insert_with(|| {
                let cells = std::iter::repeat_n(Value::Missing, columns);
                std::iter::once(Value::Int(time)).chain(cells).collect()
            });
            row[column] = Value::finite(number);
        }
    }
    group.rows = rows.into_values().rev().collect();
}

/// A function along the points of a column.
fn along(name: &str, points: Points, size: Option<usize>) -> Points {
    if name == "cumsum" {
        let sums = (0..points.len()).map(|last| {
            let sum = points[..=last].iter().map(|point| point.1).sum();
            (points[last].0, sum)
        });
        return sums.collect();
    }
    if name == "moving_average" {
        let size = size.unwrap();
        let means = (size..=points.len()).map(|end| {
            let part = &points[end - size..end];
            let sum: f64 = part.iter().map(|point| point.1).sum();
            (points[end - 1].0, sum / size as f64)
        });
        return means.collect();
    }
    let mut steps = Points::new();
    for index in 1..points.len() {
        let ((before, low), (time, high)) = (points[index - 1], points[index]);
        let seconds = (time - before) as f64 / 1000.0;
        let step = match name {
            "difference" => high - low,
            "derivative" => (high - low) / seconds,
            _ if high < low => continue,
            "non_negative_difference" | "increase" => high - low,
            "non_negative_derivative" | "rate" | "irate" => (high - low) / seconds,
            other => panic!("the evaluator has no outer function `{other}`"),
        };
        steps.push((time, step));
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

/// One row at time 0 of all rows of a series.
fn collapse(name: &str, group: &mut OutputGroup, columns: usize) {
    let mut row = vec![Value::Int(0)];
    for column in 1..=columns {
        let numbers: Vec<f64> = points(group, column).iter().map(|point| point.1).collect();
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        let count = numbers.len() as f64;
        let distinct: BTreeSet<u64> = numbers.iter().map(|number| number.to_bits()).collect();
        row.push(match numbers.as_slice() {
            [] => Value::Missing,
            [oldest, ..] => Value::finite(match name {
                "avg" => numbers.iter().sum::<f64>() / count,
                "sum" => numbers.iter().sum(),
                "count" => count,
                "count_distinct" => distinct.len() as f64,
                "first" => *oldest,
                "last" => numbers[numbers.len() - 1],
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
    let mut sums: Vec<(Vec<Value>, BTreeMap<Option<i64>, Vec<f64>>)> = Vec::new();
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
                .or_insert_with(|| vec![0.0; columns]);
            for (sum, cell) in sum.iter_mut().zip(&row[1..]) {
                *sum += cell.number().unwrap_or(0.0);
            }
        }
    }
    output.keys = kept.iter().map(|key| output.keys[*key].clone()).collect();
    output.key_kinds = kept.iter().map(|key| output.key_kinds[*key]).collect();
    let group = |(keys, sums): (Vec<Value>, BTreeMap<Option<i64>, Vec<f64>>)| OutputGroup {
        keys,
        rows: sums
            .into_iter()
            .rev()
            .map(|(time, sums)| {
                let time = time.map_or(Value::Missing, Value::Int);
                std::iter::once(time)
                    .chain(sums.into_iter().map(Value::finite))
                    .collect()
            })
            .collect(),
    };
    output.groups = sums.into_iter().map(group).collect();
}
