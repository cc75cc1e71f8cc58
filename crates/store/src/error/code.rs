//! The stable code of each error.

use super::StoreError;

impl StoreError {
    /// The stable code.
    ///
    /// Errors of settings, holds and drops each have a code of their own: the caller can do something about them. All
    /// others share `store_error`. The doors tell these apart by status (`UNAVAILABLE`, `DATA_LOSS`, `INTERNAL`) only,
    /// because their messages have paths and addresses that belong to the operator; the log of the service has those.
    /// The errors of numbered batches and of a full ingest also share it here: the ingest door has codes for them.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidSetting { .. } => "invalid_setting",
            Self::HoldExists { .. } => "hold_exists",
            Self::UnknownHold { .. } => "unknown_hold",
            Self::HoldTooLate { .. } => "hold_too_late",
            Self::ClockDiffers { .. } => "clock_differs",
            Self::NothingToUndo { .. } => "nothing_to_undo",
            Self::DropGone { .. } => "drop_gone",
            Self::Shared(error) => error.code(),
            // The root is missing, another one, or cannot hold a store.
            Self::InvalidUrl { .. }
            | Self::NoStore { .. }
            | Self::StoreExists { .. }
            | Self::BackupHere { .. }
            | Self::RestoreUnfinished { .. }
            | Self::NoBackup { .. }
            | Self::NotBackedUp { .. }
            | Self::NotRestored { .. }
            | Self::Gone { .. }
            | Self::Replaced { .. }
            | Self::NewerFormat { .. }
            | Self::Lacking { .. }
            // Objects are damaged, missing, or of another store.
            | Self::MarkerMissing { .. }
            | Self::OtherStore { .. }
            | Self::NotFound { .. }
            | Self::Corrupt { .. }
            | Self::Unsupported { .. }
            | Self::LogMissing { .. }
            | Self::Parquet { .. }
            | Self::Delta { .. }
            | Self::NotSetAside { .. }
            // The object store, or a commit to it, failed.
            | Self::ObjectStore(_)
            | Self::CommitUnknown { .. }
            | Self::Conflict { .. }
            | Self::StagedFileMissing { .. }
            // Ingest.
            | Self::Parked { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Overloaded { .. }
            | Self::Closed
            | Self::SequenceGap { .. }
            | Self::SequenceConflict { .. }
            // Defects of this program.
            | Self::AuditEvent { .. }
            | Self::Arrow(_) => "store_error",
        }
    }
}
