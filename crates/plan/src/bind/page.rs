//! Keyset pagination: the sort values of the last row of a page are the condition of the next page.
//!
//! The order of rows, or of groups, is total, so events that arrive later and sort before the last row change nothing on
//! the next page.

use datafusion::logical_expr::{Expr, Operator, binary_expr, lit};
use datafusion::scalar::ScalarValue;
use dql::ast::{Direction, OrderKey, Select};
use dql::{Code, Diagnostic, Span};
use events::fields::DATE;
use serde_json::Value;

use super::name::column;
use super::order::names_time;
use super::window::epoch_ms_above;
use super::{BindResult, Binder, Delivery, Names, not_supported};
use crate::bound::{
    Key, Limits, Page, PageUnit, SeriesOrder, Shape, SortKey, SortTuple, sort_exprs,
};
use crate::types::Type;

/// The sort values of the last row, or of the last group, of a page. For single events these are the values of
/// `ORDER BY`, then date, id and workspace; for groups the value of `SORDER BY` and the keys. An attribute is its JSON
/// text.
///
/// Opaque to clients. Without values it is before the first row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// One value for each key of the order.
    pub values: Vec<Value>,
}

/// The bound page of a query.
#[derive(Debug, Default)]
pub(super) struct PageBinding {
    /// The page; `None` for a query without pages.
    pub(super) page: Option<Page>,
    /// The condition on single events of a page that follows another.
    pub(super) after: Option<Expr>,
}

/// The bound clauses that determine the pages of a query.
pub(super) struct PageInput<'p> {
    /// The rows of a group.
    pub(super) shape: &'p Shape,
    /// The width of a point, when the rows are points.
    pub(super) step_ms: Option<i64>,
    /// The keys of `BY`.
    pub(super) keys: &'p [Key],
    /// The order of the rows.
    pub(super) order: &'p [SortKey],
    /// The order of the groups.
    pub(super) series_order: Option<&'p SeriesOrder>,
}

impl Binder<'_> {
    /// Binds the page of the request.
    pub(super) fn page(
        &mut self,
        select: &Select,
        input: &PageInput<'_>,
    ) -> BindResult<PageBinding> {
        if let Some(time) = self.context.cursor_time {
            return self.before_cursor(select, input, time);
        }
        let cursor = self.context.search_after.as_ref();
        let cursor = cursor.filter(|cursor| !cursor.values.is_empty());
        let unit = match (self.page_unit(input), cursor) {
            (Ok(unit), _) => unit,
            (Err(_), None) => return Ok(PageBinding::default()),
            (Err(reason), Some(_)) => {
                let error = not_supported("search_after on this query", reason, select.span);
                return Err(error.with_hint("page with LIMIT and OFFSET").into());
            }
        };
        let is_events = self.is_single_events(input);
        let last = cursor.map(|cursor| sort_tuple(cursor, unit, input, select));
        let (last, condition) = match last.transpose()? {
            // A condition on events lets the scan skip those of the pages before.
            Some(last) if is_events => (None, Some(after(input.order, &last))),
            last => (last, None),
        };
        Ok(PageBinding {
            page: Some(Page {
                unit,
                is_endless: is_events,
                by_time: false,
                after: last,
            }),
            after: condition,
        })
    }

    /// Whether the rows are single events that do not depend on others.
    fn is_single_events(&self, input: &PageInput<'_>) -> bool {
        // A function of points on a page reads the points of the pages before.
        matches!((input.shape, &self.names), (Shape::Rows, Names::Events))
            && self.computed.is_empty()
            && input.keys.is_empty()
    }

    /// OFFSET and SOFFSET skip rows and groups of the first page only.
    pub(super) fn limits_of_page(&self, mut limits: Limits, page: Option<&Page>) -> Limits {
        let cursor = self.context.search_after.as_ref();
        if cursor.is_some_and(|cursor| !cursor.values.is_empty()) {
            match page.map(|page| page.unit) {
                Some(PageUnit::Rows) => limits.offset = 0,
                Some(PageUnit::Groups) => limits.soffset = 0,
                None => {}
            }
        }
        limits
    }

    /// The unit that a page of the query counts, or the reason that it has no pages.
    fn page_unit(&self, input: &PageInput<'_>) -> Result<PageUnit, &'static str> {
        if !input.keys.is_empty() {
            return Ok(PageUnit::Groups);
        }
        match input.shape {
            Shape::Aggregate { .. } if input.step_ms.is_none() => {
                Err("the answer is one row, and nothing follows it")
            }
            Shape::Rows | Shape::TopK { .. } if !self.rows_are_unique => {
                Err("the rows of the sub-query can be equal, so none is a place to go on from")
            }
            _ => Ok(PageUnit::Rows),
        }
    }

    /// A page of the events before a time, newest first.
    fn before_cursor(
        &self,
        select: &Select,
        input: &PageInput<'_>,
        time: i64,
    ) -> BindResult<PageBinding> {
        let newest_first = match select.order_by.as_slice() {
            [] => true,
            [key] => is_newest_first(key),
            _ => false,
        };
        let reason = if !self.is_single_events(input) || !newest_first {
            Some("its pages are single events, newest first")
        } else if self.context.search_after.is_some() {
            Some("search_after tells another place to go on from")
        } else if select.offset.is_some() {
            Some("OFFSET would skip rows of every page")
        } else if self.context.delivery == Delivery::Stream {
            Some("a stream is not answered in pages")
        } else {
            None
        };
        if let Some(reason) = reason {
            let error = not_supported("cursor_time", reason, select.span);
            return Err(error
                .with_hint("leave out cursor_time, and what does not go with it; search_after continues any order")
                .into());
        }
        Ok(PageBinding {
            page: Some(Page {
                unit: PageUnit::Rows,
                is_endless: true,
                by_time: true,
                after: None,
            }),
            after: Some(column(DATE).lt(lit(epoch_ms_above(time)))),
        })
    }
}

fn is_newest_first(key: &OrderKey) -> bool {
    names_time(&key.expr) && key.direction == Direction::Descending
}

/// The values of a cursor in the types of the keys.
fn sort_tuple(
    cursor: &Position,
    unit: PageUnit,
    input: &PageInput<'_>,
    select: &Select,
) -> BindResult<SortTuple> {
    let types: Vec<Type> = match unit {
        PageUnit::Rows => input.order.iter().map(|key| key.value_type).collect(),
        PageUnit::Groups => {
            let sorted = input.series_order.map(|order| order.value_type);
            let keys = input.keys.iter().map(|key| key.value_type);
            sorted.into_iter().chain(keys).collect()
        }
    };
    if types.len() != cursor.values.len() {
        let message = format!(
            "search_after does not fit the order of this query, which has {} keys: it has {} values",
            types.len(),
            cursor.values.len()
        );
        return Err(misfit(message, select.span).into());
    }
    let values = cursor.values.iter().zip(types).enumerate();
    let scalars = values.map(|(index, (value, value_type))| {
        scalar(value, value_type).ok_or_else(|| {
            let message = format!(
                "search_after does not fit the order of this query: value {} is {value}, and the key is {}",
                index + 1,
                value_type.name()
            );
            misfit(message, select.span).into()
        })
    });
    scalars.collect()
}

fn misfit(message: String, span: Span) -> Diagnostic {
    Diagnostic::error(Code::InvalidSearchAfter, message, span).with_hint(
        "ask the same question as for the page before, with the search_after of its answer",
    )
}

/// A value of a cursor as one of a type; `None` when it is none.
fn scalar(value: &Value, value_type: Type) -> Option<ScalarValue> {
    if value.is_null() {
        return Some(ScalarValue::Null);
    }
    match value_type {
        Type::Null => None,
        Type::Bool => value.as_bool().map(ScalarValue::from),
        Type::Int => value.as_i64().map(ScalarValue::from),
        // As text a number keeps its last digit on the way through any client.
        Type::Float => value
            .as_f64()
            .or_else(|| value.as_str()?.parse().ok())
            .map(ScalarValue::from),
        Type::String | Type::Json => value.as_str().map(ScalarValue::from),
    }
}

/// The condition of rows after a row in an order.
pub(crate) fn after(order: &[SortKey], last: &[ScalarValue]) -> Expr {
    let mut condition: Option<Expr> = None;
    // From the last key to the first: after by this key, or equal in it and after by a later one.
    for (key, value) in order.iter().zip(last).rev() {
        let by_key = after_by(key, value);
        condition = Some(match condition {
            None => by_key,
            Some(by_later) => by_key.or(equal(key, value).and(by_later)),
        });
    }
    condition.unwrap_or_else(|| lit(false))
}

fn equal(key: &SortKey, value: &ScalarValue) -> Expr {
    match value {
        ScalarValue::Null => key.expr.clone().is_null(),
        value => key.expr.clone().eq(lit(value.clone())),
    }
}

/// The condition of rows after a value of one key. Attributes are sorted by several expressions.
fn after_by(key: &SortKey, value: &ScalarValue) -> Expr {
    if *value == ScalarValue::Null {
        return if key.missing_first {
            key.expr.clone().is_not_null()
        } else {
            lit(false)
        };
    }
    let value_key = SortKey {
        expr: lit(value.clone()),
        ..key.clone()
    };
    let keys = sort_exprs(std::slice::from_ref(key));
    let values = sort_exprs(std::slice::from_ref(&value_key));
    if let [only] = keys.as_slice() {
        let later = is_later(only.expr.clone(), lit(value.clone()), key.ascending);
        return if key.missing_first {
            later
        } else {
            later.or(key.expr.clone().is_null())
        };
    }
    let mut condition: Option<Expr> = None;
    for (part, value) in keys.iter().zip(values).rev() {
        let (part, value) = (part.expr.clone(), value.expr);
        let later = is_later(part.clone(), value.clone(), key.ascending);
        let missing = if key.missing_first {
            value.clone().is_null().and(part.clone().is_not_null())
        } else {
            value.clone().is_not_null().and(part.clone().is_null())
        };
        let same = binary_expr(part, Operator::IsNotDistinctFrom, value);
        let by_part = later.or(missing);
        condition = Some(match condition {
            None => by_part,
            Some(rest) => by_part.or(same.and(rest)),
        });
    }
    condition.unwrap_or_else(|| lit(false))
}

fn is_later(key: Expr, value: Expr, ascending: bool) -> Expr {
    if ascending {
        key.gt(value)
    } else {
        key.lt(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, value_type: Type, ascending: bool, missing_first: bool) -> SortKey {
        SortKey {
            expr: column(name),
            value_type,
            ascending,
            missing_first,
        }
    }

    fn condition(order: &[SortKey], last: &[ScalarValue]) -> String {
        after(order, last).to_string()
    }

    #[test]
    fn a_row_is_after_another_by_the_first_key_in_which_they_differ() {
        let order = [
            key("date", Type::Int, false, false),
            key("id", Type::String, true, true),
        ];
        let last = [ScalarValue::from(5_i64), ScalarValue::from("x")];
        assert_eq!(
            condition(&order, &last),
            r#"date < Int64(5) OR date IS NULL OR date = Int64(5) AND id > Utf8("x")"#
        );
    }

    #[test]
    fn nothing_follows_a_missing_value_that_is_last() {
        let last = [ScalarValue::Null];
        let missing_last = [key("a", Type::Int, true, false)];
        assert_eq!(condition(&missing_last, &last), "Boolean(false)");
        let missing_first = [key("a", Type::Int, true, true)];
        assert_eq!(condition(&missing_first, &last), "a IS NOT NULL");
    }

    #[test]
    fn attributes_are_compared_as_numbers_then_as_text_then_as_json() {
        let order = [key("a", Type::Json, true, true)];
        let text = condition(&order, &[ScalarValue::from("7")]);
        let parts = [
            r#"json_number(a, Int64(NULL)) > json_number(Utf8("7"), Int64(NULL))"#,
            r#"json_number(Utf8("7"), Int64(NULL)) IS NULL AND json_number(a, Int64(NULL)) IS NOT NULL"#,
            r#"json_number(a, Int64(NULL)) IS NOT DISTINCT FROM json_number(Utf8("7"), Int64(NULL)) AND (json_text(a) > json_text(Utf8("7"))"#,
            r#"json_text(Utf8("7")) IS NULL AND json_text(a) IS NOT NULL"#,
            r#"json_text(a) IS NOT DISTINCT FROM json_text(Utf8("7")) AND (a > Utf8("7")"#,
            r#"Utf8("7") IS NULL AND a IS NOT NULL))"#,
        ];
        assert_eq!(text, parts.join(" OR "));
    }
}
