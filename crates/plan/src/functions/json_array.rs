//! `json_array`: a list of values as the text of a JSON array.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

use crate::occurrence::Occurrence;

/// The values of a list as a JSON array; missing for a missing list. The values of `json` lists hold
/// JSON text already; `sorted` puts them in ascending order of their text; `kept` says how many stay.
pub(crate) fn json_array(list: Expr, json: bool, sorted: bool, kept: Kept) -> Expr {
    let function = JsonArray {
        json,
        sorted,
        kept,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![list])
}

/// How many values of a list are kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The most.
    pub(crate) most: u64,
    /// What happens when there are more; nothing where the query asked for no more.
    pub(crate) cut: Option<Arc<Occurrence>>,
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.most == other.most
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.most.hash(state);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonArray {
    json: bool,
    sorted: bool,
    kept: Kept,
    signature: Signature,
}

impl JsonArray {
    fn text(&self, values: &ArrayRef) -> Result<String> {
        let mut texts = (0..values.len())
            .filter(|index| values.is_valid(*index))
            .map(|index| self.element(values, index))
            .collect::<Result<Vec<String>>>()?;
        if self.sorted {
            texts.sort_unstable();
        }
        let most = usize::try_from(self.kept.most).unwrap_or(usize::MAX);
        if let (true, Some(cut)) = (texts.len() > most, &self.kept.cut) {
            cut.happen();
        }
        texts.truncate(most);
        Ok(format!("[{}]", texts.join(",")))
    }

    fn element(&self, values: &ArrayRef, index: usize) -> Result<String> {
        Ok(match values.data_type() {
            DataType::Boolean => values.as_boolean().value(index).to_string(),
            DataType::Float64 => {
                Value::from(values.as_primitive::<Float64Type>().value(index)).to_string()
            }
            DataType::Int64 => values.as_primitive::<Int64Type>().value(index).to_string(),
            _ => {
                let text = cast(&values.slice(index, 1), &DataType::Utf8View)?;
                let text = text.as_string_view().value(0);
                if self.json {
                    text.to_owned()
                } else {
                    Value::from(text).to_string()
                }
            }
        })
    }
}

impl ScalarUDFImpl for JsonArray {
    fn name(&self) -> &str {
        "json_array"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].to_array(args.number_rows)?;
        let lists = lists.as_list::<i32>();
        let mut arrays = StringViewBuilder::with_capacity(lists.len());
        for row in 0..lists.len() {
            if lists.is_null(row) {
                arrays.append_null();
            } else {
                arrays.append_value(self.text(&lists.value(row))?);
            }
        }
        Ok(ColumnarValue::Array(Arc::new(arrays.finish()) as ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use dql::{Diagnostic, Span};

    fn array(json: bool, sorted: bool, most: u64) -> JsonArray {
        JsonArray {
            json,
            sorted,
            kept: Kept { most, cut: None },
            signature: Signature::any(1, Volatility::Immutable),
        }
    }

    #[test]
    fn values_become_json() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("b\"c"), None, Some("a")]));
        assert_eq!(
            array(false, false, 9).text(&texts).unwrap(),
            r#"["b\"c","a"]"#
        );
        assert_eq!(array(false, true, 1).text(&texts).unwrap(), r#"["a"]"#);
        let cut = Arc::new(Occurrence::new(Diagnostic::warning(
            "list_cut",
            "there are more",
            Span::default(),
        )));
        let mut short = array(false, false, 2);
        short.kept.cut = Some(Arc::clone(&cut));
        short.text(&texts).unwrap();
        assert!(cut.warning().is_none());
        short.kept.most = 1;
        assert_eq!(short.text(&texts).unwrap(), r#"["b\"c"]"#);
        assert!(cut.warning().is_some());
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![2, 1]));
        assert_eq!(array(false, false, 9).text(&numbers).unwrap(), "[2,1]");
        let json: ArrayRef = Arc::new(StringArray::from(vec![r#"{"a":1}"#, "true"]));
        assert_eq!(
            array(true, false, 9).text(&json).unwrap(),
            r#"[{"a":1},true]"#
        );
    }
}
