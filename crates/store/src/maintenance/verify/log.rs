//! The log of a table read in full: each entry against the digest that its successor has, each checkpoint against what
//! the commits state.

use events::WorkspaceId;
use object_store::path::Path;
use serde_json::Value;

use crate::delta::diagnose;
use crate::error::StoreError;
use crate::fault::Fault;
use crate::root::paths;
use crate::store::Store;

impl Store {
    /// The faults of single objects of the log of `workspace`: an entry that is missing before a later one, one that
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
        // Before the listing, so that a checkpoint that it names was there before, too.
        let path = paths::last_checkpoint(workspace);
        let hint = match location.bytes_of(&path).await {
            Ok(hint) => Ok(Some(hint)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(StoreError::Corrupt { reason, .. }) => Err(reason),
            Err(error) => return Err(error),
        };
        let log = diagnose::objects(location, workspace).await?;
        let mut faults = diagnose::of_objects(location, workspace, &log).await?;
        let log = diagnose::paths_of(&log);
        faults.extend(diagnose::of_versions(location, workspace, &log, &faults).await?);
        let reason = match hint {
            Ok(None) => None,
            Ok(Some(hint)) => fault_of_hint(&hint, &log),
            Err(reason) => Some(reason),
        };
        faults.extend(reason.map(|reason| Fault::unreadable(path.to_string(), reason)));
        Ok(faults)
    }
}

/// What is wrong with the hint of a log that has these objects.
fn fault_of_hint(hint: &[u8], log: &[Path]) -> Option<String> {
    let hint: Option<Value> = serde_json::from_slice(hint).ok();
    let version = hint.and_then(|hint| hint.get("version")?.as_u64());
    let Some(version) = version else {
        return Some("it does not tell a version".to_owned());
    };
    let is_there =
        |object: &Path| paths::version_of(object) == Some(version) && !paths::is_commit(object);
    (!log.iter().any(is_there)).then(|| format!("there is no checkpoint of version {version}"))
}
