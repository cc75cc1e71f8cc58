//! The events of one workspace to an Arrow IPC stream, and back.
//!
//! Columns without any value are left out. A column that a newer version of Vouch has written goes into
//! `attributes` under its name.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use events::{WorkspaceId, fields};
use serde_json::{Map, Value};

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
    let known = events::schema();
    let unknown = unknown_columns(batch, &known);
    let events = events::with_all_columns(&in_known_types(batch, &known)?, None)?;
    let mut columns = events.columns().to_vec();
    if let (false, Ok(attributes)) = (unknown.is_empty(), known.index_of(fields::ATTRIBUTES)) {
        columns[attributes] = with_unknown(&columns[attributes], &unknown)?;
    }
    RecordBatch::try_new(known, columns)
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

/// A column that this version does not have, by its name.
type Unknown<'a> = (&'a str, &'a ArrayRef);

fn unknown_columns<'a>(batch: &'a RecordBatch, known: &Schema) -> Vec<Unknown<'a>> {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    fields
        .filter(|(field, _)| known.index_of(field.name()).is_err())
        .map(|(field, column)| (field.name().as_str(), column))
        .collect()
}

/// The `attributes` with the values of unknown columns besides.
fn with_unknown(attributes: &ArrayRef, unknown: &[Unknown<'_>]) -> Result<ArrayRef, ArrowError> {
    let texts = unknown
        .iter()
        .map(|(name, column)| match column.data_type() {
            DataType::Int64 => Ok((*name, Arc::clone(column))),
            _ => Ok((*name, cast(column, &DataType::Utf8)?)),
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;
    let attributes = attributes.as_string::<i32>();
    let mut merged: Vec<Option<String>> = Vec::with_capacity(attributes.len());
    for row in 0..attributes.len() {
        let before = attributes.is_valid(row).then(|| attributes.value(row));
        merged.push(merge(before, &texts, row)?);
    }
    Ok(Arc::new(StringArray::from(merged)))
}

fn merge(
    before: Option<&str>,
    unknown: &[(&str, ArrayRef)],
    row: usize,
) -> Result<Option<String>, ArrowError> {
    let values = unknown.iter().filter(|(_, column)| column.is_valid(row));
    let mut values = values.peekable();
    if values.peek().is_none() {
        return Ok(before.map(str::to_owned));
    }
    let external = |error: serde_json::Error| ArrowError::from_external_error(error.into());
    let mut object: Map<String, Value> = match before {
        Some(text) => serde_json::from_str(text).map_err(external)?,
        None => Map::new(),
    };
    for (name, column) in values {
        let value = match column.as_primitive_opt::<Int64Type>() {
            Some(numbers) => Value::from(numbers.value(row)),
            None => Value::from(column.as_string::<i32>().value(row)),
        };
        object.entry(*name).or_insert(value);
    }
    serde_json::to_string(&object).map(Some).map_err(external)
}
