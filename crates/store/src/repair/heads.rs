//! Damaged heads out of the way: what they said is lost, and an audit event says so.

use std::collections::BTreeMap;

use events::{Origin, WorkspaceId, identity};
use object_store::path::Path;
use serde_json::{Map, json};

use crate::delta::audit_event::AuditEvent;
use crate::error::StoreError;
use crate::fault::Fault;
use crate::import::ImportOptions;
use crate::repair::set_aside::SetAside;
use crate::root::paths;
use crate::store::Store;

/// The category of the audit events.
const CATEGORY: &str = "repair";

impl Store {
    /// The heads that cannot be read: what they said about segments and newest log entries is lost.
    ///
    /// # Errors
    ///
    /// When the object store fails.
    pub async fn damaged_heads(&self) -> Result<Vec<Fault>, StoreError> {
        let heads = self.heads().await?.into_iter();
        let damaged = heads.filter_map(|found| {
            let reason = found.head.err()?;
            Some(Fault::unreadable(found.path.to_string(), reason))
        });
        Ok(damaged.collect())
    }

    /// Moves the damaged head at `path` out of the way; every workspace gets an audit event which says that removed
    /// events may go unnoticed. The head of a node that runs is put again within a minute.
    ///
    /// Doing it again after it was interrupted does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotSetAside`] when it is no damaged head; else when the object store fails.
    pub async fn set_aside_head(
        &self,
        path: &str,
        by: Option<&str>,
    ) -> Result<SetAside, StoreError> {
        let damaged = self.damaged_heads().await?;
        let Some(fault) = damaged.into_iter().find(|fault| fault.path == path) else {
            return Err(StoreError::NotSetAside {
                path: path.to_owned(),
                reason: "it is no damaged head".to_owned(),
            });
        };
        self.check_writable().await?;
        let now_ms = self.location().now_ms();
        let path = Path::from(path);
        let aside = paths::set_aside_of_table(now_ms, &path);
        let record = record(&fault, &aside, by);
        let mut done = SetAside {
            path: aside.to_string(),
            stored: 0,
            recorded: Vec::new(),
            unrecorded: BTreeMap::new(),
        };
        for workspace in self.known_workspaces().await? {
            match self.record_head(&record, &path, &workspace).await {
                Ok(()) => done.recorded.push(workspace),
                Err(error) => drop(done.unrecorded.insert(workspace, error)),
            }
        }
        self.move_aside(&path, now_ms).await?;
        Ok(done)
    }

    async fn record_head(
        &self,
        record: &AuditEvent,
        path: &Path,
        workspace: &WorkspaceId,
    ) -> Result<(), StoreError> {
        let name = workspace.as_str().as_bytes();
        let id = identity::derived_id(&[b"head set aside", path.as_ref().as_bytes(), name]);
        let event =
            record.event_called(&id, CATEGORY, self.location().corrected_ms(), workspace)?;
        let mut import = self
            .import(ImportOptions::default())
            .from_origin(Origin::itself());
        import.push(event).await?;
        import.finish().await?;
        Ok(())
    }
}

fn record(fault: &Fault, aside: &Path, by: Option<&str>) -> AuditEvent {
    let path = &fault.path;
    AuditEvent {
        action: "head.set_aside",
        title: "Damaged head set aside",
        message: format!(
            "the damaged head {path} does not tell any more which events of its node must be there"
        ),
        by: by.map(str::to_owned),
        attributes: Map::from_iter([
            ("head".to_owned(), json!(path)),
            ("set_aside".to_owned(), json!(aside.to_string())),
            ("reason".to_owned(), json!(fault.kind.to_string())),
        ]),
    }
}
