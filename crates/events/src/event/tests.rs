use serde_json::{Value, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn read(record: Value) -> Result<Event, Rejection> {
    let workspace = "acme".parse().unwrap();
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    Event::from_json(object(record), &defaults, || Ok("derived".to_owned()))
}

fn refusal(record: Value) -> RejectionCode {
    read(record).unwrap_err().code
}

fn value<'e>(event: &'e Event, name: &str) -> Option<ValueRef<'e>> {
    event.value(fields::column(name).unwrap())
}

fn text<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    match value(event, name)? {
        ValueRef::Text(text) => Some(text),
        ValueRef::Int(number) => panic!("{name} is {number}"),
    }
}

#[test]
fn an_event_with_only_a_date_gets_the_defaults() {
    let event = read(json!({"date": 1_700_000_000_123_i64})).unwrap();
    assert_eq!(event.date_ms(), 1_700_000_000_123);
    assert_eq!(event.day().to_string(), "2023-11-14");
    assert_eq!(event.workspace().as_str(), "acme");
    assert_eq!(event.id(), "derived");
    assert_eq!(text(&event, "df_source"), Some("audit"));
    assert_eq!(text(&event, "df_status"), Some("info"));
    assert_eq!(value(&event, "df_title"), None);
    assert_eq!(value(&event, "attributes"), None);
    assert_eq!(
        value(&event, "date"),
        Some(ValueRef::Int(1_700_000_000_123))
    );
    assert_eq!(text(&event, "df_workspace"), Some("acme"));
    assert_eq!(event.value(FIELDS.len()), None);
}

#[test]
fn a_date_may_be_written_in_several_ways() {
    for date in [
        json!(1_700_000_000_000_i64),
        json!(1.7e12),
        json!("1700000000000"),
        json!("2023-11-14T22:13:20Z"),
        json!("2023-11-14T23:13:20.0009+01:00"),
    ] {
        let event = read(json!({"date": date})).unwrap();
        assert_eq!(event.date_ms(), 1_700_000_000_000, "{date}");
        assert_eq!(
            read(json!({"time": date})).unwrap().date_ms(),
            event.date_ms()
        );
    }
    // Seconds are not guessed.
    assert_eq!(
        read(json!({"date": 1_700_000_000}))
            .unwrap()
            .day()
            .to_string(),
        "1970-01-20"
    );
}

#[test]
fn a_date_that_is_none_is_refused() {
    assert_eq!(refusal(json!({})), RejectionCode::MissingDate);
    assert_eq!(refusal(json!({"date": null})), RejectionCode::MissingDate);
    for date in [
        json!(""),
        json!("yesterday"),
        json!(1.5),
        json!(true),
        json!([1]),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!("99999999999999999999"),
        json!("--1"),
    ] {
        assert_eq!(
            refusal(json!({"date": date})),
            RejectionCode::InvalidDate,
            "{date}"
        );
    }
}

#[test]
fn two_names_of_one_field_must_agree() {
    let event = read(json!({"date": 1000, "time": "1970-01-01T00:00:01Z"})).unwrap();
    assert_eq!(event.date_ms(), 1000);
    assert_eq!(
        refusal(json!({"date": 1000, "time": 1001})),
        RejectionCode::ConflictingFields
    );
    assert_eq!(
        read(json!({"date": 1000, "time": null})).unwrap().date_ms(),
        1000
    );
    let event = read(json!({"date": 1, "df_query_type": "dql"})).unwrap();
    assert_eq!(text(&event, "df_query_typeDQL"), Some("dql"));
    assert_eq!(
        refusal(json!({"date": 1, "df_query_type": "dql", "df_query_typeDQL": "sql"})),
        RejectionCode::ConflictingFields
    );
}

#[test]
fn text_columns_keep_other_values_as_their_json_text() {
    let event = read(json!({
        "date": 1, "df_hit_count": 42, "result": false, "df_cost": 1.50,
        "df_message": {"b": [1, null], "a": "x"}, "df_title": ""
    }))
    .unwrap();
    assert_eq!(text(&event, "df_hit_count"), Some("42"));
    assert_eq!(text(&event, "result"), Some("false"));
    assert_eq!(text(&event, "df_cost"), Some("1.5"));
    assert_eq!(
        text(&event, "df_message"),
        Some(r#"{"b":[1,null],"a":"x"}"#)
    );
    assert_eq!(text(&event, "df_title"), Some(""));
}

#[test]
fn int_columns_take_whole_numbers_only() {
    for number in [json!(-7), json!(-7.0), json!("-7")] {
        let event = read(json!({"date": 1, "df_date_range": number})).unwrap();
        assert_eq!(value(&event, "df_date_range"), Some(ValueRef::Int(-7)));
    }
    for number in [
        json!(7.5),
        json!("7.5"),
        json!("+7"),
        json!(" 7"),
        json!(""),
        json!(true),
        json!({}),
    ] {
        let record = json!({"date": 1, "df_date_range": number});
        assert_eq!(refusal(record), RejectionCode::InvalidType, "{number}");
    }
}

#[test]
fn the_workspace_comes_from_the_event_or_from_the_door_and_must_agree() {
    assert_eq!(
        read(json!({"date": 1, "df_workspace": "acme"}))
            .unwrap()
            .workspace()
            .as_str(),
        "acme"
    );
    assert_eq!(
        read(json!({"date": 1, "df_workspace": ""}))
            .unwrap()
            .workspace()
            .as_str(),
        "acme"
    );
    assert_eq!(
        refusal(json!({"date": 1, "df_workspace": "other"})),
        RejectionCode::WorkspaceContradiction
    );
    assert_eq!(
        refusal(json!({"date": 1, "df_workspace": "a/b"})),
        RejectionCode::InvalidWorkspace
    );
    let without = Event::from_json(object(json!({"date": 1})), &Defaults::default(), || {
        Ok("derived".to_owned())
    });
    assert_eq!(without.unwrap_err().code, RejectionCode::MissingWorkspace);
    // A number is the text that it is written as: account ids are.
    let numbered = object(json!({"date": 1, "df_workspace": 123_837_392_027_u64}));
    let numbered = Event::from_json(numbered, &Defaults::default(), || Ok(String::new())).unwrap();
    assert_eq!(numbered.workspace().as_str(), "123837392027");
}

#[test]
fn an_id_is_derived_only_when_the_event_has_none() {
    assert_eq!(
        read(json!({"date": 1, "df_event_id": "e1"})).unwrap().id(),
        "e1"
    );
    assert_eq!(
        read(json!({"date": 1, "df_event_id": ""})).unwrap().id(),
        "derived"
    );
    assert_eq!(
        read(json!({"date": 1, "df_event_id": null})).unwrap().id(),
        "derived"
    );
    let refused = Rejection::new(RejectionCode::MissingEventId, "no id");
    let workspace = "acme".parse().unwrap();
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    let result = Event::from_json(object(json!({"date": 1})), &defaults, || {
        Err(refused.clone())
    });
    assert_eq!(result, Err(refused));
}

#[test]
fn equal_content_has_an_equal_id_however_it_is_written() {
    let workspace = "acme".parse().unwrap();
    let id = |record: Value| {
        let defaults = Defaults {
            workspace: Some(&workspace),
        };
        let event = Event::from_json_identified_by_content(object(record), &defaults).unwrap();
        event.id().to_owned()
    };
    let first = id(json!({"date": 1000, "df_title": "x", "extra": {"a": 1, "b": 2}}));
    assert_eq!(
        first,
        id(
            json!({"extra": {"b": 2, "a": 1}, "time": "1970-01-01T00:00:01Z", "df_title": "x", "df_status": "info"})
        )
    );
    assert_ne!(
        first,
        id(json!({"date": 1000, "df_title": "y", "extra": {"a": 1, "b": 2}}))
    );
    assert_ne!(
        first,
        id(json!({"date": 1000, "df_title": "x", "extra": {"a": 1, "b": 3}}))
    );
    assert_ne!(
        first,
        id(json!({"date": 1001, "df_title": "x", "extra": {"a": 1, "b": 2}}))
    );
}

#[test]
fn unlisted_keys_become_attributes_in_their_order() {
    let event =
        read(json!({"z": 1, "date": 1, "a": null, "m": {"y": 18_446_744_073_709_551_615_u64}}))
            .unwrap();
    assert_eq!(
        text(&event, "attributes"),
        Some(r#"{"z":1,"a":null,"m":{"y":18446744073709551615}}"#)
    );
}

#[test]
fn given_attributes_are_merged_with_unlisted_keys() {
    let event = read(json!({"date": 1, "b": 2, "attributes": {"a": 1, "b": 2}, "c": 3})).unwrap();
    assert_eq!(text(&event, "attributes"), Some(r#"{"a":1,"b":2,"c":3}"#));
    let event = read(json!({"date": 1, "attributes": r#"{"a":1}"#})).unwrap();
    assert_eq!(text(&event, "attributes"), Some(r#"{"a":1}"#));
    assert_eq!(
        refusal(json!({"date": 1, "b": 3, "attributes": {"b": 2}})),
        RejectionCode::AttributesConflict
    );
    for attributes in [json!([1]), json!("x"), json!("[1]"), json!(1)] {
        let record = json!({"date": 1, "attributes": attributes});
        assert_eq!(
            refusal(record),
            RejectionCode::InvalidAttributes,
            "{attributes}"
        );
    }
    let empty = read(json!({"date": 1, "attributes": {}})).unwrap();
    assert_eq!(value(&empty, "attributes"), None);
}

#[test]
fn the_size_grows_with_the_text() {
    let small = read(json!({"date": 1, "df_title": "x"})).unwrap();
    let large = read(json!({"date": 1, "df_title": "x".repeat(1001)})).unwrap();
    assert_eq!(large.size_bytes() - small.size_bytes(), 1000);
}

/// An event takes a cell for every field, also when nearly all of them are null.
#[test]
fn memory_counts_the_cells() {
    let event = read(json!({"date": 1})).unwrap();
    let cells = FIELDS.len() * size_of::<Option<Cell>>();
    assert!(event.memory_bytes() > cells, "{}", event.memory_bytes());
    assert!(event.memory_bytes() < 2 * cells, "{}", event.memory_bytes());
    let large = read(json!({"date": 1, "df_title": "x".repeat(1000)})).unwrap();
    assert!(large.memory_bytes() >= event.memory_bytes() + 1000);
}

/// What is given under the name of a field that Vouch sets is an attribute, so that exports can be imported.
#[test]
fn fields_of_vouch_are_not_the_producers() {
    let event = |record: Value| {
        let record = record.as_object().unwrap().clone();
        let event = Event::from_json_identified_by_content(record, &Defaults::default());
        let column = fields::column(fields::ATTRIBUTES).unwrap();
        event.map(|event| match event.value(column) {
            Some(ValueRef::Text(text)) => serde_json::from_str::<Value>(text).unwrap(),
            _ => Value::Null,
        })
    };
    let record = json!({"date": 1, "df_workspace": "w", "vouch_received": "soon", "x": 1});
    let recorded = json!({"x": 1, "recorded": {"vouch_received": "soon"}});
    assert_eq!(event(record).unwrap(), recorded);
    let record = json!({
        "date": 1, "df_workspace": "w", "vouch_door": "http", "vouch_batch": null,
        "attributes": {"recorded": {"workspace": "v", "vouch_door": "http"}},
    });
    let recorded = json!({"recorded": {"workspace": "v", "vouch_door": "http"}});
    assert_eq!(event(record).unwrap(), recorded);
    for taken in [json!("a"), json!({"vouch_door": "grpc"})] {
        let record =
            json!({"date": 1, "df_workspace": "w", "vouch_door": "http", "recorded": taken});
        let rejection = event(record).unwrap_err();
        assert_eq!(rejection.code, RejectionCode::AttributesConflict);
    }
}
