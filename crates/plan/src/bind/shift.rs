//! `SHIFT`: a query, or a column of it, over an earlier window, lined up with the present one.

use datafusion::logical_expr::{Expr, lit};
use dql::Code;
use dql::ast::{Duration, Item, Select};
use events::TimeRange;

use super::function::{has_aggregate, rows_call};
use super::name::column;
use super::window::fixed_ms;
use super::{BindResult, Binder, Names, wrong};
use crate::types::Typed;

/// The column of a source that is read in several windows: by how many milliseconds the row is moved
/// forward.
pub(crate) const SHIFT: &str = "shift";

impl Binder<'_> {
    /// By how much the whole query is moved, in milliseconds.
    pub(super) fn query_shift(&self, select: &Select) -> BindResult<i64> {
        let Some(shift) = &select.shift else {
            return Ok(0);
        };
        if self.range == TimeRange::ALL {
            let message = "SHIFT moves a window, and this query reads what the inner query does";
            return Err(wrong(Code::MisplacedShift, message, shift.span)
                .with_hint("write SHIFT behind the window of the inner query")
                .into());
        }
        shift_ms(shift)
    }

    /// By how much the columns are moved that have a SHIFT, each width once, in milliseconds.
    pub(super) fn column_shifts(&self) -> BindResult<Vec<i64>> {
        let mut shifts = Vec::new();
        for item in self.items {
            let Some(shift) = &item.shift else { continue };
            if let Some((reason, hint)) = self.unmovable(item) {
                let error = wrong(Code::MisplacedShift, reason, shift.span);
                return Err(error.with_hint(hint).into());
            }
            let total_ms = self.shift_ms.saturating_add(shift_ms(shift)?);
            if !shifts.contains(&total_ms) {
                shifts.push(total_ms);
            }
        }
        Ok(shifts)
    }

    /// The reason that a column cannot have a SHIFT, with a hint.
    fn unmovable(&self, item: &Item) -> Option<(&'static str, &'static str)> {
        if matches!(self.names, Names::Query(_)) {
            let reason = "SHIFT reads events of an earlier window, and these rows are of a query";
            return Some((reason, "write SHIFT in the inner query"));
        }
        let whole_query = "to ask all of an earlier window, write SHIFT behind the window";
        if rows_call(&item.expr).is_some() {
            let reason = "SHIFT moves an aggregate, and this picks rows of the window";
            return Some((reason, whole_query));
        }
        if !has_aggregate(&item.expr) {
            let reason = "SHIFT moves an aggregate, and this is a value of one event";
            return Some((reason, whole_query));
        }
        None
    }

    /// Binds an item of the projection over the window of its SHIFT.
    pub(super) fn item(&mut self, item: &Item) -> BindResult<Typed> {
        self.over_window_of(item, |binder| binder.expression(&item.expr))
    }

    /// Binds a part of the query over the window of an item's SHIFT.
    pub(super) fn over_window_of<T>(
        &mut self,
        item: &Item,
        bind: impl FnOnce(&mut Self) -> BindResult<T>,
    ) -> BindResult<T> {
        let shift_ms = self.item_shift(item)?;
        let before = self.read_through(shift_ms);
        let bound = bind(self);
        self.read_through(before);
        bound
    }

    /// The SHIFT of the rows of this item in milliseconds, if any column has one.
    pub(super) fn item_shift(&self, item: &Item) -> BindResult<Option<i64>> {
        if self.column_shifts_ms.is_empty() {
            return Ok(None);
        }
        let moved_ms = item.shift.as_ref().map_or(Ok(0), shift_ms)?;
        Ok(Some(self.shift_ms.saturating_add(moved_ms)))
    }

    /// Sets the SHIFT of the rows that aggregates are bound over, and returns the one before.
    fn read_through(&mut self, shift_ms: Option<i64>) -> Option<i64> {
        let grouping = self.grouping.as_mut()?;
        std::mem::replace(&mut grouping.shift_ms, shift_ms)
    }
}

/// The aggregate over the rows of one SHIFT only.
pub(super) fn over_shift(aggregate: Expr, shift_ms: i64) -> Expr {
    let is_moved = column(SHIFT).eq(lit(shift_ms));
    match aggregate {
        Expr::AggregateFunction(mut function) => {
            let filter = function.params.filter.take();
            let filter = filter.map_or(is_moved.clone(), |filter| filter.and(is_moved));
            function.params.filter = Some(Box::new(filter));
            Expr::AggregateFunction(function)
        }
        other => other,
    }
}

fn shift_ms(shift: &Duration) -> BindResult<i64> {
    match fixed_ms(shift)? {
        shift_ms if shift_ms > 0 => Ok(shift_ms),
        _ => {
            let message = "SHIFT needs a positive duration of fixed length";
            Err(wrong(Code::InvalidDuration, message, shift.span))
        }
    }
}
