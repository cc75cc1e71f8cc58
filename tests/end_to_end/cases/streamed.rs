//! A streamed answer has the rows of the answer in series.

use api::{Answer, QueryRequest, StreamItem};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use engine::Engine;
use futures::TryStreamExt;
use serde_json::Value;

/// Asks for a stream and compares it with `answer`, unless a default limit cut the latter off.
pub(super) async fn assert_same_rows(
    engine: &Engine,
    request: QueryRequest,
    answer: &Answer,
    place: &str,
) {
    if request.options.cursor_time.is_some() {
        // A stream has no pages by time, and says so.
        return;
    }
    let items: Result<Vec<StreamItem>, _> = engine.query_stream(request).try_collect().await;
    let items = items.unwrap_or_else(|error| panic!("{place}: {error}"));
    let [
        StreamItem::Schema(schema),
        batches @ ..,
        StreamItem::End(summary),
    ] = items.as_slice()
    else {
        panic!("{place}: {items:?}")
    };
    let batches = batches.iter().map(|item| match item {
        StreamItem::Batch(batch) => batch,
        other => panic!("{place}: {other:?}"),
    });
    let found: Vec<Vec<Value>> = batches.flat_map(rows).collect();
    assert_eq!(
        found,
        flattened(answer, schema),
        "{place}: streamed, then in series"
    );
    assert_eq!(summary.rows, found.len() as u64, "{place}");
    assert_eq!(summary.warnings, answer.summary.warnings, "{place}");
}

/// The rows of all series, with the columns that a stream has.
fn flattened(answer: &Answer, schema: &Schema) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for series in &answer.series {
        for values in &series.values {
            let named = series.columns.iter().zip(values);
            let tags = series.tags.iter().map(|(name, tag)| (name, tag));
            let all: Vec<(&String, &Value)> = tags.chain(named).collect();
            let cell = |name: &str| {
                let found = all.iter().find(|(known, _)| *known == name);
                (*found.unwrap().1).clone()
            };
            rows.push(
                schema
                    .fields()
                    .iter()
                    .map(|field| cell(field.name()))
                    .collect(),
            );
        }
    }
    rows
}

fn rows(batch: &RecordBatch) -> Vec<Vec<Value>> {
    let schema = batch.schema();
    let fields = schema.fields();
    let row = |index| {
        let cells = batch.columns().iter().zip(fields);
        cells
            .map(|(column, field)| cell(column, field, index))
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn cell(column: &ArrayRef, field: &Field, row: usize) -> Value {
    let metadata = field.metadata();
    let is_tag = metadata["vouch.role"] == "tag";
    match value(column, row) {
        Value::String(json) if metadata.contains_key("vouch.type") => as_in_series(&json, is_tag),
        Value::Null => Value::Null,
        Value::String(text) => Value::String(text),
        other if is_tag => Value::from(other.to_string()),
        other => other,
    }
}

/// JSON text as a value; a tag is text in any case.
fn as_in_series(json: &str, is_tag: bool) -> Value {
    match serde_json::from_str(json).unwrap() {
        Value::Null => Value::Null,
        Value::String(text) => Value::String(text),
        other if is_tag => Value::from(other.to_string()),
        other => other,
    }
}

fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        other => panic!("a column of type {other}"),
    }
}
