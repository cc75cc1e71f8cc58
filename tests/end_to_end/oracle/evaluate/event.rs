//! Events as rows.

use serde_json::{Map, Value as Json};

use super::scope::Rows;
use super::value::{Kind, Value};

/// The rows that JSON events in Vouch's own field names are.
pub(crate) fn rows_of(events: &[Json]) -> Rows {
    // Nothing is asked about the fields that Vouch sets, and `*` does not show them.
    let given = events::FIELDS
        .iter()
        .filter(|field| field.set_by == events::SetBy::Producer);
    let names: Vec<(String, Kind)> = given
        .map(|field| {
            let kind = match field.field_type {
                events::FieldType::Int => Kind::Int,
                events::FieldType::String => Kind::Text,
                events::FieldType::Json => Kind::Json,
            };
            (field.name.to_owned(), kind)
        })
        .collect();
    let rows = events
        .iter()
        .map(|event| row_of(event.as_object().unwrap(), &names))
        .collect();
    let time = names.iter().position(|(name, _)| name == "date");
    Rows {
        time: time.unwrap(),
        names,
        rows,
        are_events: true,
    }
}

fn row_of(event: &Map<String, Json>, names: &[(String, Kind)]) -> Vec<Value> {
    let mut attributes = match event.get("attributes") {
        Some(Json::Object(attributes)) => attributes.clone(),
        _ => Map::new(),
    };
    let others = event.iter().filter(|(key, _)| events::field(key).is_none());
    attributes.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    let value = |(name, kind): &(String, Kind)| match (event.get(name), kind) {
        (_, Kind::Json) if attributes.is_empty() => Value::Missing,
        (_, Kind::Json) => Value::Json(Json::Object(attributes.clone())),
        (None | Some(Json::Null), _) => match name.as_str() {
            "df_source" => Value::Text("audit".to_owned()),
            "df_status" => Value::Text("info".to_owned()),
            _ => Value::Missing,
        },
        (Some(value), Kind::Int) => Value::Int(value.as_i64().unwrap()),
        (Some(Json::String(text)), _) => Value::Text(text.clone()),
        (Some(value), _) => Value::Text(value.to_string()),
    };
    names.iter().map(value).collect()
}
