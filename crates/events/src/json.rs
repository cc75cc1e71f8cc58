//! Rows of record batches back into JSON objects: Vouch's own events on their way out, and the rows
//! of Parquet files that others wrote on their way in.
//!
//! Where Arrow knows more than JSON, the value becomes text: timestamps RFC 3339 in UTC (one without
//! a time zone is taken as UTC), bytes that are no UTF-8 lower-case hexadecimal, decimals, dates,
//! durations and the numbers JSON lacks (`NaN`, `inf`) as Arrow prints them.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Number, Value};

use crate::fields;
use crate::read::{insert_unique, parse_unique};
use crate::rejection::{Rejection, RejectionCode};

/// One row as a JSON object, under the names of the columns. Nulls are left out, also inside
/// structs; `attributes` is an object again, and `date` is Unix ms also where the column is a
/// timestamp.
///
/// # Errors
/// The refusal of the row: `unsupported_type` when a value has no form as text, such as a time beyond the
/// calendar; `duplicate_key` when two columns of one name, two fields of a struct or two entries of a map
/// have values.
pub fn row_json(batch: &RecordBatch, row: usize) -> Result<Map<String, Value>, Rejection> {
    let mut object = Map::new();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let value = match fields::column(field.name()).map(|column| fields::FIELDS[column].name) {
            Some(fields::DATE) => date_json(column, row)?,
            Some(fields::ATTRIBUTES) => attributes_json(value_json(column, row)?),
            _ => value_json(column, row)?,
        };
        if !value.is_null() {
            insert_unique(&mut object, field.name().clone(), value)?;
        }
    }
    Ok(object)
}

fn attributes_json(value: Value) -> Value {
    match value {
        // A text that is no JSON, or has a key twice, stays what it is.
        Value::String(text) => parse_unique(text.as_bytes()).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn date_json(column: &dyn Array, row: usize) -> Result<Value, Rejection> {
    match timestamp(column, row) {
        Some(moment) => Ok(Value::from(moment.map_err(unsupported)?.timestamp_millis())),
        None => value_json(column, row),
    }
}

/// One value of an array.
///
/// # Errors
/// As for [`row_json`].
pub fn value_json(array: &dyn Array, row: usize) -> Result<Value, Rejection> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    if let Some(text) = text(array, row) {
        return Ok(Value::from(text));
    }
    if let Some(number) = number(array, row) {
        return number;
    }
    if let Some(moment) = timestamp(array, row) {
        return Ok(Value::from(
            moment
                .map_err(unsupported)?
                .to_rfc3339_opts(SecondsFormat::AutoSi, true),
        ));
    }
    match array.data_type() {
        DataType::Boolean => Ok(Value::Bool(array.as_boolean().value(row))),
        DataType::Binary => Ok(bytes_json(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Ok(bytes_json(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => Ok(bytes_json(array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => Ok(bytes_json(array.as_fixed_size_binary().value(row))),
        DataType::List(_) => list_json(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list_json(&array.as_list::<i64>().value(row)),
        DataType::ListView(_) => list_json(&array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => list_json(&array.as_list_view::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list_json(&array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => struct_json(array, row),
        DataType::Map(_, _) => map_json(array, row),
        DataType::Dictionary(_, _) => dictionary_json(array, row),
        _ => printed_json(array, row),
    }
}

/// The text in a row of a column of texts.
pub(crate) fn text(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

fn number(array: &dyn Array, row: usize) -> Option<Result<Value, Rejection>> {
    let integer = match array.data_type() {
        DataType::Int8 => i64::from(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => i64::from(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => i64::from(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row),
        DataType::UInt8 => i64::from(array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => i64::from(array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => i64::from(array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => {
            return Some(Ok(Value::from(
                array.as_primitive::<UInt64Type>().value(row),
            )));
        }
        DataType::Float32 | DataType::Float64 => return Some(float_json(array, row)),
        _ => return None,
    };
    Some(Ok(Value::from(integer)))
}

fn float_json(array: &dyn Array, row: usize) -> Result<Value, Rejection> {
    let number = match array.data_type() {
        // Through the shortest text, or 0.1 would become 0.10000000149011612.
        DataType::Float32 => {
            let narrow = array.as_primitive::<Float32Type>().value(row);
            narrow.to_string().parse().unwrap_or(f64::from(narrow))
        }
        _ => array.as_primitive::<Float64Type>().value(row),
    };
    match Number::from_f64(number) {
        Some(number) => Ok(Value::Number(number)),
        None => printed_json(array, row),
    }
}

/// The moment in a row of a column of timestamps.
pub(crate) fn timestamp(
    array: &dyn Array,
    row: usize,
) -> Option<Result<DateTime<Utc>, ArrowError>> {
    let DataType::Timestamp(unit, _) = array.data_type() else {
        return None;
    };
    if array.is_null(row) {
        return None;
    }
    let (count, moment) = match unit {
        TimeUnit::Second => {
            let seconds = array.as_primitive::<TimestampSecondType>().value(row);
            (seconds, DateTime::from_timestamp(seconds, 0))
        }
        TimeUnit::Millisecond => {
            let millis = array.as_primitive::<TimestampMillisecondType>().value(row);
            (millis, DateTime::from_timestamp_millis(millis))
        }
        TimeUnit::Microsecond => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (micros, DateTime::from_timestamp_micros(micros))
        }
        TimeUnit::Nanosecond => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            (nanos, Some(DateTime::from_timestamp_nanos(nanos)))
        }
    };
    Some(moment.ok_or_else(|| {
        ArrowError::CastError(format!("timestamp {count} lies beyond the calendar"))
    }))
}

/// A value as Arrow prints it.
fn printed_json(array: &dyn Array, row: usize) -> Result<Value, Rejection> {
    let text = array_value_to_string(array, row).map_err(unsupported)?;
    Ok(Value::from(text))
}

fn unsupported(error: ArrowError) -> Rejection {
    Rejection::new(RejectionCode::UnsupportedType, error.to_string())
}

fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => {
            let mut text = String::with_capacity(2 * bytes.len());
            for byte in bytes {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            Value::from(text)
        }
    }
}

fn list_json(items: &dyn Array) -> Result<Value, Rejection> {
    (0..items.len()).map(|row| value_json(items, row)).collect()
}

fn struct_json(array: &dyn Array, row: usize) -> Result<Value, Rejection> {
    let array = array.as_struct();
    let mut object = Map::new();
    for (field, column) in array.fields().iter().zip(array.columns()) {
        let value = value_json(column, row)?;
        if !value.is_null() {
            insert_unique(&mut object, field.name().clone(), value)?;
        }
    }
    Ok(Value::Object(object))
}

fn map_json(array: &dyn Array, row: usize) -> Result<Value, Rejection> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let mut object = Map::new();
    for entry in 0..entries.len() {
        let key = match value_json(keys, entry)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        insert_unique(&mut object, key, value_json(values, entry)?)?;
    }
    Ok(Value::Object(object))
}

fn dictionary_json(array: &dyn Array, row: usize) -> Result<Value, Rejection> {
    let dictionary = array.as_any_dictionary();
    let key = value_json(dictionary.keys(), row)?.as_u64();
    match key.and_then(|key| usize::try_from(key).ok()) {
        Some(key) if key < dictionary.values().len() => value_json(dictionary.values(), key),
        _ => Err(unsupported(ArrowError::DictionaryKeyOverflowError)),
    }
}

#[cfg(test)]
mod tests;
