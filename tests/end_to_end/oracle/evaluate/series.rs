//! What outer functions do to the series of an answer.

use std::collections::{BTreeMap, BTreeSet};

use dql::ast::{Arg, BinaryOp, Call, Expr, ExprKind, InSet, UnaryOp};

use super::condition::{holds, is_member};
use super::scope::plain_name;
use super::value::{Kind, Value};
use super::{Output, OutputGroup, Run, point, window};

/// A number of a column: its row, the time of that, and the number.
#[derive(Debug, Clone, Copy)]
struct Point {
    row: usize,
    time: Option<i64>,
    number: f64,
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
        "series_sum" => series_sum(&mut output, others),
        "window" => regrouped(run, &mut output, others),
        "dbscan" => noise(&mut output, others),
        "count_filter" => count_filter(&mut output, &others[0].value),
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

fn float(written: &Expr) -> f64 {
    match written.kind {
        ExprKind::Int(number) => number as f64,
        ExprKind::Float(number) => number,
        ref other => panic!("{other:?} is no number"),
    }
}

fn time_of(row: &[Value]) -> Option<i64> {
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

fn points(group: &OutputGroup, column: usize) -> Vec<Point> {
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

/// Each column becomes what `function` makes of its points; a row without any is left out.
fn each_point(
    group: &mut OutputGroup,
    columns: usize,
    function: &dyn Fn(&[Point]) -> Vec<(usize, f64)>,
) {
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
fn along(name: &str, points: &[Point], parameter: Option<f64>) -> Vec<(usize, f64)> {
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

/// The means of the points in wider steps.
fn regrouped(run: &Run<'_>, output: &mut Output, others: &[&Arg]) {
    let ExprKind::String(width) = &others[0].value.kind else {
        panic!("the width of windows is a text");
    };
    let hours: i64 = width.strip_suffix('h').unwrap().parse().unwrap();
    let columns = output.columns.len();
    for group in &mut output.groups {
        let mut windows: BTreeMap<i64, Vec<Vec<f64>>> = BTreeMap::new();
        let mut timeless = Vec::new();
        for row in &group.rows {
            let numbers: Vec<Option<f64>> = row[1..].iter().map(Value::number).collect();
            let Some(time) = time_of(row) else {
                let cells = numbers
                    .into_iter()
                    .map(|number| number.map_or(Value::Missing, Value::Float));
                timeless.push(std::iter::once(Value::Missing).chain(cells).collect());
                continue;
            };
            let start = window::step_start(time, hours * 3_600_000, run.zone);
            let window = windows
                .entry(start)
                .or_insert_with(|| vec![Vec::new(); columns]);
            for (window, number) in window.iter_mut().zip(numbers) {
                window.extend(number);
            }
        }
        let row = |(start, columns): (i64, Vec<Vec<f64>>)| -> Vec<Value> {
            let mean = |numbers: Vec<f64>| match numbers.len() {
                0 => Value::Missing,
                count => Value::finite(numbers.iter().sum::<f64>() / count as f64),
            };
            let cells = columns.into_iter().map(mean);
            std::iter::once(Value::Int(start)).chain(cells).collect()
        };
        group.rows = windows.into_iter().rev().map(row).chain(timeless).collect();
    }
}

/// The series that are away from all others: DBSCAN, where what is near is counted in deviations.
fn noise(output: &mut Output, others: &[&Arg]) {
    let reach = others
        .first()
        .map_or(0.5, |argument| float(&argument.value));
    let series: Vec<BTreeMap<Option<i64>, f64>> = output
        .groups
        .iter()
        .map(|group| {
            let points = points(group, 1).into_iter();
            points.map(|point| (point.time, point.number)).collect()
        })
        .collect();
    let times: BTreeSet<Option<i64>> = series.iter().flat_map(BTreeMap::keys).copied().collect();
    if times.len() < 5 {
        output.groups.clear();
        return;
    }
    let all: Vec<f64> = series.iter().flat_map(BTreeMap::values).copied().collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let squares = all.iter().map(|number| (number - mean) * (number - mean));
    let deviation = (squares.sum::<f64>() / all.len() as f64).sqrt();
    let unit = if deviation > 0.0 { deviation } else { 1.0 };
    let is_near = |left: usize, right: usize| {
        let gaps = series[left].iter().filter_map(|(time, number)| {
            let other = series[right].get(time)?;
            Some(((number - other) / unit) * ((number - other) / unit))
        });
        let gaps: Vec<f64> = gaps.collect();
        !gaps.is_empty() && (gaps.iter().sum::<f64>() / gaps.len() as f64).sqrt() <= reach
    };
    let count = series.len();
    let fewest = count.div_ceil(2).min(5);
    let is_core = |one: usize| (0..count).filter(|other| is_near(one, *other)).count() >= fewest;
    let cores: Vec<bool> = (0..count).map(is_core).collect();
    let is_noise = |one: usize| !(0..count).any(|other| cores[other] && is_near(one, other));
    let mut place = 0..count;
    output.groups.retain(|_| is_noise(place.next().unwrap()));
}

/// How many rows of each series fulfil a condition on columns and keys.
fn count_filter(output: &mut Output, condition: &Expr) {
    let (columns, keys) = (&output.columns, &output.keys);
    for group in &mut output.groups {
        let fits = group.rows.iter().filter(|row| {
            let value = |name: &str| {
                let column = columns.iter().position(|known| known == name);
                let key = || keys.iter().position(|known| known == name);
                match column {
                    Some(column) => row[column + 1].clone(),
                    None => key().map_or(Value::Missing, |key| match group.keys[key].text() {
                        Some(text) => Value::Text(text),
                        None => Value::Missing,
                    }),
                }
            };
            is_fulfilled(condition, &value)
        });
        let count = Value::Int(i64::try_from(fits.count()).unwrap());
        group.rows = vec![vec![Value::Int(0), count]];
    }
    output.columns = vec!["filter_count".to_owned()];
}

fn is_fulfilled(condition: &Expr, value: &dyn Fn(&str) -> Value) -> bool {
    let value_of = |expr: &Expr| match &expr.kind {
        ExprKind::Int(number) => Value::Int(*number),
        ExprKind::Float(number) => Value::Float(*number),
        ExprKind::String(text) => Value::Text(text.clone()),
        _ => value(plain_name(expr).unwrap()),
    };
    match &condition.kind {
        ExprKind::Unary {
            op: UnaryOp::Not,
            operand,
        } => !is_fulfilled(operand, value),
        ExprKind::Binary {
            op: BinaryOp::And,
            left,
            right,
        } => is_fulfilled(left, value) && is_fulfilled(right, value),
        ExprKind::Binary {
            op: BinaryOp::Or,
            left,
            right,
        } => is_fulfilled(left, value) || is_fulfilled(right, value),
        ExprKind::Binary {
            op: BinaryOp::NotEq,
            left,
            right,
        } => !holds(BinaryOp::Eq, &value_of(left), &value_of(right)),
        ExprKind::Binary { op, left, right } => holds(*op, &value_of(left), &value_of(right)),
        ExprKind::In {
            expr,
            negated,
            set: InSet::List(items),
        } => {
            let tested = value_of(expr);
            items.iter().any(|item| is_member(&tested, &value_of(item))) != *negated
        }
        other => panic!("{other:?} is no condition on points"),
    }
}

/// The sums by time over all series, or over those that share the named tags.
fn series_sum(output: &mut Output, others: &[&Arg]) {
    let kept: Vec<usize> = match others.first().map(|argument| &argument.value.kind) {
        None => Vec::new(),
        Some(ExprKind::Array(names)) => (0..output.keys.len())
            .filter(|key| {
                let is_it = |name: &Expr| name.kind == ExprKind::String(output.keys[*key].clone());
                names.iter().any(is_it)
            })
            .collect(),
        other => panic!("{other:?} is no list of tags"),
    };
    let columns = output.columns.len();
    let mut sums: Vec<(Vec<Value>, BTreeMap<Option<i64>, Vec<Vec<f64>>>)> = Vec::new();
    for group in &output.groups {
        let keys: Vec<Value> = kept.iter().map(|key| group.keys[*key].clone()).collect();
        let tags =
            |keys: &[Value]| -> Vec<serde_json::Value> { keys.iter().map(Value::tag).collect() };
        let place = sums
            .iter()
            .position(|(known, _)| tags(known) == tags(&keys));
        let place = place.unwrap_or_else(|| {
            sums.push((keys, BTreeMap::new()));
            sums.len() - 1
        });
        for row in &group.rows {
            let sum = sums[place].1.entry(time_of(row));
            let sum = sum.or_insert_with(|| vec![Vec::new(); columns]);
            for (sum, cell) in sum.iter_mut().zip(&row[1..]) {
                sum.extend(cell.number());
            }
        }
    }
    output.keys = kept.iter().map(|key| output.keys[*key].clone()).collect();
    output.key_kinds = kept.iter().map(|key| output.key_kinds[*key]).collect();
    let sum = |numbers: Vec<f64>| match numbers.is_empty() {
        true => Value::Missing,
        false => Value::finite(numbers.iter().sum()),
    };
    let group = |(keys, sums): (Vec<Value>, BTreeMap<Option<i64>, Vec<Vec<f64>>>)| {
        let rows = sums.into_iter().rev().map(|(time, sums)| {
            let time = time.map_or(Value::Missing, Value::Int);
            std::iter::once(time)
                .chain(sums.into_iter().map(sum))
                .collect()
        });
        OutputGroup {
            keys,
            rows: rows.collect(),
        }
    };
    output.groups = sums.into_iter().map(group).collect();
}
