//! Groups, and the rows that each of them becomes.

use std::collections::BTreeMap;

use dql::ast::{Call, ExprKind, Item, Select};

use super::aggregate::{self, by_time};
use super::point::{self, Origin};
use super::row::shape_row;
use super::scope::{Group, Over, Scope, plain_name};
use super::value::{Kind, Value};
use super::{calls, pick, statistics, window};

/// A group and the rows it became.
#[derive(Debug)]
pub(super) struct Shaped<'a> {
    pub(super) keys: Vec<Value>,
    pub(super) rows: Vec<ShapedRow<'a>>,
}

/// A row of a group, before orders and limits.
#[derive(Debug)]
pub(super) struct ShapedRow<'a> {
    pub(super) time: Value,
    pub(super) columns: Vec<Value>,
    /// The values of ORDER BY.
    pub(super) order: Vec<Value>,
    /// The value of SORDER BY.
    pub(super) series_order: Value,
    /// What it is made of.
    pub(super) origin: Origin<'a>,
    /// The row of the source that it is, if it is one.
    pub(super) source: Option<&'a [Value]>,
    /// The value that the function that chooses rows has for it.
    pub(super) picked: Value,
}

/// What becomes of the rows of a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    Rows,
    Newest,
    Aggregate,
    /// What a function that chooses rows makes of them.
    Picked(&'a Call),
}

/// The shape that a projection asks for.
pub(super) fn shape(select: &Select) -> Shape<'_> {
    let items = || select.target.iter().flatten();
    match items().find_map(|item| pick::picker(&item.expr)) {
        Some(call) => Shape::Picked(call),
        None if items().any(has_aggregate) => Shape::Aggregate,
        None if select.by.is_empty() || items().any(|item| point::needs_rows(&item.expr)) => {
            Shape::Rows
        }
        None => Shape::Newest,
    }
}

fn has_aggregate(item: &Item) -> bool {
    calls(&item.expr, &aggregate::is_aggregate)
}

/// The names of the keys.
pub(super) fn key_names(select: &Select) -> Vec<String> {
    let name = |key: &dql::ast::ByItem| match &key.alias {
        Some(alias) => alias.text.clone(),
        None => dql::column_name(&key.expr),
    };
    select.by.iter().map(name).collect()
}

/// The columns behind `time` with their kinds; `*` is every field but the time.
pub(super) fn columns(scope: &Scope<'_>) -> Vec<(String, Kind)> {
    let mut columns: Vec<(String, Kind)> = Vec::new();
    let group = Group::new(Vec::new());
    let grouped = matches!(shape(scope.select), Shape::Rows | Shape::Newest);
    let scope = match grouped {
        true => scope.without_aliases(),
        false => scope.without_aliases().over(Over::Group(&group)),
    };
    for item in items(scope.select) {
        match item {
            None => {
                for (name, kind) in &scope.source.names {
                    if !is_time_column(&scope, name) && !columns.iter().any(|(n, _)| n == name) {
                        columns.push((name.clone(), *kind));
                    }
                }
            }
            Some(item) => {
                for (name, kind) in item_columns(&scope, item) {
                    if !columns.iter().any(|(known, _)| *known == name) {
                        columns.push((name, kind));
                    }
                }
            }
        }
    }
    columns
}

/// The columns of an item: most have one.
fn item_columns(scope: &Scope<'_>, item: &Item) -> Vec<(String, Kind)> {
    if auto_call(item).is_some() {
        let columns = statistics::AUTO_COLUMNS.iter();
        return columns
            .map(|(name, kind)| ((*name).to_owned(), *kind))
            .collect();
    }
    let fields = pick::picker(&item.expr)
        .map(pick::fields_beside)
        .unwrap_or_default();
    let row = scope.over(Over::Nothing);
    let beside = fields
        .into_iter()
        .map(|field| (dql::column_name(field), row.kind(field)));
    let own = (item_name(item), scope.kind(&item.expr));
    std::iter::once(own).chain(beside).collect()
}

/// The `histogram_auto` that an item is.
pub(super) fn auto_call(item: &Item) -> Option<&Call> {
    match &item.expr.kind {
        ExprKind::Call(call) if call.name.text.eq_ignore_ascii_case("histogram_auto") => Some(call),
        _ => None,
    }
}

pub(super) fn is_time_column(scope: &Scope<'_>, name: &str) -> bool {
    match scope.source.are_events {
        true => name == "date",
        false => name == "time",
    }
}

/// The items that give columns, `None` for `*`; a plain `time` repeats the first column.
pub(super) fn items(select: &Select) -> Vec<Option<&Item>> {
    let is_row = matches!(shape(select), Shape::Rows | Shape::Newest);
    let written: Vec<&Item> = select.target.iter().flatten().collect();
    if written.is_empty() {
        return vec![None];
    }
    written
        .into_iter()
        .filter(|item| !is_row || item.alias.is_some() || plain_name(&item.expr) != Some("time"))
        .map(|item| match item.expr.kind {
            ExprKind::Star => None,
            _ => Some(item),
        })
        .collect()
}

pub(super) fn item_name(item: &Item) -> String {
    let inner = point::fill_call(item).and_then(|call| call.args[0].alias.as_ref());
    match item.alias.as_ref().or(inner) {
        Some(alias) => alias.text.clone(),
        None => dql::column_name(&item.expr),
    }
}

/// The groups with their rows, shaped, and tested by HAVING; `earlier` are the rows of windows before.
pub(super) fn groups<'a>(
    scope: Scope<'a>,
    rows: &[&'a [Value]],
    earlier: &[(i64, Vec<&'a [Value]>)],
) -> Vec<Shaped<'a>> {
    let mut groups: BTreeMap<Vec<(bool, String)>, Group<'a>> = BTreeMap::new();
    let earlier = earlier.iter();
    let earlier = earlier.flat_map(|(shift, rows)| rows.iter().map(|row| (*shift, *row)));
    for (shift, row) in rows.iter().map(|row| (0, *row)).chain(earlier) {
        let scope = scope.over(Over::Row(row)).without_key_aliases();
        let keys = scope.select.by.iter();
        let keys: Vec<Value> = keys.map(|key| scope.value(&key.expr)).collect();
        let place = keys.iter().map(|key| (key.is_missing(), key.raw()));
        let group = groups
            .entry(place.collect())
            .or_insert_with(|| Group::new(keys));
        group.add(shift, row);
    }
    let is_filled = point::is_filled(scope);
    let whole = matches!(shape(scope.select), Shape::Aggregate)
        && scope.select.by.is_empty()
        && (is_filled || scope.run.step_ms(scope.select).is_none());
    let is_histogram =
        matches!(shape(scope.select), Shape::Picked(call) if call.name.text == "histogram");
    if groups.is_empty() && (whole || is_histogram && scope.select.by.is_empty()) {
        // A summary of nothing is a row too.
        groups.insert(Vec::new(), Group::new(Vec::new()));
    }
    groups
        .into_values()
        .map(|group| Shaped {
            rows: shaped(scope, &group),
            keys: group.keys,
        })
        .collect()
}

fn shaped<'a>(scope: Scope<'_>, group: &Group<'a>) -> Vec<ShapedRow<'a>> {
    let mut newest_first = group.rows.clone();
    newest_first.sort_by(|left, right| by_time(scope.source, right, left));
    let one = |row: &'a [Value], picked: Value| {
        let time = scope.source.time(row).clone();
        shape_row(scope, Over::Row(row), group, picked, time)
    };
    let rows: Vec<Option<ShapedRow<'a>>> = match shape(scope.select) {
        Shape::Rows => {
            let rows = newest_first.into_iter();
            rows.map(|row| one(row, Value::Missing)).collect()
        }
        Shape::Newest => {
            let rows = newest_first.into_iter().take(1);
            rows.map(|row| one(row, Value::Missing)).collect()
        }
        Shape::Picked(call) => pick::picked(scope, group, call),
        Shape::Aggregate => {
            let parts = by_step(scope, group).into_iter();
            let rows = parts.filter_map(|(time, part)| {
                let time = match scope.run.step_ms(scope.select) {
                    Some(_) => time,
                    None => summary_time(scope, &part),
                };
                shape_row(scope, Over::Group(&part), &part, Value::Missing, time)
            });
            rows.map(Some).collect()
        }
    };
    point::along(scope, group, rows.into_iter().flatten().collect())
}

/// The rows of a group by the step they fall into; all together without steps.
fn by_step<'a>(scope: Scope<'_>, group: &Group<'a>) -> Vec<(Value, Group<'a>)> {
    let Some(step_ms) = scope.run.step_ms(scope.select) else {
        return vec![(Value::Missing, group.clone())];
    };
    let mut steps: BTreeMap<Option<i64>, Group<'a>> = BTreeMap::new();
    let earlier = group.earlier.iter();
    let earlier = earlier.flat_map(|(shift, rows)| rows.iter().map(|row| (*shift, *row)));
    for (shift, row) in group.rows.iter().map(|row| (0, *row)).chain(earlier) {
        let start = match scope.source.time(row) {
            Value::Int(time) => {
                let present = time + shift + scope.shift_ms();
                Some(window::step_start(present, step_ms, scope.run.zone))
            }
            _ => None,
        };
        let step = steps
            .entry(start)
            .or_insert_with(|| Group::new(group.keys.clone()));
        step.add(shift, row);
    }
    let time = |start: Option<i64>| start.map_or(Value::Missing, Value::Int);
    steps
        .into_iter()
        .map(|(start, step)| (time(start), step))
        .collect()
}

/// The time of a summary without steps: `first` or `last` alone carries that of the row it took.
fn summary_time(scope: Scope<'_>, part: &Group<'_>) -> Value {
    let items = scope.select.target.iter().flatten();
    let summaries: Vec<&Item> = items.filter(|item| has_aggregate(item)).collect();
    let [item] = summaries.as_slice() else {
        return Value::Missing;
    };
    let ExprKind::Call(call) = &item.expr.kind else {
        return Value::Missing;
    };
    let part = part.moved(item);
    let grouped = scope.over(Over::Group(&part)).without_aliases();
    let present = match call.name.text.to_lowercase().as_str() {
        "first" | "last" | "last_row" => grouped.present(call),
        _ => return Value::Missing,
    };
    let picked = match call.name.text.eq_ignore_ascii_case("first") {
        true => present.first(),
        false => present.last(),
    };
    picked.map_or(Value::Missing, |(row, _)| scope.source.time(row).clone())
}
