//! `json_keys`: the paths that occur in JSON objects, with the types of their values.

use std::collections::BTreeMap;
use std::mem::size_of_val;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
};
use serde_json::{Map, Value};

/// The most paths that are told apart; more would be data in the place of names.
const MOST_PATHS: usize = 10_000;

/// A JSON object of the dotted paths in the objects of `json`, each with the name of its type, or
/// `mixed`. Lists are not entered.
pub fn json_keys(json: Expr) -> Expr {
    udf().call(vec![json])
}

pub(crate) fn udf() -> AggregateUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    AggregateUDF::new_from_impl(JsonKeys { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonKeys {
    signature: Signature,
}

impl AggregateUDFImpl for JsonKeys {
    fn name(&self) -> &str {
        "json_keys"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::<Paths>::default())
    }
}

/// The paths seen so far and their types.
#[derive(Debug, Default)]
struct Paths(BTreeMap<String, String>);

impl Paths {
    fn add_object(&mut self, prefix: &str, object: &Map<String, Value>) -> Result<()> {
        for (key, value) in object {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            match value {
                Value::Null => {}
                Value::Object(inner) => self.add_object(&path, inner)?,
                Value::Bool(_) => self.add(path, "boolean")?,
                Value::String(_) => self.add(path, "string")?,
                Value::Array(_) => self.add(path, "array")?,
                Value::Number(number) if number.is_f64() => self.add(path, "float")?,
                Value::Number(_) => self.add(path, "int")?,
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, kind: &str) -> Result<()> {
        if self.0.len() >= MOST_PATHS && !self.0.contains_key(&path) {
            return exec_err!(
                "the attributes have more than {MOST_PATHS} different names; narrow the window"
            );
        }
        let known = self.0.entry(path).or_insert_with(|| kind.to_owned());
        *known = match (known.as_str(), kind) {
            (known, kind) if known == kind => return Ok(()),
            ("int", "float") | ("float", "int") => "float".to_owned(),
            _ => "mixed".to_owned(),
        };
        Ok(())
    }

    fn text(&self) -> ScalarValue {
        let object: Map<String, Value> = self
            .0
            .iter()
            .map(|(path, kind)| (path.clone(), Value::from(kind.as_str())))
            .collect();
        ScalarValue::Utf8(Some(Value::Object(object).to_string()))
    }
}

impl Accumulator for Paths {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let texts = cast(&values[0], &DataType::Utf8View)?;
        for text in texts.as_string_view().iter().flatten() {
            if let Ok(Value::Object(object)) = serde_json::from_str(text) {
                self.add_object("", &object)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.text())
    }

    fn size(&self) -> usize {
        let paths: usize = self
            .0
            .iter()
            .map(|(path, kind)| path.len() + kind.len() + 64)
            .sum();
        size_of_val(self) + paths
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.text()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let texts = cast(&states[0], &DataType::Utf8View)?;
        for text in texts.as_string_view().iter().flatten() {
            let paths: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
            for (path, kind) in paths {
                self.add(path, &kind)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use std::sync::Arc;

    #[test]
    fn paths_are_told_with_their_types() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some(r#"{"a":{"b":1,"c":"x"},"n":null,"l":[{"x":1}]}"#),
            None,
            Some("not json"),
            Some(r#"{"a":{"b":1.5,"c":true}}"#),
        ]));
        let mut left = Paths::default();
        left.update_batch(&[texts]).unwrap();
        let state = left.state().unwrap()[0].to_array().unwrap();
        let mut right = Paths::default();
        right.merge_batch(&[state]).unwrap();
        let expected = r#"{"a.b":"float","a.c":"mixed","l":"array"}"#;
        assert_eq!(
            right.evaluate().unwrap(),
            ScalarValue::Utf8(Some(expected.to_owned()))
        );
    }
}
