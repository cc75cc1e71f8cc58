//! `fill`: a row for every step, and values for those that have none.

use dql::ast::{Call, Expr, ExprKind, Item};
use serde_json::Value as Json;

use super::group::{ShapedRow, item_name};
use super::row;
use super::scope::{Group, Over, Scope, plain_name};
use super::value::{Kind, Value};
use super::window;

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

/// The rows of a group with one for every step of the window, and their values filled.
pub(super) fn filled<'a>(
    scope: Scope<'_>,
    group: &Group<'a>,
    rows: Vec<ShapedRow<'a>>,
) -> Vec<ShapedRow<'a>> {
    let items: Vec<&Item> = scope.select.target.iter().flatten().collect();
    let step_ms = scope.run.step_ms(scope.select);
    let is_filled = items.iter().any(|item| fill_call(item).is_some());
    let (true, Some(step_ms)) = (is_filled, step_ms) else {
        return rows;
    };
    if rows.is_empty() && !scope.select.by.is_empty() {
        return rows;
    }
    let mut all: Vec<ShapedRow<'a>> = Vec::new();
    let mut rows = rows;
    for start in starts(scope, step_ms) {
        let time = Value::Int(start);
        let place = rows.iter().position(|row| row.time == time);
        all.push(match place {
            Some(place) => rows.swap_remove(place),
            None => gap(scope, group, &items, time),
        });
    }
    for (index, item) in items.iter().enumerate() {
        if let Some(call) = fill_call(item) {
            fill_column(scope, item, call, index, &mut all);
        }
    }
    for row in &mut all {
        reorder(scope, &items, row);
    }
    all
}

/// The starts of the steps that the window touches, found once a query.
fn starts(scope: Scope<'_>, step_ms: i64) -> Vec<i64> {
    let query = [scope.range.0, scope.range.1, step_ms];
    if let Some(starts) = scope.run.steps.borrow().get(&query) {
        return starts.clone();
    }
    let (from, to) = scope.range;
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
    let columns = items.iter();
    let columns = columns.map(|item| keys.key(&item.expr).unwrap_or(Value::Missing));
    ShapedRow {
        time,
        columns: columns.collect(),
        order: vec![Value::Missing; scope.select.order_by.len()],
        series_order: Value::Missing,
        source: None,
        picked: Value::Missing,
    }
}

fn fill_column(
    scope: Scope<'_>,
    item: &Item,
    call: &Call,
    index: usize,
    rows: &mut [ShapedRow<'_>],
) {
    let how = &call.args[1].value;
    let known: Vec<(i64, Value)> = rows
        .iter()
        .filter(|row| !row.columns[index].is_missing())
        .map(|row| (time_of(row), row.columns[index].clone()))
        .collect();
    let kind = scope.without_aliases().kind(&item.expr);
    for row in rows {
        let time = time_of(row);
        let before = known.iter().rfind(|(other, _)| *other <= time);
        let after = known.iter().find(|(other, _)| *other >= time);
        let value = match (&row.columns[index], before, after) {
            (Value::Missing, Some((_, before)), _) if is_word(how, "previous") => before.clone(),
            (Value::Missing, Some((left, before)), Some((right, after)))
                if is_word(how, "linear") =>
            {
                let (low, high) = (before.number().unwrap(), after.number().unwrap());
                let share = (time - left) as f64 / (right - left) as f64;
                Value::Float(low + (high - low) * share)
            }
            (Value::Missing, _, _) if plain_name(how).is_none() => scope.value(how),
            (value, _, _) => value.clone(),
        };
        row.columns[index] = match (kind, value) {
            (Kind::Float, value) => value.number().map_or(Value::Missing, Value::Float),
            (Kind::Json, Value::Text(text)) => Value::Json(Json::from(text)),
            (_, value) => value,
        };
    }
}

fn time_of(row: &ShapedRow<'_>) -> i64 {
    match row.time {
        Value::Int(time) => time,
        ref other => panic!("{other:?} is no step"),
    }
}

/// Sets the values of the orders anew where they are columns or the time.
fn reorder(scope: Scope<'_>, items: &[&Item], row: &mut ShapedRow<'_>) {
    let value = |expr: &Expr, row: &ShapedRow<'_>| {
        let name = row::projected(scope.select, expr);
        let column = name.and_then(|name| items.iter().position(|item| item_name(item) == name));
        match column {
            Some(column) => Some(row.columns[column].clone()),
            None => (plain_name(expr) == Some("time")).then(|| row.time.clone()),
        }
    };
    for (index, key) in scope.select.order_by.iter().enumerate() {
        if let Some(value) = value(&key.expr, row) {
            row.order[index] = value;
        }
    }
    if let Some(key) = &scope.select.sorder_by
        && let Some(value) = value(super::order::reduced(scope.select, &key.expr).1, row)
    {
        row.series_order = value;
    }
}
