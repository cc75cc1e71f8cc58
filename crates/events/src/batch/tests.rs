use serde_json::{Map, Value, json};

use super::*;
use crate::event::Defaults;
use crate::json::row_json;

fn event(record: &Value) -> Event {
    let record: Map<String, Value> = record.as_object().unwrap().clone();
    Event::from_json(record, &Defaults::default(), || Ok("derived".to_owned())).unwrap()
}

#[test]
fn events_survive_the_way_into_a_batch_and_back() {
    let given = FIELDS
        .iter()
        .filter(|field| field.set_by == SetBy::Producer);
    let full: Map<String, Value> = given
        .map(|field| {
            let value = match field.field_type {
                FieldType::Int => json!(1_700_000_000_000_i64),
                FieldType::String => json!(format!("{}-value", field.name)),
                FieldType::Json => json!({"b": [1, {"c": null}], "a": 1.5}),
            };
            (field.name.to_owned(), value)
        })
        .collect();
    let full = Value::Object(full);
    let bare = json!({
        "date": -1, "df_source": "audit", "df_status": "info", "df_event_id": "derived", "df_workspace": "w"
    });
    let mut builder = EventBatchBuilder::new();
    assert!(builder.is_empty());
    for record in [&full, &bare] {
        builder.append(&event(record));
    }
    assert_eq!(builder.len(), 2);
    assert_eq!(
        builder.size_bytes(),
        event(&full).size_bytes() + event(&bare).size_bytes()
    );
    let batch = builder.finish().unwrap();
    assert_eq!(batch.schema(), schema());
    assert_eq!(Value::Object(row_json(&batch, 0).unwrap()), full);
    assert_eq!(Value::Object(row_json(&batch, 1).unwrap()), bare);
    for row in 0..2 {
        let again = event(&Value::Object(row_json(&batch, row).unwrap()));
        assert_eq!(again, event([&full, &bare][row]));
    }
}

#[test]
fn a_finished_builder_starts_anew() {
    let mut builder = EventBatchBuilder::default();
    builder.append(&event(&json!({"date": 1, "df_workspace": "w"})));
    assert_eq!(builder.finish().unwrap().num_rows(), 1);
    assert_eq!((builder.len(), builder.size_bytes()), (0, 0));
    assert_eq!(builder.finish().unwrap().num_rows(), 0);
}

#[test]
fn a_batch_that_is_too_large_is_an_error_and_not_a_panic() {
    let mut builder = EventBatchBuilder::new();
    builder.size_bytes = EventBatchBuilder::MAX_SIZE_BYTES - 1;
    builder.append(&event(&json!({"date": 1, "df_workspace": "w"})));
    assert_eq!(builder.len(), 0);
    assert!(matches!(
        builder.finish(),
        Err(ArrowError::OffsetOverflowError(_))
    ));
    assert!(builder.finish().is_ok());
}

#[test]
fn a_batch_of_one_event_takes_little_memory() {
    let mut builder = EventBatchBuilder::new();
    builder.append(&event(&json!({"date": 1, "df_workspace": "w"})));
    let size_bytes = builder.finish().unwrap().get_array_memory_size();
    assert!(size_bytes < 16 * 1024, "{size_bytes} bytes");
}
