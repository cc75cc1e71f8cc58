use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::event::{Defaults, Event};
use crate::fields::ATTRIBUTES;
use crate::json::row_json;
use crate::rejection::Rejection;

/// The event that the careful way makes of a line.
fn carefully(line: &str) -> Result<Vec<DayEvents>, Rejection> {
    let workspace = "given".parse().unwrap();
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    let Value::Object(record) = crate::read::parse_record(line.as_bytes())? else {
        panic!("{line} is no object");
    };
    let event = Event::from_json(record, &defaults, || Ok("derived".to_owned()))?;
    let mut days = Days::default();
    days.push(&event);
    Ok(days.finish())
}

fn directly(line: &str) -> Result<Vec<DayEvents>, Unusual> {
    let mut decoder = LineDecoder::new();
    let mut days = Days::default();
    let derive_id = || Some("derived".to_owned());
    decoder.decode(line.as_bytes(), Some("given"), derive_id, &mut days)?;
    Ok(days.finish())
}

/// Makes sure that the quick way gives what the careful way gives, or nothing; says whether it does.
fn is_direct(line: &str) -> bool {
    match directly(line) {
        Ok(direct) => {
            assert_eq!(carefully(line), Ok(direct), "{line}");
            true
        }
        Err(Unusual) => false,
    }
}

#[test]
fn what_records_are_like_goes_the_quick_way() {
    for line in [
        r#"{"date":1}"#,
        r#" { "date" : 1700000000000 , "df_title" : "t" } "#,
        r#"{"time":"2023-11-14T22:13:20.5Z","df_workspace":"given","df_event_id":"é"}"#,
        r#"{"date":"1700000000000","df_date_range":"60","df_cost":12,"df_hit_count":1.50}"#,
        r#"{"date":1,"df_message":"say \"hi\"\n\u00e9\ud83d\ude00\/","df_title":true}"#,
        r#"{"date":1,"df_query":{"a" : [1, 2]},"df_title":null,"df_status":null,"df_workspace":""}"#,
        r#"{"date":1,"attributes":{"a":1e3,"b":{"c":[true,null,-0,0.10]}},"x":"\"\\","y":"\u0001\/"}"#,
        r#"{"date":1,"attributes":{},"df_event_id":""}"#,
        r#"{"date":1,"attributes":null,"x":{},"y":[]}"#,
        r#"{"date":1,"x":18446744073709551615,"y":1e400000000000,"z":123456789012345678901}"#
            .replace(",\"y\":1e400000000000", "")
            .as_str(),
    ] {
        assert!(is_direct(line), "{line}");
    }
}

#[test]
fn what_needs_care_gets_it() {
    for line in [
        r#"{}"#,
        r#"{"df_title":"t"}"#,
        r#"{"date":1.5}"#,
        r#"{"date":1,"date":2}"#,
        r#"{"date":1,"date":null}"#,
        r#"{"date":null,"date":1}"#,
        r#"{"date":1,"time":1}"#,
        r#"{"date":1,"x":1,"x":2}"#,
        r#"{"date":1,"x":{"y":1,"y":2}}"#,
        r#"{"date":1,"attributes":{"x":1},"attributes":null}"#,
        r#"{"date":1,"attributes":{"x":1},"x":1}"#,
        r#"{"date":1,"vouch_received":1}"#,
        r#"{"date":1,"vouch_later":1}"#,
        r#"{"date":1,"df_event_id":"a~0123456789abcdef"}"#,
        r#"{"date":1,"attributes":"{\"x\":1}"}"#,
        r#"{"date":1,"attributes":[]}"#,
        r#"{"date":1,"df_workspace":"other"}"#,
        r#"{"date":1,"df_date_range":"x"}"#,
        r#"{"date":1,"a\u0062":1}"#,
        r#"{"date":1,"x":"\ud800"}"#,
        r#"{"date":1,"x":"\q"}"#,
        r#"{"date":1,"x":01}"#,
        r#"{"date":1,"x":nul}"#,
        r#"{"date":1,"x":1e999}"#,
        r#"{"date":1,}"#,
        r#"{"date":1"#,
        r#"{"date":1} x"#,
        r#"{"date":1,"x":"y}"#,
        r#"{"date":1,"x":"y\"#,
        "{\"date\":1,\"x\":\"\t\"}",
        "{\"date\":1,\t\"x\":1}",
        r#"[1]"#,
        "",
        "{",
    ] {
        assert!(!is_direct(line), "{line}");
    }
    let deep = format!(
        "{{\"date\":1,\"x\":{}{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    assert!(!is_direct(&deep));
}

#[test]
fn lines_of_different_keys_do_not_disturb_each_other() {
    let lines = [
        r#"{"date":1,"a":1,"df_title":"x","df_event_id":"1"}"#,
        r#"{"date":1,"df_event_id":"2","attributes":{"k":1}}"#,
        r#"{"date":1,"date":2}"#,
        r#"{"df_event_id":"3","date":86400000,"df_title":"y","b":1}"#,
        r#"{"date":1,"a":1,"df_title":"x","df_event_id":"4"}"#,
    ];
    let mut decoder = LineDecoder::new();
    let (mut direct, mut careful) = (Days::default(), Vec::new());
    for line in lines {
        let taken = decoder.decode(line.as_bytes(), Some("given"), || None, &mut direct);
        if taken.is_ok() {
            careful.extend(carefully(line).unwrap());
        }
    }
    let unpacked = |days: &[DayEvents]| -> Vec<Map<String, Value>> {
        let mut batch = crate::PackedBatchBuilder::new();
        let events = days.iter().flat_map(|day| day.events.iter());
        events.for_each(|event| batch.append(event));
        let batch = batch.finish().unwrap();
        (0..batch.num_rows())
            .map(|row| row_json(&batch, row).unwrap())
            .collect()
    };
    let direct = unpacked(&direct.finish());
    assert_eq!(direct.len(), 4);
    for event in unpacked(&careful) {
        assert!(direct.contains(&event), "{event:?}");
    }
}

#[test]
fn rows_are_what_their_objects_are() {
    let text = |values: [Option<&str>; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable([
        (
            "date",
            Arc::new(Int64Array::from(vec![1, 2, 86_400_000])) as ArrayRef,
            true,
        ),
        ("df_event_id", text([Some("a"), None, Some("c")]), true),
        ("df_cost", Arc::new(Int64Array::from(vec![5, 6, 7])), true),
        (
            ATTRIBUTES,
            text([Some("{\"x\": 1}"), None, Some("{}")]),
            true,
        ),
        ("a \"b", text([None, Some("\n"), None]), true),
    ])
    .unwrap();
    let mut decoder = RowDecoder::new(&batch).unwrap();
    for row in 0..batch.num_rows() {
        let mut days = Days::default();
        let derive_id = || Some("derived".to_owned());
        decoder
            .decode(row, Some("given"), derive_id, &mut days)
            .unwrap();
        let object = Value::Object(row_json(&batch, row).unwrap());
        assert_eq!(Ok(days.finish()), carefully(&object.to_string()));
    }
    let twice = batch.project(&[0, 1]).unwrap();
    let schema = arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("date", arrow::datatypes::DataType::Int64, true),
        arrow::datatypes::Field::new("time", arrow::datatypes::DataType::Utf8, true),
    ]);
    let twice = RecordBatch::try_new(Arc::new(schema), twice.columns().to_vec()).unwrap();
    assert!(RowDecoder::new(&twice).is_none());
}

fn key() -> impl Strategy<Value = String> {
    let fields = FIELDS.iter().map(|field| field.name.to_owned());
    prop_oneof![
        4 => prop::sample::select(fields.collect::<Vec<_>>()),
        1 => prop::sample::select(vec!["time".to_owned(), "df_query_type".to_owned()]),
        2 => "[a-c]",
        1 => ".{0,3}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..100_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,6}".prop_map(Value::from),
        Just(json!("given")),
        Just(json!("2023-11-14T22:13:20Z")),
        Just(json!("12")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A line as other programs may write it: with blanks, more escapes, members twice.
fn line() -> impl Strategy<Value = String> {
    let members = prop::collection::vec((key(), value()), 0..8);
    (members, 0..4_i64, any::<bool>()).prop_map(|(members, date, is_escaped)| {
        let mut line = format!("{{\"date\": {date}");
        for (key, value) in members {
            let (key, mut value) = (Value::from(key).to_string(), value.to_string());
            if is_escaped {
                value = value.replace('/', "\\/").replace('é', "\\u00e9");
            }
            line.push_str(&format!(", {key}:{value}"));
        }
        line.push('}');
        line
    })
}

proptest! {
    #[test]
    fn the_quick_way_gives_what_the_careful_way_gives(line in line()) {
        is_direct(&line);
    }

    #[test]
    fn any_text_is_taken_without_a_panic(text in r#"\{"date":1,"?.{0,20}"?:?[\[{"]?.{0,20}"#) {
        is_direct(&text);
    }
}
