//! Time: half-open ranges, days, timestamps as text. All times are Unix milliseconds, UTC.

use chrono::{DateTime, Days, NaiveDate, NaiveTime};

/// The earliest `date` of an event: 0001-01-01T00:00:00Z.
pub const MIN_DATE_MS: i64 = -62_135_596_800_000;
/// The latest `date` of an event: 9999-12-31T23:59:59.999Z.
pub const MAX_DATE_MS: i64 = 253_402_300_799_999;

/// A time that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// A range that ends before it begins.
    #[error("the time range ends ({to_ms}) before it begins ({from_ms})")]
    Backwards {
        /// The begin, Unix ms.
        from_ms: i64,
        /// The end, Unix ms.
        to_ms: i64,
    },
    /// A text that is no RFC 3339 timestamp.
    #[error("`{text}` is no RFC 3339 timestamp such as 2026-11-21T08:30:00Z ({reason})")]
    NotATimestamp {
        /// The text, shortened when long.
        text: String,
        /// What does not fit.
        reason: String,
    },
    /// A time outside the years 1 to 9999.
    #[error("{0} ms lies outside the years 1 to 9999; dates are Unix milliseconds")]
    OutOfRange(i64),
}

/// A half-open range of time, `[from_ms, to_ms)`. Make it by [`TimeRange::new`], which keeps the
/// ends in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first millisecond inside, Unix ms.
    pub from_ms: i64,
    /// The first millisecond behind, Unix ms.
    pub to_ms: i64,
}

impl TimeRange {
    /// All of time but its last millisecond.
    pub const ALL: Self = Self {
        from_ms: i64::MIN,
        to_ms: i64::MAX,
    };

    /// The range `[from_ms, to_ms)`, Unix ms. Equal ends make an empty range.
    ///
    /// # Errors
    /// [`TimeError::Backwards`] when `from_ms > to_ms`.
    pub fn new(from_ms: i64, to_ms: i64) -> Result<Self, TimeError> {
        if from_ms > to_ms {
            return Err(TimeError::Backwards { from_ms, to_ms });
        }
        Ok(Self { from_ms, to_ms })
    }

    /// The range of a UTC day.
    pub fn of_day(day: NaiveDate) -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
        let from_ms = day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        Self {
            from_ms,
            to_ms: from_ms + DAY_MS,
        }
    }

    /// Whether no millisecond lies inside.
    pub fn is_empty(&self) -> bool {
        self.from_ms >= self.to_ms
    }

    /// Whether the time lies inside.
    pub fn contains(&self, date_ms: i64) -> bool {
        self.from_ms <= date_ms && date_ms < self.to_ms
    }

    /// What lies in both; `None` when nothing does.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let from_ms = self.from_ms.max(other.from_ms);
        let to_ms = self.to_ms.min(other.to_ms);
        (from_ms < to_ms).then_some(Self { from_ms, to_ms })
    }

    /// The UTC days that the range touches, first to last. Only days that an event can have: the
    /// years 1 to 9999.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let inside = Self {
            from_ms: MIN_DATE_MS,
            to_ms: MAX_DATE_MS + 1,
        };
        let last = self
            .intersect(&inside)
            .map(|range| (day_of(range.from_ms), day_of(range.to_ms - 1)));
        let first = last.map(|(first, _)| first);
        std::iter::successors(first, move |day| {
            let next = day.checked_add_days(Days::new(1))?;
            last.filter(|(_, last)| next <= *last).map(|_| next)
        })
    }
}

/// The UTC day of a time. Times beyond what a date can express give the first or the last date
/// there is; no event has such a time.
pub fn day_of(date_ms: i64) -> NaiveDate {
    match DateTime::from_timestamp_millis(date_ms) {
        Some(moment) => moment.date_naive(),
        None if date_ms < 0 => NaiveDate::MIN,
        None => NaiveDate::MAX,
    }
}

/// An RFC 3339 timestamp as Unix ms. Digits behind the millisecond are cut off, not rounded.
///
/// # Errors
/// [`TimeError::NotATimestamp`], or [`TimeError::OutOfRange`] outside the years 1 to 9999 UTC.
pub fn parse_timestamp(text: &str) -> Result<i64, TimeError> {
    let moment =
        DateTime::parse_from_rfc3339(text.trim()).map_err(|error| TimeError::NotATimestamp {
            text: crate::rejection::excerpt(text),
            reason: error.to_string(),
        })?;
    check_date(moment.timestamp_millis())
}

/// The same time, if an event can have it.
///
/// # Errors
/// [`TimeError::OutOfRange`] outside the years 1 to 9999 UTC.
pub fn check_date(date_ms: i64) -> Result<i64, TimeError> {
    if (MIN_DATE_MS..=MAX_DATE_MS).contains(&date_ms) {
        Ok(date_ms)
    } else {
        Err(TimeError::OutOfRange(date_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from_ms: i64, to_ms: i64) -> Vec<String> {
        let range = TimeRange::new(from_ms, to_ms).unwrap();
        range.days().map(|day| day.to_string()).collect()
    }

    #[test]
    fn a_range_is_half_open() {
        let range = TimeRange::new(10, 20).unwrap();
        assert!(range.contains(10) && range.contains(19));
        assert!(!range.contains(9) && !range.contains(20));
        assert_eq!(
            TimeRange::new(20, 10),
            Err(TimeError::Backwards {
                from_ms: 20,
                to_ms: 10
            })
        );
        assert!(TimeRange::new(5, 5).unwrap().is_empty());
    }

    #[test]
    fn ranges_that_only_touch_do_not_intersect() {
        let left = TimeRange::new(0, 10).unwrap();
        assert_eq!(left.intersect(&TimeRange::new(10, 20).unwrap()), None);
        assert_eq!(
            left.intersect(&TimeRange::new(5, 20).unwrap()),
            Some(TimeRange::new(5, 10).unwrap())
        );
    }

    #[test]
    fn days_stop_before_the_open_end() {
        const DAY: i64 = 86_400_000;
        assert_eq!(days(0, DAY), ["1970-01-01"]);
        assert_eq!(days(DAY - 1, DAY + 1), ["1970-01-01", "1970-01-02"]);
        assert_eq!(days(-1, 0), ["1969-12-31"]);
        assert!(days(7, 7).is_empty());
        let mut all = TimeRange::ALL.days();
        assert_eq!(all.next(), NaiveDate::from_ymd_opt(1, 1, 1));
        assert_eq!(all.last(), NaiveDate::from_ymd_opt(9999, 12, 31));
    }

    #[test]
    fn extreme_times_have_a_day() {
        assert_eq!(day_of(i64::MIN), NaiveDate::MIN);
        assert_eq!(day_of(i64::MAX), NaiveDate::MAX);
        assert_eq!(
            day_of(MIN_DATE_MS),
            NaiveDate::from_ymd_opt(1, 1, 1).unwrap()
        );
        assert_eq!(
            day_of(MAX_DATE_MS),
            NaiveDate::from_ymd_opt(9999, 12, 31).unwrap()
        );
    }

    #[test]
    fn timestamps_are_cut_to_milliseconds() {
        assert_eq!(parse_timestamp("1970-01-01T00:00:01.9999Z"), Ok(1_999));
        assert_eq!(parse_timestamp("1969-12-31T23:59:59.9999Z"), Ok(-1));
        assert_eq!(
            parse_timestamp("2023-01-27T18:28:08.127428Z"),
            Ok(1_674_844_088_127)
        );
        assert_eq!(parse_timestamp("1970-01-01T08:00:00+08:00"), Ok(0));
        assert_eq!(parse_timestamp("9999-12-31T23:59:59.999Z"), Ok(MAX_DATE_MS));
    }

    #[test]
    fn what_is_no_timestamp_is_said() {
        for text in [
            "",
            "yesterday",
            "2023-07-10",
            "2023-07-10T11:42:18",
            "2023-02-30T00:00:00Z",
        ] {
            let error = parse_timestamp(text).unwrap_err();
            assert!(
                matches!(error, TimeError::NotATimestamp { .. }),
                "{text}: {error}"
            );
        }
        // The year 0 in UTC, although the text says 1.
        assert!(matches!(
            parse_timestamp("0001-01-01T00:00:00+01:00"),
            Err(TimeError::OutOfRange(_))
        ));
    }
}
