//! The distribution of events over time: most are on weekdays, by day.

use std::collections::VecDeque;

pub(super) const HOUR_MS: i64 = 3_600_000;

/// Distributes `events` over the hours of the `days` before `to_ms`. Returns the start of each hour in Unix
/// milliseconds and its number of events, the oldest hour first.
pub(super) fn hours(to_ms: i64, days: u32, events: u64) -> VecDeque<(i64, u64)> {
    let starts: Vec<i64> = (1..=i64::from(days) * 24)
        .rev()
        .map(|back| to_ms - back * HOUR_MS)
        .collect();
    let total: u64 = starts.iter().map(|start| busy(*start)).sum();
    let mut passed = 0;
    let mut given = 0;
    starts
        .into_iter()
        .map(|start_ms| {
            passed += busy(start_ms);
            // Rounded on the running sum, so that the shares add up to `events` exactly.
            let until = u128::from(events) * u128::from(passed) / u128::from(total);
            let until = u64::try_from(until).unwrap_or(events);
            let share = until - given;
            given = until;
            (start_ms, share)
        })
        .collect()
}

/// The weight of the hour that begins at `start_ms`, in UTC.
fn busy(start_ms: i64) -> u64 {
    let hour = start_ms.div_euclid(HOUR_MS).rem_euclid(24);
    // The first of January 1970 was a Thursday.
    let weekday = (start_ms.div_euclid(24 * HOUR_MS) + 3).rem_euclid(7);
    let busy = match hour {
        8..=11 | 13..=16 => 24,
        12 | 17 => 15,
        6 | 7 | 18..=20 => 8,
        _ => 2,
    };
    if weekday >= 5 { busy / 8 + 1 } else { busy }
}
