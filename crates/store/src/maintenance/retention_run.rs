//! Dropping events that are older than the retention, and no others.
//!
//! 1. [`choose`] looks at the files of the newest version: those of days that are older go, unless a hold
//!    covers them, and those that a hold may cover in part are read.
//! 2. [`run`] reads these, writes the held rows of each into a new file, and makes one commit: the old
//!    files go, the new ones come, a receipt comes, and `vouch.droppedBefore` moves.
//! 3. If somebody else has made that version, all this begins again with the newest one. So a hold that
//!    was placed meanwhile is found, and a hold that comes later finds the drop in the log ([`dropped_since`](crate::settings::dropped_since)).
//!
//! [`undo`] brings back what a run has dropped, as long as its files are there.

mod background;
mod choose;
mod receipt;
mod run;
mod stats;
mod undo;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use events::WorkspaceId;

use crate::settings::retention::Retention;

pub(crate) use choose::has_plain_path;
pub(crate) use run::is_copied_whole;
pub use undo::Undone;

/// What a retention run has done in one workspace, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRun {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// What became of what is older than the retention.
    pub outcome: RetentionOutcome,
    /// The retention in force.
    pub retention: Retention,
    /// Whether somebody has set it; it is the default otherwise.
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

/// What a retention run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMode {
    /// Drop nothing, and say what would be dropped.
    DryRun,
    /// Drop, but not a large share of the events at once that nobody has confirmed: the clock of the node
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
    /// Nothing is dropped, as nobody has set the retention, and events came in that were older than the
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
