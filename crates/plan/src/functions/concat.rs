//! `concat`: the texts of a row behind each other, missing ones left out.

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::text_result::TextResult;
use crate::resources::Resources;

/// The texts one after the other.
pub(crate) fn concat(texts: Vec<Expr>, resources: &Resources) -> Expr {
    let function = Concat {
        signature: Signature::variadic_any(Volatility::Immutable),
        resources: resources.clone(),
    };
    ScalarUDF::new_from_impl(function).call(texts)
}

#[derive(Debug)]
struct Concat {
    signature: Signature,
    resources: Resources,
}

impl PartialEq for Concat {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Concat {}

impl std::hash::Hash for Concat {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "concat"
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
        let mut joined = TextResult::new("concat", args.number_rows, &self.resources);
        for row in 0..args.number_rows {
            for part in parts.iter().filter(|part| part.is_valid(row)) {
                joined.write(part.value(row))?;
            }
            joined.end();
        }
        Ok(ColumnarValue::Array(joined.finish()?))
    }
}
