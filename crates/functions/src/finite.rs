//! `finite`: a number where it is one.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The value of a float expression; null for infinities and NaN, which have no place in an answer, and
/// 0 without a sign, so that it equals 0.
///
/// A function of its own, because DataFusion cannot sort by the CASE expression that says the same.
pub fn finite(value: Expr) -> Expr {
    udf().call(vec![value])
}

pub(crate) fn udf() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    ScalarUDF::new_from_impl(Finite { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Finite {
    signature: Signature,
}

impl ScalarUDFImpl for Finite {
    fn name(&self) -> &str {
        "finite"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        let values = values.as_primitive::<Float64Type>();
        let finite: Float64Array = values
            .iter()
            .map(|value| value.filter(|value| value.is_finite()))
            // Arrow takes -0.0 for less than 0.0; the sum of both is 0.0.
            .map(|value| value.map(|value| value + 0.0))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(finite) as Arc<dyn Array>))
    }
}
