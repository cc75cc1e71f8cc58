//! Functions along the rows of a group: `fill`, which makes a row for every step, and functions of points.

use std::collections::HashMap;

use dql::ast::{Call, Expr, ExprKind, Item};
use serde_json::Value as Json;

use super::aggregate::by_time;
use super::group::{ShapedRow, auto_call, item_name, items};
use super::order;
use super::row;
use super::run_of_points::Points;
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
    let items: Vec<&Item> = items(scope.select).into_iter().flatten().collect();
    if is_filled(scope) && (!rows.is_empty() || scope.select.by.is_empty()) {
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
    let keys = Scope {
        is_gap: true,
        ..scope.over(Over::Group(group)).without_aliases()
    };
    let mut columns = Vec::new();
    for item in items {
        match auto_call(item) {
            // A summary of several columns has as many gaps.
            Some(_) => columns.extend(std::iter::repeat_n(Value::Missing, 10)),
            None => columns.push(keys.value(&item.expr)),
        }
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
                    name => Points::new(call, kind, &times, &values).along(name, values.len()),
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
