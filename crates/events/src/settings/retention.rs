//! How long events are kept.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, Months, NaiveDate, Utc};

/// The shortest retention in days: younger events are never dropped by retention, whatever is set, so
/// that a door that takes them need not ask.
pub const SHORTEST_RETENTION_DAYS: u32 = 30;

const LONGEST_YEARS: u32 = 100;
const LONGEST_DAYS: u32 = LONGEST_YEARS * 365;
const MONTHS_PER_YEAR: u32 = 12;

/// How long the events of a workspace are kept: 30 days to 100 years, in days or in years of the
/// calendar.
///
/// As text `90d` or `7y`. A year is one of the calendar: after `7y` an event goes not before the same
/// date seven years later, leap days included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    amount: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Days,
    Years,
}

/// A text that is not a retention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`retention` cannot be used: {reason}")]
pub struct InvalidRetention {
    /// What is wrong with the text, and what is valid.
    pub reason: String,
}

impl Retention {
    /// What holds in a workspace without settings: two years.
    pub const DEFAULT: Self = Self {
        amount: 2,
        unit: Unit::Years,
    };

    /// The first UTC day whose events are kept at `now`: a day is older than the retention when its last
    /// millisecond is.
    #[must_use]
    pub fn kept_from(self, now: DateTime<Utc>) -> NaiveDate {
        let today = now.date_naive();
        let first = match self.unit {
            Unit::Days => today.checked_sub_days(Days::new(self.amount.into())),
            Unit::Years => today.checked_sub_months(Months::new(self.amount * MONTHS_PER_YEAR)),
        };
        first.unwrap_or(NaiveDate::MIN)
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Days => 'd',
            Unit::Years => 'y',
        };
        write!(formatter, "{}{unit}", self.amount)
    }
}

impl FromStr for Retention {
    type Err = InvalidRetention;

    /// Reads `90d` or `7y`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |reason: &str| InvalidRetention {
            reason: format!("`{text}` {reason}"),
        };
        let unknown = || refused("is no retention; give days or years, such as 90d, 1y, 2y or 7y");
        let (unit, shortest, longest) = match text.chars().next_back() {
            Some('d') => (Unit::Days, SHORTEST_RETENTION_DAYS, LONGEST_DAYS),
            Some('y') => (Unit::Years, 1, LONGEST_YEARS),
            _ => return Err(unknown()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unknown());
        }
        match digits.parse() {
            Ok(amount) if amount < shortest => Err(refused(
                "is too short; events are kept for 30 days at least",
            )),
            Ok(amount) if amount <= longest => Ok(Self { amount, unit }),
            _ => Err(refused(
                "is too long; events are kept for 100 years at most",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn retention(text: &str) -> Retention {
        text.parse().unwrap()
    }

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_retention_is_read_and_shown() {
        for text in ["30d", "90d", "1y", "2y", "7y", "100y", "36500d"] {
            assert_eq!(retention(text).to_string(), text);
        }
        assert_eq!(Retention::default().to_string(), "2y");
        for (text, reason) in [
            ("", "is no retention"),
            ("90", "is no retention"),
            ("d", "is no retention"),
            ("-90d", "is no retention"),
            ("+90d", "is no retention"),
            ("1.5y", "is no retention"),
            ("9ö", "is no retention"),
            ("29d", "too short"),
            ("0y", "too short"),
            ("101y", "too long"),
            ("99999999999999d", "too long"),
        ] {
            let error = text.parse::<Retention>().unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn years_are_those_of_the_calendar() {
        let kept_from = |text: &str, now: &str| retention(text).kept_from(moment(now)).to_string();
        assert_eq!(kept_from("7y", "2026-11-22T00:00:00Z"), "2019-11-22");
        assert_eq!(kept_from("1y", "2028-02-29T23:59:59Z"), "2027-02-28");
        assert_eq!(kept_from("90d", "2026-11-22T12:00:00Z"), "2026-08-24");
        assert_eq!(kept_from("100y", "0050-01-01T00:00:00Z"), "-0050-01-01");
    }

    proptest! {
        #[test]
        fn a_day_goes_when_its_last_millisecond_is_older(
            now_ms in 0_i64..4_000_000_000_000,
            days in 30_u32..4_000,
        ) {
            const DAY_MS: i64 = 24 * 60 * 60 * 1000;
            let now = DateTime::from_timestamp_millis(now_ms).unwrap();
            let kept_from = retention(&format!("{days}d")).kept_from(now);
            let start_ms = kept_from.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
            let oldest_ms = now_ms - i64::from(days) * DAY_MS;
            prop_assert!(start_ms - 1 < oldest_ms, "the day before is older as a whole");
            prop_assert!(start_ms + DAY_MS > oldest_ms, "the first kept day is not");
        }
    }
}
