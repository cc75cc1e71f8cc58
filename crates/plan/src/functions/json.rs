//! Reading values out of JSON text: `json_get`, `json_text` and `json_number`.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use dql::ast::PathStep;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::text_match::text_argument;

/// What running a query finds out about an attribute it names.
///
/// The schema of attributes is known only once events were read, so whether any event has the name is
/// counted while the query runs.
#[derive(Debug)]
pub struct Observation {
    /// The name as written.
    pub name: String,
    /// Where it stands in the query.
    pub span: dql::Span,
    examined: AtomicBool,
    found: AtomicBool,
    met_others: AtomicBool,
}

impl Observation {
    /// Nothing seen yet.
    pub(crate) fn new(name: String, span: dql::Span) -> Self {
        Self {
            name,
            span,
            examined: AtomicBool::new(false),
            found: AtomicBool::new(false),
            met_others: AtomicBool::new(false),
        }
    }

    /// Whether any event was looked at for a value of this name.
    pub fn examined(&self) -> bool {
        self.examined.load(Ordering::Relaxed)
    }

    /// Whether any of those events has a value of this name, be it a JSON null.
    pub fn found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }

    /// Whether values were left out of arithmetic because they are not numbers. How many is not known:
    /// a plan may look at a value more than once.
    pub fn met_others(&self) -> bool {
        self.met_others.load(Ordering::Relaxed)
    }
}

/// `json_get`: the value at `path` in JSON text, as JSON text; null when there is none.
///
/// A dotted key is tried longest first, so `a.b.c` finds the key `a.b.c`, then `c` under `a.b`, then
/// `b.c` under `a`.
pub(crate) fn json_get(json: Expr, path: Vec<PathStep>, observation: Arc<Observation>) -> Expr {
    let function = JsonGet {
        path,
        observation,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![json])
}

/// `json_text`: a JSON value as text; strings without their quotes.
pub(crate) fn json_text(json: Expr) -> Expr {
    ScalarUDF::new_from_impl(JsonText {
        signature: Signature::any(1, Volatility::Immutable),
    })
    .call(vec![json])
}

/// `json_number`: a JSON number; null for a value of any other type, which is counted.
pub(crate) fn json_number(json: Expr, observation: Option<Arc<Observation>>) -> Expr {
    let function = JsonNumber {
        observation,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![json])
}

struct JsonGet {
    path: Vec<PathStep>,
    observation: Arc<Observation>,
    signature: Signature,
}

impl fmt::Debug for JsonGet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonGet({})", self.observation.name)
    }
}

impl PartialEq for JsonGet {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for JsonGet {}

impl Hash for JsonGet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl ScalarUDFImpl for JsonGet {
    fn name(&self) -> &str {
        "json_get"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!(
            "json_get({}, {:?})",
            args[0].schema_name(),
            self.path
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let json = text_argument(&args)?;
        if !json.is_empty() {
            self.observation.examined.store(true, Ordering::Relaxed);
        }
        let mut values = StringViewBuilder::with_capacity(json.len());
        for text in json.as_string_view() {
            let value = text.and_then(|text| extract(text, &self.path));
            if value.is_some() {
                self.observation.found.store(true, Ordering::Relaxed);
            }
            match value {
                // A JSON null is no value, but the name is known.
                None | Some(Value::Null) => values.append_null(),
                Some(value) => values.append_value(value.to_string()),
            }
        }
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

#[derive(Debug)]
struct JsonNumber {
    observation: Option<Arc<Observation>>,
    signature: Signature,
}

impl PartialEq for JsonNumber {
    fn eq(&self, other: &Self) -> bool {
        match (&self.observation, &other.observation) {
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            (left, right) => left.is_none() && right.is_none(),
        }
    }
}

impl Eq for JsonNumber {}

impl Hash for JsonNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.observation
            .as_ref()
            .map(|observation| &observation.name)
            .hash(state);
    }
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
        let mut met_others = false;
        for text in json.as_string_view() {
            let number = text.and_then(number_of_json);
            met_others |= text.is_some() && number.is_none();
            values.append_option(number);
        }
        if let Some(observation) = self.observation.as_ref().filter(|_| met_others) {
            observation.met_others.store(true, Ordering::Relaxed);
        }
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

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
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
