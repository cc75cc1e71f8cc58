//! `step_start`: the start of the step that a time falls into.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use events::TimeRange;

/// The start of the step of a time in Unix milliseconds: steps count from 1970-01-01 00:00 on the
/// clock of `zone`.
pub(crate) fn step_start(time: Expr, step_ms: i64, zone: Tz) -> Expr {
    ScalarUDF::new_from_impl(StepStart::new(step_ms, zone)).call(vec![time])
}

/// The start of the step of a time, as [`step_start`] gives it.
pub fn step_start_ms(time_ms: i64, step_ms: i64, zone: Tz) -> i64 {
    StepStart::new(step_ms, zone).of(time_ms)
}

/// The starts of the steps that a window touches, oldest first.
pub(crate) fn step_starts(window: TimeRange, step_ms: i64, zone: Tz) -> impl Iterator<Item = i64> {
    let steps = StepStart::new(step_ms, zone);
    let mut time_ms = window.from_ms;
    let mut last = None;
    std::iter::from_fn(move || {
        while time_ms < window.to_ms {
            let start = steps.of(time_ms);
            // Where the clock goes back, the time one step later can lie in the same step.
            time_ms = start.saturating_add(step_ms).max(time_ms.saturating_add(1));
            if last.replace(start) != Some(start) {
                return Some(start);
            }
        }
        None
    })
}

#[derive(Debug, PartialEq, Eq)]
struct StepStart {
    step_ms: i64,
    zone: Tz,
    signature: Signature,
}

impl Hash for StepStart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.step_ms, self.zone.name()).hash(state);
    }
}

impl StepStart {
    fn new(step_ms: i64, zone: Tz) -> Self {
        let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
        Self {
            step_ms,
            zone,
            signature,
        }
    }

    fn of(&self, time_ms: i64) -> i64 {
        let floor = |time: i64| time.saturating_sub(time.rem_euclid(self.step_ms));
        if self.zone == Tz::UTC {
            return floor(time_ms);
        }
        let offset_ms = self.offset_ms(time_ms);
        let local_start = floor(time_ms.saturating_add(offset_ms));
        let start = local_start.saturating_sub(offset_ms);
        // The clock may have been changed between the start of the step and this time.
        local_start.saturating_sub(self.offset_ms(start))
    }

    fn offset_ms(&self, time_ms: i64) -> i64 {
        let time: Option<DateTime<Utc>> = DateTime::from_timestamp_millis(time_ms);
        time.map_or(0, |time| {
            let offset = self.zone.offset_from_utc_datetime(&time.naive_utc());
            i64::from(offset.fix().local_minus_utc()) * 1000
        })
    }
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

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = args.args[0].to_array(args.number_rows)?;
        let starts: Int64Array = times
            .as_primitive::<Int64Type>()
            .unary(|time| self.of(time));
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
        let start = StepStart::new(step_ms, zone).of(time_ms);
        DateTime::from_timestamp_millis(start)
            .unwrap()
            .with_timezone(&zone)
            .to_rfc3339()
    }

    #[test]
    fn steps_follow_the_clock_of_the_zone() {
        const DAY: i64 = 86_400_000;
        assert_eq!(
            of("2023-07-10T11:42:18Z", 3_600_000, Tz::UTC),
            "2023-07-10T11:00:00+00:00"
        );
        assert_eq!(
            of("1969-12-31T23:59:59Z", DAY, Tz::UTC),
            "1969-12-31T00:00:00+00:00"
        );
        let shanghai = Tz::Asia__Shanghai;
        assert_eq!(
            of("2023-07-10T17:00:00Z", DAY, shanghai),
            "2023-07-11T00:00:00+08:00"
        );
        // The clock went forward at 02:00 that night.
        let berlin = Tz::Europe__Berlin;
        assert_eq!(
            of("2024-03-31T12:00:00Z", DAY, berlin),
            "2024-03-31T00:00:00+01:00"
        );
    }
}
