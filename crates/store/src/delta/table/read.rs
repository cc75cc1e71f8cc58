//! The loaded state of the Delta library as a [`Snapshot`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::LogicalFileView;
use events::WorkspaceId;
use serde_json::Value;

use super::unreadable;
use crate::delta::delivery;
use crate::delta::log::{FileTotals, READER_VERSION, TableMetadata, WRITER_VERSION, entry_digest};
use crate::delta::schema;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::file::blocks;
use crate::file::decoded;
use crate::file::digest::{self, Digest};
use crate::file::statistics::FileStatistics;
use crate::root::paths;

/// Converts the state of `delta`, which must be loaded.
pub(super) fn read_snapshot(
    workspace: &WorkspaceId,
    delta: &DeltaTable,
) -> Result<Snapshot, StoreError> {
    let failed = |error| unreadable(workspace, error);
    let state = delta.snapshot().map_err(failed)?;
    let unsupported = |reason: String| StoreError::Unsupported {
        workspace: workspace.clone(),
        reason,
    };
    let reader_version = state.protocol().min_reader_version();
    let writer_version = state.protocol().min_writer_version();
    if reader_version != READER_VERSION || writer_version > WRITER_VERSION {
        return Err(unsupported(format!(
            "asks for reader version {reader_version} and writer version {writer_version} of the delta protocol"
        )));
    }
    if state.metadata().partition_columns() != paths::PARTITION_COLUMNS {
        return Err(unsupported(format!(
            "is not partitioned by `{}`",
            paths::PARTITION_COLUMNS.join("` and `")
        )));
    }
    let log = state.snapshot().try_log_data().map_err(failed)?;
    let mut files = log
        .iter()
        .map(|file| data_file(workspace, &file))
        .map(|file| file.map(Arc::new))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let metadata = TableMetadata::from_action(state.metadata())
        .map_err(|error| unsupported(format!("has metadata that cannot be read: {error}")))?;
    files.sort_unstable_by(|one, other| (one.day, &one.path).cmp(&(other.day, &other.path)));
    Ok(Snapshot {
        workspace: workspace.clone(),
        version: state.version(),
        totals: FileTotals::of(files.iter().map(AsRef::as_ref)),
        files: files.into(),
        committed: None,
        newer_metadata: newer_metadata(&metadata)
            .map_err(&unsupported)?
            .map(Arc::new),
        metadata: Arc::new(metadata),
    })
}

/// The metadata with the columns that events have and the table lacks; `None` when it lacks none.
fn newer_metadata(metadata: &TableMetadata) -> Result<Option<TableMetadata>, String> {
    let schema = &metadata.schema_string;
    let newer = schema::with_missing_columns(schema).map_err(|error| error.to_string())?;
    Ok(newer.map(|schema_string| {
        let mut newer = metadata.clone();
        newer.schema_string = schema_string;
        newer
    }))
}

fn data_file(workspace: &WorkspaceId, file: &LogicalFileView) -> Result<DataFile, StoreError> {
    let path = paths::data_file(workspace, file.path().as_ref());
    let corrupt = |reason: &str| StoreError::Corrupt {
        path: path.to_string(),
        reason: format!("the log of its table does not tell {reason}"),
    };
    let partition = file.partition_values_map();
    let value_of = |column: &str| partition.get(column).and_then(Option::as_deref);
    let day = value_of(paths::DAY_COLUMN)
        .and_then(paths::parse_day)
        .ok_or_else(|| corrupt("its day"))?;
    if value_of(paths::WORKSPACE_COLUMN) != Some(workspace.as_str()) {
        return Err(corrupt(&format!("that it belongs to `{workspace}`")));
    }
    let logged: Option<Value> = file
        .stats()
        .and_then(|text| serde_json::from_str(&text).ok());
    let (statistics, logged) = logged
        .and_then(|logged| Some((FileStatistics::parse(&logged)?, logged)))
        .ok_or_else(|| corrupt("how many events it holds"))?;
    let size_bytes = u64::try_from(file.size()).map_err(|_| corrupt("its size"))?;
    let modified = DateTime::from_timestamp_millis(file.modification_time())
        .ok_or_else(|| corrupt("when it was written"))?;
    let mut tags = tags(file);
    let relative_path = file.path().into_owned();
    let day_text = paths::day_text(day);
    let entry_digest = entry_digest(
        &relative_path,
        size_bytes,
        file.modification_time(),
        &day_text,
        &logged,
        &tags,
    );
    let digest: Option<Digest> = tags
        .remove(digest::TAG)
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| corrupt("its digest"))?;
    let tail = tags.remove(blocks::TAG).map(|text| text.parse());
    let tail = tail.transpose().map_err(|()| corrupt("its tail"))?;
    let decoded = tags.remove(decoded::TAG).map(|text| text.parse());
    let decoded = decoded.transpose();
    let delivery = tags
        .remove(delivery::TAG)
        .map(|text| delivery::parse(&text));
    let delivery = delivery.transpose();
    let delivery = delivery.map_err(|_| corrupt("how its events came"))?;
    let received_ms = delivery.as_ref().and_then(|delivery| delivery.received_ms);
    Ok(DataFile {
        digest,
        tail,
        decoded: decoded.map_err(|()| corrupt("how large its events are"))?,
        tags,
        size_bytes,
        day,
        rows: statistics.rows,
        date_range_ms: statistics.date_range_ms,
        received_range_ms: match received_ms {
            Some(received_ms) => Some((received_ms, received_ms)),
            None => statistics.received_range_ms,
        },
        constants: statistics.constants,
        delivery,
        modified,
        relative_path,
        path,
        entry_digest,
    })
}

/// The tags that the writer of the file has recorded.
fn tags(file: &LogicalFileView) -> BTreeMap<String, String> {
    #[expect(
        deprecated,
        reason = "the library gives the tags of a file in no other way"
    )]
    let tags = file.add_action().tags;
    let tags = tags.into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key, value?)))
        .collect()
}
