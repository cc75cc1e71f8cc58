//! The events of one workspace to an Arrow IPC stream, and back.
//!
//! Columns without any value are left out.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use events::{WorkspaceId, fields};

/// The stream of a batch in the columns of [`events::schema`].
pub(super) fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let used = batch.columns().iter().enumerate();
    let used = used.filter(|(_, column)| column.null_count() < column.len());
    let batch = batch.project(&used.map(|(index, _)| index).collect::<Vec<_>>())?;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options)?;
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

/// The batches of a stream in the columns of [`events::schema`].
pub(super) fn decode(stream: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    let reader = StreamReader::try_new(stream, None)?;
    reader.map(|batch| with_known_columns(&batch?)).collect()
}

/// The events of a stream of `workspace`.
pub(super) fn decode_one(stream: &[u8], workspace: &WorkspaceId) -> Result<RecordBatch, String> {
    let batches = decode(stream).map_err(|error| error.to_string())?;
    let batch = concat_batches(&events::schema(), &batches).map_err(|error| error.to_string())?;
    match of_one_workspace(&batch)? {
        Some(found) if found != *workspace => Err("it has events of another workspace".to_owned()),
        _ => Ok(batch),
    }
}

/// The workspace of a batch's events; `None` when it has no events.
pub(super) fn of_one_workspace(batch: &RecordBatch) -> Result<Option<WorkspaceId>, String> {
    let names = batch
        .column_by_name(fields::WORKSPACE)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or("its events have no workspace")?;
    let Some(name) = names.iter().next() else {
        return Ok(None);
    };
    let name = name.ok_or("an event in it has no workspace")?;
    if names.iter().any(|other| other != Some(name)) {
        return Err("it mixes the events of workspaces".to_owned());
    }
    let workspace = name
        .parse()
        .map_err(|error: <WorkspaceId as std::str::FromStr>::Err| error.to_string())?;
    Ok(Some(workspace))
}

fn with_known_columns(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    events::with_all_columns(&in_known_types(batch, &events::schema())?, None)
}

/// The batch with the types of the known columns.
fn in_known_types(batch: &RecordBatch, known: &Schema) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut types = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let data_type = match known.field_with_name(field.name()) {
            Ok(known) => known.data_type(),
            Err(_) => field.data_type(),
        };
        columns.push(cast(column, data_type)?);
        types.push(field.as_ref().clone().with_data_type(data_type.clone()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(types)), columns)
}
