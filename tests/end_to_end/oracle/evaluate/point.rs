//! Functions along the rows of a group: `fill`, which makes a row for every step, and functions of points.

use std::collections::HashMap;

use dql::ast::{Call, Expr, ExprKind, Item};
use serde_json::Value as Json;

use super::aggregate::{by_time, nearest_rank};
use super::group::{ShapedRow, auto_call, item_name};
use super::order;
use super::row;
use super::scope::{Group, Over, Scope, plain_name};
use super::value::{Kind, Value};
use super::window;

/// The functions of points.
const POINT_FUNCTIONS: [&str; 13] = [
    "derivative",
    "deriv",
    "difference",
    "non_negative_derivative",
    "non_negative_difference",
    "rate",
    "irate",
    "increase",
    "moving_average",
    "cumsum",
    "ewma",
    "zscore",
    "mad_score",
];

/// What a row of a group is made of.
#[derive(Debug, Clone)]
pub(super) enum Origin<'a> {
    Row(&'a [Value]),
    Group(Group<'a>),
    /// A step without events.
    Gap,
}

pub(super) fn is_point_function(name: &str) -> bool {
    POINT_FUNCTIONS.contains(&name.to_lowercase().as_str())
}

/// Whether a function looks at more rows than its own.
fn is_along(name: &str) -> bool {
    name.eq_ignore_ascii_case("fill") || is_point_function(name)
}

/// The `fill` call that an item is.
pub(super) fn fill_call(item: &Item) -> Option<&Call> {
    match &item.expr.kind {
        ExprKind::Call(call) if call.name.text.eq_ignore_ascii_case("fill") => Some(call),
        _ => None,
    }
}

/// Whether `written` is this word.
pub(super) fn is_word(written: &Expr, word: &str) -> bool {
    plain_name(written).is_some_and(|name| name.eq_ignore_ascii_case(word))
}

/// Whether an item needs other rows.
pub(super) fn needs_rows(expr: &Expr) -> bool {
    super::calls(expr, &is_along)
}

/// Whether gaps are filled in a query.
pub(super) fn is_filled(scope: Scope<'_>) -> bool {
    let mut items = scope.select.target.iter().flatten();
    let has_fill = |expr: &Expr| super::calls(expr, &|name| name.eq_ignore_ascii_case("fill"));
    scope.run.step_ms(scope.select).is_some() && items.any(|item| has_fill(&item.expr))
}

/// The rows of a group with the values that other rows decide.
pub(super) fn along<'a>(
    scope: Scope<'_>,
    group: &Group<'a>,
    mut rows: Vec<ShapedRow<'a>>,
) -> Vec<ShapedRow<'a>> {
    let items: Vec<&Item> = scope.select.target.iter().flatten().collect();
    if is_filled(scope) && !(rows.is_empty() && !scope.select.by.is_empty()) {
        for start in starts(scope) {
            let time = Value::Int(start);
            if !rows.iter().any(|row| row.time == time) {
                rows.push(gap(scope, group, &items, time));
            }
        }
    }
    let orders = scope.select.order_by.iter().map(|key| &key.expr);
    let sorder = scope.select.sorder_by.iter();
    let sorder = sorder.map(|key| order::reduced(scope.select, &key.expr).1);
    let unprojected = |expr: &&Expr| row::projected(scope.select, expr).is_none();
    let others: Vec<&Expr> = orders.chain(sorder).filter(unprojected).collect();
    let is_needed = items
        .iter()
        .map(|item| &item.expr)
        .chain(others.iter().copied());
    if !is_needed.into_iter().any(needs_rows) {
        return rows;
    }
    rows.sort_by(|left, right| match (left.source, right.source) {
        (Some(left), Some(right)) => by_time(scope.source, left, right),
        _ => left.time.ascending(&right.time),
    });
    let mut series = Series {
        scope: scope.without_aliases(),
        group,
        known: vec![HashMap::new(); rows.len()],
    };
    for (index, item) in items.iter().enumerate() {
        if needs_rows(&item.expr) {
            let values = series.item(item, &rows);
            for (row, value) in rows.iter_mut().zip(values) {
                row.columns[index] = value;
            }
        }
    }
    for (index, key) in scope.select.order_by.iter().enumerate() {
        for (row, value) in series
            .order(&key.expr, &items, &rows)
            .into_iter()
            .enumerate()
        {
            rows[row].order[index] = value;
        }
    }
    if let Some(key) = &scope.select.sorder_by {
        let reduced = order::reduced(scope.select, &key.expr).1;
        for (row, value) in series.order(reduced, &items, &rows).into_iter().enumerate() {
            rows[row].series_order = value;
        }
    }
    rows
}

/// The starts of the steps that the window touches, found once a query.
fn starts(scope: Scope<'_>) -> Vec<i64> {
    let Some(step_ms) = scope.run.step_ms(scope.select) else {
        return Vec::new();
    };
    let shift = scope.shift_ms();
    let (from, to) = (scope.range.0 + shift, scope.range.1 + shift);
    let query = [from, to, step_ms];
    if let Some(starts) = scope.run.steps.borrow().get(&query) {
        return starts.clone();
    }
    if from >= to {
        return Vec::new();
    }
    // Steps and changes of clocks are whole tens of minutes here, and a window begins at a whole hour.
    let apart = usize::try_from(step_ms.min(600_000)).unwrap();
    let moments = (from..to).step_by(apart).chain([to - 1]);
    let mut starts: Vec<i64> = moments
        .map(|time| window::step_start(time, step_ms, scope.run.zone))
        .collect();
    starts.dedup();
    scope.run.steps.borrow_mut().insert(query, starts.clone());
    starts
}

/// A row without events: only the keys are known.
fn gap<'a>(scope: Scope<'_>, group: &Group<'a>, items: &[&Item], time: Value) -> ShapedRow<'a> {
    let keys = scope.over(Over::Group(group)).without_aliases();
    let mut columns = Vec::new();
    for item in items {
        // A summary of several columns has as many gaps.
        let count = if auto_call(item).is_some() { 10 } else { 1 };
        let value = keys.key(&item.expr).unwrap_or(Value::Missing);
        columns.extend(std::iter::repeat_n(value, count));
    }
    ShapedRow {
        time,
        columns,
        order: vec![Value::Missing; scope.select.order_by.len()],
        series_order: Value::Missing,
        source: None,
        origin: Origin::Gap,
        picked: Value::Missing,
    }
}

/// The rows of a group, oldest first, and what is known of calls for each of them.
struct Series<'s, 'a> {
    scope: Scope<'s>,
    group: &'s Group<'a>,
    known: Vec<HashMap<String, Value>>,
}

impl Series<'_, '_> {
    /// The values of an item in each row.
    fn item(&mut self, item: &Item, rows: &[ShapedRow<'_>]) -> Vec<Value> {
        // A call behind SHIFT is another than the same without.
        self.known.iter_mut().for_each(HashMap::clear);
        self.solve(&item.expr, Some(item), rows);
        (0..rows.len())
            .map(|row| self.value(&item.expr, Some(item), rows, row))
            .collect()
    }

    /// The values of a key of an order in each row.
    fn order(&mut self, expr: &Expr, items: &[&Item], rows: &[ShapedRow<'_>]) -> Vec<Value> {
        let name = row::projected(self.scope.select, expr);
        let column = name.and_then(|name| items.iter().position(|item| item_name(item) == name));
        if let Some(column) = column {
            return rows.iter().map(|row| row.columns[column].clone()).collect();
        }
        self.known.iter_mut().for_each(HashMap::clear);
        self.solve(expr, None, rows);
        (0..rows.len())
            .map(|row| match plain_name(expr) {
                Some("time") => {
                    let is_row = matches!(rows[row].origin, Origin::Row(_));
                    let grouped = self.scope.over(Over::Group(self.group));
                    let key = (!is_row).then(|| grouped.key(expr)).flatten();
                    key.unwrap_or_else(|| rows[row].time.clone())
                }
                _ => self.value(expr, None, rows, row),
            })
            .collect()
    }

    /// The value of an expression in a row, in which the calls along rows are known.
    fn value(&self, expr: &Expr, item: Option<&Item>, rows: &[ShapedRow<'_>], row: usize) -> Value {
        let scope = Scope {
            known: Some(&self.known[row]),
            aliases: item.is_none(),
            ..self.scope
        };
        match (&rows[row].origin, item) {
            (Origin::Row(row), _) => scope.over(Over::Row(row)).value(expr),
            (Origin::Group(part), Some(item)) => {
                let moved = part.moved(item);
                scope.over(Over::Group(&moved)).value(expr)
            }
            (Origin::Group(part), None) => scope.over(Over::Group(part)).value(expr),
            (Origin::Gap, _) => {
                let scope = Scope {
                    is_gap: true,
                    ..scope
                };
                scope.over(Over::Group(self.group)).value(expr)
            }
        }
    }

    /// Finds the values of the calls along rows in an expression, inner ones first.
    fn solve(&mut self, expr: &Expr, item: Option<&Item>, rows: &[ShapedRow<'_>]) {
        match &expr.kind {
            ExprKind::Call(call) => {
                for argument in &call.args {
                    self.solve(&argument.value, item, rows);
                }
                if !is_along(&call.name.text) {
                    return;
                }
                let argument = super::aggregate::argument(call);
                let values = (0..rows.len()).map(|row| self.value(&argument, item, rows, row));
                let values: Vec<Value> = values.collect();
                let times: Vec<&Value> = rows.iter().map(|row| &row.time).collect();
                let kind = self.scope.kind(&call.args[0].value);
                let results = match call.name.text.to_lowercase().as_str() {
                    "fill" => self.filled(call, &times, values),
                    name => points(name, call, kind, &times, &values),
                };
                for (known, result) in self.known.iter_mut().zip(results) {
                    known.insert(expr.to_string(), result);
                }
            }
            ExprKind::Unary { operand, .. } => self.solve(operand, item, rows),
            ExprKind::Binary { left, right, .. } => {
                self.solve(left, item, rows);
                self.solve(right, item, rows);
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                for part in operand.iter().chain(otherwise) {
                    self.solve(part, item, rows);
                }
                for (test, value) in branches {
                    self.solve(test, item, rows);
                    self.solve(value, item, rows);
                }
            }
            ExprKind::In { expr, .. } => self.solve(expr, item, rows),
            _ => {}
        }
    }

    /// The values with those of gaps.
    fn filled(&self, call: &Call, times: &[&Value], values: Vec<Value>) -> Vec<Value> {
        let how = &call.args[1].value;
        let kind = self.scope.fill_kind(call);
        let known: Vec<(i64, Value)> = times
            .iter()
            .zip(&values)
            .filter_map(|(time, value)| match time {
                Value::Int(time) if !value.is_missing() => Some((*time, value.clone())),
                _ => None,
            })
            .collect();
        let filled = times.iter().zip(values).map(|(time, value)| {
            let Value::Int(time) = time else {
                return value;
            };
            let before = known.iter().rfind(|(other, _)| other <= time);
            let after = known.iter().find(|(other, _)| other >= time);
            let value = match (&value, before, after) {
                (Value::Missing, Some((_, before)), _) if is_word(how, "previous") => {
                    before.clone()
                }
                (Value::Missing, Some((left, before)), Some((right, after)))
                    if is_word(how, "linear") =>
                {
                    let (low, high) = (before.number().unwrap(), after.number().unwrap());
                    let share = (time - left) as f64 / (right - left) as f64;
                    Value::Float(low + (high - low) * share)
                }
                (Value::Missing, _, _) if plain_name(how).is_none() => self.scope.value(how),
                _ => value,
            };
            match (kind, value) {
                (Kind::Float, value) => value.number().map_or(Value::Missing, Value::Float),
                (Kind::Json, Value::Text(text)) => Value::Json(Json::from(text)),
                (_, value) => value,
            }
        });
        filled.collect()
    }
}

/// The values of a function of points, where rows without a value are no points.
fn points(name: &str, call: &Call, kind: Kind, times: &[&Value], values: &[Value]) -> Vec<Value> {
    let is_point = |row: &usize| values[*row].number().is_some();
    let rows: Vec<usize> = (0..values.len()).filter(is_point).collect();
    let numbers: Vec<f64> = rows
        .iter()
        .filter_map(|row| values[*row].number())
        .collect();
    let parameter = call.args.get(1).map(|argument| match argument.value.kind {
        ExprKind::Int(number) => number as f64,
        ExprKind::Float(number) => number,
        ref other => panic!("{other:?} is no number"),
    });
    let whole = |number: f64, exact: Option<i64>| match kind {
        Kind::Int => exact.map_or(Value::Missing, Value::Int),
        _ => Value::finite(number),
    };
    let ints: Vec<i128> = rows
        .iter()
        .map(|row| match values[*row] {
            Value::Int(number) => i128::from(number),
            _ => 0,
        })
        .collect();
    let result = |index: usize| -> Value {
        let here = numbers[index];
        let rise = || {
            let before = index.checked_sub(1)?;
            Some((
                here - numbers[before],
                i64::try_from(ints[index] - ints[before]).ok(),
                before,
            ))
        };
        let seconds = |before: usize| match (times[rows[before]], times[rows[index]]) {
            (Value::Int(before), Value::Int(here)) if before != here => {
                Some((here - before) as f64 / 1000.0)
            }
            _ => None,
        };
        let result = match name {
            "cumsum" => {
                let sum = ints[..=index].iter().sum::<i128>();
                Some(whole(
                    numbers[..=index].iter().sum(),
                    i64::try_from(sum).ok(),
                ))
            }
            "moving_average" => {
                let count = parameter.unwrap() as usize;
                (index + 1).checked_sub(count).map(|first| {
                    Value::finite(numbers[first..=index].iter().sum::<f64>() / count as f64)
                })
            }
            "ewma" => {
                let share = parameter.unwrap();
                let mean = numbers[1..=index].iter().fold(numbers[0], |mean, number| {
                    share * number + (1.0 - share) * mean
                });
                Some(Value::finite(mean))
            }
            "zscore" => zscore(here, &numbers),
            "mad_score" => mad_score(here, &numbers),
            "difference" => rise().map(|(rise, exact, _)| whole(rise, exact)),
            "increase" | "non_negative_difference" => rise()
                .filter(|(rise, ..)| *rise >= 0.0)
                .map(|(rise, exact, _)| whole(rise, exact)),
            "derivative" | "deriv" => {
                rise().and_then(|(rise, _, before)| Some(Value::finite(rise / seconds(before)?)))
            }
            _ => rise()
                .filter(|(rise, ..)| *rise >= 0.0)
                .and_then(|(rise, _, before)| Some(Value::finite(rise / seconds(before)?))),
        };
        result.unwrap_or(Value::Missing)
    };
    let mut results = vec![Value::Missing; values.len()];
    for (index, row) in rows.iter().enumerate() {
        results[*row] = result(index);
    }
    results
}

/// The distance from the mean in deviations.
fn zscore(number: f64, numbers: &[f64]) -> Option<Value> {
    // From the first number, so that equal ones have no deviation at all.
    let moved: Vec<f64> = numbers.iter().map(|other| other - numbers[0]).collect();
    let count = moved.len() as f64;
    let mean = moved.iter().sum::<f64>() / count;
    let squares = moved.iter().map(|other| (other - mean) * (other - mean));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let is_spread = moved.iter().any(|other| *other != 0.0);
    is_spread.then(|| Value::finite((number - numbers[0] - mean) / deviation))
}

/// The distance from the median in median distances.
fn mad_score(number: f64, numbers: &[f64]) -> Option<Value> {
    let median = |numbers: Vec<f64>| nearest_rank(numbers, 50.0).number();
    let middle = median(numbers.to_vec())?;
    let distances = numbers.iter().map(|other| (other - middle).abs());
    let distance = median(distances.collect())?;
    (distance != 0.0).then(|| Value::finite((number - middle).abs() / (1.4826 * distance)))
}
