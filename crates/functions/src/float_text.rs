//! `float_text`: a float as text.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Number;

/// A float expression as text; null for infinities and NaN.
///
/// A function of its own, because Arrow writes `1e24` where JSON answers, and attributes as text, have
/// `1e+24`.
pub fn float_text(value: Expr) -> Expr {
    udf().call(vec![value])
}

pub(crate) fn udf() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    ScalarUDF::new_from_impl(FloatText { signature })
}

/// A float as answers write it: the shortest digits that give it back, `12.0` for a whole number; none for
/// infinities and NaN.
pub fn text_of_float(value: f64) -> Option<String> {
    Number::from_f64(value).map(|number| number.to_string())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatText {
    signature: Signature,
}

impl ScalarUDFImpl for FloatText {
    fn name(&self) -> &str {
        "float_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        let values = values.as_primitive::<Float64Type>().iter();
        let texts: StringViewArray = values.map(|value| text_of_float(value?)).collect();
        Ok(ColumnarValue::Array(Arc::new(texts) as Arc<dyn Array>))
    }
}
