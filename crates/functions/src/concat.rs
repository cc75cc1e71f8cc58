//! `concat`: the texts of a row after each other, missing ones left out.

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::text_result::TextResult;

/// Not DataFusion's `concat`, which has no bound.
const NAME: &str = "concat_texts";

/// The texts one after the other.
pub fn concat(texts: Vec<Expr>) -> Expr {
    udf().call(texts)
}

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(Concat {
        signature: Signature::variadic_any(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = |value: &ColumnarValue| {
            let array = value.to_array(args.number_rows)?;
            Ok(cast(&array, &DataType::Utf8View)?)
        };
        let parts = args
            .args
            .iter()
            .map(texts)
            .collect::<Result<Vec<ArrayRef>>>()?;
        let parts: Vec<&StringViewArray> = parts.iter().map(|part| part.as_string_view()).collect();
        let mut joined = TextResult::new("concat", &args);
        for row in 0..args.number_rows {
            for part in parts.iter().filter(|part| part.is_valid(row)) {
                joined.write(part.value(row))?;
            }
            joined.end();
        }
        Ok(ColumnarValue::Array(joined.finish()?))
    }
}
