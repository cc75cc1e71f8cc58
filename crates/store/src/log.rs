//! Writing the log of a table.
//!
//! The entries are those of the Delta protocol ("Actions"), reader version 1 and writer version 2,
//! which every reader of Delta tables understands. Each commit creates exactly the next version,
//! so two writers never both make the same one.

use chrono::{NaiveDate, TimeDelta};
use events::WorkspaceId;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::data_file::StagedFile;
use crate::digest;
use crate::error::StoreError;
use crate::location::Location;
use crate::paths::{self, DAY_COLUMN, PARTITION_COLUMNS, WORKSPACE_COLUMN};
use crate::schema;
use crate::snapshot::{DataFile, Snapshot};
use crate::statistics::STATISTICS_COLUMNS;

/// How often a commit is sent before its outcome is called unknown.
const ATTEMPTS: usize = 3;

/// By how much two answers of an object store may differ about the time of the same object: some
/// tell it in milliseconds in one place and in seconds in another.
const TIME_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the log.
    Committed,
    /// The version belongs to another commit, and this one is not in the log.
    Taken,
}

/// Makes version 0 of the table of `workspace`, which has columns but no events.
///
/// It does not matter who of several makes it: all versions 0 say the same.
pub(crate) async fn create_table(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<(), StoreError> {
    let actions = [
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {
            "id": Uuid::new_v4().to_string(),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema::text(),
            "partitionColumns": PARTITION_COLUMNS,
            "configuration": {"delta.dataSkippingStatsColumns": STATISTICS_COLUMNS.join(",")},
            "createdTime": location.now().timestamp_millis(),
        }}),
    ];
    let operation = Operation::CreateTable;
    commit(location, workspace, 0, operation, &actions).await?;
    Ok(())
}

/// What a commit does to a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// What the commit calls itself.
    pub(crate) operation: Operation,
    /// The files that come in.
    pub(crate) adds: &'a [StagedFile],
    /// Files of the version before it that go out; readers of older versions still need them.
    pub(crate) removes: &'a [&'a DataFile],
    /// The table's metadata from now on, made from [`Snapshot::metadata_to_commit`]; `None` leaves them,
    /// except that missing columns are added.
    pub(crate) metadata: Option<&'a Value>,
}

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
    /// A cleaner is about to delete files that no version names. Whoever would still name one of
    /// them has not seen this version and loses the next one.
    VacuumStart,
}

impl Operation {
    /// The name that other software has for it.
    fn name(self) -> &'static str {
        match self {
            Self::CreateTable => "CREATE TABLE",
            Self::Write => "WRITE",
            Self::SetProperties => "SET TBLPROPERTIES",
            Self::Delete => "DELETE",
            Self::Optimize => "OPTIMIZE",
            Self::VacuumStart => "VACUUM START",
        }
    }

    /// Whether the table holds other events afterwards, and not the same in other files.
    fn changes_data(self) -> bool {
        match self {
            Self::CreateTable | Self::Write | Self::SetProperties | Self::Delete => true,
            Self::Optimize | Self::VacuumStart => false,
        }
    }

    /// What other software may want to know of it.
    fn parameters(self) -> Value {
        match self {
            Self::CreateTable | Self::Write => json!({
                "mode": "Append",
                "partitionBy": json!(PARTITION_COLUMNS).to_string(),
            }),
            Self::SetProperties | Self::Delete | Self::Optimize | Self::VacuumStart => json!({}),
        }
    }
}

/// Makes exactly the version after `newest`, whose files and settings the change was planned with.
pub(crate) async fn append(
    location: &Location,
    newest: &Snapshot,
    change: Change<'_>,
) -> Result<Outcome, StoreError> {
    let workspace = &newest.workspace;
    let operation = change.operation;
    let metadata = change.metadata.or(newest.newer_metadata.as_deref());
    let removes = change.removes.iter();
    let adds = change.adds.iter();
    let actions: Vec<Value> = metadata
        .map(|metadata| json!({"metaData": metadata}))
        .into_iter()
        .chain(removes.map(|file| remove(location, workspace, file, operation)))
        .chain(adds.map(|file| add(workspace, file, operation)))
        .collect();
    let version = newest.version + 1;
    let outcome = commit(location, workspace, version, operation, &actions).await?;
    if outcome == Outcome::Committed {
        confirm(location, newest).await?;
    }
    Ok(outcome)
}

/// Fails when the log has shown `taken` to be the version of somebody else, but `newest` was read
/// since and still does not show it: planning again would never end.
pub(crate) fn refuse_hidden(newest: &Snapshot, taken: Option<u64>) -> Result<(), StoreError> {
    match taken {
        Some(version) if version > newest.version => Err(StoreError::Conflict {
            path: paths::commit(&newest.workspace, version).to_string(),
        }),
        _ => Ok(()),
    }
}

/// Makes sure that the commit after `newest` has really become part of the table.
///
/// Cleaning deletes old entries of the log, the oldest first and only such as are followed by others
/// that are old as well. Who slept that long between reading `newest` and committing would find the
/// next version free again, and its commit would be read by nobody; but then `newest` is gone too.
/// In its place may be what another sleeper has put there, long after.
async fn confirm(location: &Location, newest: &Snapshot) -> Result<(), StoreError> {
    let Some(expected) = newest.committed else {
        return Ok(());
    };
    let path = paths::commit(&newest.workspace, newest.version);
    let mut attempt = 1;
    let source = loop {
        match location.objects.head(&path).await {
            Ok(found) if (found.last_modified - expected).abs() <= TIME_TOLERANCE => return Ok(()),
            Ok(_) => {
                break object_store::Error::Generic {
                    store: "log",
                    source: format!("`{path}` was replaced meanwhile").into(),
                };
            }
            Err(error @ object_store::Error::NotFound { .. }) => break error,
            Err(error) if attempt == ATTEMPTS => break error,
            Err(_) => attempt += 1,
        }
    };
    Err(StoreError::CommitUnknown {
        path: paths::commit(&newest.workspace, newest.version + 1).to_string(),
        source,
    })
}

async fn commit(
    location: &Location,
    workspace: &WorkspaceId,
    version: u64,
    operation: Operation,
    actions: &[Value],
) -> Result<Outcome, StoreError> {
    let id = Uuid::new_v4().to_string();
    let mut body = commit_info(location, &id, operation).to_string();
    for action in actions {
        body.push('\n');
        body.push_str(&action.to_string());
    }
    body.push('\n');
    let path = paths::commit(workspace, version);
    let mut attempt = 1;
    loop {
        match send(location, &path, &body).await {
            Ok(outcome) => return Ok(outcome),
            Err(source) if attempt == ATTEMPTS => {
                return Err(StoreError::CommitUnknown {
                    path: path.to_string(),
                    source,
                });
            }
            Err(error) => {
                tracing::warn!(%path, %error, "a commit was not answered and is sent again");
                attempt += 1;
            }
        }
    }
}

/// Sends a commit once; after an error it is unknown whether it arrived.
async fn send(location: &Location, path: &Path, body: &str) -> object_store::Result<Outcome> {
    let sent = location
        .objects
        .put_opts(path, body.to_owned().into(), PutMode::Create.into())
        .await;
    match sent {
        Ok(_) => Ok(Outcome::Committed),
        // The answer to an earlier attempt may have been lost, so it may be this very commit.
        Err(object_store::Error::AlreadyExists { .. }) => {
            let present = location.objects.get(path).await?.bytes().await?;
            Ok(match present == body.as_bytes() {
                true => Outcome::Committed,
                false => Outcome::Taken,
            })
        }
        Err(error) => Err(error),
    }
}

fn commit_info(location: &Location, id: &str, operation: Operation) -> Value {
    json!({"commitInfo": {
        "timestamp": location.now().timestamp_millis(),
        "operation": operation.name(),
        "operationParameters": operation.parameters(),
        "engineInfo": concat!("vouch/", env!("CARGO_PKG_VERSION")),
        "txnId": id,
    }})
}

fn add(workspace: &WorkspaceId, file: &StagedFile, operation: Operation) -> Value {
    let mut tags = json!(file.tags);
    tags[digest::TAG] = json!(file.digest.to_string());
    json!({"add": {
        "path": file.in_table,
        "partitionValues": partition_values(workspace, file.day),
        "size": file.size_bytes,
        "modificationTime": file.begun_ms,
        "dataChange": operation.changes_data(),
        "stats": file.statistics,
        "tags": tags,
    }})
}

fn remove(
    location: &Location,
    workspace: &WorkspaceId,
    file: &DataFile,
    operation: Operation,
) -> Value {
    json!({"remove": {
        "path": file.in_table,
        "deletionTimestamp": location.now().timestamp_millis(),
        "dataChange": operation.changes_data(),
        "extendedFileMetadata": true,
        "partitionValues": partition_values(workspace, file.day),
        "size": file.size_bytes,
    }})
}

fn partition_values(workspace: &WorkspaceId, day: NaiveDate) -> Value {
    json!({WORKSPACE_COLUMN: workspace.as_str(), DAY_COLUMN: paths::day_text(day)})
}
