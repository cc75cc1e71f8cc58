//! `json_elements`: the elements of a JSON array as a list, the opposite of `json_array`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

/// The elements of a text that holds a JSON array, each as JSON text; missing for any other text.
pub fn json_elements(array: Expr) -> Expr {
    udf().call(vec![array])
}

pub(crate) fn udf() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8View], Volatility::Immutable);
    ScalarUDF::new_from_impl(JsonElements { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonElements {
    signature: Signature,
}

impl ScalarUDFImpl for JsonElements {
    fn name(&self) -> &str {
        "json_elements"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Utf8View, true))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = args.args[0].to_array(args.number_rows)?;
        let texts = texts.as_string_view();
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        for row in 0..texts.len() {
            let text = texts.is_valid(row).then(|| texts.value(row));
            match text.map(serde_json::from_str) {
                Some(Ok(Value::Array(elements))) => {
                    for element in elements {
                        lists.values().append_value(element.to_string());
                    }
                    lists.append(true);
                }
                _ => lists.append(false),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish()) as ArrayRef))
    }
}
