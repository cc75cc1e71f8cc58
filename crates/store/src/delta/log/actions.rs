//! The actions of a log entry, in the types of the Delta library.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::kernel::{Action, Add, CommitInfo, Remove};
use events::{Delivery, WorkspaceId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::state::entry_digest;
use crate::delta::delivery;
use crate::delta::snapshot::DataFile;
use crate::file::blocks::{self, Tail};
use crate::file::decoded::{self, Decoded};
use crate::file::digest::{self, Digest};
use crate::file::writer::StagedFile;
use crate::root::paths::{self, DAY_COLUMN, PARTITION_COLUMNS, WORKSPACE_COLUMN};

/// The key of `commitInfo` with what Vouch records of a commit. An entry that has it states `vouch.log`.
pub(crate) const INFO_KEY: &str = "vouch";

/// Why a commit is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The first version, without events.
    CreateTable,
    /// New events.
    Write,
    /// Settings.
    SetProperties,
    /// Events that are older than the retention go.
    Delete,
    /// The same events in other files.
    Optimize,
    /// What is damaged goes out, and what is whole of it comes in.
    Restore,
    /// Vacuum is about to delete files that no version names. A writer that would still name one of
    /// them has not seen this version and loses the next one.
    VacuumStart,
}

impl Operation {
    /// The name that other software has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateTable => "CREATE TABLE",
            Self::Write => "WRITE",
            Self::SetProperties => "SET TBLPROPERTIES",
            Self::Delete => "DELETE",
            Self::Optimize => "OPTIMIZE",
            Self::Restore => "RESTORE",
            Self::VacuumStart => "VACUUM START",
        }
    }

    /// Whether the table holds other events afterwards, and not the same in other files.
    fn changes_data(self) -> bool {
        match self {
            Self::CreateTable
            | Self::Write
            | Self::SetProperties
            | Self::Delete
            | Self::Restore => true,
            Self::Optimize | Self::VacuumStart => false,
        }
    }

    /// The parameters that other software shows for it.
    fn parameters(self) -> HashMap<String, Value> {
        match self {
            Self::CreateTable | Self::Write => HashMap::from([
                ("mode".to_owned(), json!("Append")),
                (
                    "partitionBy".to_owned(),
                    json!(json!(PARTITION_COLUMNS).to_string()),
                ),
            ]),
            Self::SetProperties
            | Self::Delete
            | Self::Optimize
            | Self::Restore
            | Self::VacuumStart => HashMap::new(),
        }
    }
}

/// Describes the commit; `info` is what Vouch records of it.
pub(crate) fn commit_info(
    at: DateTime<Utc>,
    operation: Operation,
    info: Map<String, Value>,
) -> Action {
    Action::CommitInfo(CommitInfo {
        timestamp: Some(at.timestamp_millis()),
        operation: Some(operation.name().to_owned()),
        operation_parameters: Some(operation.parameters()),
        engine_info: Some(concat!("vouch/", env!("CARGO_PKG_VERSION")).to_owned()),
        info: HashMap::from([
            ("txnId".to_owned(), json!(Uuid::new_v4().to_string())),
            (INFO_KEY.to_owned(), Value::Object(info)),
        ]),
        ..CommitInfo::default()
    })
}

/// Adds a staged file to the table.
pub(crate) fn add(workspace: &WorkspaceId, file: &StagedFile, operation: Operation) -> Action {
    Action::Add(Add {
        path: file.relative_path.clone(),
        partition_values: partition_values(workspace, file.day),
        size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
        modification_time: file.begun_ms,
        data_change: operation.changes_data(),
        stats: Some(file.statistics.clone()),
        tags: Some(optional(file.all_tags())),
        ..Add::default()
    })
}

/// Removes a file of the version before from the table.
pub(crate) fn remove(
    at: DateTime<Utc>,
    workspace: &WorkspaceId,
    file: &DataFile,
    operation: Operation,
) -> Action {
    Action::Remove(Remove {
        path: file.relative_path.clone(),
        data_change: operation.changes_data(),
        deletion_timestamp: Some(at.timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(partition_values(workspace, file.day)),
        size: Some(i64::try_from(file.size_bytes).unwrap_or(i64::MAX)),
        // A reader of an older version compares the removed file as well.
        tags: Some(optional(tags(
            &file.tags,
            file.digest,
            file.tail,
            file.decoded,
            file.delivery.as_deref(),
        ))),
        ..Remove::default()
    })
}

fn partition_values(workspace: &WorkspaceId, day: NaiveDate) -> HashMap<String, Option<String>> {
    HashMap::from([
        (WORKSPACE_COLUMN.to_owned(), Some(workspace.to_string())),
        (DAY_COLUMN.to_owned(), Some(paths::day_text(day))),
    ])
}

/// The tags of a file's entry: those of its own, and what its writer has recorded of its bytes.
fn tags(
    others: &BTreeMap<String, String>,
    digest: Option<Digest>,
    tail: Option<Tail>,
    decoded: Option<Decoded>,
    delivery: Option<&Delivery>,
) -> BTreeMap<String, String> {
    let recorded = [
        (digest::TAG, digest.map(|digest| digest.to_string())),
        (blocks::TAG, tail.map(|tail| tail.to_string())),
        (decoded::TAG, decoded.map(|decoded| decoded.to_string())),
        (delivery::TAG, delivery.and_then(delivery::text)),
    ];
    let mut tags = others.clone();
    for (key, value) in recorded {
        tags.extend(value.map(|value| (key.to_owned(), value)));
    }
    tags
}

fn optional(tags: BTreeMap<String, String>) -> HashMap<String, Option<String>> {
    let tags = tags.into_iter();
    tags.map(|(key, tag)| (key, Some(tag))).collect()
}

impl StagedFile {
    /// The tags of the file's entry in the log, its digest among them.
    fn all_tags(&self) -> BTreeMap<String, String> {
        let (digest, tail, decoded) = (self.digest, self.tail, self.decoded);
        let delivery = self.delivery.as_deref();
        tags(
            &self.tags,
            Some(digest),
            Some(tail),
            Some(decoded),
            delivery,
        )
    }

    /// The digest of what the log says about the file, as [`DataFile::entry_digest`].
    ///
    /// # Errors
    ///
    /// When the statistics are not JSON.
    pub(crate) fn entry_digest(&self) -> Result<blake3::Hash, serde_json::Error> {
        let statistics: Value = serde_json::from_str(&self.statistics)?;
        let day = paths::day_text(self.day);
        let tags = self.all_tags();
        Ok(entry_digest(
            &self.relative_path,
            self.size_bytes,
            self.begun_ms,
            &day,
            &statistics,
            &tags,
        ))
    }
}
