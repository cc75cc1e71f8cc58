//! Functions that choose or make the rows of a group.

use std::collections::BTreeMap;

use dql::ast::{Call, Expr, ExprKind};

use super::aggregate::{self, by_time};
use super::group::ShapedRow;
use super::row::{column_of_group, shape_row};
use super::scope::{Group, Over, Scope};
use super::value::Value;

/// Their names.
const PICKERS: [&str; 5] = [
    "distinct",
    "distinct_by_collapse",
    "top",
    "bottom",
    "histogram",
];

/// The call that an expression is, when it chooses rows.
pub(super) fn picker(expr: &Expr) -> Option<&Call> {
    match &expr.kind {
        ExprKind::Call(call) if PICKERS.contains(&call.name.text.to_lowercase().as_str()) => {
            Some(call)
        }
        _ => None,
    }
}

/// The fields that `distinct_by_collapse` shows beside its value.
pub(super) fn fields_beside(call: &Call) -> Vec<&Expr> {
    let named = call.args.iter().find(|argument| argument.name.is_some());
    match named.map(|argument| &argument.value.kind) {
        Some(ExprKind::Array(fields)) => fields.iter().collect(),
        _ => Vec::new(),
    }
}

/// The rows that a call makes of a group.
pub(super) fn picked<'a>(
    scope: Scope<'_>,
    group: &Group<'a>,
    call: &Call,
) -> Vec<Option<ShapedRow<'a>>> {
    match call.name.text.to_lowercase().as_str() {
        "histogram" => histogram(scope, group, call),
        "top" | "bottom" => extreme(scope, group, call),
        name => distinct(scope, group, call, name == "distinct_by_collapse"),
    }
}

/// One row a value; `collapsed` ones have the time and the fields of the newest row with it.
fn distinct<'a>(
    scope: Scope<'_>,
    group: &Group<'a>,
    call: &Call,
    collapsed: bool,
) -> Vec<Option<ShapedRow<'a>>> {
    let argument = aggregate::argument(call);
    let mut oldest_first = group.rows.clone();
    oldest_first.sort_by(|left, right| by_time(scope.source, left, right));
    let mut values: BTreeMap<String, (Value, &'a [Value])> = BTreeMap::new();
    for row in oldest_first {
        let value = scope.over(Over::Row(row)).value(&argument);
        if !value.is_missing() {
            values.insert(value.raw(), (value, row));
        }
    }
    let rows = values.into_values().map(|(value, newest)| {
        let time = match collapsed {
            true => scope.source.time(newest).clone(),
            false => Value::Missing,
        };
        let beside = Scope {
            beside: Some(newest),
            ..scope
        };
        shape_row(beside, Over::Group(group), group, value, time)
    });
    rows.collect()
}

/// The rows with the largest or smallest values.
fn extreme<'a>(scope: Scope<'_>, group: &Group<'a>, call: &Call) -> Vec<Option<ShapedRow<'a>>> {
    let argument = aggregate::argument(call);
    let mut newest_first = group.rows.clone();
    newest_first.sort_by(|left, right| by_time(scope.source, right, left));
    let value = |row: &'a [Value]| scope.over(Over::Row(row)).value(&argument);
    let mut picked: Vec<(&[Value], Value)> = newest_first
        .into_iter()
        .map(|row| (row, value(row)))
        .filter(|(_, value)| !value.is_missing())
        .collect();
    picked.sort_by(|(_, left), (_, right)| left.ascending(right));
    if call.name.text.eq_ignore_ascii_case("top") {
        picked.sort_by(|(_, left), (_, right)| right.ascending(left));
    }
    picked.truncate(usize::try_from(whole(&call.args[1].value)).unwrap());
    let rows = picked.into_iter().map(|(row, value)| {
        let time = scope.source.time(row).clone();
        shape_row(scope, Over::Row(row), group, value, time)
    });
    rows.collect()
}

/// How many values lie in each interval, with its left edge as the time.
fn histogram<'a>(scope: Scope<'_>, group: &Group<'a>, call: &Call) -> Vec<Option<ShapedRow<'a>>> {
    let argument = aggregate::argument(call);
    let [from, to, width] = [1, 2, 3].map(|index| whole(&call.args[index].value));
    let least = call.args.get(4).map_or(0, |least| whole(&least.value));
    let values = group.rows.iter();
    let numbers = values.filter_map(|row| scope.over(Over::Row(row)).value(&argument).number());
    let numbers: Vec<f64> = numbers.collect();
    let mut rows = Vec::new();
    let mut edge = from;
    while edge < to {
        let end = (edge + width).min(to) as f64;
        let inside = |number: &&f64| **number >= edge as f64 && **number < end;
        let count = i64::try_from(numbers.iter().filter(inside).count()).unwrap();
        if count >= least {
            let (count, time) = (Value::Int(count), Value::Int(edge));
            rows.push(shape_row(scope, Over::Group(group), group, count, time));
        }
        edge += width;
    }
    rows
}

/// The values of the columns that a call that chooses rows gives, and those of keys beside it.
pub(super) fn columns(
    scope: Scope<'_>,
    group: &Group<'_>,
    item: &dql::ast::Item,
    picked: &Value,
) -> Vec<(String, Value)> {
    let name = super::group::item_name(item);
    let Some(call) = picker(&item.expr) else {
        return vec![(name, column_of_group(scope, group, item))];
    };
    let beside = fields_beside(call).into_iter().map(|field| {
        let newest = scope.beside.unwrap();
        let value = scope.without_aliases().over(Over::Row(newest)).value(field);
        (dql::column_name(field), value)
    });
    std::iter::once((name, picked.clone()))
        .chain(beside)
        .collect()
}

fn whole(written: &Expr) -> i64 {
    match written.kind {
        ExprKind::Int(number) => number,
        ref other => panic!("{other:?} is no whole number"),
    }
}
