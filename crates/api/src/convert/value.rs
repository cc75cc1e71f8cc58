//! Values.

use serde_json::{Number, Value};

use super::MessageError;
use crate::proto::{self, value::Kind};

/// A value as a message.
pub(super) fn to_message(value: Value) -> proto::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(proto::Null {}),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => number_kind(&number),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(_) | Value::Object(_) => Kind::JsonValue(value.to_string()),
    };
    proto::Value { kind: Some(kind) }
}

fn number_kind(number: &Number) -> Kind {
    if let Some(whole) = number.as_i64() {
        return Kind::IntValue(whole);
    }
    match number.as_f64() {
        Some(double) if number.is_f64() => Kind::DoubleValue(double),
        // An integer beyond int64 would lose digits as a double.
        _ => Kind::JsonValue(number.to_string()),
    }
}

/// The value of a message.
pub(super) fn from_message(message: proto::Value) -> Result<Value, MessageError> {
    Ok(match message.kind.ok_or(MessageError::UnknownKind)? {
        Kind::NullValue(_) => Value::Null,
        Kind::IntValue(whole) => Value::from(whole),
        // JSON has no infinity and no NaN: they become null, as in the engine's own answers.
        Kind::DoubleValue(double) => Number::from_f64(double).map_or(Value::Null, Value::Number),
        Kind::BoolValue(truth) => Value::Bool(truth),
        Kind::StringValue(text) => Value::String(text),
        Kind::JsonValue(text) => serde_json::from_str(&text)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_comes_back() {
        for value in [
            json!(null),
            json!(true),
            json!(0),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(0.1),
            json!(1e300),
            json!(2.0),
            json!(""),
            json!("null"),
            json!([1, [null]]),
            json!({"b": 1, "a": {"c": "ü"}}),
        ] {
            assert_eq!(from_message(to_message(value.clone())).unwrap(), value);
        }
    }

    #[test]
    fn kinds_tell_whole_numbers_doubles_and_text_apart() {
        let kind = |value| to_message(value).kind.unwrap();
        assert_eq!(kind(json!(2)), Kind::IntValue(2));
        assert_eq!(kind(json!(2.0)), Kind::DoubleValue(2.0));
        assert_eq!(kind(json!("2")), Kind::StringValue("2".into()));
        assert_eq!(
            kind(json!(u64::MAX)),
            Kind::JsonValue("18446744073709551615".into())
        );
    }

    #[test]
    fn a_kind_of_a_newer_service_is_not_null() {
        let error = from_message(proto::Value { kind: None }).unwrap_err();
        assert!(matches!(error, MessageError::UnknownKind));
    }
}
