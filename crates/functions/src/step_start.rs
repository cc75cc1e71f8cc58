//! `step_start`: the start of the step that a time falls into.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use events::TimeRange;

use crate::literals;

const DAY_MS: i64 = 86_400_000;

/// The start of the step of a time in Unix milliseconds: steps count from 1970-01-01 00:00 on the
/// clock of `zone`.
pub fn step_start(time: Expr, step_ms: i64, zone: Tz) -> Expr {
    udf().call(vec![time, lit(step_ms), lit(zone.name())])
}

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(StepStart {
        signature: Signature::any(3, Volatility::Immutable),
    })
}

/// The start of the step of a time, as [`step_start`] gives it.
pub fn step_start_ms(time_ms: i64, step_ms: i64, zone: Tz) -> i64 {
    Steps { step_ms, zone }.of(time_ms)
}

/// The starts of the steps that a window touches, oldest first.
pub fn step_starts(window: TimeRange, step_ms: i64, zone: Tz) -> impl Iterator<Item = i64> {
    let steps = Steps { step_ms, zone };
    let first = (window.from_ms < window.to_ms).then(|| steps.of(window.from_ms));
    std::iter::successors(first, move |start| {
        Some(steps.after(*start)).filter(|next| start < next && *next < window.to_ms)
    })
}

/// Steps of one width on the clock of a zone.
#[derive(Debug, Clone, Copy)]
struct Steps {
    step_ms: i64,
    zone: Tz,
}

impl Steps {
    /// The start of the step of a time. Where the clock is changed inside a step, the step goes on as
    /// long as the clock still shows a time of it, and else a new one starts with the change; so steps
    /// follow each other without a gap, and none starts behind a time in it.
    fn of(&self, time_ms: i64) -> i64 {
        if self.zone == Tz::UTC {
            return self.floor(time_ms);
        }
        let offset_ms = self.offset_ms(time_ms);
        let local_start = self.floor(time_ms.saturating_add(offset_ms));
        let start = local_start.saturating_sub(offset_ms);
        let offset_before_ms = self.offset_ms(start);
        if offset_before_ms == offset_ms {
            return start;
        }
        // The clock was changed since. What it would show without the change falls into the same step.
        let start_before = local_start.saturating_sub(offset_before_ms);
        if self.offset_ms(start_before) == offset_before_ms
            && self.floor(time_ms.saturating_add(offset_before_ms)) == local_start
        {
            return start_before;
        }
        let change = first(start, time_ms, |time_ms| {
            self.offset_ms(time_ms) == offset_ms
        });
        let last_before = change.saturating_sub(1);
        let local_before = last_before.saturating_add(self.offset_ms(last_before));
        match self.floor(local_before) == local_start {
            true => start_before,
            false => change,
        }
    }

    /// The start of the step after the one that starts at `start`.
    fn after(&self, start: i64) -> i64 {
        let next = start.saturating_add(self.step_ms);
        if self.of(next) == next && self.of(next.saturating_sub(1)) == start {
            return next;
        }
        // The clock is changed in this step. A change is by less than a day.
        let beyond = next.saturating_add(self.step_ms).saturating_add(DAY_MS);
        first(start, beyond, |time_ms| self.of(time_ms) != start)
    }

    fn floor(&self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.rem_euclid(self.step_ms))
    }

    fn offset_ms(&self, time_ms: i64) -> i64 {
        let time: Option<DateTime<Utc>> = DateTime::from_timestamp_millis(time_ms);
        time.map_or(0, |time| {
            let offset = self.zone.offset_from_utc_datetime(&time.naive_utc());
            i64::from(offset.fix().local_minus_utc()) * 1000
        })
    }
}

/// The first time behind `from_ms` and up to `to_ms` that is reached; from there on every time is.
fn first(from_ms: i64, to_ms: i64, is_reached: impl Fn(i64) -> bool) -> i64 {
    let (mut before, mut reached) = (from_ms, to_ms);
    while reached.saturating_sub(before) > 1 {
        let middle = before + (reached - before) / 2;
        match is_reached(middle) {
            true => reached = middle,
            false => before = middle,
        }
    }
    reached
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StepStart {
    signature: Signature,
}

impl ScalarUDFImpl for StepStart {
    fn name(&self) -> &str {
        "step_start"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    /// A later time is in no earlier step.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs[0].sort_properties)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = literals::text(&args, 2)?;
        let Ok(zone) = zone.parse() else {
            return exec_err!("`{zone}` is no time zone");
        };
        let step_ms = literals::int(&args, 1)?;
        let steps = Steps { step_ms, zone };
        let times = args.args[0].to_array(args.number_rows)?;
        // Events are stored by time, so one mostly falls into the step of the one before.
        let step = Cell::new((0, 0));
        let starts: Int64Array = times.as_primitive::<Int64Type>().unary(|time| {
            let (start, end) = step.get();
            if start <= time && time < end {
                return start;
            }
            let start = steps.of(time);
            step.set((start, steps.after(start)));
            start
        });
        Ok(ColumnarValue::Array(Arc::new(starts) as ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(time: &str, step_ms: i64, zone: Tz) -> String {
        let time_ms = DateTime::parse_from_rfc3339(time)
            .unwrap()
            .timestamp_millis();
        let start = Steps { step_ms, zone }.of(time_ms);
        DateTime::from_timestamp_millis(start)
            .unwrap()
            .with_timezone(&zone)
            .to_rfc3339()
    }

    #[test]
    fn steps_follow_the_clock_of_the_zone() {
        const HOUR: i64 = 3_600_000;
        assert_eq!(
            of("2023-07-10T11:42:18Z", HOUR, Tz::UTC),
            "2023-07-10T11:00:00+00:00"
        );
        assert_eq!(
            of("1969-12-31T23:59:59Z", DAY_MS, Tz::UTC),
            "1969-12-31T00:00:00+00:00"
        );
        let shanghai = Tz::Asia__Shanghai;
        assert_eq!(
            of("2023-07-10T17:00:00Z", DAY_MS, shanghai),
            "2023-07-11T00:00:00+08:00"
        );
        // The clock went forward at 02:00 that night.
        let berlin = Tz::Europe__Berlin;
        assert_eq!(
            of("2024-03-31T12:00:00Z", DAY_MS, berlin),
            "2024-03-31T00:00:00+01:00"
        );
        assert_eq!(
            of("2024-03-31T01:10:00Z", 2 * HOUR, berlin),
            "2024-03-31T03:00:00+02:00"
        );
        // It went back at 03:00: the day has 25 hours, the hour from 02:00 comes twice.
        assert_eq!(
            of("2024-10-27T22:59:59Z", DAY_MS, berlin),
            "2024-10-27T00:00:00+02:00"
        );
        assert_eq!(
            of("2024-10-27T00:30:00Z", HOUR, berlin),
            "2024-10-27T02:00:00+02:00"
        );
        assert_eq!(
            of("2024-10-27T01:30:00Z", HOUR, berlin),
            "2024-10-27T02:00:00+01:00"
        );
        // A step of 50 minutes would start in the hour that the clock skipped.
        assert_eq!(
            of("2024-03-31T01:00:01Z", 50 * 60_000, berlin),
            "2024-03-31T03:00:00+02:00"
        );
    }

    #[test]
    fn steps_leave_no_gap_where_the_clock_is_changed() {
        const MINUTE: i64 = 60_000;
        let zones = [
            (Tz::Europe__Berlin, "2024-03-31T01:00:00Z"),
            (Tz::Europe__Berlin, "2024-10-27T01:00:00Z"),
            (Tz::Australia__Lord_Howe, "2024-04-06T15:00:00Z"),
            (Tz::Australia__Lord_Howe, "2024-10-05T15:30:00Z"),
            (Tz::America__Havana, "2024-03-10T05:00:00Z"),
            (Tz::America__Havana, "2024-11-03T05:00:00Z"),
            (Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
            (Tz::Africa__Casablanca, "2024-04-14T02:00:00Z"),
        ];
        let minutes = [7, 15, 40, 50, 60, 90, 120, 180, 720, 1440, 2880, 10_080];
        for (zone, change) in zones {
            let change = DateTime::parse_from_rfc3339(change).unwrap();
            let from_ms = change.timestamp_millis() - 3 * DAY_MS;
            let to_ms = change.timestamp_millis() + 3 * DAY_MS;
            for step_ms in minutes.map(|minutes| minutes * MINUTE) {
                let steps = Steps { step_ms, zone };
                let window = TimeRange { from_ms, to_ms };
                let listed: Vec<i64> = step_starts(window, step_ms, zone).collect();
                let mut seen: Vec<i64> = Vec::new();
                for time_ms in (from_ms..to_ms).step_by(MINUTE as usize) {
                    let start = steps.of(time_ms);
                    assert!(start <= time_ms, "{zone} {step_ms}: {start} > {time_ms}");
                    assert_eq!(steps.of(start), start, "{zone} {step_ms}: {time_ms}");
                    if seen.last() != Some(&start) {
                        assert!(seen.last() < Some(&start), "{zone} {step_ms}: {time_ms}");
                        seen.push(start);
                    }
                }
                assert_eq!(listed, seen, "{zone} {step_ms}");
            }
        }
    }

    #[test]
    fn steps_over_years_are_listed_at_once() {
        let window = TimeRange {
            from_ms: 0,
            to_ms: 10_000 * DAY_MS,
        };
        assert_eq!(
            step_starts(window, DAY_MS, Tz::Europe__Berlin).count(),
            10_001,
            "the first day began an hour before the window"
        );
    }
}
