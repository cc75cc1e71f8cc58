//! Pages: where one ended, and the condition that the next one starts with.
//!
//! A page ends at the place of its last row, or of its last group, in an order in which no two tie. The
//! next page holds what stands behind that place, so it does not matter what arrives before it.

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
use crate::bound::{Key, Limits, Page, PageUnit, SeriesOrder, Shape, SortKey, sort_exprs};
use crate::types::Type;

/// A place in the order of an answer: the values by which its last row, or its last group, stands where
/// it stands. For single events these are the values of `ORDER BY`, then date, id and workspace; for
/// groups the value of `SORDER BY` and the keys. Attributes are given by their JSON text.
///
/// Opaque to those who carry it; without values it is the place before everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// One value for each key of the order.
    pub values: Vec<Value>,
}

/// How a query is continued.
#[derive(Debug, Default)]
pub(super) struct Continued {
    /// What a page of the query is.
    pub(super) page: Option<Page>,
    /// The condition on the events of a page that follows another.
    pub(super) behind: Option<Expr>,
}

/// What the pages of a query are made of.
pub(super) struct Pieces<'p> {
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
    /// How the query is continued, and where the request wants it to go on.
    pub(super) fn continued(
        &mut self,
        select: &Select,
        pieces: &Pieces<'_>,
    ) -> BindResult<Continued> {
        if let Some(time) = self.context.cursor_time {
            return self.before_cursor(select, pieces, time);
        }
        let place = self.context.search_after.as_ref();
        let place = place.filter(|place| !place.values.is_empty());
        let unit = match (self.page_unit(pieces), place) {
            (Ok(unit), _) => unit,
            (Err(_), None) => return Ok(Continued::default()),
            (Err(reason), Some(_)) => {
                let error = not_supported("search_after on this query", reason, select.span);
                return Err(error.with_hint("page with LIMIT and OFFSET").into());
            }
        };
        // A function of points on a page has to see the points of the pages before.
        let is_events = matches!((pieces.shape, &self.names), (Shape::Rows, Names::Events))
            && self.computed.is_empty()
            && pieces.keys.is_empty();
        let place = match place {
            Some(position) => Some(place_of(position, unit, pieces, select)?),
            None => None,
        };
        let mut page = Page {
            unit,
            is_endless: is_events,
            by_time: false,
            behind: place,
        };
        // A condition on events themselves lets the scan skip what the pages before have shown.
        let behind = match (&page.behind, is_events) {
            (Some(place), true) => Some(behind(pieces.order, place)),
            _ => None,
        };
        if behind.is_some() {
            page.behind = None;
        }
        Ok(Continued {
            page: Some(page),
            behind,
        })
    }

    /// OFFSET and SOFFSET skip what stands before the first page, not before every page.
    pub(super) fn limits_of_page(&self, mut limits: Limits, page: Option<&Page>) -> Limits {
        let place = self.context.search_after.as_ref();
        if place.is_some_and(|place| !place.values.is_empty()) {
            match page.map(|page| page.unit) {
                Some(PageUnit::Rows) => limits.offset = 0,
                Some(PageUnit::Groups) => limits.soffset = 0,
                None => {}
            }
        }
        limits
    }

    /// What of the query a page counts, or why it has no pages.
    fn page_unit(&self, pieces: &Pieces<'_>) -> Result<PageUnit, &'static str> {
        if !pieces.keys.is_empty() {
            return Ok(PageUnit::Groups);
        }
        match pieces.shape {
            Shape::Aggregate { .. } if pieces.step_ms.is_none() => {
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
        pieces: &Pieces<'_>,
        time: i64,
    ) -> BindResult<Continued> {
        let newest_first = match select.order_by.as_slice() {
            [] => true,
            [key] => is_newest_first(key),
            _ => false,
        };
        let is_events = matches!((pieces.shape, &self.names), (Shape::Rows, Names::Events))
            && self.computed.is_empty()
            && pieces.keys.is_empty();
        let reason = if !is_events || !newest_first {
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
        Ok(Continued {
            page: Some(Page {
                unit: PageUnit::Rows,
                is_endless: true,
                by_time: true,
                behind: None,
            }),
            behind: Some(column(DATE).lt(lit(epoch_ms_above(time)))),
        })
    }
}

fn is_newest_first(key: &OrderKey) -> bool {
    names_time(&key.expr) && key.direction == Direction::Descending
}

/// The values of a place, one for each key of the order.
fn place_of(
    position: &Position,
    unit: PageUnit,
    pieces: &Pieces<'_>,
    select: &Select,
) -> BindResult<Vec<ScalarValue>> {
    let types: Vec<Type> = match unit {
        PageUnit::Rows => pieces.order.iter().map(|key| key.value_type).collect(),
        PageUnit::Groups => {
            let sorted = pieces.series_order.map(|order| order.value_type);
            let keys = pieces.keys.iter().map(|key| key.value_type);
            sorted.into_iter().chain(keys).collect()
        }
    };
    if types.len() != position.values.len() {
        let message = format!(
            "search_after does not fit the order of this query, which has {} keys: it has {} values",
            types.len(),
            position.values.len()
        );
        return Err(misfit(message, select.span).into());
    }
    let values = position.values.iter().zip(types).enumerate();
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

/// A value of a place as one of a type; `None` when it is none.
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

/// The condition of what stands behind a place in an order.
pub(crate) fn behind(order: &[SortKey], place: &[ScalarValue]) -> Expr {
    let mut condition: Option<Expr> = None;
    // From the last key to the first: behind by this key, or equal in it and behind by a later one.
    for (key, value) in order.iter().zip(place).rev() {
        let here = after(key, value);
        condition = Some(match condition {
            None => here,
            Some(later) => here.or(equal(key, value).and(later)),
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

/// The condition of a key that stands behind a value; attributes stand by several keys.
fn after(key: &SortKey, value: &ScalarValue) -> Expr {
    if *value == ScalarValue::Null {
        return match key.missing_first {
            true => key.expr.clone().is_not_null(),
            false => lit(false),
        };
    }
    let place = SortKey {
        expr: lit(value.clone()),
        ..key.clone()
    };
    let keys = sort_exprs(std::slice::from_ref(key));
    let values = sort_exprs(std::slice::from_ref(&place));
    if let [only] = keys.as_slice() {
        let later = beyond(only.expr.clone(), lit(value.clone()), key.ascending);
        return match key.missing_first {
            true => later,
            false => later.or(key.expr.clone().is_null()),
        };
    }
    let mut condition: Option<Expr> = None;
    for (part, value) in keys.iter().zip(values).rev() {
        let (part, value) = (part.expr.clone(), value.expr);
        let later = beyond(part.clone(), value.clone(), key.ascending);
        let missing = match key.missing_first {
            true => value.clone().is_null().and(part.clone().is_not_null()),
            false => value.clone().is_not_null().and(part.clone().is_null()),
        };
        let same = binary_expr(part, Operator::IsNotDistinctFrom, value);
        let here = later.or(missing);
        condition = Some(match condition {
            None => here,
            Some(rest) => here.or(same.and(rest)),
        });
    }
    condition.unwrap_or_else(|| lit(false))
}

fn beyond(key: Expr, value: Expr, ascending: bool) -> Expr {
    match ascending {
        true => key.gt(value),
        false => key.lt(value),
    }
}
