//! `bucket`: the interval of a histogram that a number lies in.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::bound::Buckets;
use crate::occurrence::Occurrence;

/// The left edge of the interval in which a float lies; missing when it lies in none, which happens
/// `outside`.
pub(crate) fn bucket(value: Expr, buckets: Buckets, outside: Arc<Occurrence>) -> Expr {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    ScalarUDF::new_from_impl(Bucket {
        buckets,
        outside,
        signature,
    })
    .call(vec![value])
}

#[derive(Debug)]
struct Bucket {
    buckets: Buckets,
    outside: Arc<Occurrence>,
    signature: Signature,
}

impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        self.buckets == other.buckets
    }
}

impl Eq for Bucket {}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.buckets.hash(state);
    }
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &str {
        "bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        let edges: Int64Array = values
            .as_primitive::<Float64Type>()
            .iter()
            .map(|value| {
                let edge = self.buckets.of(value?);
                if edge.is_none() {
                    self.outside.happen();
                }
                edge
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(edges) as Arc<dyn Array>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_half_open() {
        let buckets = Buckets {
            start: -5,
            end: 12,
            width: 5,
        };
        assert_eq!(buckets.edges().collect::<Vec<_>>(), [-5, 0, 5, 10]);
        for (value, expected) in [
            (-5.1, None),
            (-5.0, Some(-5)),
            (-0.1, Some(-5)),
            (0.0, Some(0)),
            (4.999, Some(0)),
            (11.9, Some(10)),
            (12.0, None),
        ] {
            assert_eq!(buckets.of(value), expected, "{value}");
        }
    }
}
