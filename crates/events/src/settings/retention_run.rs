//! The results of retention runs.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Retention;
use crate::workspace::WorkspaceId;

/// The result of a retention run of one workspace, or of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRun {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The outcome for the events that are older than the retention.
    pub outcome: RetentionOutcome,
    /// The retention in force.
    pub retention: Retention,
    /// Whether it was set; otherwise it is the default.
    pub retention_is_set: bool,
    /// The first UTC day that the retention keeps.
    pub kept_from: NaiveDate,
    /// What was dropped, or would be.
    pub dropped: Dropped,
    /// How many older events stay because of holds.
    pub held_events: u64,
    /// How many of them each hold covers, by the name of the hold. An event may be counted for several
    /// holds; one in a file that a hold covers as a whole is counted for such holds only.
    pub held_by: BTreeMap<String, u64>,
    /// How many older events stay because they are in files of other software that cannot be taken out
    /// of the table safely.
    pub foreign_events: u64,
}

/// The permission of a retention run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMode {
    /// Drop nothing, and say what would be dropped.
    DryRun,
    /// Drop, but not a large share of the events at once without confirmation: the clock of the node
    /// may be wrong.
    Guarded,
    /// Drop whatever is older; the caller has seen what that is.
    Confirmed,
}

/// What became of the events that are older than the retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionOutcome {
    /// There was nothing to drop.
    Nothing,
    /// They were dropped.
    Dropped {
        /// The version of the table from which on they are gone.
        version: u64,
    },
    /// They would be dropped; this was a dry run.
    DryRun,
    /// Nothing is dropped, as no retention was set, and events arrived that were older than the
    /// default.
    Withheld,
    /// Nothing is dropped: more than a tenth of the events would go, which are more than a week younger than
    /// what was dropped or confirmed before. Setting the retention confirms what is older at that time.
    Unconfirmed,
    /// Nothing is dropped: a drop was undone, or a repair rebuilt the log without newer settings, and since then no
    /// other retention was set and no run confirmed.
    Undone,
}

/// Events that were dropped, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dropped {
    /// The days that they are of, ascending, as ranges of days in a row, both ends included.
    pub days: Vec<(NaiveDate, NaiveDate)>,
    /// How many.
    pub events: u64,
    /// The bytes by which the table became smaller. A dry run estimates them where only a part of a file
    /// goes.
    pub size_bytes: u64,
}

impl Dropped {
    /// The number of days.
    #[must_use]
    pub fn day_count(&self) -> u64 {
        let length = |(first, last): &(NaiveDate, NaiveDate)| (*last - *first).num_days() + 1;
        self.days.iter().map(length).map(i64::unsigned_abs).sum()
    }
}

/// A drop that was undone, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The version that dropped the events.
    pub dropped_version: u64,
    /// The version from which on they are back; `None` of a dry run.
    pub version: Option<u64>,
    /// What came back, or would.
    pub restored: Dropped,
    /// How many events of the files were there anyway: held ones that stayed, and those that arrived again.
    pub repeated: u64,
}
