//! Exported events are equal to the original after an import.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use events::packed::PackedBatchBuilder;
use events::{Defaults, Event, EventBatchBuilder, EventReader, Input, fields};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::batch_writer;
use crate::arguments::Format;

/// The formats that are written batch by batch.
const FORMATS: [Format; 4] = [Format::Csv, Format::Ndjson, Format::Arrow, Format::Parquet];

/// The events as columns of the store.
fn batch_of(events: &[Map<String, Value>]) -> RecordBatch {
    let workspace = "acme".parse().unwrap();
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    let mut batch = EventBatchBuilder::new();
    for event in events {
        batch.append(&Event::from_json_identified_by_content(event.clone(), &defaults).unwrap());
    }
    batch.finish().unwrap()
}

/// The same events as columns of an answer to `(*)`: the date is named `time`, and attributes are JSON.
fn answer_of(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.schema_ref().fields().iter().map(|field| {
        let field = field.as_ref().clone();
        match field.name().as_str() {
            fields::DATE => field.with_name("time"),
            fields::ATTRIBUTES => {
                let json = HashMap::from([("vouch.type".to_owned(), "json".to_owned())]);
                field.with_metadata(json)
            }
            _ => field,
        }
    });
    let schema = Schema::new(columns.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), batch.columns().to_vec()).unwrap()
}

/// The answer in `format`, imported.
fn imported(answer: &RecordBatch, format: Format) -> RecordBatch {
    let mut writer = batch_writer(format, answer.schema(), Vec::new())
        .unwrap()
        .unwrap();
    writer.write(answer).unwrap();
    let text = writer.finish().unwrap();
    let input = Input::spool("standard input", text.as_slice()).unwrap();
    let mut batch = PackedBatchBuilder::new();
    for portion in EventReader::open(input, None, None).unwrap() {
        let portion = portion.unwrap();
        assert_eq!(portion.refused, [], "{format:?}");
        let events = portion.days.iter().flat_map(|day| day.events.iter());
        events.for_each(|event| batch.append(event));
    }
    batch.finish().unwrap()
}

fn assert_round_trips(events: &[Map<String, Value>]) {
    let batch = batch_of(events);
    for format in FORMATS {
        assert_eq!(imported(&answer_of(&batch), format), batch, "{format:?}");
    }
}

/// A text that is not empty: a cell of CSV is the same for an empty text and a missing one.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[\\x00-\\x20\",;'\\\\=\u{feff}\u{85}é🚀]{1,6}",
        proptest::collection::vec(any::<char>(), 1..6).prop_map(String::from_iter),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i16>().prop_map(|number| json!(f64::from(number) / 8.0)),
        text().prop_map(Value::from),
        Just(json!("")),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(text(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Events of one day, whose order importing keeps.
fn event() -> impl Strategy<Value = Map<String, Value>> {
    let name = proptest::sample::select(vec![
        "df_title",
        "df_message",
        "df_user_name",
        "df_query_typeDQL",
        "action",
        "comments",
        "df_event_id",
    ]);
    let texts = proptest::collection::vec((name, text()), 0..5);
    let attributes = proptest::collection::hash_map(text(), json_value(), 0..4);
    (0..1_000_000_i64, any::<Option<i64>>(), texts, attributes).prop_map(
        |(date, range, texts, attributes)| {
            let mut event = Map::from_iter([("date".to_owned(), json!(date))]);
            event.insert("df_date_range".to_owned(), json!(range));
            let texts = texts.into_iter();
            event.extend(texts.map(|(name, text)| (name.to_owned(), json!(text))));
            let attributes: Map<String, Value> = attributes.into_iter().collect();
            event.insert("attributes".to_owned(), Value::Object(attributes));
            event
        },
    )
}

#[test]
fn a_null_character_near_the_top_is_imported_again() {
    let event = json!({"date": 1, "df_title": "a\0b", "df_message": "\0", "x": {"\0": ["\0"]}});
    let Value::Object(event) = event else {
        panic!("{event}");
    };
    assert_round_trips(&[event.clone(), event]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every streamed format returns each value of each event.
    #[test]
    fn every_streamed_format_is_imported_again(events in proptest::collection::vec(event(), 1..8)) {
        assert_round_trips(&events);
    }
}
