//! Outer functions that regroup the points of series, or look at all series.

use std::collections::{BTreeMap, BTreeSet};

use dql::ast::{Arg, BinaryOp, Expr, ExprKind, InSet, UnaryOp};

use super::condition::{holds, is_member};
use super::scope::plain_name;
use super::series::{float, points, time_of};
use super::value::Value;
use super::{Output, OutputGroup, Run, window};

/// The numbers of each column by their time.
type ByTime = BTreeMap<Option<i64>, Vec<Vec<f64>>>;

/// The means of the points in wider steps.
pub(super) fn regrouped(run: &Run<'_>, output: &mut Output, others: &[&Arg]) {
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
pub(super) fn noise(output: &mut Output, others: &[&Arg]) {
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
pub(super) fn count_filter(output: &mut Output, condition: &Expr) {
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
        ExprKind::Bool(truth) => Value::Bool(*truth),
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
pub(super) fn series_sum(output: &mut Output, others: &[&Arg]) {
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
    let mut sums: Vec<(Vec<Value>, ByTime)> = Vec::new();
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
    let group = |(keys, sums): (Vec<Value>, ByTime)| {
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
