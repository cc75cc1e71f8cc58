//! Reading values out of JSON text: `json_get`, `json_text` and `json_number`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use dql::ast::PathStep;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::literals;
use crate::notes::{self, NoteId, note_literal};
use crate::text_match::text_argument;

/// The value at `path` in JSON text, as JSON text; null when there is none. `present` notes that there is one, be it a
/// JSON null.
///
/// A dotted key is tried longest first, so `a.b.c` finds the key `a.b.c`, then `c` under `a.b`, then
/// `b.c` under `a`.
pub fn json_get(json: Expr, path: &[PathStep], present: NoteId) -> Expr {
    let steps = path.iter().map(|step| match step {
        PathStep::Key(key) => Value::from(key.as_str()),
        PathStep::Index(index) => Value::from(*index),
    });
    let path = Value::from(steps.collect::<Vec<_>>()).to_string();
    get_udf().call(vec![json, lit(path), present.literal()])
}

/// A JSON value as text; strings without their quotes.
pub fn json_text(json: Expr) -> Expr {
    text_udf().call(vec![json])
}

/// A JSON number; null for a value of any other type, which `other` notes.
pub fn json_number(json: Expr, other: Option<NoteId>) -> Expr {
    number_udf().call(vec![json, note_literal(other)])
}

pub(crate) fn get_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonGet {
        signature: Signature::any(3, Volatility::Immutable),
    })
}

pub(crate) fn text_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonText {
        signature: Signature::any(1, Volatility::Immutable),
    })
}

pub(crate) fn number_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonNumber {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

/// The index of the note among the arguments of `json_get`.
pub(crate) const GET_NOTE: usize = 2;
/// The same for `json_number`.
pub(crate) const NUMBER_NOTE: usize = 1;

/// The path that an argument of [`json_get`] has.
fn path_of(text: &str) -> Result<Vec<PathStep>> {
    let steps: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| exec_datafusion_err!("`{text}` is no path: {error}"))?;
    let steps = steps.into_iter().map(|step| match step {
        Value::String(key) => Ok(PathStep::Key(key)),
        other => match other.as_u64() {
            Some(index) => Ok(PathStep::Index(index)),
            None => Err(exec_datafusion_err!("`{other}` is no step of a path")),
        },
    });
    steps.collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonGet {
    signature: Signature,
}

impl ScalarUDFImpl for JsonGet {
    fn name(&self) -> &str {
        "json_get"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let path = path_of(literals::text(&args, 1)?)?;
        let json = text_argument(&args)?;
        let mut present = 0;
        let mut values = StringViewBuilder::with_capacity(json.len());
        for text in json.as_string_view() {
            let value = text.and_then(|text| extract(text, &path));
            present += usize::from(value.is_some());
            match value {
                // A JSON null is no value, but the name is known.
                None | Some(Value::Null) => values.append_null(),
                Some(value) => values.append_value(value.to_string()),
            }
        }
        notes::count(&args, GET_NOTE, present);
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonText {
    signature: Signature,
}

impl ScalarUDFImpl for JsonText {
    fn name(&self) -> &str {
        "json_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let json = text_argument(&args)?;
        let mut values = StringViewBuilder::with_capacity(json.len());
        for text in json.as_string_view() {
            values.append_option(text.and_then(text_of_json));
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonNumber {
    signature: Signature,
}

impl ScalarUDFImpl for JsonNumber {
    fn name(&self) -> &str {
        "json_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let json = text_argument(&args)?;
        let mut values = Float64Builder::with_capacity(json.len());
        let mut others = 0;
        for text in json.as_string_view() {
            let number = text.and_then(number_of_json);
            others += usize::from(text.is_some() && number.is_none());
            values.append_option(number);
        }
        notes::count(&args, NUMBER_NOTE, others);
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}

/// The text of a JSON value; a string without its quotes.
pub(crate) fn text_of_json(json: &str) -> Option<Cow<'_, str>> {
    match json.starts_with('"') {
        true => serde_json::from_str(json).ok().map(Cow::Owned),
        false => Some(Cow::Borrowed(json)),
    }
}

/// The number that a JSON value is.
pub(crate) fn number_of_json(json: &str) -> Option<f64> {
    // `parse` alone would take `inf` and `nan`, which are not JSON.
    let is_number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    is_number.then(|| json.parse().ok()).flatten()
}

/// The value at `path`.
fn extract(json: &str, path: &[PathStep]) -> Option<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Extract { path }
        .deserialize(&mut deserializer)
        .ok()
        .flatten()
}

/// Walks JSON text along a path and skips the rest without building it.
#[derive(Clone, Copy)]
struct Extract<'a> {
    path: &'a [PathStep],
}

impl<'de> DeserializeSeed<'de> for Extract<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.path.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Extract<'_> {
    type Value = Option<Value>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut best: Option<(usize, Value)> = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match matched_steps(&key, self.path) {
                Some(steps) if best.as_ref().is_none_or(|(longest, _)| steps > *longest) => {
                    let found = map.next_value_seed(Extract {
                        path: &self.path[steps..],
                    })?;
                    best = found.map(|value| (steps, value)).or(best);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(best.map(|(_, value)| value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut index = 0;
        loop {
            let item = match self.path.first() {
                Some(PathStep::Index(wanted)) if *wanted == index => {
                    items.next_element_seed(Extract {
                        path: &self.path[1..],
                    })?
                }
                _ => items.next_element::<IgnoredAny>()?.map(|_| None),
            };
            match item {
                Some(value) => found = found.or(value),
                None => return Ok(found),
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _value: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// How many steps of the path the key stands for: `a.b` stands for the steps `a`, `b`.
fn matched_steps(key: &str, path: &[PathStep]) -> Option<usize> {
    let mut rest = key;
    for (index, step) in path.iter().enumerate() {
        let PathStep::Key(name) = step else {
            return None;
        };
        rest = rest.strip_prefix(name.as_str())?;
        if rest.is_empty() {
            return Some(index + 1);
        }
        rest = rest.strip_prefix('.')?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(path: &str) -> Vec<PathStep> {
        path.split('.')
            .map(|key| PathStep::Key(key.to_owned()))
            .collect()
    }

    #[test]
    fn follows_nested_keys_and_indexes() {
        let json = r#"{"a":{"b":[1,{"c":"x"}]},"n":null}"#;
        let path = [
            PathStep::Key("a".into()),
            PathStep::Key("b".into()),
            PathStep::Index(1),
            PathStep::Key("c".into()),
        ];
        assert_eq!(extract(json, &path), Some(Value::from("x")));
        assert_eq!(extract(json, &keys("n")), Some(Value::Null));
        assert_eq!(extract(json, &keys("m")), None);
        assert_eq!(extract(json, &keys("a.b.c")), None);
        assert_eq!(extract("not json", &keys("a")), None);
    }

    #[test]
    fn takes_the_longest_dotted_key() {
        let json = r#"{"a":{"b":{"c":1}},"a.b":{"c":2},"a.b.c":3}"#;
        assert_eq!(extract(json, &keys("a.b.c")), Some(Value::from(3)));
        assert_eq!(
            extract(r#"{"a.b":{"d":2},"a":{"b":{"c":1}}}"#, &keys("a.b.c")),
            Some(Value::from(1))
        );
    }
}
