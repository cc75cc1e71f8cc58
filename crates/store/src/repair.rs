//! Repairing a table: damaged checkpoints, a log that lost entries, damaged data files.
//!
//! Nothing is deleted: damaged objects are moved to `set-aside/`, and an audit event in the workspace says what was done.
//!
//! | module | is |
//! |---|---|
//! | `log` | damaged objects of a log that can still be read |
//! | `readable` | what can be read of a log that lost something |
//! | `rebuild` | a new log from that and from data files |
//! | `sort` | which files the new log has, day by day |
//! | `found` | rows of data files that the log does not name |
//! | `kept` | of the events of a day each one once |
//! | `recorded` | drops and holds, as audit events record them |
//! | `files` | damaged data files |

mod files;
mod found;
mod heads;
mod kept;
mod log;
mod readable;
mod rebuild;
mod recorded;
pub(crate) mod set_aside;
mod sort;

use std::fmt;

use chrono::NaiveDate;
use events::WorkspaceId;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde_json::{Map, Value, json};

use crate::delta::audit_event::AuditEvent;
use crate::delta::table;
use crate::error::StoreError;
use crate::root::paths;
use crate::store::Store;

/// The repair of a table, done or planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableRepair {
    /// What is done, in its order.
    pub steps: Vec<RepairStep>,
    /// The version of the table afterwards; `None` when nothing was changed.
    pub version: Option<u64>,
}

/// A part of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepairStep {
    /// A damaged checkpoint or hint, or an entry that a checkpoint sums up, is moved to `set-aside`.
    SetAside {
        /// Its path under the root of the store.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A new checkpoint is written.
    Checkpoint,
    /// A new log replaces the one that lost entries.
    Rebuild(RebuiltLog),
    /// A damaged data file is moved to `set-aside`.
    File {
        /// Its path under the root of the store.
        path: String,
        /// The day of its events.
        day: NaiveDate,
        /// What is wrong with it.
        reason: String,
        /// How many of its events are lost.
        lost: u64,
        /// How many are in row groups that are whole, and are kept.
        kept: u64,
    },
}

/// What a new log consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuiltLog {
    /// What is wrong with the old one, by object.
    pub damage: Vec<String>,
    /// The last version whose files are known as a whole; `None` without any.
    pub base: Option<u64>,
    /// How many files come from entries and checkpoints.
    pub named_files: usize,
    /// How many data files, of those that nothing names, have events that are in no other.
    pub found_files: usize,
    /// Those events.
    pub found_events: u64,
    /// How many events stay dropped, because a retention run has dropped them.
    pub dropped_events: u64,
    /// Data files that nothing names and that cannot be read; they are moved to `set-aside`.
    pub unreadable: Vec<String>,
    /// The holds that were placed by lost entries; an audit event lists them, and they are placed again.
    pub holds: Vec<String>,
    /// Whether the settings are lost. Then no retention run drops anything until a retention is set.
    pub settings_lost: bool,
    /// Whether newer settings may be lost. Then no retention run drops anything until one is confirmed or another
    /// retention is set.
    pub waits_for_confirmation: bool,
}

impl fmt::Display for RepairStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { path, reason } => write!(formatter, "set aside {path}: {reason}"),
            Self::Checkpoint => formatter.write_str("write a new checkpoint"),
            Self::Rebuild(log) => log.fmt(formatter),
            Self::File {
                path,
                day,
                reason,
                lost,
                kept,
            } => write!(
                formatter,
                "set aside {path} of {day}: {reason}; {lost} events are lost, {kept} are kept"
            ),
        }
    }
}

impl fmt::Display for RebuiltLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damage {
            writeln!(formatter, "damaged {damage}")?;
        }
        match self.base {
            Some(version) => write!(formatter, "rebuild the log from version {version}")?,
            None => formatter.write_str("rebuild the log without any version")?,
        }
        let Self {
            named_files,
            found_files,
            found_events,
            dropped_events,
            ..
        } = self;
        write!(
            formatter,
            ": {named_files} files that it names; {found_events} events of {found_files} files that nothing names; {dropped_events} events stay dropped"
        )?;
        for path in &self.unreadable {
            write!(formatter, "\nnot readable, and named by nothing: {path}")?;
        }
        for hold in &self.holds {
            write!(formatter, "\nplace the hold `{hold}` again")?;
        }
        if self.settings_lost {
            formatter.write_str(
                "\nretention and holds are lost but for the holds above: nothing is dropped until a retention is set",
            )
        } else if self.waits_for_confirmation {
            formatter.write_str(
                "\nnewer settings may be lost: nothing is dropped until a retention run is confirmed or another retention is set",
            )
        } else {
            Ok(())
        }
    }
}

impl Store {
    /// Says what is damaged of the table of `workspace`, and with `by`, the name of the actor, repairs it; `None`
    /// when there is no such table.
    ///
    /// What is damaged and not needed is moved to `set-aside/`. A log that lost entries is replaced by a new one, with
    /// what can be read of it and with data files that nothing names: each event once, and what a retention run has
    /// dropped stays dropped. The new version is higher than every version that any node has seen, so nothing that
    /// nodes and segments say about the old log makes it look damaged. Damaged data files are moved to
    /// `set-aside/`; row groups of them that are whole are kept.
    ///
    /// A log is only rebuilt rightly while nothing else writes to it. Doing a repair again after it was interrupted does
    /// no harm.
    ///
    /// # Errors
    ///
    /// When the object store fails; [`StoreError::Unsupported`] when settings of the table cannot be understood; and as
    /// for writing to the table. Nothing is lost then, and the repair can be done again.
    pub async fn repair_table(
        &self,
        workspace: &WorkspaceId,
        by: Option<&str>,
    ) -> Result<Option<TableRepair>, StoreError> {
        let mut repair = TableRepair::default();
        if !table::has_objects(self.location(), workspace).await? {
            return Ok(None);
        }
        let loss = self.loss(workspace).await?;
        // A dry run has no repaired log whose files could be verified.
        let is_readable = loss.is_none() || by.is_some();
        match loss {
            None => Box::pin(self.repair_readable_log(workspace, by, &mut repair)).await?,
            Some(loss) => Box::pin(self.rebuild_log(workspace, loss, by, &mut repair)).await?,
        }
        if is_readable {
            Box::pin(self.repair_files(workspace, by, &mut repair)).await?;
        }
        if by.is_some() && !repair.steps.is_empty() {
            let snapshot = self.snapshot(workspace).await?;
            repair.version = snapshot.map(|snapshot| snapshot.version);
        }
        Ok(Some(repair))
    }

    /// What the log has lost, as two looks have shown: an object store that fails for a moment loses nothing.
    async fn loss(&self, workspace: &WorkspaceId) -> Result<Option<Loss>, StoreError> {
        match self.look(workspace).await? {
            None => Ok(None),
            Some(_) => self.look(workspace).await,
        }
    }

    async fn look(&self, workspace: &WorkspaceId) -> Result<Option<Loss>, StoreError> {
        if let Some(lost) = self.witnessed_loss(workspace).await? {
            return Ok(Some(Loss {
                reason: Some(lost.to_string()),
                is_witnessed: true,
            }));
        }
        let reason = match self.snapshot(workspace).await {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => None,
            Err(error) if error.is_lost_log() => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Some(Loss {
            reason,
            is_witnessed: false,
        }))
    }

    /// Moves an object of a table, or a head, to where nothing reads it, in a folder of this repair.
    pub(crate) async fn move_aside(&self, path: &Path, repaired_ms: i64) -> Result<(), StoreError> {
        self.copy_aside(path, repaired_ms).await?;
        self.delete_copied(path).await
    }

    async fn copy_aside(&self, path: &Path, repaired_ms: i64) -> Result<(), StoreError> {
        let objects = &self.location().objects;
        let aside = paths::set_aside_of_table(repaired_ms, path);
        let bytes = match self.location().bytes_of(path).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(StoreError::Corrupt { .. }) => {
                return self.location().copy_unread(path, &aside).await;
            }
            Err(error) => return Err(error),
        };
        let sent = objects.put_opts(&aside, bytes.into(), PutMode::Create.into());
        match sent.await {
            // Of an attempt whose answer was lost.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete_copied(&self, path: &Path) -> Result<(), StoreError> {
        match self.location().objects.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a log has to be rebuilt.
#[derive(Debug)]
struct Loss {
    /// What is wrong with it; `None` when there is no log.
    reason: Option<String>,
    /// Whether heads or segments show it: the log itself shows nothing.
    is_witnessed: bool,
}

/// The audit event about a repaired log.
fn log_record(by: &str, steps: &[RepairStep]) -> AuditEvent {
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    AuditEvent {
        action: "log.repaired",
        title: "Log of the table repaired",
        message: "damaged objects of the log were set aside".to_owned(),
        by: Some(by.to_owned()),
        attributes: Map::from_iter([("steps".to_owned(), Value::from(steps))]),
    }
}

/// The audit event about a rebuilt log.
fn rebuild_record(by: &str, rebuilt: &RebuiltLog) -> AuditEvent {
    AuditEvent {
        action: "log.rebuilt",
        title: "Log of the table rebuilt",
        message: rebuilt.to_string(),
        by: Some(by.to_owned()),
        attributes: Map::from_iter([
            ("damage".to_owned(), json!(rebuilt.damage)),
            ("base_version".to_owned(), json!(rebuilt.base)),
            ("found_events".to_owned(), json!(rebuilt.found_events)),
            ("dropped_events".to_owned(), json!(rebuilt.dropped_events)),
            ("unreadable".to_owned(), json!(rebuilt.unreadable)),
            ("holds".to_owned(), json!(rebuilt.holds)),
            ("settings_lost".to_owned(), json!(rebuilt.settings_lost)),
            (
                "waits_for_confirmation".to_owned(),
                json!(rebuilt.waits_for_confirmation),
            ),
        ]),
    }
}
