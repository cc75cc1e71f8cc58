//! Committing: the one loop in which a change is planned, committed, and planned anew after a conflict.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use deltalake_core::kernel::Action;
use events::WorkspaceId;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::{Map, Value};

use super::actions::{self, Operation};
use super::entry::{self, PutEntry};
use super::metadata::TableMetadata;
use super::state::{FileTotals, LogState};
use crate::delta::audit_event::AuditEvent;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::file::digest::Digest;
use crate::file::writer::StagedFile;
use crate::root::marker::Marker;
use crate::root::paths;
use crate::store::Store;

/// The number of staged files that are checked concurrently before a commit.
const HEAD_CONCURRENCY: usize = 16;

/// The changes of a commit.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The operation that the log names.
    pub(crate) operation: Operation,
    /// The files that come in.
    pub(crate) adds: Vec<StagedFile>,
    /// Files of the planned-on version that go out; readers of older versions still need them.
    pub(crate) removes: Vec<Arc<DataFile>>,
    /// The table's metadata from now on, made from [`Snapshot::metadata_to_commit`]; `None` leaves them,
    /// except that missing columns are added.
    pub(crate) metadata: Option<TableMetadata>,
    /// An audit event about the commit, which becomes part of it.
    pub(crate) record: Option<AuditEvent>,
    /// What else the entry records about the commit, under the key `vouch` of its `commitInfo`.
    pub(crate) info: Map<String, Value>,
}

impl Changes {
    /// A commit that changes nothing yet.
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            operation,
            adds: Vec::new(),
            removes: Vec::new(),
            metadata: None,
            record: None,
            info: Map::new(),
        }
    }
}

/// The decision of a planner for one snapshot.
#[derive(Debug)]
pub(crate) enum CommitPlan<T> {
    /// Commit the changes, then return the value.
    Commit(Box<Changes>, T),
    /// Commit nothing and return the value.
    Stop(T),
}

/// Plans one change of a table.
///
/// A trait and not an `AsyncFnMut`: the compiler cannot prove yet that the future of such a closure can be
/// sent to another thread (rust-lang/rust#102211).
#[async_trait]
pub(crate) trait CommitPlanner: Send {
    /// The value that the plan returns besides the commit.
    type Value: Send;

    /// The error of a plan, beside those of the store.
    type Error: From<StoreError> + Send;

    /// Plans the change on top of `newest`, to be committed as `version`, the one after it. Called anew
    /// after a conflict.
    async fn plan(
        &mut self,
        newest: &Snapshot,
        version: u64,
    ) -> Result<CommitPlan<Self::Value>, Self::Error>;
}

/// The outcome of [`Store::commit`].
#[derive(Debug)]
pub(crate) struct Committed<T> {
    /// The version that was made; `None` when the planner stopped.
    pub(crate) version: Option<u64>,
    /// The value that the planner returned.
    pub(crate) value: T,
}

impl Store {
    /// Plans a change on the newest version of the table of `workspace` and commits it as exactly the
    /// next version. When another writer makes that version first, it is planned anew with the version
    /// that is the newest then. A missing table is created first.
    ///
    /// # Errors
    ///
    /// Those of `planner`; [`StoreError::CommitUnknown`] when it cannot be found out whether the entry
    /// arrived; [`StoreError::StagedFileMissing`] when a file to be added does not exist any more; else when
    /// the table cannot be read. On every error but `CommitUnknown` nothing was committed.
    pub(crate) async fn commit<P: CommitPlanner>(
        &self,
        workspace: &WorkspaceId,
        planner: &mut P,
    ) -> Result<Committed<P::Value>, P::Error> {
        loop {
            if let Some(committed) = self.commit_existing(workspace, planner).await? {
                return Ok(committed);
            }
            super::create_table(self.location(), workspace).await?;
        }
    }

    /// Like [`Store::commit`], but returns `None` when there is no such table.
    pub(crate) async fn commit_existing<P: CommitPlanner>(
        &self,
        workspace: &WorkspaceId,
        planner: &mut P,
    ) -> Result<Option<Committed<P::Value>>, P::Error> {
        let mut conflict = None;
        loop {
            let Some(newest) = self.snapshot(workspace).await? else {
                return Ok(None);
            };
            refuse_hidden(&newest, conflict)?;
            let version = newest.version + 1;
            let (changes, value) = match planner.plan(&newest, version).await? {
                CommitPlan::Commit(changes, value) => (*changes, value),
                CommitPlan::Stop(value) => {
                    return Ok(Some(Committed {
                        version: None,
                        value,
                    }));
                }
            };
            if self.try_commit(&newest, changes).await? {
                self.checkpoint_if_due(workspace, version).await;
                return Ok(Some(Committed {
                    version: Some(version),
                    value,
                }));
            }
            conflict = Some(version);
        }
    }

    /// Commits the changes as the version after `newest`; `false` when another writer has made it.
    async fn try_commit(
        &self,
        newest: &Snapshot,
        mut changes: Changes,
    ) -> Result<bool, StoreError> {
        let record = match changes.record.take() {
            None => None,
            Some(record) => Some(record.stage(self, newest).await?),
        };
        changes.adds.extend(record.clone());
        let outcome = self.put_changes(newest, changes).await;
        if let Some(record) = record
            && !matches!(outcome, Ok(true) | Err(StoreError::CommitUnknown { .. }))
        {
            record.delete(self.location()).await;
        }
        outcome
    }

    async fn put_changes(&self, newest: &Snapshot, changes: Changes) -> Result<bool, StoreError> {
        let location = self.location();
        let workspace = &newest.workspace;
        let marker = location.check_writable().await?;
        self.check_staged(&changes.adds).await?;
        if let Some(later) = entry::first_after(location, workspace, newest.version).await? {
            // A lost entry must not be replaced by another one: those after it follow the lost one.
            return if later == newest.version + 1 {
                Ok(false)
            } else {
                let path = paths::commit(workspace, newest.version + 1).to_string();
                Err(StoreError::NotFound { path })
            };
        }
        let previous = entry::digest(location, workspace, newest.version).await?;
        let metadata = with_state(newest, &changes, previous, marker.as_ref())?;
        let (at, operation) = (location.now(), changes.operation);
        let removes = changes.removes.iter();
        let adds = changes.adds.iter();
        let actions: Vec<Action> = [
            actions::commit_info(at, operation, changes.info),
            Action::Metadata(
                metadata
                    .to_action()
                    .map_err(|error| unencodable(newest, &error))?,
            ),
        ]
        .into_iter()
        .chain(removes.map(|file| actions::remove(at, workspace, file, operation)))
        .chain(adds.map(|file| actions::add(workspace, file, operation)))
        .collect();
        match entry::put(location, workspace, newest.version + 1, &actions).await? {
            PutEntry::Created => {
                entry::confirm(location, newest).await?;
                Ok(true)
            }
            PutEntry::Conflict => Ok(false),
        }
    }

    /// Makes sure that every staged file is still there. The cleaner of a node whose clock is wrong may
    /// have deleted one, and a commit that names it would lose its events.
    async fn check_staged(&self, staged: &[StagedFile]) -> Result<(), StoreError> {
        stream::iter(staged)
            .map(Ok)
            .try_for_each_concurrent(HEAD_CONCURRENCY, |file| async move {
                match self.location().objects.head(&file.path).await {
                    Ok(found) if found.size == file.size_bytes => Ok(()),
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                        Err(StoreError::StagedFileMissing {
                            path: file.path.to_string(),
                        })
                    }
                    Err(error) => Err(error.into()),
                }
            })
            .await
    }
}

/// The metadata of the next version, with the state of the log as it is then.
fn with_state(
    newest: &Snapshot,
    changes: &Changes,
    previous: Option<Digest>,
    marker: Option<&Marker>,
) -> Result<TableMetadata, StoreError> {
    let mut totals: FileTotals = newest.totals;
    let removed: HashSet<&Path> = changes.removes.iter().map(|file| &file.path).collect();
    for file in newest.files().filter(|file| removed.contains(&file.path)) {
        totals.subtract(file.rows, &file.entry_digest);
    }
    for file in &changes.adds {
        let digest = file
            .entry_digest()
            .map_err(|error| unencodable(newest, &error))?;
        totals.add(file.rows, &digest);
    }
    let metadata = changes.metadata.as_ref();
    let mut metadata = metadata.unwrap_or(newest.metadata_to_commit()).clone();
    metadata.name_store(marker);
    LogState::new(newest.version + 1, previous, &totals, &metadata)
        .write_to(&mut metadata)
        .map_err(|error| unencodable(newest, &error))?;
    Ok(metadata)
}

fn unencodable(newest: &Snapshot, error: &serde_json::Error) -> StoreError {
    StoreError::Unsupported {
        workspace: newest.workspace.clone(),
        reason: format!("has metadata that cannot be written again: {error}"),
    }
}

/// Fails when the log has shown `conflict` to be the version of another writer, but `newest` was read
/// since and still does not show it: planning again would never end.
fn refuse_hidden(newest: &Snapshot, conflict: Option<u64>) -> Result<(), StoreError> {
    match conflict {
        Some(version) if version > newest.version => Err(StoreError::Conflict {
            path: paths::commit(&newest.workspace, version).to_string(),
        }),
        _ => Ok(()),
    }
}
