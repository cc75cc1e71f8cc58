//! What a request allows of windows and steps: the widest window, the most points.

use std::num::NonZeroU32;

use dql::ast::{Duration, DurationPart, DurationUnit, Select, Source, Step};
use dql::{Code, Diagnostic};
use events::TimeRange;

use super::list::row_sources;
use super::window::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, range_of, step_width_ms};
use super::{BindContext, BindResult, Binder, wrong};

impl Binder<'_> {
    /// Refuses a window that is wider than the request allows.
    pub(super) fn check_length(&self, select: &Select, range: TimeRange) -> BindResult<()> {
        let Some(longest_ms) = self.context.longest_window_ms else {
            return Ok(());
        };
        let width_ms = range.to_ms.saturating_sub(range.from_ms);
        // A query over all of time has the window of its sub-query, which is checked itself.
        if width_ms <= longest_ms || range == TimeRange::ALL {
            return Ok(());
        }
        let end = select.span.after();
        let span = select.window.as_ref().map_or(end, |window| window.span);
        let message = format!(
            "the window is {} wide, and the request allows {}",
            in_units(width_ms),
            in_units(longest_ms)
        );
        let error = wrong(Code::WindowTooWide, message, span);
        Err(error
            .with_hint("ask for less, or raise `max_duration`")
            .into())
    }
}

/// Widens the step of a query so that its window has no more than about `points` points; the finding
/// reports the new width. `None` when the step is wide enough, or the query has none or a wrong window. Sub-queries do
/// not change.
pub fn limit_points(
    select: &mut Select,
    points: NonZeroU32,
    context: &BindContext,
) -> Option<Diagnostic> {
    let range = range_read(select, context)?;
    let window = select.window.as_mut()?;
    let step = window.step.as_ref()?;
    let written_ms = step_width_ms(step, range).ok()?;
    let width_ms = range.to_ms.saturating_sub(range.from_ms);
    let points = i64::from(points.get());
    let least_ms = width_ms.saturating_add(points - 1) / points;
    if written_ms >= least_ms {
        return None;
    }
    window.step = Some(Step::Every(Duration {
        negative: false,
        parts: vec![DurationPart {
            amount: least_ms as f64,
            unit: DurationUnit::Millisecond,
        }],
        span: window.span,
    }));
    let message = format!(
        "the step of {} was widened to {}, because the request wants {points} points at most",
        in_units(written_ms),
        in_units(least_ms)
    );
    Some(Diagnostic::warning(Code::StepWidened, message, window.span))
}

/// The window that a query reads; that of the query inside where that alone has one.
fn range_read(select: &Select, context: &BindContext) -> Option<TimeRange> {
    if context.time_range.is_some() {
        return context.time_range;
    }
    if let Some(window) = &select.window
        && let Some(range) = range_of(window, context).ok()?
    {
        return Some(range);
    }
    match row_sources(select).as_slice() {
        [Source::Subquery { query, .. }] => range_read(query, context),
        _ => Some(TimeRange {
            from_ms: context.now_ms.saturating_sub(DAY_MS),
            to_ms: context.now_ms,
        }),
    }
}

/// A length of time in the largest unit that measures it in whole numbers.
fn in_units(length_ms: i64) -> String {
    let units = [
        (DAY_MS, "d"),
        (HOUR_MS, "h"),
        (MINUTE_MS, "m"),
        (SECOND_MS, "s"),
    ];
    let unit = units
        .into_iter()
        .find(|(unit_ms, _)| length_ms % unit_ms == 0);
    match unit {
        Some((unit_ms, name)) if length_ms != 0 => format!("{}{name}", length_ms / unit_ms),
        _ => format!("{length_ms}ms"),
    }
}
