//! Audit events of the store about what was done to a workspace, kept in that workspace.

use events::{Defaults, Delivery, Event, EventBatchBuilder, Origin, WorkspaceId, fields, identity};
use serde_json::{Map, Value, json};

use crate::delta::snapshot::Snapshot;
use crate::error::StoreError;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::root::location::Location;
use crate::store::Store;

/// An audit event of the store.
#[derive(Debug, Clone)]
pub(crate) struct AuditEvent {
    /// The machine name of what was done.
    pub(crate) action: &'static str,
    /// The same for people.
    pub(crate) title: &'static str,
    /// What was done, in words.
    pub(crate) message: String,
    /// The actor; `None` when the store did it by itself.
    pub(crate) by: Option<String>,
    /// The figures.
    pub(crate) attributes: Map<String, Value>,
}

impl AuditEvent {
    /// Writes the event into a file for the version after `newest`.
    pub(crate) async fn stage(
        &self,
        store: &Store,
        newest: &Snapshot,
    ) -> Result<StagedFile, StoreError> {
        self.stage_called(store.location(), &newest.workspace, &id(newest))
            .await
    }

    /// Writes the event with this id into a file.
    pub(crate) async fn stage_called(
        &self,
        location: &Location,
        workspace: &WorkspaceId,
        id: &str,
    ) -> Result<StagedFile, StoreError> {
        let is_repair = ["file.", "log."].map(|kind| self.action.starts_with(kind));
        let category = match is_repair.contains(&true) {
            true => "repair",
            false => "retention",
        };
        let event = self.event_called(id, category, location.store_ms().await, workspace)?;
        let delivery = Delivery {
            received_ms: Some(event.date_ms()),
            origin: Origin::itself(),
        };
        let mut batch = EventBatchBuilder::new();
        batch.append_delivered(&event, &delivery);
        let mut file = DataFileWriter::create(location, workspace, event.day())?;
        file.write(&batch.finish()?).await?;
        file.finish().await
    }

    /// The event with this id.
    pub(crate) fn event_called(
        &self,
        id: &str,
        category: &str,
        now_ms: i64,
        workspace: &WorkspaceId,
    ) -> Result<Event, StoreError> {
        let mut record = Map::from_iter([
            (fields::DATE.to_owned(), json!(now_ms)),
            (fields::WORKSPACE.to_owned(), json!(workspace.as_str())),
            (fields::EVENT_ID.to_owned(), json!(id)),
            ("df_origin".to_owned(), json!("inner")),
            ("df_title".to_owned(), json!(self.title)),
            ("df_message".to_owned(), json!(self.message)),
            ("action".to_owned(), json!(self.action)),
            ("category".to_owned(), json!(category)),
            ("product".to_owned(), json!("vouch")),
            ("result".to_owned(), json!("Success")),
            (fields::ATTRIBUTES.to_owned(), json!(self.attributes)),
        ]);
        if let Some(by) = &self.by {
            record.insert("df_user_name".to_owned(), json!(by));
        }
        Event::from_json_identified_by_content(record, &Defaults::default()).map_err(|rejection| {
            StoreError::AuditEvent {
                action: self.action,
                reason: rejection.message,
            }
        })
    }
}

/// A version of a table is made once, so its event has an id of its own.
fn id(newest: &Snapshot) -> String {
    id_of(newest.table_id(), newest.version + 1)
}

/// The id of the event about the commit that made `version` of a table.
pub(crate) fn id_of(table: &str, version: u64) -> String {
    identity::derived_id(&[b"record", table.as_bytes(), &version.to_le_bytes()])
}
