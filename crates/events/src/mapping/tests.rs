use serde_json::{Value, json};

use super::*;
use crate::event::{Defaults, Event, ValueRef};

fn apply(program: &str, record: Value) -> Result<Vec<Value>, Rejection> {
    let mapping = Mapping::compile("test", program).unwrap();
    let events = mapping.apply(record)?;
    Ok(events.into_iter().map(Value::Object).collect())
}

fn refusal(program: &str, record: Value) -> Rejection {
    apply(program, record).unwrap_err()
}

#[test]
fn the_record_is_kept_as_attributes_unless_the_mapping_gives_some() {
    let record = json!({"at": 1, "who": {"name": "x"}});
    assert_eq!(
        apply("{date: .at}", record.clone()).unwrap(),
        [json!({"date": 1, "attributes": record})]
    );
    assert_eq!(
        apply("{date: .at, attributes: .who}", record.clone()).unwrap(),
        [json!({"date": 1, "attributes": {"name": "x"}})]
    );
    assert_eq!(
        apply("{date: .at, attributes: null}", record.clone()).unwrap(),
        [json!({"date": 1, "attributes": record})]
    );
}

#[test]
fn keys_that_are_no_fields_join_the_attributes() {
    assert_eq!(
        apply("{date: .at, severity: 3, at: 1}", json!({"at": 1})).unwrap(),
        [json!({"date": 1, "attributes": {"at": 1, "severity": 3}})]
    );
    let rejection = refusal("{date: .at, at: 2}", json!({"at": 1}));
    assert_eq!(rejection.code, RejectionCode::MappingConflict);
    assert!(rejection.message.contains("`at`"), "{rejection}");
}

#[test]
fn one_record_may_make_several_events() {
    let events = apply(".list[] | {date: .}", json!({"list": [1, 2]})).unwrap();
    assert_eq!(
        events,
        [
            json!({"date": 1, "attributes": {"list": [1, 2]}}),
            json!({"date": 2, "attributes": {"list": [1, 2]}})
        ]
    );
}

#[test]
fn a_record_that_the_mapping_cannot_take_is_refused_with_the_reason() {
    for (program, record, code) in [
        ("empty", json!({}), RejectionCode::MappingEmpty),
        (".x[]", json!({"x": []}), RejectionCode::MappingEmpty),
        (".x | keys", json!({"x": 1}), RejectionCode::MappingFailed),
        ("error(\"no\")", json!({}), RejectionCode::MappingFailed),
        ("{date: 1}, 5", json!({}), RejectionCode::MappingFailed),
        ("{date: 1}", json!([1]), RejectionCode::MappingFailed),
        (
            "{date: 1, attributes: 1}",
            json!({}),
            RejectionCode::MappingFailed,
        ),
        ("{date: (0 / 0)}", json!({}), RejectionCode::MappingFailed),
    ] {
        assert_eq!(refusal(program, record).code, code, "{program}");
    }
    assert!(
        refusal("error(\"no such thing\")", json!({}))
            .message
            .contains("no such thing")
    );
}

#[test]
fn numbers_and_texts_pass_unchanged() {
    let record = json!({
        "a": i64::MAX, "b": i64::MIN, "c": u64::MAX, "d": 0.1, "e": -1.5e300, "f": "é\u{0}\n", "g": [null, true, {}]
    });
    let events = apply("{date: 1, attributes: ., df_title: .f}", record.clone()).unwrap();
    assert_eq!(
        events,
        [json!({"date": 1, "df_title": "é\u{0}\n", "attributes": record})]
    );
}

#[test]
fn a_mapping_reaches_nothing_but_its_record() {
    for program in [
        "env",
        "$ENV",
        "now",
        "input",
        "inputs",
        "halt",
        "halt(3)",
        "halt_error",
        "debug",
        "stderr",
        "input_filename",
    ] {
        let error = Mapping::compile("test", program).unwrap_err();
        assert!(matches!(error, MappingError::Program { .. }), "{program}");
    }
    assert!(Mapping::compile("test", "import \"a\" as a; .").is_err());
}

#[test]
fn an_error_in_a_program_names_its_place() {
    for (program, line, column) in [
        ("{date: .at,\n df_title: .b | uper}", 2, 17),
        ("{date: .at", 1, 11),
        ("{date: 'x'}", 1, 8),
        (". | $x", 1, 5),
        ("if . then 1", 1, 12),
    ] {
        match Mapping::compile("test", program).unwrap_err() {
            MappingError::Program {
                line: l,
                column: c,
                message,
                ..
            } => {
                assert_eq!((l, c), (line, column), "{program}: {message}");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(
        Mapping::shipped("splunk").unwrap_err().to_string(),
        "no mapping is called `splunk`; there are cloudtrail, kubernetes, okta"
    );
}

#[test]
fn a_mapping_can_be_shared_between_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Mapping>();
}

/// Runs the cases of one product: a name, a record, and for each event that it makes the fields to
/// look at (null: the event does not have it).
fn check_cases(name: &str, cases: &str) {
    let mapping = Mapping::shipped(name).unwrap();
    let workspace = "given".parse().unwrap();
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    for case in cases {
        let expected = case["events"].as_array().unwrap();
        let objects = mapping
            .apply(case["record"].clone())
            .unwrap_or_else(|rejection| {
                panic!("{}: {rejection}", case["case"]);
            });
        assert_eq!(objects.len(), expected.len(), "{}", case["case"]);
        for (object, expected) in objects.into_iter().zip(expected) {
            let named = object
                .get(fields::WORKSPACE)
                .is_some_and(|value| !value.is_null());
            let defaults = Defaults {
                workspace: (!named).then_some(&workspace),
            };
            let event = Event::from_json(object, &defaults, || Ok("derived".to_owned()))
                .unwrap_or_else(|rejection| panic!("{}: {rejection}", case["case"]));
            for (field, expected) in expected.as_object().unwrap() {
                let value = match event.value(fields::column(field).unwrap()) {
                    None => Value::Null,
                    Some(ValueRef::Int(number)) => json!(number),
                    Some(ValueRef::Text(text)) if field == fields::ATTRIBUTES => {
                        serde_json::from_str(text).unwrap()
                    }
                    Some(ValueRef::Text(text)) => json!(text),
                };
                assert_eq!(value, *expected, "{}: {field}", case["case"]);
            }
        }
    }
}

#[test]
fn nothing_that_is_wrapped_vanishes() {
    for (name, wrapped) in [
        ("cloudtrail", json!({"Records": [1, {}, "a", null, []]})),
        (
            "cloudtrail",
            json!({"Events": [1, {}, {"CloudTrailEvent": ""}, {"CloudTrailEvent": "{"}, null]}),
        ),
        ("kubernetes", json!({"items": [1, {}, "a", null, []]})),
        ("okta", json!({"data": {"events": [1, {}, "a", null, []]}})),
    ] {
        let events = Mapping::shipped(name)
            .unwrap()
            .apply(wrapped.clone())
            .unwrap();
        assert_eq!(events.len(), 5, "{name}: {wrapped}");
    }
}

#[test]
fn cloudtrail_events() {
    check_cases(
        "cloudtrail",
        include_str!("../../mappings/tests/cloudtrail.json"),
    );
}

#[test]
fn kubernetes_events() {
    check_cases(
        "kubernetes",
        include_str!("../../mappings/tests/kubernetes.json"),
    );
}

#[test]
fn okta_events() {
    check_cases("okta", include_str!("../../mappings/tests/okta.json"));
}
