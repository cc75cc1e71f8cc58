//! `pinned`: a value that the optimiser computes and does not reason about.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

/// The value itself. A sort by an expression that a filter or a literal makes constant is dropped by one
/// step of DataFusion 55 and missed by the next, which then refuses the plan. What is computed of
/// constants counts as one even when it is volatile, so beside the value stands a call without arguments,
/// which does not.
pub fn pinned(value: Expr) -> Expr {
    let anything = anything_udf().call(vec![]);
    udf("pinned").call(vec![value, anything])
}

/// Like [`pinned`], for the test of a filter on `input`. A test that names no column could be moved below
/// a summary of all rows, which gives a row even of nothing, so this one names a column of `input`.
pub fn pinned_test(test: Expr, input: &LogicalPlan) -> Expr {
    let test = pinned(test);
    if input.schema().fields().is_empty() {
        return test;
    }
    let column = Expr::Column(input.schema().qualified_field(0).into());
    udf("pinned_test").call(vec![test, column])
}

/// Nothing that the optimiser knows.
pub(crate) fn anything_udf() -> ScalarUDF {
    Pinned::udf("anything", Signature::nullary(Volatility::Volatile))
}

pub(crate) fn udf(name: &'static str) -> ScalarUDF {
    let signature = Signature::new(TypeSignature::Any(2), Volatility::Volatile);
    Pinned::udf(name, signature)
}

/// Returns its first argument; nothing without one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pinned {
    name: &'static str,
    signature: Signature,
}

impl Pinned {
    fn udf(name: &'static str, signature: Signature) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { name, signature })
    }
}

impl ScalarUDFImpl for Pinned {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let nothing = ColumnarValue::Scalar(ScalarValue::Null);
        Ok(args.args.first().cloned().unwrap_or(nothing))
    }
}
