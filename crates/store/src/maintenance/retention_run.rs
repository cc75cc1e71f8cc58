//! Dropping events that are older than the retention, and no others.
//!
//! 1. [`choose`] reads the list of files of the newest version: those of days that are older go, unless a hold
//!    covers them, and those that a hold may cover in part are read.
//! 2. [`run`] reads these, writes the held rows of each into a new file, and makes one commit: the old
//!    files go, the new ones come, a receipt comes, and `vouch.droppedBefore` moves.
//! 3. If another writer has made that version, the run plans again from the newest one. So a hold that
//!    was placed meanwhile is found, and a hold that comes later finds the drop in the log ([`dropped_since`](crate::settings::dropped_since)).
//!
//! [`undo`] brings back what a run has dropped, as long as its files are there.

mod background;
mod choose;
mod receipt;
mod run;
mod stats;
mod undo;

pub(crate) use choose::has_plain_path;
pub(crate) use run::is_copied_whole;
