use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StringViewArray,
    StructArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{Field, Fields, Int8Type, Schema};
use serde_json::json;

use super::*;

fn one(array: impl Array + 'static) -> Value {
    value_json(&array, 0).unwrap()
}

#[test]
fn scalars_keep_their_kind() {
    assert_eq!(one(BooleanArray::from(vec![true])), json!(true));
    assert_eq!(one(Int64Array::from(vec![i64::MIN])), json!(i64::MIN));
    assert_eq!(one(UInt64Array::from(vec![u64::MAX])), json!(u64::MAX));
    assert_eq!(one(Float32Array::from(vec![0.1_f32])), json!(0.1));
    assert_eq!(one(Float64Array::from(vec![f64::NAN])), json!("NaN"));
    assert_eq!(
        one(StringViewArray::from(vec![
            "a longer text than twelve bytes"
        ])),
        json!("a longer text than twelve bytes")
    );
    assert_eq!(one(StringArray::from(vec![None::<&str>])), Value::Null);
    assert_eq!(one(BinaryArray::from(vec!["é".as_bytes()])), json!("é"));
    assert_eq!(
        one(BinaryArray::from(vec![&[0xff, 0x00][..]])),
        json!("ff00")
    );
    let decimal = Decimal128Array::from(vec![12345])
        .with_precision_and_scale(10, 2)
        .unwrap();
    assert_eq!(one(decimal), json!("123.45"));
}

#[test]
fn dictionaries_give_their_value() {
    let array: DictionaryArray<Int8Type> = vec![Some("b"), None, Some("a")].into_iter().collect();
    assert_eq!(value_json(&array, 2).unwrap(), json!("a"));
    assert_eq!(value_json(&array, 1).unwrap(), Value::Null);
}

#[test]
fn nested_values_become_objects_and_arrays() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None])]);
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("list", list.data_type().clone(), true)),
            Arc::new(list) as ArrayRef,
        ),
        (
            Arc::new(Field::new("absent", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None::<&str>])),
        ),
    ]);
    assert_eq!(one(inner), json!({"list": [1, null]}));
}

#[test]
fn timestamps_are_texts_but_dates_are_milliseconds() {
    let moment =
        TimestampMicrosecondArray::from(vec![1_674_844_088_127_428]).with_timezone("Asia/Shanghai");
    assert_eq!(one(moment.clone()), json!("2023-01-27T18:28:08.127428Z"));
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(moment) as ArrayRef),
        ("seen", Arc::new(TimestampSecondArray::from(vec![0]))),
        (
            "attributes",
            Arc::new(StringArray::from(vec![r#"{"a":{"b":1}}"#])),
        ),
        ("df_title", Arc::new(StringArray::from(vec![None::<&str>]))),
    ])
    .unwrap();
    assert_eq!(
        Value::Object(row_json(&batch, 0).unwrap()),
        json!({"time": 1_674_844_088_127_i64, "seen": "1970-01-01T00:00:00Z", "attributes": {"a": {"b": 1}}})
    );
}

#[test]
fn a_time_beyond_the_calendar_is_an_error() {
    let array = TimestampSecondArray::from(vec![i64::MAX]);
    assert!(value_json(&array, 0).is_err());
}

/// Two texts under one name, as columns.
fn twice(first: Option<&str>, second: Option<&str>) -> (Fields, Vec<ArrayRef>) {
    let field = Field::new("a", DataType::Utf8, true);
    let columns = [first, second].map(|text| Arc::new(StringArray::from(vec![text])) as ArrayRef);
    (vec![field.clone(), field].into(), columns.to_vec())
}

fn code<T>(refused: Result<T, Rejection>) -> RejectionCode {
    refused.err().unwrap().code
}

/// Of two values under one name none is dropped: the row is refused. A null is no value of a column or a field, but
/// it is one of a map.
#[test]
fn a_key_with_two_values_is_refused() {
    let (fields, columns) = twice(Some("x"), Some("x"));
    let inner = StructArray::new(fields.clone(), columns.clone(), None);
    assert_eq!(code(value_json(&inner, 0)), RejectionCode::DuplicateKey);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_eq!(code(row_json(&batch, 0)), RejectionCode::DuplicateKey);
    for (first, second) in [(Some("x"), None), (None, Some("x"))] {
        let (fields, columns) = twice(first, second);
        assert_eq!(
            one(StructArray::new(fields, columns, None)),
            json!({"a": "x"})
        );
    }
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for keys in [["a", "b"], ["a", "a"]] {
        for (key, value) in keys.into_iter().zip([Some("x"), None]) {
            map.keys().append_value(key);
            map.values().append_option(value);
        }
        map.append(true).unwrap();
    }
    let map = map.finish();
    assert_eq!(value_json(&map, 0).unwrap(), json!({"a": "x", "b": null}));
    assert_eq!(code(value_json(&map, 1)), RejectionCode::DuplicateKey);
}
