//! A table at an earlier version.

use std::collections::HashSet;

use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::path::Path;

use super::watched::{Failures, watched};
use super::{guarded, open, read_snapshot, unreadable};
use crate::delta::diagnose;
use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;

/// A table at an earlier version.
#[derive(Debug)]
pub(crate) struct TableAt {
    /// The files of that version.
    pub(crate) files: HashSet<Path>,
    /// Files that earlier versions had and that one no longer has; those that were removed more than
    /// a week before may be left out.
    pub(crate) removed: HashSet<Path>,
}

impl TableAt {
    /// Reads the table of `workspace` as it was at `version`.
    pub(crate) async fn load(
        location: &Location,
        workspace: &WorkspaceId,
        version: u64,
    ) -> Result<Self, StoreError> {
        let failures = Failures::default();
        let objects = watched(&location.objects, &HashSet::new(), &failures);
        let mut delta = open(&objects, workspace)?;
        if let Err(error) = guarded(workspace, &failures, delta.load_version(version)).await {
            return Err(match error.may_be_damage() {
                true => diagnose::explain(location, workspace, error).await,
                false => error,
            });
        }
        let snapshot = read_snapshot(workspace, &delta)?;
        let failed = |error| unreadable(workspace, error);
        let state = delta.snapshot().map_err(failed)?;
        let log_store = delta.log_store();
        let removed = state
            .all_tombstones(log_store.as_ref())
            .map_ok(|file| paths::data_file(workspace, &file.path()))
            .try_collect();
        let removed = guarded(workspace, &failures, removed).await?;
        Ok(Self {
            files: snapshot
                .files
                .iter()
                .map(|file| file.path.clone())
                .collect(),
            removed,
        })
    }
}
