//! The errors of changes of settings, holds and drops.

use chrono::NaiveDate;
use events::WorkspaceId;
use events::settings::InvalidRetention;

use crate::error::StoreError;

/// The error of a change of the settings, the holds or the drops of a workspace.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting of a workspace cannot be used.
    #[error("`{setting}` cannot be used: {reason}")]
    Invalid {
        /// What was to be set.
        setting: &'static str,
        /// What is wrong with it, and what is valid.
        reason: String,
    },
    /// Another hold has the name.
    #[error("another hold is called `{name}`; choose another name, or release that one first")]
    HoldExists {
        /// The name.
        name: String,
    },
    /// No hold has the name.
    #[error("no hold is called `{name}`{}", choice(.standing))]
    UnknownHold {
        /// The name.
        name: String,
        /// The names of the holds that there are.
        standing: Vec<String>,
    },
    /// Events of a hold were dropped while it was being placed.
    #[error(
        "the hold `{name}` was not placed: meanwhile a retention run dropped {events} of its events, of {first_day} to {last_day}; their files stay in the store for 24 hours, so restore them from there or from a backup, then place the hold again for what is left"
    )]
    HoldTooLate {
        /// The name of the hold.
        name: String,
        /// The first day of events that are gone.
        first_day: NaiveDate,
        /// The last day of events that are gone.
        last_day: NaiveDate,
        /// How many events of the hold are gone.
        events: u64,
    },
    /// There is no drop that could be undone.
    #[error("nothing was undone in workspace `{workspace}`: {reason}")]
    NothingToUndo {
        /// The workspace.
        workspace: WorkspaceId,
        /// Why not, and what to do.
        reason: String,
    },
    /// Files of a drop that was to be undone are deleted.
    #[error(
        "the drop of version {version} cannot be undone: {missing} of its {files} files are deleted, as they are a day after a drop; restore the events from a backup"
    )]
    DropGone {
        /// The version that dropped them.
        version: u64,
        /// How many files are deleted.
        missing: usize,
        /// How many files the drop took out.
        files: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<InvalidRetention> for SettingsError {
    fn from(error: InvalidRetention) -> Self {
        Self::Invalid {
            setting: "retention",
            reason: error.reason,
        }
    }
}

fn choice(names: &[String]) -> String {
    match names {
        [] => "; the workspace has none".to_owned(),
        names => format!("; there are `{}`", names.join("`, `")),
    }
}
