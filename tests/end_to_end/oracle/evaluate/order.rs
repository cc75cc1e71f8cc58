//! Orders and limits, inside groups and between them.

use std::cmp::Ordering;

use dql::ast::{Direction, Expr, ExprKind, OrderKey, Select};

use super::OutputGroup;
use super::aggregate::{as_number, by_time, nearest_rank};
use super::group::{self, Shape, Shaped, ShapedRow};
use super::row;
use super::scope::Scope;
use super::value::Value;

/// What is left behind orders and limits.
#[derive(Debug)]
pub(super) struct Limited {
    pub(super) groups: Vec<OutputGroup>,
    pub(super) rows_cut: bool,
    pub(super) groups_cut: bool,
}

/// Sorts and cuts the rows of each group, then the groups.
pub(super) fn limited(scope: Scope<'_>, groups: Vec<Shaped<'_>>, default_limits: bool) -> Limited {
    let select = scope.select;
    let shape = group::shape(select);
    let default_rows = match scope.run.step_ms(select) {
        Some(_) => 10_000,
        None => 1000,
    };
    let limit = |written: Option<dql::ast::Count>, default: usize| match written {
        Some(written) => usize::try_from(written.value).unwrap(),
        None if default_limits => default,
        None => usize::MAX,
    };
    let count = |written: Option<dql::ast::Count>| {
        written.map_or(0, |count| usize::try_from(count.value).unwrap())
    };
    let (rows_limit, offset) = (limit(select.limit, default_rows), count(select.offset));
    let mut rows_cut = Vec::new();
    let mut kept: Vec<Shaped<'_>> = Vec::new();
    for mut group in groups {
        group
            .rows
            .sort_by(|left, right| rows_in_order(scope, shape, left, right));
        let cut = group.rows.len() > offset.saturating_add(rows_limit);
        group.rows.truncate(offset.saturating_add(rows_limit));
        group.rows.drain(..offset.min(group.rows.len()));
        if !group.rows.is_empty() {
            kept.push(group);
            rows_cut.push(cut);
        }
    }
    if select.by.is_empty() {
        return Limited {
            groups: kept.into_iter().map(output).collect(),
            rows_cut: rows_cut.contains(&true),
            groups_cut: false,
        };
    }
    let mut ranked: Vec<(Value, bool, Shaped<'_>)> = kept
        .into_iter()
        .zip(rows_cut)
        .map(|(group, cut)| (reduce(select, &group.rows), cut, group))
        .collect();
    ranked.sort_by(|left, right| {
        let by_value = match &select.sorder_by {
            Some(key) => directed(key, left.0.ascending(&right.0)),
            None => Ordering::Equal,
        };
        let keys = left.2.keys.iter().zip(&right.2.keys);
        keys.fold(by_value, |order, (left, right)| {
            order.then_with(|| left.as_keys(right))
        })
    });
    let (groups_limit, skipped) = (limit(select.slimit, 1000), count(select.soffset));
    ranked.drain(..skipped.min(ranked.len()));
    let groups_cut = ranked.len() > groups_limit;
    ranked.truncate(groups_limit);
    Limited {
        rows_cut: ranked.iter().any(|(_, cut, _)| *cut),
        groups: ranked
            .into_iter()
            .map(|(_, _, group)| output(group))
            .collect(),
        groups_cut,
    }
}

fn output(group: Shaped<'_>) -> OutputGroup {
    let row = |row: ShapedRow<'_>| std::iter::once(row.time).chain(row.columns).collect();
    OutputGroup {
        keys: group.keys,
        rows: group.rows.into_iter().map(row).collect(),
    }
}

fn directed(key: &OrderKey, ascending: Ordering) -> Ordering {
    match key.direction {
        Direction::Ascending => ascending,
        Direction::Descending => ascending.reverse(),
    }
}

/// The order inside a group: ORDER BY, then the one that every shape has.
fn rows_in_order(
    scope: Scope<'_>,
    shape: Shape<'_>,
    left: &ShapedRow<'_>,
    right: &ShapedRow<'_>,
) -> Ordering {
    let keys = scope.select.order_by.iter();
    let values = left.order.iter().zip(&right.order);
    let written = keys
        .zip(values)
        .fold(Ordering::Equal, |order, (key, (left, right))| {
            order.then_with(|| directed(key, left.ascending(right)))
        });
    let newest_first = || match (left.source, right.source) {
        (Some(left), Some(right)) => by_time(scope.source, right, left),
        _ => right.time.ascending(&left.time),
    };
    written
        .then_with(|| match shape {
            Shape::Picked(call) => match call.name.text.to_lowercase().as_str() {
                "top" => right.picked.ascending(&left.picked),
                "histogram" => left.time.ascending(&right.time),
                _ => left.picked.ascending(&right.picked),
            },
            _ => Ordering::Equal,
        })
        .then_with(newest_first)
}

/// The function that SORDER BY names, and what it reduces: the newest value if it names none.
pub(super) fn reduced<'e>(select: &Select, expr: &'e Expr) -> (String, &'e Expr) {
    if let ExprKind::Call(call) = &expr.kind
        && row::projected(select, expr).is_none()
        && let [argument] = call.args.as_slice()
        && row::projected(select, &argument.value).is_some()
    {
        return (call.name.text.to_lowercase(), &argument.value);
    }
    ("last".to_owned(), expr)
}

/// The values of a group as one.
fn reduce(select: &Select, rows: &[ShapedRow<'_>]) -> Value {
    let Some(key) = &select.sorder_by else {
        return Value::Missing;
    };
    let (name, _) = reduced(select, &key.expr);
    if name == "last" {
        let newest =
            rows.iter().reduce(
                |newest, row| match row.time.ascending(&newest.time).is_gt() {
                    true => row,
                    false => newest,
                },
            );
        return newest.map_or(Value::Missing, |row| row.series_order.clone());
    }
    if name == "count" {
        let present = rows.iter().filter(|row| !row.series_order.is_missing());
        return Value::Int(i64::try_from(present.count()).unwrap());
    }
    let values: Vec<Value> = rows
        .iter()
        .map(|row| as_number(&row.series_order))
        .filter(|value| !value.is_missing())
        .collect();
    let mut sorted = values.clone();
    sorted.sort_by(Value::ascending);
    let numbers: Vec<f64> = values.iter().filter_map(Value::number).collect();
    match name.as_str() {
        "sum" | "avg" if numbers.is_empty() => Value::Missing,
        "sum" => Value::Float(numbers.iter().sum()),
        "avg" => Value::Float(numbers.iter().sum::<f64>() / numbers.len() as f64),
        "min" => sorted.first().cloned().unwrap_or(Value::Missing),
        "max" => sorted.last().cloned().unwrap_or(Value::Missing),
        _ => nearest_rank(numbers, name[1..].parse().unwrap()),
    }
}
