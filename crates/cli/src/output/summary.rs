//! The summary of an answer as text.

use std::fmt::Write as _;

use api::Summary;
use chrono::{DateTime, SecondsFormat};
use events::TimeRange;

/// Warnings, then one line with the number of rows, the hits, the window and the duration.
pub(crate) fn summarise(query: &str, summary: &Summary) -> String {
    let mut text = crate::failure::drawn(query, &summary.warnings);
    let hits = &summary.total_hits;
    let matched = match (hits.exact, hits.value) {
        (true, value) => counted(value, "event"),
        // The hits do not include groups that HAVING excluded.
        (false, 0) => "an unknown number of events".to_owned(),
        (false, value) => format!("at least {}", counted(value, "event")),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{}, {matched} matched{}, {:.1} ms",
        counted(summary.rows, "row"),
        window(summary.window),
        summary.cost.as_secs_f64() * 1_000.0,
    );
    text
}

/// The window that was read; `None` where no window applies.
fn window(range: TimeRange) -> String {
    match range {
        TimeRange::ALL => String::new(),
        range => format!(" in [{}, {})", rfc3339(range.from_ms), rfc3339(range.to_ms)),
    }
}

/// Unix milliseconds as RFC 3339 in UTC; the number itself beyond the calendar.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    DateTime::from_timestamp_millis(unix_ms).map_or_else(
        || unix_ms.to_string(),
        |moment| moment.to_rfc3339_opts(SecondsFormat::Millis, true),
    )
}

/// A number with its noun, in the singular or the plural.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// A number of bytes in a readable unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::TotalHits;
    use dql::{Code, Diagnostic, Severity};
    use events::TimeRange;

    use super::*;

    #[test]
    fn a_summary_says_what_is_not_exact_and_warns() {
        let warning = Diagnostic::new(
            Severity::Warning,
            Code::LimitReached,
            "rows were cut off",
            None,
        );
        let summary = Summary {
            cost: Duration::from_micros(1_540),
            total_hits: TotalHits {
                value: 7,
                exact: false,
            },
            rows: 2,
            warnings: vec![warning],
            ..Summary::new(TimeRange::new(0, 1_000).unwrap())
        };
        let text = summarise("TAE::audit:(*)", &summary);
        assert!(text.contains("rows were cut off"), "{text}");
        assert_eq!(
            text.lines().last().unwrap(),
            "2 rows, at least 7 events matched in [1970-01-01T00:00:00.000Z, \
             1970-01-01T00:00:01.000Z), 1.5 ms"
        );
    }

    #[test]
    fn times_beyond_the_calendar_stay_numbers() {
        assert_eq!(rfc3339(1_795_215_600_123), "2026-11-20T23:00:00.123Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_234), "1.2 kB");
        assert_eq!(size(999_999), "1.0 MB");
        assert_eq!(size(u64::MAX), "18446.7 PB");
    }
}
