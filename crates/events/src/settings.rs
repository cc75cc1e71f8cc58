//! The settings of a workspace: how long its events are kept, and which of them are held.

mod hold;
mod retention;
mod retention_run;

use chrono::NaiveDate;

pub use hold::{HeldEvents, Hold, NewHold};
pub use retention::{InvalidRetention, Retention, SHORTEST_RETENTION_DAYS};
pub use retention_run::{Dropped, RetentionMode, RetentionOutcome, RetentionRun, Undone};

/// The settings of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How long events are kept; `None` when it was never set.
    pub retention: Option<Retention>,
    /// The legal holds, by name.
    pub holds: Vec<Hold>,
    /// The first UTC day that no retention run has dropped yet; of earlier days only held events are
    /// left, and those that an import brought again.
    pub dropped_before: Option<NaiveDate>,
    /// The first UTC day that was not older than the retention when it was set: what is older may be dropped
    /// at once.
    pub confirmed_before: Option<NaiveDate>,
    /// Whether an import brought events that were older than the default retention, while none was set.
    pub older_events: bool,
    /// Whether a drop was undone, or a repair rebuilt the log and newer settings may be lost, and no other retention
    /// was set and no run confirmed since: nothing is dropped until then.
    pub drop_undone: bool,
}

impl Settings {
    /// The retention in force: the setting, else two years.
    #[must_use]
    pub fn retention_in_force(&self) -> Retention {
        self.retention.unwrap_or_default()
    }

    /// Whether retention runs drop nothing: an import brought old events on purpose, and how long they are to be kept
    /// was not set.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.retention.is_none() && self.older_events
    }
}

/// What became of a hold that was to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedHold {
    /// The hold as it is now.
    pub hold: Hold,
    /// Whether it existed already, with the same reason and the same events.
    pub stood_already: bool,
    /// Of which days events had been dropped before the hold was placed: those before this day;
    /// `None` when the hold begins later.
    pub dropped_before: Option<NaiveDate>,
}
