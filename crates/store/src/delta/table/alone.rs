//! What the log of a table consists of, for a new log; and a log of one entry, in memory: what it would hold, and its
//! checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::checkpoints::create_checkpoint;
use deltalake_core::kernel::{Action, Add};
use deltalake_core::{DeltaTable, DeltaTableError};
use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Failures, Table, guarded, open, read_snapshot, unreadable};
use crate::delta::snapshot::Snapshot;
use crate::error::StoreError;
use crate::root::paths;

impl Table {
    /// The entries of the active files, by their paths in the table.
    pub(crate) fn adds(&self) -> Result<BTreeMap<String, Add>, StoreError> {
        let failed = |error| unreadable(&self.workspace, error);
        let state = self.delta.snapshot().map_err(failed)?;
        let log = state.snapshot().try_log_data().map_err(failed)?;
        let adds = log.iter().map(|file| {
            #[expect(
                deprecated,
                reason = "the library gives the whole entry of a file in no other way"
            )]
            let add = file.add_action();
            (file.path().into_owned(), add)
        });
        Ok(adds.collect())
    }

    /// The files that earlier versions had and this one has not, by their paths in the table, as far as they are known.
    pub(crate) async fn removed_paths(&self) -> Result<BTreeSet<String>, StoreError> {
        let failed = |error| unreadable(&self.workspace, error);
        let state = self.delta.snapshot().map_err(failed)?;
        let log_store = self.delta.log_store();
        let removed = state
            .all_tombstones(log_store.as_ref())
            .map_ok(|file| file.path().into_owned())
            .try_collect();
        guarded(&self.workspace, &self.failures, removed).await
    }
}

/// The objects of a log that consists of one entry, as version 0.
async fn of_one_entry(
    workspace: &WorkspaceId,
    actions: &[Action],
) -> Result<(Arc<dyn ObjectStore>, DeltaTable), StoreError> {
    let mut body = String::new();
    for action in actions {
        let line = serde_json::to_string(action);
        let line = line.map_err(|error| unreadable(workspace, DeltaTableError::from(error)))?;
        body.push_str(&line);
        body.push('\n');
    }
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    objects
        .put(&paths::commit(workspace, 0), body.into())
        .await?;
    let mut delta = open(&objects, workspace)?;
    guarded(workspace, &Failures::default(), delta.load()).await?;
    Ok((objects, delta))
}

/// The table of which these actions are the only entry; what they state about the log is not compared.
pub(crate) async fn alone(
    workspace: &WorkspaceId,
    actions: &[Action],
) -> Result<Snapshot, StoreError> {
    let (_, delta) = of_one_entry(workspace, actions).await?;
    read_snapshot(workspace, &delta)
}

/// The bytes of a checkpoint of the table of which these actions are the only entry. A checkpoint does not contain its
/// version.
pub(crate) async fn checkpoint_of(
    workspace: &WorkspaceId,
    actions: &[Action],
) -> Result<Bytes, StoreError> {
    let (objects, delta) = of_one_entry(workspace, actions).await?;
    let written = create_checkpoint(&delta, None).await;
    written.map_err(|error| unreadable(workspace, error))?;
    let checkpoint = objects.get(&paths::checkpoint(workspace, 0)).await?;
    Ok(checkpoint.bytes().await?)
}
