//! Legal holds: which events must not be dropped, and why.

use chrono::{DateTime, NaiveDate, Utc};

use crate::time::TimeRange;

/// Events that no retention run may drop while the hold exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its name, unique in the workspace.
    pub name: String,
    /// Why the events are held.
    pub reason: String,
    /// The actor who placed it.
    pub placed_by: String,
    /// When it was placed, in milliseconds.
    pub placed_at: DateTime<Utc>,
    /// What it holds.
    pub events: HeldEvents,
}

/// A hold that is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// Its name, unique in the workspace: 1 to 128 characters.
    pub name: String,
    /// Why the events are held: 1 to 4,096 characters.
    pub reason: String,
    /// The actor who places it: 1 to 128 characters.
    pub placed_by: String,
    /// What it holds.
    pub events: HeldEvents,
}

/// The events of a hold: those within a time range, those of a user, or both; else all of the
/// workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEvents {
    /// The range of `date`; [`TimeRange::ALL`] is any date.
    pub range: TimeRange,
    /// The user who acted: equal to `df_user_id`, `df_user_name` or `df_user_email`, without regard to
    /// case, to the form in which Unicode writes it, and to blanks around it; `None` is any user.
    pub user: Option<String>,
}

impl HeldEvents {
    /// Every event of the workspace.
    #[must_use]
    pub fn all() -> Self {
        Self {
            range: TimeRange::ALL,
            user: None,
        }
    }

    /// Whether events of `day` may be held; `false` is certain.
    pub fn may_hold(&self, day: NaiveDate) -> bool {
        self.range.intersect(&TimeRange::of_day(day)).is_some()
    }

    /// Whether every event of `day` is held.
    pub fn holds_all_of(&self, day: NaiveDate) -> bool {
        let day = TimeRange::of_day(day);
        self.user.is_none() && self.range.intersect(&day) == Some(day)
    }

    /// Whether events are held that are older than `day`.
    pub fn begins_before(&self, day: NaiveDate) -> bool {
        self.range.from_ms < TimeRange::of_day(day).from_ms
    }
}

impl NewHold {
    /// Whether `hold` is this one, placed before.
    pub fn is(&self, hold: &Hold) -> bool {
        (&self.name, &self.reason, &self.events) == (&hold.name, &hold.reason, &hold.events)
    }

    /// The hold, placed at `now`.
    pub fn placed(self, now: DateTime<Utc>) -> Hold {
        Hold {
            name: self.name,
            reason: self.reason,
            placed_by: self.placed_by,
            placed_at: DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now),
            events: self.events,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(from_ms: i64, to_ms: i64, user: Option<&str>) -> HeldEvents {
        HeldEvents {
            range: TimeRange::new(from_ms, to_ms).unwrap(),
            user: user.map(str::to_owned),
        }
    }

    #[test]
    fn days_are_held_in_part_or_as_a_whole() {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let first = held(0, DAY_MS, None);
        assert!(first.holds_all_of(day("1970-01-01")));
        assert!(!first.may_hold(day("1970-01-02")) && !first.may_hold(day("1969-12-31")));
        let part = held(1, DAY_MS, None);
        assert!(part.may_hold(day("1970-01-01")) && !part.holds_all_of(day("1970-01-01")));
        assert!(!held(0, DAY_MS, Some("x")).holds_all_of(day("1970-01-01")));
        assert!(HeldEvents::all().holds_all_of(day("9999-12-31")));
        assert!(HeldEvents::all().begins_before(day("0001-01-01")));
        assert!(!first.begins_before(day("1970-01-01")));
        assert!(first.begins_before(day("1970-01-02")));
    }

    #[test]
    fn a_placed_hold_is_recognised() {
        let good = NewHold {
            name: "case 4711".to_owned(),
            reason: "court order".to_owned(),
            placed_by: "legal".to_owned(),
            events: HeldEvents::all(),
        };
        let placed = good.clone().placed(DateTime::UNIX_EPOCH);
        let by_another = NewHold {
            placed_by: "x".to_owned(),
            ..good.clone()
        };
        assert!(by_another.is(&placed));
        assert!(
            !NewHold {
                reason: "x".to_owned(),
                ..good
            }
            .is(&placed)
        );
    }
}
