//! `pinned`: a value that the optimiser computes and does not reason about.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The value itself. A sort by an expression that a filter makes constant is dropped by one step of
/// DataFusion 55 and missed by the next, which then refuses the plan; of a volatile function no step
/// thinks that it is constant.
pub(crate) fn pinned(value: Expr) -> Expr {
    let signature = Signature::any(1, Volatility::Volatile);
    ScalarUDF::new_from_impl(Pinned { signature }).call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pinned {
    signature: Signature,
}

impl ScalarUDFImpl for Pinned {
    fn name(&self) -> &str {
        "pinned"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args[0].clone())
    }
}
