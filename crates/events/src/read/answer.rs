//! Answers of `vouch query --format json`, whose rows are read back as records.

use serde_json::{Map, Value};

/// The rows of the answers in `record`, each as an object under the names of its columns, without
/// nulls; `Err` gives back a record that is no answer.
pub(super) fn rows(record: Value) -> Result<Vec<Value>, Value> {
    match answers(&record) {
        Some(rows) => Ok(rows),
        None => Err(record),
    }
}

/// `None` unless the record has the shape of an answer throughout.
fn answers(record: &Value) -> Option<Vec<Value>> {
    let mut rows = Vec::new();
    let record = record.as_object().filter(|record| record.len() == 1)?;
    for answer in record.get("content")?.as_array()? {
        answer.get("query_parse")?;
        for series in answer.get("series")?.as_array()? {
            let columns = series.get("columns")?.as_array()?;
            let tags = series.get("tags").and_then(Value::as_object);
            for values in series.get("values")?.as_array()? {
                rows.push(row(tags, columns, values.as_array()?)?);
            }
        }
    }
    Some(rows)
}

fn row(tags: Option<&Map<String, Value>>, columns: &[Value], values: &[Value]) -> Option<Value> {
    let mut row = tags.cloned().unwrap_or_default();
    for (column, value) in columns.iter().zip(values) {
        row.insert(column.as_str()?.to_owned(), value.clone());
    }
    row.retain(|_, value| !value.is_null());
    Some(Value::Object(row))
}
