//! The `metaData` action of a table: its identity, its columns and its properties.

use std::collections::BTreeMap;

use deltalake_core::kernel::{Metadata, Protocol};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::delta::schema;
use crate::file::statistics::STATISTICS_COLUMNS;
use crate::root::marker::Marker;
use crate::root::paths::PARTITION_COLUMNS;

/// The only reader version of the Delta protocol whose tables are plain Parquet files: later ones
/// allow rows that are marked as deleted and columns under other names.
pub(crate) const READER_VERSION: i32 = 1;

/// The latest writer version whose rules commits keep: later ones ask for constraints to be checked
/// and for changes to be recorded.
pub(crate) const WRITER_VERSION: i32 = 2;

/// The table property that holds the id of the store.
const STORE_PROPERTY: &str = "vouch.store";

/// The metadata of a table.
///
/// The kernel's [`Metadata`] has neither a constructor nor access to the text of the schema. This type
/// converts from it and to it, and keeps that text as it was read, so that a commit by this version does
/// not rewrite what another writer has put into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableMetadata {
    /// Distinguishes the table from any other, also from an earlier one under the same path.
    pub(crate) id: String,
    /// The columns, in the JSON form of the Delta protocol.
    pub(crate) schema_string: String,
    /// The table properties.
    #[serde(default)]
    pub(crate) configuration: BTreeMap<String, String>,
    /// Everything else that the action has.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl TableMetadata {
    /// The metadata of a new table for events.
    pub(crate) fn new(created_ms: i64) -> Self {
        let statistics = (
            "delta.dataSkippingStatsColumns".to_owned(),
            STATISTICS_COLUMNS.join(","),
        );
        Self {
            id: Uuid::new_v4().to_string(),
            schema_string: schema::text(),
            configuration: BTreeMap::from([statistics]),
            rest: Map::from_iter([
                (
                    "format".to_owned(),
                    json!({"provider": "parquet", "options": {}}),
                ),
                ("partitionColumns".to_owned(), json!(PARTITION_COLUMNS)),
                ("createdTime".to_owned(), json!(created_ms)),
            ]),
        }
    }

    /// Reads the action.
    ///
    /// # Errors
    ///
    /// When the action lacks a required key.
    pub(crate) fn from_action(action: &Metadata) -> Result<Self, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(action)?)
    }

    /// The action that a commit writes.
    ///
    /// # Errors
    ///
    /// When the kernel does not accept the metadata.
    pub(crate) fn to_action(&self) -> Result<Metadata, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(self)?)
    }

    /// When the table was made, in Unix milliseconds; `None` when its writer has not recorded it.
    pub(crate) fn created_ms(&self) -> Option<i64> {
        self.rest.get("createdTime")?.as_i64()
    }

    /// The value of a table property.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.configuration.get(name).map(String::as_str)
    }

    /// The id of the store that the table names.
    pub(crate) fn store_id(&self) -> Option<&str> {
        self.property(STORE_PROPERTY)
    }

    /// Names the store of `marker` in the properties.
    pub(crate) fn name_store(&mut self, marker: Option<&Marker>) {
        if let Some(marker) = marker {
            self.set_property(STORE_PROPERTY, Some(marker.id().to_string()));
        }
    }

    /// Sets a table property, or removes it.
    pub(crate) fn set_property(&mut self, name: &str, value: Option<String>) {
        match value {
            Some(value) => self.configuration.insert(name.to_owned(), value),
            None => self.configuration.remove(name),
        };
    }
}

/// The protocol versions of a new table, which every reader of Delta tables understands.
///
/// # Errors
///
/// When the kernel does not accept them.
pub(crate) fn protocol() -> Result<Protocol, serde_json::Error> {
    serde_json::from_value(json!({
        "minReaderVersion": READER_VERSION,
        "minWriterVersion": WRITER_VERSION,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parts_survive_a_round_trip() {
        let mut metadata = TableMetadata::new(5);
        metadata.set_property("other", Some("kept".to_owned()));
        metadata.schema_string = r#"{"type": "struct",  "fields": []}"#.to_owned();
        let read = TableMetadata::from_action(&metadata.to_action().unwrap()).unwrap();
        assert_eq!(read.id, metadata.id);
        assert_eq!(read.schema_string, metadata.schema_string);
        assert_eq!(read.property("other"), Some("kept"));
        assert_eq!(read.rest["createdTime"], 5);
        assert_eq!(read.rest["partitionColumns"], json!(PARTITION_COLUMNS));
        assert!(protocol().is_ok());
    }
}
