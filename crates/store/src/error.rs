//! The failures of a store.

use std::error::Error as StdError;

use arrow::error::ArrowError;
use deltalake_core::DeltaTableError;
use events::WorkspaceId;
use parquet::errors::ParquetError;
use tokio::task::JoinError;
use uuid::Uuid;

use crate::root::clock::Difference;

/// The failure of a store, which every operation can meet: its root, its objects, its log, or the object store.
///
/// [`IngestError`](crate::IngestError) and [`SettingsError`](crate::SettingsError) add the errors that only a write of
/// events and a change of settings can meet.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address of the store cannot be used.
    #[error(
        "`{url}` is not a place for a store: {reason}; give a directory, or an address that starts with file://, s3://, gs://, az:// or memory://"
    )]
    InvalidUrl {
        /// The address as it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is neither a marker nor anything else of a store.
    #[error(
        "there is no store at `{url}`; if there should be one, check the address and mount its volume; `vouch init` makes a new one"
    )]
    NoStore {
        /// The address of the root.
        url: String,
    },
    /// A new store is to be made where one is.
    #[error("there is a store at `{url}` already: {found} was found; choose another place")]
    StoreExists {
        /// The address of the root.
        url: String,
        /// What was found.
        found: String,
    },
    /// The root holds backups of a store.
    #[error(
        "`{url}` holds backups of store {id} and is no store itself; `vouch restore --from` makes a store of one"
    )]
    BackupHere {
        /// The address of the root.
        url: String,
        /// The id of the store.
        id: Uuid,
    },
    /// A backup is being restored into the root, or that was interrupted.
    #[error(
        "backup {backup} is being restored at `{url}`, or that was interrupted; run the same `vouch restore` again"
    )]
    RestoreUnfinished {
        /// The address of the root.
        url: String,
        /// The number of the backup.
        backup: u64,
    },
    /// There are no backups.
    #[error(
        "there are no backups at `{url}`; if there should be, check the address and mount its volume; `vouch backup --new` begins with the first one there"
    )]
    NoBackup {
        /// The address of the root.
        url: String,
    },
    /// No backup could be made.
    #[error("no backup was made: {reason}")]
    NotBackedUp {
        /// Why, and what to do.
        reason: String,
    },
    /// A backup could not be restored.
    #[error("the store was not restored: {reason}")]
    NotRestored {
        /// Why, and what to do.
        reason: String,
    },
    /// The store that this process uses does not exist any more.
    #[error(
        "store {id} is no longer at `{url}`: its marker, `vouch-store.json`, is missing; mount its volume again, or restore the store from a backup"
    )]
    Gone {
        /// The address of the root.
        url: String,
        /// The id of the store.
        id: Uuid,
    },
    /// Another store is there than the one that this process uses.
    #[error(
        "`vouch-store.json` at `{url}` is no longer that of store {id}, incarnation {incarnation}; mount the right volume, or restart this process to use the store that is there now"
    )]
    Replaced {
        /// The address of the root.
        url: String,
        /// The id of the store that this process uses.
        id: Uuid,
        /// Its incarnation.
        incarnation: Uuid,
    },
    /// An object names its store, and the store has no marker.
    #[error(
        "`vouch-store.json` is missing, although `{object}` belongs to store {found}; mount the whole volume, or restore `vouch-store.json` from a backup"
    )]
    MarkerMissing {
        /// The path of the object under the root of the store.
        object: String,
        /// The id that it names.
        found: String,
    },
    /// An object is of another store than the one whose marker is there.
    #[error(
        "`{object}` belongs to store {found}, and this is store {id}; move it to where it belongs, or restore `vouch-store.json` from a backup"
    )]
    OtherStore {
        /// The path of the object under the root of the store.
        object: String,
        /// The id that it names.
        found: String,
        /// The id of the store.
        id: Uuid,
    },
    /// A newer version of Vouch has made or changed the store.
    #[error(
        "the store has format {format}, which this version of vouch cannot use; use version {program} or later"
    )]
    NewerFormat {
        /// The format of the store.
        format: u32,
        /// The oldest version of Vouch that can use it.
        program: String,
    },
    /// The object store cannot do what a store relies on.
    #[error("`{url}` cannot hold a store that is written to: {lack}")]
    Lacking {
        /// The address of the root.
        url: String,
        /// What it cannot do, and what to do about it.
        lack: String,
    },
    /// An object that the table's log names is not there.
    #[error(
        "`{path}` is missing from the store although a table needs it; ask again, and if it stays missing restore it from a backup"
    )]
    NotFound {
        /// The object's path under the root of the store.
        path: String,
    },
    /// An object is there but cannot be understood.
    #[error("`{path}` is damaged: {reason}; restore it from a backup")]
    Corrupt {
        /// The object's path under the root of the store.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The table was changed by other software in a way that this version would read wrongly.
    #[error(
        "the table of workspace `{workspace}` {reason}; rewrite it without that, or use a newer version of vouch"
    )]
    Unsupported {
        /// Whose table it is.
        workspace: WorkspaceId,
        /// What this version cannot do with it, as the end of a sentence about the table.
        reason: String,
    },
    /// The commit was sent, but whether it arrived could not be found out.
    #[error(
        "it is unknown whether `{path}` was committed: {source}; do the same again, nothing that did arrive is done twice"
    )]
    CommitUnknown {
        /// The commit's path under the root of the store.
        path: String,
        /// Why the last attempt failed.
        source: object_store::Error,
    },
    /// The commit's version was taken, yet the table does not show that version.
    #[error(
        "`{path}` exists but the table does not show it; check whether other software is changing the log of this table"
    )]
    Conflict {
        /// The commit's path under the root of the store.
        path: String,
    },
    /// A file that was to be committed does not exist any more.
    #[error(
        "`{path}` was deleted before it was committed, so nothing was stored; check the clocks of all nodes, then do the same again"
    )]
    StagedFileMissing {
        /// The file's path under the root of the store.
        path: String,
    },
    /// The clock of this node differs from the store's time.
    #[error(
        "the clock of this node is {}: nothing is dropped or deleted; set the clock, then do this again",
        Difference(*difference_ms)
    )]
    ClockDiffers {
        /// By how much it is ahead of the store's time, in milliseconds; negative when it is behind.
        difference_ms: i64,
    },
    /// Data files are there, but not the log that names them.
    #[error(
        "workspace `{workspace}` has data files, such as `{file}`, and no log that names them; restore its _delta_log from a backup, or run `vouch repair table`"
    )]
    LogMissing {
        /// Whose table it is.
        workspace: WorkspaceId,
        /// The path of one of the files under the root of the store.
        file: String,
    },
    /// The object store refused or failed.
    #[error("the object store failed: {0}; check that it is reachable and that access is allowed")]
    ObjectStore(#[source] object_store::Error),
    /// A data file could not be read or written.
    #[error("`{path}` could not be read or written as parquet: {source}; check the file")]
    Parquet {
        /// The file's path under the root of the store.
        path: String,
        /// What failed.
        source: ParquetError,
    },
    /// The table's log could not be read.
    #[error(
        "the log of the table of workspace `{workspace}` could not be read: {source}; check the objects in its _delta_log"
    )]
    Delta {
        /// Whose table it is.
        workspace: WorkspaceId,
        /// What failed.
        source: Box<DeltaTableError>,
    },
    /// The audit event about a change cannot be made.
    #[error("the audit event `{action}` cannot be made: {reason}; check the clock of this machine")]
    AuditEvent {
        /// The action that it is about.
        action: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment is to be set aside that need not, or cannot be.
    #[error("the segment `{path}` was not set aside: {reason}")]
    NotSetAside {
        /// The segment's path under the root of the store.
        path: String,
        /// Why.
        reason: String,
    },
    /// A segment was sent, but whether it arrived could not be found out.
    #[error(
        "it is unknown whether `{path}` was stored: {source}; send the events again, those that did arrive are not stored twice"
    )]
    OutcomeUnknown {
        /// The segment's path under the root of the store.
        path: String,
        /// Why the last attempt failed.
        source: object_store::Error,
    },
    /// Events could not be brought into columns.
    #[error("events could not be brought into columns: {0}; report this as a fault of vouch")]
    Arrow(#[from] ArrowError),
}

impl StoreError {
    /// Whether the error may be damage, as opposed to an object store that did not answer.
    #[must_use]
    pub(crate) fn may_be_damage(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. }
                | Self::NotFound { .. }
                | Self::Delta { .. }
                | Self::Parquet { .. }
                | Self::Unsupported { .. }
                | Self::LogMissing { .. }
        )
    }

    /// Whether the object store refused or failed.
    #[must_use]
    pub(crate) fn is_of_object_store(&self) -> bool {
        matches!(self, Self::ObjectStore(_))
    }

    /// Whether a log that was read may have lost something, so that it has to be rebuilt: a table that this version
    /// does not support is whole.
    pub(crate) fn is_lost_log(&self) -> bool {
        self.may_be_damage() && !matches!(self, Self::Unsupported { .. })
    }

    /// Whether an object that was expected is not there.
    ///
    /// A reader that holds an old snapshot takes the newest one and tries once more; when the
    /// object is still missing then, the store is incomplete and the error is returned.
    #[must_use]
    pub fn is_missing_object(&self) -> bool {
        if matches!(self, Self::NotFound { .. }) {
            return true;
        }
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            if is_not_found(error) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The error of reading or writing the Parquet file at `path`.
    #[must_use]
    pub fn parquet(path: &object_store::path::Path, source: ParquetError) -> Self {
        let path = path.to_string();
        match source {
            ParquetError::External(inner) if is_not_found(inner.as_ref()) => {
                Self::NotFound { path }
            }
            ParquetError::External(inner) => match inner.downcast::<Self>() {
                Ok(error) => *error,
                Err(inner) => Self::Parquet {
                    path,
                    source: ParquetError::External(inner),
                },
            },
            source => Self::Parquet { path, source },
        }
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { path, .. } => Self::NotFound { path },
            other => Self::ObjectStore(other),
        }
    }
}

fn is_not_found(error: &(dyn StdError + 'static)) -> bool {
    matches!(
        error.downcast_ref::<object_store::Error>(),
        Some(object_store::Error::NotFound { .. })
    )
}

/// The result of a task. Its panic continues in the task that waits for it.
pub(crate) fn joined<T>(result: Result<T, JoinError>) -> Result<T, StoreError> {
    result.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(source) => object_store::Error::JoinError { source }.into(),
    })
}
