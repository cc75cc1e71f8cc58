//! One row of a group: its columns, and the values it is sorted by.

use dql::ast::{Expr, Item, Select};

use super::group::{Shape, ShapedRow, auto_call, is_time_column, item_name, items, shape};
use super::order;
use super::point::Origin;
use super::scope::{Group, Over, Scope, plain_name};
use super::value::Value;
use super::{pick, statistics};

/// A row of a group; nothing when HAVING drops it. `picked` is the value by which `distinct`, `top` or
/// `bottom` chose it.
pub(super) fn shape_row<'a>(
    scope: Scope<'_>,
    over: Over<'_>,
    group: &Group<'a>,
    picked: Value,
    time: Value,
) -> Option<ShapedRow<'a>> {
    let scope = scope.over(over);
    let select = scope.select;
    if !select.having.iter().all(|test| scope.condition(test)) {
        return None;
    }
    let source = match over {
        Over::Row(row) => {
            let same = |other: &&&'a [Value]| std::ptr::eq(**other, row);
            group.rows.iter().find(same).copied()
        }
        _ => None,
    };
    let origin = match source {
        Some(row) => Origin::Row(row),
        None => Origin::Group(group.clone()),
    };
    let columns = columns_of(scope, group, &picked);
    let value = |expr: &Expr| {
        let name = projected(select, expr);
        match name.and_then(|name| columns.iter().find(|(known, _)| *known == name)) {
            Some((_, value)) => value.clone(),
            None => unprojected(scope, group, &time, expr),
        }
    };
    let keys = select.order_by.iter();
    let sorder = select.sorder_by.as_ref();
    Some(ShapedRow {
        order: keys.map(|key| value(&key.expr)).collect(),
        series_order: sorder.map_or(Value::Missing, |key| {
            value(order::reduced(select, &key.expr).1)
        }),
        columns: columns.into_iter().map(|(_, value)| value).collect(),
        time,
        origin,
        source,
        picked,
    })
}

/// The columns of a row by their names; of several with one name the first.
fn columns_of(scope: Scope<'_>, group: &Group<'_>, picked: &Value) -> Vec<(String, Value)> {
    let mut columns: Vec<(String, Value)> = Vec::new();
    for item in items(scope.select) {
        let found: Vec<(String, Value)> = match (item, scope.over) {
            (Some(item), _) if matches!(shape(scope.select), Shape::Picked(_)) => {
                pick::columns(scope, group, item, picked)
            }
            (Some(item), _) => match auto_call(item) {
                Some(call) => {
                    let values = scope.without_aliases().spread(call);
                    let names = statistics::AUTO_COLUMNS.map(|(name, _)| name.to_owned());
                    names.into_iter().zip(values).collect()
                }
                None => vec![(item_name(item), scope.without_aliases().item_value(item))],
            },
            (None, Over::Row(row)) => {
                let names = scope.source.names.iter().zip(row);
                names
                    .filter(|((name, _), _)| !is_time_column(&scope, name))
                    .map(|((name, _), value)| (name.clone(), value.clone()))
                    .collect()
            }
            (None, _) => panic!("`*` of a group"),
        };
        for (name, value) in found {
            if !columns.iter().any(|(known, _)| *known == name) {
                columns.push((name, value));
            }
        }
    }
    columns
}

/// The value of a key beside a function that chooses rows.
pub(super) fn column_of_group(scope: Scope<'_>, group: &Group<'_>, item: &Item) -> Value {
    let keys = scope.over(Over::Group(group)).without_aliases();
    keys.key(&item.expr).unwrap()
}

/// The value of an order's key that is no column: a key of BY, the time, or an expression.
fn unprojected(scope: Scope<'_>, group: &Group<'_>, time: &Value, expr: &Expr) -> Value {
    let grouped = scope.over(Over::Group(group));
    let is_row = matches!(scope.over, Over::Row(_));
    if plain_name(expr) == Some("time") {
        let key = (!is_row).then(|| grouped.key(expr)).flatten();
        return key.unwrap_or_else(|| time.clone());
    }
    match shape(scope.select) {
        Shape::Rows | Shape::Newest => scope.value(expr),
        _ => grouped.value(expr),
    }
}

/// The name of the column of the projection that an expression is.
pub(super) fn projected(select: &Select, expr: &Expr) -> Option<String> {
    let name = dql::column_name(expr);
    let is_it =
        |item: &&Item| item_name(item) == name || item.expr == *expr && item.shift.is_none();
    let mut items = select.target.iter().flatten();
    items.find(is_it).map(item_name)
}
