//! JSON values to jq values and back, without a detour through text.

use jaq_json::{Map as JqMap, Num, Val};
use serde_json::{Map, Number, Value};

pub(super) fn to_jq(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Number(number) => Val::Num(number_to_jq(number)),
        Value::String(text) => Val::from(text.clone()),
        Value::Array(items) => items.iter().map(to_jq).collect(),
        Value::Object(object) => {
            let mut entries = JqMap::with_capacity_and_hasher(object.len(), Default::default());
            for (key, value) in object {
                entries.insert(Val::from(key.clone()), to_jq(value));
            }
            Val::obj(entries)
        }
    }
}

fn number_to_jq(number: &Number) -> Num {
    if let Some(number) = number.as_i64() {
        Num::from_integral(number)
    } else if let Some(number) = number.as_u64() {
        Num::from_integral(number)
    } else {
        Num::Float(number.as_f64().unwrap_or(f64::NAN))
    }
}

/// The JSON value, or what about it has no JSON form.
pub(super) fn from_jq(value: Val) -> Result<Value, &'static str> {
    match value {
        Val::Null => Ok(Value::Null),
        Val::Bool(truth) => Ok(Value::Bool(truth)),
        Val::Num(number) => number_from_jq(&number).map(Value::Number),
        Val::TStr(bytes) => text_from_jq(&bytes).map(Value::String),
        Val::BStr(_) => Err("it gave a byte string"),
        Val::Arr(items) => items.iter().cloned().map(from_jq).collect(),
        Val::Obj(entries) => {
            let mut object = Map::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                let Val::TStr(key) = key else {
                    return Err("it gave an object with a key that is no text");
                };
                object.insert(text_from_jq(key)?, from_jq(value.clone())?);
            }
            Ok(Value::Object(object))
        }
    }
}

fn text_from_jq(bytes: &[u8]) -> Result<String, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err("it gave a text that is not UTF-8"),
    }
}

fn number_from_jq(number: &Num) -> Result<Number, &'static str> {
    let exact = match number {
        Num::Int(number) => return Ok(Number::from(*number)),
        Num::Float(number) => Number::from_f64(*number),
        Num::BigInt(number) => {
            let text = number.to_string();
            let exact = text.parse::<u64>().map(Number::from).ok();
            exact.or_else(|| Number::from_f64(text.parse().ok()?))
        }
        Num::Dec(text) => text.parse().ok().and_then(Number::from_f64),
    };
    exact.ok_or("it gave a number that JSON does not have")
}
