//! Pages: the rows behind a place, and the place of every row.

use datafusion::common::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col};

use super::{groups, key_column, typed};
use crate::bind;
use crate::bound::{BoundQuery, PageUnit, SortKey};
use crate::types::Type;

/// The column of the value that `SORDER BY` gives a group of several rows.
pub(super) const GROUP_ORDER: &str = "group_order";

/// The rows that stand behind the place of the query's page, or all of them.
pub(super) fn behind(query: &BoundQuery, rows: LogicalPlan) -> Result<LogicalPlan> {
    let page = query.page.as_ref();
    let Some((page, place)) = page.and_then(|page| Some((page, page.behind.as_ref()?))) else {
        return Ok(rows);
    };
    let condition = bind::behind(&keys(query, page.unit), place);
    LogicalPlanBuilder::from(rows).filter(condition)?.build()
}

/// The columns that tell the place of each of these rows, where the answer can be continued.
pub(super) fn columns(query: &BoundQuery, rows: &LogicalPlan) -> Result<Vec<Expr>> {
    let place = told(query).into_iter().enumerate().map(|(index, key)| {
        let value = typed(&key.expr, told_as(key.value_type), rows)?;
        Ok(value.alias(format!("p{index}")))
    });
    place.collect()
}

/// The types of [`columns`].
pub(super) fn types(query: &BoundQuery) -> Vec<Type> {
    told(query)
        .iter()
        .map(|key| told_as(key.value_type))
        .collect()
}

/// The keys whose values tell the place of a row.
fn told(query: &BoundQuery) -> Vec<SortKey> {
    let page = query.page.as_ref();
    page.map_or_else(Vec::new, |page| keys(query, page.unit))
}

/// The type in which a value of a place is told: an attribute by its JSON text.
fn told_as(value_type: Type) -> Type {
    match value_type {
        Type::Null | Type::Json => Type::String,
        other => other,
    }
}

/// The order in which the rows or groups of a page stand.
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
