//! Rows that another version of Vouch has written, in the columns of this one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use serde_json::{Map, Value};

use crate::delivery::Delivery;
use crate::event::ValueRef;
use crate::fields::{ATTRIBUTES_COLUMN, FIELDS, RECORDED, is_of_vouch, schema};

/// The batch in the columns of the [`schema`]. A column that it lacks has the value that the `delivery` of its events
/// sets, or none. A column that is no field, which a newer version has written, goes into `attributes` under its name:
/// into its member `recorded` when Vouch sets the field, as what producers send under such a name does.
///
/// # Errors
/// When a column has another type than its field.
pub fn with_all_columns(
    batch: &RecordBatch,
    delivery: Option<&Delivery>,
) -> Result<RecordBatch, ArrowError> {
    let schema = schema();
    let rows = batch.num_rows();
    let columns = schema.fields().iter().zip(&FIELDS).map(|(column, field)| {
        let set = delivery.and_then(|delivery| delivery.value(field.name));
        match (set, batch.column_by_name(column.name())) {
            (Some(ValueRef::Int(number)), _) => Arc::new(Int64Array::from_value(number, rows)),
            (Some(ValueRef::Text(text)), _) => Arc::new(StringArray::from_iter_values(
                std::iter::repeat_n(text, rows),
            )) as ArrayRef,
            (None, Some(values)) => Arc::clone(values),
            (None, None) => new_null_array(column.data_type(), rows),
        }
    });
    let mut columns: Vec<ArrayRef> = columns.collect();
    let newer = newer_columns(batch)?;
    if !newer.is_empty() {
        columns[ATTRIBUTES_COLUMN] = with_newer(&columns[ATTRIBUTES_COLUMN], &newer)?;
    }
    RecordBatch::try_new(schema, columns)
}

/// A column that this version does not have, by its name; as numbers or as texts.
type Newer<'a> = (&'a str, ArrayRef);

fn newer_columns(batch: &RecordBatch) -> Result<Vec<Newer<'_>>, ArrowError> {
    let schema = schema();
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let newer = columns.filter(|(field, _)| schema.index_of(field.name()).is_err());
    let values = newer.map(|(field, column)| {
        let values = match column.data_type() {
            DataType::Int64 => Arc::clone(column),
            _ => cast(column, &DataType::Utf8)?,
        };
        Ok((field.name().as_str(), values))
    });
    values.collect()
}

/// The `attributes` with the values of newer columns besides.
fn with_newer(attributes: &ArrayRef, newer: &[Newer<'_>]) -> Result<ArrayRef, ArrowError> {
    let of_another_type = || ArrowError::SchemaError("`attributes` are no text".to_owned());
    let before = attributes
        .as_string_opt::<i32>()
        .ok_or_else(of_another_type)?;
    let merged = before.iter().enumerate().map(|(row, before)| {
        let values = newer.iter().filter(|(_, column)| column.is_valid(row));
        let values: Vec<(&str, Value)> = values
            .map(|(name, column)| (*name, value(column, row)))
            .collect();
        match (before, values.is_empty()) {
            (before, true) => Ok(before.map(str::to_owned)),
            (before, false) => merged(before, values).map(Some),
        }
    });
    let merged: StringArray = merged.collect::<Result<_, ArrowError>>()?;
    Ok(Arc::new(merged))
}

fn value(column: &ArrayRef, row: usize) -> Value {
    match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) => Value::from(numbers.value(row)),
        None => Value::from(column.as_string::<i32>().value(row)),
    }
}

fn merged(before: Option<&str>, values: Vec<(&str, Value)>) -> Result<String, ArrowError> {
    let external = |error: serde_json::Error| ArrowError::from_external_error(error.into());
    let mut attributes: Map<String, Value> = match before {
        Some(text) => serde_json::from_str(text).map_err(external)?,
        None => Map::new(),
    };
    for (name, value) in values {
        let members = match is_of_vouch(name) {
            true => attributes
                .entry(RECORDED)
                .or_insert_with(|| Value::Object(Map::new()))
                .as_object_mut(),
            false => Some(&mut attributes),
        };
        // A producer's `recorded` that is no object has no room for what Vouch set.
        if let Some(members) = members {
            members.entry(name).or_insert(value);
        }
    }
    serde_json::to_string(&attributes).map_err(external)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::batch::EventBatchBuilder;
    use crate::content::Content;
    use crate::event::{Defaults, Event};

    fn batch(record: &Value) -> RecordBatch {
        let record = record.as_object().unwrap().clone();
        let event = Event::from_json_identified_by_content(record, &Defaults::default());
        let mut batch = EventBatchBuilder::new();
        batch.append(&event.unwrap());
        batch.finish().unwrap()
    }

    fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            columns.push((field.name(), Arc::clone(column)));
        }
        columns.push((name, column));
        RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    /// What a newer version has of an event is kept; it is another event only when a producer said something else.
    #[test]
    fn columns_of_a_newer_version_go_into_attributes() {
        let plain = batch(&json!({"date": 1, "df_workspace": "w", "x": 1}));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["text"]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let of_producer = with_column(&plain, "later", text);
        let newer = with_column(&of_producer, "vouch_later", number);
        let kept = with_all_columns(&newer, None).unwrap();
        assert_eq!(kept.schema(), schema());
        let attributes = kept.columns()[ATTRIBUTES_COLUMN].as_string::<i32>();
        let expected = json!({"x": 1, "later": "text", "recorded": {"vouch_later": 7}});
        assert_eq!(
            serde_json::from_str::<Value>(attributes.value(0)).unwrap(),
            expected
        );

        let content =
            |batch: &RecordBatch| Content::of_row(&with_all_columns(batch, None).unwrap(), 0, None);
        assert!(content(&newer).is_same(&content(&of_producer)));
        assert!(!content(&newer).is_same(&content(&plain)));
        // A producer that sends such a name does not set the field of a later version either.
        let sent =
            json!({"date": 1, "df_workspace": "w", "x": 1, "later": "text", "vouch_later": 8});
        assert!(content(&newer).is_same(&content(&batch(&sent))));
        let room = batch(&json!({"date": 1, "df_workspace": "w", "recorded": "no object"}));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let filled = with_column(&room, "vouch_later", number);
        assert_eq!(with_all_columns(&filled, None).unwrap(), room);
    }
}
