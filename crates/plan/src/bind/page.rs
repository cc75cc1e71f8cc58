//! Pages of single events: where a page ended, and the condition that the next one starts with.

use datafusion::logical_expr::{Expr, lit};
use dql::ast::{Direction, ExprKind, OrderKey, Select};
use events::fields::{DATE, EVENT_ID, WORKSPACE};

use super::name::column;
use super::{Bind, Binder, Delivery, Names, wrong};
use crate::bound::Shape;

/// The place of an event in the order of time. No two events of a store share one, so a page that
/// starts behind a position neither repeats nor skips an event, also when others arrive meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The event's date, Unix milliseconds.
    pub date_ms: i64,
    /// The event's id.
    pub event_id: String,
    /// The event's workspace.
    pub workspace: String,
}

impl Binder<'_> {
    /// Whether the rows are single events in the order of time, so that their answer can be continued;
    /// with the condition that a continued one starts with.
    pub(super) fn page(&self, select: &Select, shape: &Shape) -> Bind<(bool, Option<Expr>)> {
        let oldest_first = match select.order_by.as_slice() {
            [] => Some(false),
            [key] if is_time(key) => Some(key.direction == Direction::Ascending),
            _ => None,
        };
        // A function of points on a page would not see the points of the pages before.
        let is_events = matches!((shape, &self.names), (Shape::Rows, Names::Events))
            && self.computed.is_empty()
            && select.by.is_empty();
        let is_series = self.context.delivery == Delivery::Series;
        match (&self.context.search_after, oldest_first) {
            (None, oldest_first) => Ok((is_events && is_series && oldest_first.is_some(), None)),
            (Some(position), Some(oldest_first)) if is_events => {
                Ok((is_series, Some(behind(position, oldest_first))))
            }
            (Some(_), _) => {
                let message = "search_after continues single events in the order of time only";
                let error = wrong("not_supported", message, select.span);
                Err(error
                    .with_hint(
                        "leave out BY, aggregates, functions of points and other orders, or page with LIMIT and OFFSET",
                    )
                    .into())
            }
        }
    }
}

fn is_time(key: &OrderKey) -> bool {
    matches!(&key.expr.kind, ExprKind::Field(field)
        if field.path.is_empty() && events::field(&field.name).is_some_and(|field| field.name == DATE))
}

/// The condition of the events behind a position. Events of one time stand by descending id whichever
/// way time runs.
fn behind(position: &Position, oldest_first: bool) -> Expr {
    let date = || column(DATE);
    let id = || column(EVENT_ID);
    let at = lit(position.date_ms);
    let later = match oldest_first {
        true => date().gt(at.clone()),
        false => date().lt(at.clone()),
    };
    let same_id = id().eq(lit(position.event_id.clone()));
    let workspace_behind = column(WORKSPACE).lt(lit(position.workspace.clone()));
    let id_behind = id().lt(lit(position.event_id.clone()));
    later.or(date()
        .eq(at)
        .and(id_behind.or(same_id.and(workspace_behind))))
}
