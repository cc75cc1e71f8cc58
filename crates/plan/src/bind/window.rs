//! `[from:to:step:rollup]`: the only module that reads now, the time zone and the request's window.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use dql::ast::{
    Civil, Duration, DurationUnit, Preset, Range, Select, Source, Step, TimePoint, TimePointKind,
    Window,
};
use dql::{Code, Diagnostic, Severity, Span};
use events::TimeRange;

use super::list::row_sources;
use super::source::has_window;
use super::{BindContext, BindResult, Binder, not_supported, wrong};

/// The points that `auto` aims at.
const AUTO_POINTS: u64 = 360;

pub(super) const SECOND_MS: i64 = 1000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// The widths `auto` chooses from, so that points fall on round times.
const ROUND_STEPS_MS: [i64; 22] = [
    SECOND_MS,
    2 * SECOND_MS,
    5 * SECOND_MS,
    10 * SECOND_MS,
    15 * SECOND_MS,
    30 * SECOND_MS,
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
    14 * DAY_MS,
    28 * DAY_MS,
];

/// The window of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoundWindow {
    /// The range of time.
    pub(super) range: TimeRange,
    /// The width of a point in milliseconds.
    pub(super) step_ms: Option<i64>,
}

impl Binder<'_> {
    /// The window of the request, else of the text, else the last day, which is said.
    pub(super) fn window(&mut self, select: &Select) -> BindResult<BoundWindow> {
        let written = select.window.as_ref();
        if let Some(rollup) = written.and_then(|window| window.rollup.as_ref()) {
            let reason =
                "it summarises the samples of a metric series, and events have no such series";
            let hint = "summarise the events with an aggregate and a step: `:(avg(x)) [1d::1h]`";
            let error = not_supported("a rollup", reason, rollup.name.span);
            return Err(error.with_hint(hint).into());
        }
        let in_text = written
            .map(|window| range_of(window, self.context))
            .transpose()?
            .flatten();
        let context = self.context;
        let range = match context.time_range.or(in_text).or(context.inherited_range) {
            Some(range) => range,
            // The sub-query has the window of the events, and its rows need no second one.
            None if is_over_own_window(select) => TimeRange::ALL,
            None => self.assumed_window(select),
        };
        if let (None, Some(window)) = (self.context.time_range, written)
            && matches!(
                window.range,
                Range::Bounds {
                    from: None,
                    to: Some(_)
                }
            )
        {
            let message = "the window names no begin, so the day before its end was read";
            self.warn(Code::AssumedWindow, message, window.span).hint =
                Some("add a begin such as `[7d:1h]`".to_owned());
        }
        self.check_length(select, range)?;
        let step = written.and_then(|window| window.step.as_ref());
        let step_ms = step.map(|step| step_width_ms(step, range)).transpose()?;
        if let (Some(step_ms), Some(window)) = (step_ms, written)
            && step_ms > range.to_ms.saturating_sub(range.from_ms)
        {
            self.warn(
                Code::StepExceedsWindow,
                "the step is wider than the window",
                window.span,
            );
        }
        Ok(BoundWindow { range, step_ms })
    }

    fn assumed_window(&mut self, select: &Select) -> TimeRange {
        let end = select.span.after();
        let span = select.window.as_ref().map_or(end, |window| window.span);
        let mut warning = Diagnostic::new(
            Severity::Warning,
            Code::AssumedWindow,
            "the query names no window, so the last day was read",
            Some(span),
        );
        warning.hint = Some("add a window such as `[7d]`".to_owned());
        self.notes.warnings.push(warning);
        let to_ms = self.context.now_ms;
        TimeRange {
            from_ms: to_ms.saturating_sub(DAY_MS),
            to_ms,
        }
    }
}

/// Whether the source is a query with a window of its own.
fn is_over_own_window(select: &Select) -> bool {
    match row_sources(select).as_slice() {
        [Source::Subquery { query, .. }] => has_window(query) || is_over_own_window(query),
        _ => false,
    }
}

/// The range as written; `None` when it names neither end.
pub(super) fn range_of(window: &Window, context: &BindContext) -> BindResult<Option<TimeRange>> {
    let (from_ms, to_ms) = match &window.range {
        Range::Preset(preset) => preset_bounds(*preset, context),
        Range::Bounds {
            from: None,
            to: None,
        } => return Ok(None),
        Range::Bounds { from, to } => {
            let to_ms = to
                .as_ref()
                .map_or(Ok(context.now_ms), |to| point_ms(to, context))?;
            let from_ms = match from {
                Some(from) => point_ms(from, context)?,
                None => to_ms.saturating_sub(DAY_MS),
            };
            (from_ms, to_ms)
        }
    };
    // The day of which the first moment is now has nothing in it yet, and that is no mistake.
    let is_preset = matches!(window.range, Range::Preset(_));
    if from_ms > to_ms || from_ms == to_ms && !is_preset {
        return Err(wrong(
            Code::InvertedWindow,
            "the window ends before it begins",
            window.span,
        )
        .with_hint("a duration means that long ago, so the longer one stands first: `[10m:5m]`")
        .into());
    }
    Ok(Some(TimeRange { from_ms, to_ms }))
}

fn preset_bounds(preset: Preset, context: &BindContext) -> (i64, i64) {
    let zone = context.time_zone;
    let today = date_in(zone, context.now_ms);
    let monday = today - TimeDelta::days(today.weekday().num_days_from_monday().into());
    let first = today.with_day(1).unwrap_or(today);
    let start = |day: NaiveDate| midnight_ms(day, zone);
    match preset {
        Preset::Today => (start(today), context.now_ms),
        Preset::Yesterday => (start(today - Days::new(1)), start(today)),
        Preset::ThisWeek => (start(monday), context.now_ms),
        Preset::LastWeek => (start(monday - Days::new(7)), start(monday)),
        Preset::ThisMonth => (start(first), context.now_ms),
        Preset::LastMonth => (start(first - Months::new(1)), start(first)),
    }
}

fn date_in(zone: Tz, time_ms: i64) -> NaiveDate {
    let time = DateTime::from_timestamp_millis(time_ms).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    time.with_timezone(&zone).date_naive()
}

fn midnight_ms(day: NaiveDate, zone: Tz) -> i64 {
    local_ms(day.and_time(NaiveTime::MIN), zone)
}

/// A time on the clock of a zone. One that the clock shows twice is the earlier; one that it skips is
/// read as if the clock had not been changed.
fn local_ms(local: chrono::NaiveDateTime, zone: Tz) -> i64 {
    match zone.from_local_datetime(&local).earliest() {
        Some(time) => time.timestamp_millis(),
        None => {
            let before = zone
                .from_local_datetime(&(local - TimeDelta::hours(3)))
                .earliest();
            before.map_or(local.and_utc().timestamp_millis(), |time| {
                (time + TimeDelta::hours(3)).timestamp_millis()
            })
        }
    }
}

fn point_ms(point: &TimePoint, context: &BindContext) -> BindResult<i64> {
    match &point.kind {
        TimePointKind::Now => Ok(context.now_ms),
        TimePointKind::Epoch(number) => Ok(epoch_ms(*number)),
        TimePointKind::Ago(duration) => before_now_ms(duration, context),
        TimePointKind::Civil(civil) => civil_ms(*civil, point.span, context.time_zone),
    }
}

/// The first millisecond that is not before a Unix time, whose unit follows from its magnitude.
pub(super) fn epoch_ms_above(number: i64) -> i64 {
    let ms = epoch_ms(number);
    let is_finer = number.unsigned_abs() >= 100_000_000_000_000;
    let unit = if number.unsigned_abs() < 100_000_000_000_000_000 {
        1000
    } else {
        1_000_000
    };
    ms + i64::from(is_finer && number > 0 && number % unit != 0)
}

/// Unix time of a unit that follows from its magnitude: seconds up to the year 5138, then
/// milliseconds, microseconds, nanoseconds.
fn epoch_ms(number: i64) -> i64 {
    match number.unsigned_abs() {
        0..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1000,
        _ => number / 1_000_000,
    }
}

fn civil_ms(civil: Civil, span: Span, zone: Tz) -> BindResult<i64> {
    let (hour, minute, second) = civil.time.unwrap_or_default();
    NaiveDate::from_ymd_opt(civil.year, civil.month, civil.day)
        .and_then(|date| date.and_hms_opt(hour, minute, second))
        .map(|local| local_ms(local, zone))
        .ok_or_else(|| {
            wrong(
                Code::InvalidTime,
                "there is no such date or time of day",
                span,
            )
        })
}

fn before_now_ms(duration: &Duration, context: &BindContext) -> BindResult<i64> {
    let months: f64 = duration
        .parts
        .iter()
        .filter(|part| part.unit == DurationUnit::Month)
        .map(|part| part.amount)
        .sum();
    let mut time_ms = context.now_ms;
    if months > 0.0 {
        let now = DateTime::from_timestamp_millis(context.now_ms).unwrap_or_default();
        let local = now.with_timezone(&context.time_zone);
        let whole = (months.fract() == 0.0 && months <= 120_000.0).then_some(months as u32);
        let moved = whole.and_then(|months| match duration.negative {
            false => local.checked_sub_months(Months::new(months)),
            true => local.checked_add_months(Months::new(months)),
        });
        let moved = moved.ok_or_else(|| {
            wrong(
                Code::InvalidDuration,
                "months count whole and within the calendar",
                duration.span,
            )
        })?;
        time_ms = moved.timestamp_millis();
    }
    let rest = Duration {
        parts: duration
            .parts
            .iter()
            .copied()
            .filter(|part| part.unit != DurationUnit::Month)
            .collect(),
        ..duration.clone()
    };
    Ok(time_ms.saturating_sub(fixed_ms(&rest)?))
}

/// A duration of fixed length in milliseconds; parts of a millisecond are cut off.
pub(super) fn fixed_ms(duration: &Duration) -> BindResult<i64> {
    duration.fixed_ms().map_err(|unit| {
        let message = if unit == DurationUnit::Month {
            "a month has no fixed length, so it can only be the start or end of a window"
        } else {
            "a duration relative to the step has no meaning here"
        };
        wrong(Code::InvalidDuration, message, duration.span)
    })
}

pub(super) fn step_width_ms(step: &Step, range: TimeRange) -> BindResult<i64> {
    match step {
        Step::Every(duration) => match fixed_ms(duration)? {
            step_ms if step_ms >= 1 => Ok(step_ms),
            _ => Err(wrong(
                Code::InvalidStep,
                "a step is at least one millisecond",
                duration.span,
            )),
        },
        Step::Auto { points, span } => {
            let points = points.unwrap_or(AUTO_POINTS);
            if points == 0 {
                return Err(wrong(
                    Code::InvalidStep,
                    "`auto` needs at least one point",
                    *span,
                ));
            }
            Ok(round_step_ms(range, points))
        }
    }
}

/// The smallest round width with at most `points` points.
fn round_step_ms(range: TimeRange, points: u64) -> i64 {
    let width_ms = range.to_ms.saturating_sub(range.from_ms).max(1);
    let points = i64::try_from(points).unwrap_or(i64::MAX);
    let at_least_ms = width_ms.saturating_add(points - 1) / points;
    let round = ROUND_STEPS_MS
        .iter()
        .copied()
        .find(|step_ms| *step_ms >= at_least_ms);
    round.unwrap_or_else(|| (at_least_ms + DAY_MS - 1) / DAY_MS * DAY_MS)
}
