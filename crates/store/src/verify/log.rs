//! The log of a table read in full: each entry against the digest that its successor has, each checkpoint against what
//! the commits state.

use std::collections::HashSet;

use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;

use super::{Fault, FaultKind};
use crate::damage;
use crate::error::StoreError;
use crate::location::Location;
use crate::paths;
use crate::store::Store;
use crate::table::Table;

impl Store {
    /// What is wrong with single objects of the log of `workspace`: an entry that is missing before a later one, one that
    /// is not what its successor states, one that cannot be read; a checkpoint whose content is not what was committed;
    /// a hint to a checkpoint that is not there.
    ///
    /// The newest entry has no successor: [`Store::snapshot`] compares what it states about the whole log, and
    /// [`Store::verify_segments`] compares it with what nodes say.
    ///
    /// # Errors
    ///
    /// When the object store fails.
    pub async fn verify_log(&self, workspace: &WorkspaceId) -> Result<Vec<Fault>, StoreError> {
        let location = self.location();
        let mut faults = damage::find_all(location, workspace).await?;
        let log: Vec<Path> = location
            .objects
            .list(Some(&paths::log(workspace)))
            .map_ok(|object| object.location)
            .try_collect()
            .await?;
        let checkpoints = damaged_checkpoints(location, workspace, &log, &faults).await?;
        faults.extend(checkpoints);
        faults.extend(self.fault_of_hint(workspace, &log).await?);
        Ok(faults)
    }

    async fn fault_of_hint(
        &self,
        workspace: &WorkspaceId,
        log: &[Path],
    ) -> Result<Option<Fault>, StoreError> {
        let path = paths::last_checkpoint(workspace);
        let hint = match self.location().objects.get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let hint: Option<Value> = serde_json::from_slice(&hint).ok();
        let version = hint.and_then(|hint| hint.get("version")?.as_u64());
        let reason = match version {
            None => "it does not tell a version".to_owned(),
            Some(version) => {
                let is_there = |object: &&Path| {
                    paths::version_of(object) == Some(version) && !paths::is_commit(object)
                };
                if log.iter().any(|object| is_there(&object)) {
                    return Ok(None);
                }
                format!("there is no checkpoint of version {version}")
            }
        };
        Ok(Some(Fault {
            path: path.to_string(),
            kind: FaultKind::Unreadable(reason),
        }))
    }
}

/// The checkpoints that do not hold what was committed, besides those that have `faults` already.
pub(crate) async fn damaged_checkpoints(
    location: &Location,
    workspace: &WorkspaceId,
    log: &[Path],
    faults: &[Fault],
) -> Result<Vec<Fault>, StoreError> {
    let damaged: HashSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    let mut found = Vec::new();
    for path in log.iter().filter(|path| paths::is_checkpoint(path)) {
        let Some(version) = paths::version_of(path) else {
            continue;
        };
        if damaged.contains(path.as_ref()) {
            continue;
        }
        let others = log.iter().filter(|other| *other != path).cloned().collect();
        match Table::load_at(location, workspace, version, &others).await {
            Ok(_) => {}
            Err(StoreError::ObjectStore(error)) => return Err(error.into()),
            Err(error) => found.push(Fault {
                path: path.to_string(),
                kind: FaultKind::Unreadable(error.to_string()),
            }),
        }
    }
    Ok(found)
}
