//! Pages: the rows after those of the page before, and the columns of the cursor.

use datafusion::common::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col};

use super::{groups, key_column, typed};
use crate::bind;
use crate::bound::{BoundQuery, PageUnit, SortKey};
use crate::types::Type;

/// The column of the value of `SORDER BY` of a group of several rows.
pub(super) const GROUP_ORDER: &str = "group_order";

/// The rows after the page before, or all of them.
pub(super) fn after(query: &BoundQuery, rows: LogicalPlan) -> Result<LogicalPlan> {
    let page = query.page.as_ref();
    let Some((page, last)) = page.and_then(|page| Some((page, page.after.as_ref()?))) else {
        return Ok(rows);
    };
    let condition = bind::after(&keys(query, page.unit), last);
    LogicalPlanBuilder::from(rows).filter(condition)?.build()
}

/// The values by which each row or group is sorted, if the query has pages.
pub(super) fn columns(query: &BoundQuery, rows: &LogicalPlan) -> Result<Vec<Expr>> {
    let keys = cursor_keys(query).into_iter().enumerate();
    let columns = keys.map(|(index, key)| {
        let value = typed(&key.expr, cursor_type(key.value_type), rows)?;
        Ok(value.alias(format!("p{index}")))
    });
    columns.collect()
}

/// The types of [`columns`].
pub(super) fn types(query: &BoundQuery) -> Vec<Type> {
    cursor_keys(query)
        .iter()
        .map(|key| cursor_type(key.value_type))
        .collect()
}

/// The keys of the cursor.
fn cursor_keys(query: &BoundQuery) -> Vec<SortKey> {
    let page = query.page.as_ref();
    page.map_or_else(Vec::new, |page| keys(query, page.unit))
}

/// The type of a value of the cursor: an attribute is its JSON text.
fn cursor_type(value_type: Type) -> Type {
    match value_type {
        Type::Null | Type::Json => Type::String,
        other => other,
    }
}

/// The order of the rows or groups of a page.
fn keys(query: &BoundQuery, unit: PageUnit) -> Vec<SortKey> {
    if unit == PageUnit::Rows {
        return query.order.clone();
    }
    let is_ranked = query.shape.is_many_rows(query.step_ms);
    let sorted = query.series_order.iter().map(|order| SortKey {
        expr: match is_ranked {
            true => col(GROUP_ORDER),
            false => groups::of_one_row(order),
        },
        value_type: order.value_type,
        ascending: order.ascending,
        missing_first: order.ascending,
    });
    let keys = query.keys.iter().enumerate().map(|(index, key)| SortKey {
        expr: key_column(index),
        value_type: key.value_type,
        ascending: true,
        missing_first: false,
    });
    sorted.chain(keys).collect()
}
