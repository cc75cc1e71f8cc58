//! One entry of a log: putting it, and making sure that it counts.

use bytes::Bytes;
use chrono::TimeDelta;
use deltalake_core::kernel::Action;
use events::WorkspaceId;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use crate::delta::snapshot::Snapshot;
use crate::delta::table;
use crate::error::StoreError;
use crate::file::digest::Digest;
use crate::root::location::Location;
use crate::root::paths;

/// How often a commit is sent before its outcome is called unknown.
const ATTEMPTS: usize = 3;

/// By how much two answers of an object store may differ about the time of the same object: some
/// report it in milliseconds in one answer and in seconds in another.
const TIME_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// What became of an entry that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PutEntry {
    /// It is in the log.
    Created,
    /// The version belongs to another commit, and this one is not in the log.
    Conflict,
}

/// The digest of the entry of `version`; `None` when only a checkpoint of it is left.
pub(crate) async fn digest(
    location: &Location,
    workspace: &WorkspaceId,
    version: u64,
) -> Result<Option<Digest>, StoreError> {
    let entry = bytes(location, &paths::commit(workspace, version)).await?;
    Ok(entry.map(|entry| blake3::hash(&entry).into()))
}

/// The bytes of the entry at `path`; `None` when it is not there.
pub(crate) async fn bytes(location: &Location, path: &Path) -> Result<Option<Bytes>, StoreError> {
    match location.bytes_of(path).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first version after `version` that the log has an object of.
pub(crate) async fn first_after(
    location: &Location,
    workspace: &WorkspaceId,
    version: u64,
) -> Result<Option<u64>, StoreError> {
    let log = table::list_from(location, workspace, version + 1).await?;
    let versions = log
        .iter()
        .filter_map(|object| paths::version_of(&object.location));
    Ok(versions.filter(|found| *found > version).min())
}

/// Puts the entry that makes exactly `version`.
///
/// # Errors
///
/// [`StoreError::CommitUnknown`] when no attempt was answered.
pub(crate) async fn put(
    location: &Location,
    workspace: &WorkspaceId,
    version: u64,
    actions: &[Action],
) -> Result<PutEntry, StoreError> {
    let path = paths::commit(workspace, version);
    let mut body = String::new();
    for action in actions {
        let line = serde_json::to_string(action).map_err(|error| StoreError::Corrupt {
            path: path.to_string(),
            reason: format!("an action cannot be encoded: {error}"),
        })?;
        body.push_str(&line);
        body.push('\n');
    }
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

/// Sends an entry once; after an error it is unknown whether it arrived.
async fn send(location: &Location, path: &Path, body: &str) -> object_store::Result<PutEntry> {
    let sent = location
        .objects
        .put_opts(path, body.to_owned().into(), PutMode::Create.into())
        .await;
    match sent {
        Ok(_) => Ok(PutEntry::Created),
        // The answer to an earlier attempt may have been lost, so it may be this very entry.
        Err(object_store::Error::AlreadyExists { .. }) => {
            let present = location.objects.get(path).await?.bytes().await?;
            Ok(if present == body.as_bytes() {
                PutEntry::Created
            } else {
                PutEntry::Conflict
            })
        }
        Err(error) => Err(error),
    }
}

/// Makes sure that the entry after `newest` has really become part of the table.
///
/// Vacuum deletes old entries of the log, the oldest first and only those that are followed by others
/// that are old as well. A writer that slept that long between reading `newest` and committing would
/// find the next version free again, and no reader would read its commit; but then `newest` is gone
/// too. In its stead may be what another sleeper has put there, long after.
pub(crate) async fn confirm(location: &Location, newest: &Snapshot) -> Result<(), StoreError> {
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
