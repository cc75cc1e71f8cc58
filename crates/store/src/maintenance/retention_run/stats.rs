//! Sums over the files of a retention run.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use events::settings::Dropped;

use crate::delta::snapshot::DataFile;

/// The sums over the files of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RetentionStats {
    pub(super) dropped: Dropped,
    pub(super) held_events: u64,
    pub(super) held_by: BTreeMap<String, u64>,
    pub(super) foreign_events: u64,
}

impl RetentionStats {
    /// Of `file`, `held` events stay, which take `held_bytes`. Files come by day, ascending.
    pub(super) fn add(&mut self, file: &DataFile, held: u64, held_bytes: u64) {
        self.held_events += held;
        if held < file.rows {
            self.dropped.events += file.rows - held;
            self.dropped.size_bytes += file.size_bytes.saturating_sub(held_bytes);
            add_day(&mut self.dropped.days, file.day);
        }
    }

    /// Adds events that the hold `name` covers.
    pub(super) fn add_hold(&mut self, name: &str, events: u64) {
        if events > 0 {
            *self.held_by.entry(name.to_owned()).or_default() += events;
        }
    }
}

/// Adds a day that is not before the last of `days`.
pub(super) fn add_day(days: &mut Vec<(NaiveDate, NaiveDate)>, day: NaiveDate) {
    match days.last_mut() {
        Some((_, last)) if *last == day => {}
        Some((_, last)) if last.succ_opt() == Some(day) => *last = day,
        _ => days.push((day, day)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_in_a_row_are_one_range() {
        let day = |number: u32| NaiveDate::from_ymd_opt(2026, 2, number).unwrap();
        let mut days = Vec::new();
        for number in [1, 1, 2, 3, 7, 9, 10, 10] {
            add_day(&mut days, day(number));
        }
        assert_eq!(
            days,
            [(day(1), day(3)), (day(7), day(7)), (day(9), day(10))]
        );
        let dropped = Dropped {
            days,
            ..Dropped::default()
        };
        assert_eq!(dropped.day_count(), 6);
    }
}
