//! Windows and steps.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use dql::ast::{Duration, DurationUnit, Preset, Range, TimePoint, TimePointKind, Window};

const DAY_MS: i64 = 86_400_000;

/// A fixed length of time; negative where the text has a minus.
pub(super) fn length_ms(duration: &Duration) -> i64 {
    let unit_ms = |unit: DurationUnit| match unit {
        DurationUnit::Year => 365.0 * 86_400_000.0,
        DurationUnit::Week => 7.0 * 86_400_000.0,
        DurationUnit::Day => 86_400_000.0,
        DurationUnit::Hour => 3_600_000.0,
        DurationUnit::Minute => 60_000.0,
        DurationUnit::Second => 1000.0,
        DurationUnit::Millisecond => 1.0,
        other => panic!("{other:?} has no fixed length"),
    };
    let parts = duration.parts.iter();
    let total: f64 = parts.map(|part| part.amount * unit_ms(part.unit)).sum();
    match duration.negative {
        true => -total as i64,
        false => total as i64,
    }
}

/// Whether a window names a range of time.
pub(super) fn names_range(window: Option<&Window>) -> bool {
    let open = Range::Bounds {
        from: None,
        to: None,
    };
    window.is_some_and(|window| window.range != open)
}

/// The range of a window as written, half-open.
pub(super) fn range(window: &Window, now_ms: i64, zone: Tz) -> (i64, i64) {
    match &window.range {
        Range::Preset(preset) => preset_range(*preset, now_ms, zone),
        Range::Bounds { from, to } => {
            let to_ms = to.as_ref().map_or(now_ms, |to| point_ms(to, now_ms, zone));
            let from_ms = from
                .as_ref()
                .map_or(to_ms - DAY_MS, |from| point_ms(from, now_ms, zone));
            (from_ms, to_ms)
        }
    }
}

fn preset_range(preset: Preset, now_ms: i64, zone: Tz) -> (i64, i64) {
    let today = local(now_ms, zone).date();
    let week = today - Days::new(today.weekday().num_days_from_monday().into());
    let month = today.with_day(1).unwrap();
    let start = |day: NaiveDate| earliest_ms(day.and_hms_opt(0, 0, 0).unwrap(), zone);
    match preset {
        Preset::Today => (start(today), now_ms),
        Preset::Yesterday => (start(today - Days::new(1)), start(today)),
        Preset::ThisWeek => (start(week), now_ms),
        Preset::LastWeek => (start(week - Days::new(7)), start(week)),
        Preset::ThisMonth => (start(month), now_ms),
        Preset::LastMonth => (start(month - Months::new(1)), start(month)),
    }
}

fn point_ms(point: &TimePoint, now_ms: i64, zone: Tz) -> i64 {
    match &point.kind {
        TimePointKind::Now => now_ms,
        TimePointKind::Ago(duration) => match duration.parts.as_slice() {
            [months] if months.unit == DurationUnit::Month => {
                let months = Months::new(months.amount as u32);
                earliest_ms(local(now_ms, zone) - months, zone)
            }
            _ => now_ms - length_ms(duration),
        },
        // The tests write moments near now.
        TimePointKind::Epoch(number) => match number {
            ..100_000_000_000 => number * 1000,
            ..100_000_000_000_000 => *number,
            ..100_000_000_000_000_000 => number / 1000,
            _ => number / 1_000_000,
        },
        TimePointKind::Civil(civil) => {
            let (hour, minute, second) = civil.time.unwrap_or_default();
            let day = NaiveDate::from_ymd_opt(civil.year, civil.month, civil.day).unwrap();
            earliest_ms(day.and_hms_opt(hour, minute, second).unwrap(), zone)
        }
    }
}

/// The moment at which a clock shows a time: the earlier of two, and where the clock skipped it the one at
/// which it would have shown it.
fn earliest_ms(time: NaiveDateTime, zone: Tz) -> i64 {
    if let Some(found) = zone.from_local_datetime(&time).earliest() {
        return found.timestamp_millis();
    }
    let as_utc = time.and_utc().timestamp_millis();
    as_utc - offset_ms(as_utc - DAY_MS, zone)
}

fn local(time_ms: i64, zone: Tz) -> NaiveDateTime {
    let time = DateTime::from_timestamp_millis(time_ms).unwrap();
    time.with_timezone(&zone).naive_local()
}

fn offset_ms(time_ms: i64, zone: Tz) -> i64 {
    let time = DateTime::from_timestamp_millis(time_ms).unwrap();
    i64::from(
        zone.offset_from_utc_datetime(&time.naive_utc())
            .fix()
            .local_minus_utc(),
    ) * 1000
}

/// The start of the step of a time: a step goes on while the clock of the zone shows a time of it, and
/// begins anew where the clock is set back to its beginning.
pub(super) fn step_start(time_ms: i64, step_ms: i64, zone: Tz) -> i64 {
    let shown = |time_ms: i64| time_ms + offset_ms(time_ms, zone);
    let even = time_ms - shown(time_ms).rem_euclid(step_ms);
    if offset_ms(even, zone) == offset_ms(time_ms, zone) {
        // Clocks are not changed there and back within a step.
        return even;
    }
    let mut moment = time_ms;
    loop {
        // Clocks are changed at whole minutes, so inside one the clock runs evenly.
        let minute = moment - moment.rem_euclid(60_000);
        let start = moment - shown(moment).rem_euclid(step_ms);
        if start >= minute {
            return start;
        }
        let before = minute - 1;
        if shown(minute).div_euclid(step_ms) != shown(before).div_euclid(step_ms) {
            return minute;
        }
        moment = before;
    }
}
