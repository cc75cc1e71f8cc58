//! The columns of a table in the form of the Delta protocol ("Schema Serialization
//! Format").

use arrow::datatypes::DataType;
use serde_json::{Value, json};

use crate::root::paths::{DAY_COLUMN, WORKSPACE_COLUMN};

/// What keeps events from being stored in a table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SchemaError {
    /// The table's columns cannot be understood.
    #[error("has a schema that is not in the form of the delta protocol")]
    Malformed,
    /// A column of the table has another type than events have.
    #[error("has a column `{name}` of type {found}, not {expected}")]
    Type {
        name: String,
        found: String,
        expected: &'static str,
    },
}

/// The columns of a new table: those of events, then those of the partitions.
pub(crate) fn text() -> String {
    schema_of(columns().map(|(name, delta_type)| column(&name, delta_type)))
}

/// The columns `current` of a table with those added that events have and it lacks; `None` when
/// it lacks none.
pub(crate) fn with_missing_columns(current: &str) -> Result<Option<String>, SchemaError> {
    let schema: Value = serde_json::from_str(current).map_err(|_| SchemaError::Malformed)?;
    let present = schema
        .get("fields")
        .and_then(Value::as_array)
        .ok_or(SchemaError::Malformed)?;
    let mut missing = Vec::new();
    for (name, expected) in columns() {
        let same_name = |field: &&Value| field.get("name") == Some(&json!(name));
        match present.iter().find(same_name).map(|field| &field["type"]) {
            None => missing.push(column(&name, expected)),
            Some(found) if *found == json!(expected) => {}
            Some(found) => {
                return Err(SchemaError::Type {
                    name,
                    found: found.to_string(),
                    expected,
                });
            }
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    Ok(Some(schema_of(present.iter().cloned().chain(missing))))
}

/// A column of the table that this version does not know, be it that a newer one has added it or
/// other software; `None` when it knows them all.
pub(crate) fn unknown_column(current: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(current).ok()?;
    let names = schema.get("fields")?.as_array()?.iter();
    let mut names = names.filter_map(|field| field.get("name")?.as_str());
    let unknown = names.find(|name| columns().all(|(known, _)| known != *name))?;
    Some(unknown.to_owned())
}

/// The columns that a table of this version has, by name and type.
fn columns() -> impl Iterator<Item = (String, &'static str)> {
    let schema = events::schema();
    let of_events: Vec<(String, &str)> = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), delta_type(field.data_type())))
        .collect();
    let of_partitions = [(WORKSPACE_COLUMN, "string"), (DAY_COLUMN, "date")];
    of_events
        .into_iter()
        .chain(of_partitions.map(|(name, delta_type)| (name.to_owned(), delta_type)))
}

fn schema_of(fields: impl Iterator<Item = Value>) -> String {
    json!({"type": "struct", "fields": fields.collect::<Vec<Value>>()}).to_string()
}

fn column(name: &str, delta_type: &str) -> Value {
    json!({"name": name, "type": delta_type, "nullable": true, "metadata": {}})
}

/// Events have numbers and texts only.
fn delta_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "long",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_lacks_no_column() {
        assert_eq!(with_missing_columns(&text()), Ok(None));
        assert_eq!(unknown_column(&text()), None);
    }

    #[test]
    fn missing_columns_are_added_behind_the_others() {
        let older = r#"{"type":"struct","fields":[
            {"name":"notes","type":"string","nullable":true,"metadata":{"comment":"ours"}},
            {"name":"date","type":"long","nullable":true,"metadata":{}}]}"#;
        let newer = with_missing_columns(older).unwrap().unwrap();
        let newer: Value = serde_json::from_str(&newer).unwrap();
        assert_eq!(newer["fields"][0]["metadata"]["comment"], "ours");
        assert_eq!(newer["fields"][1]["name"], "date");
        assert_eq!(unknown_column(older).as_deref(), Some("notes"));
        let count = newer["fields"].as_array().unwrap().len();
        assert_eq!(count, events::FIELDS.len() + 3);
        assert_eq!(with_missing_columns(&newer.to_string()), Ok(None));
    }

    #[test]
    fn a_column_of_another_type_is_refused() {
        let other = text().replacen("\"long\"", "\"timestamp\"", 1);
        let error = with_missing_columns(&other).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`date` of type \"timestamp\", not long"),
            "{text}"
        );
        assert_eq!(with_missing_columns("[]"), Err(SchemaError::Malformed));
    }
}
