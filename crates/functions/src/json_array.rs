//! `json_array`: a list of values as the text of a JSON array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use serde_json::Value;

use crate::literals;
use crate::notes::{self, NoteId, note_literal};

/// How the values of a list become a JSON array.
#[derive(Debug, Clone, Copy)]
pub struct ArrayOptions {
    /// Whether the values are JSON text already.
    pub json: bool,
    /// Whether they are put in ascending order of their text.
    pub sorted: bool,
    /// The most values that are kept.
    pub most: i64,
}

/// The values of a list as a JSON array; missing for a missing list. `cut` notes that there are more than are kept.
pub fn json_array(list: Expr, options: ArrayOptions, cut: Option<NoteId>) -> Expr {
    let ArrayOptions { json, sorted, most } = options;
    udf().call(vec![
        list,
        lit(json),
        lit(sorted),
        lit(most),
        note_literal(cut),
    ])
}

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonArray {
        signature: Signature::any(5, Volatility::Immutable),
    })
}

/// The index of the note among the arguments.
pub(crate) const NOTE: usize = 4;

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonArray {
    signature: Signature,
}

impl ArrayOptions {
    /// The array, and whether values were left out.
    fn text(self, values: &ArrayRef) -> Result<(String, bool)> {
        let mut texts = (0..values.len())
            .filter(|index| values.is_valid(*index))
            .map(|index| self.element(values, index))
            .collect::<Result<Vec<String>>>()?;
        if self.sorted {
            texts.sort_unstable();
        }
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        let is_cut = texts.len() > most;
        texts.truncate(most);
        Ok((format!("[{}]", texts.join(",")), is_cut))
    }

    fn element(self, values: &ArrayRef, index: usize) -> Result<String> {
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
        let options = ArrayOptions {
            json: literals::boolean(&args, 1)?,
            sorted: literals::boolean(&args, 2)?,
            most: literals::int(&args, 3)?,
        };
        let lists = args.args[0].to_array(args.number_rows)?;
        let lists = lists.as_list::<i32>();
        let mut cut = 0;
        let mut arrays = StringViewBuilder::with_capacity(lists.len());
        for row in 0..lists.len() {
            if lists.is_null(row) {
                arrays.append_null();
            } else {
                let (text, is_cut) = options.text(&lists.value(row))?;
                cut += usize::from(is_cut);
                arrays.append_value(text);
            }
        }
        notes::count(&args, NOTE, cut);
        Ok(ColumnarValue::Array(Arc::new(arrays.finish()) as ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};

    fn text(json: bool, sorted: bool, most: i64, values: &ArrayRef) -> (String, bool) {
        let options = ArrayOptions { json, sorted, most };
        options.text(values).unwrap()
    }

    #[test]
    fn values_become_json() {
        let whole = |text: &str| (text.to_owned(), false);
        let cut = |text: &str| (text.to_owned(), true);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("b\"c"), None, Some("a")]));
        assert_eq!(text(false, false, 9, &texts), whole(r#"["b\"c","a"]"#));
        assert_eq!(text(false, false, 2, &texts), whole(r#"["b\"c","a"]"#));
        assert_eq!(text(false, true, 1, &texts), cut(r#"["a"]"#));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![2, 1]));
        assert_eq!(text(false, false, 9, &numbers), whole("[2,1]"));
        let json: ArrayRef = Arc::new(StringArray::from(vec![r#"{"a":1}"#, "true"]));
        assert_eq!(text(true, false, 9, &json), whole(r#"[{"a":1},true]"#));
    }
}
