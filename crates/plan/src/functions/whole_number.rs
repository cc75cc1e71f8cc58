//! Arithmetic of whole numbers that never wraps around: a result beyond 64 bits is missing, and said.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

use crate::occurrence::Occurrence;

/// What is done with two whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WholeOperator {
    /// `left + right`
    Add,
    /// `left - right`
    Subtract,
    /// `left * right`
    Multiply,
    /// `left % right`, with the sign of `left`; missing for a `right` of 0.
    Remainder,
    /// How far they are apart.
    Distance,
}

impl WholeOperator {
    /// The result; `Err` when it needs more than 64 bits.
    fn apply(self, left: i64, right: i64) -> Result<Option<i64>, TooLarge> {
        let result = match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            Self::Remainder if right == 0 => return Ok(None),
            // Only the smallest number divided by -1 overflows, and its remainder is 0.
            Self::Remainder => Some(left.checked_rem(right).unwrap_or(0)),
            Self::Distance => i64::try_from(left.abs_diff(right)).ok(),
        };
        result.map(Some).ok_or(TooLarge)
    }
}

/// A whole number that does not fit into 64 bits.
#[derive(Debug, PartialEq)]
struct TooLarge;

/// `left operator right` of two whole numbers.
pub(crate) fn whole_number(
    operator: WholeOperator,
    left: Expr,
    right: Expr,
    overflow: Arc<Occurrence>,
) -> Expr {
    let signature = Signature::exact(
        vec![DataType::Int64, DataType::Int64],
        Volatility::Immutable,
    );
    ScalarUDF::new_from_impl(WholeNumber {
        operator,
        overflow,
        signature,
    })
    .call(vec![left, right])
}

/// The exact sum of whole numbers: an aggregate, and what makes a whole number of it again.
pub(crate) struct WholeSum {
    /// The aggregate. Its 128 bits hold the sum of more rows than a table can have.
    pub(crate) aggregate: Expr,
    overflow: Arc<Occurrence>,
}

impl WholeSum {
    /// The sum of `value`.
    pub(crate) fn new(value: Expr, overflow: Arc<Occurrence>) -> Self {
        Self {
            aggregate: sum(cast(value, DataType::Decimal128(20, 0))),
            overflow,
        }
    }

    /// The sum, out of the column of the aggregate.
    pub(crate) fn of_column(self, column: Expr) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        ScalarUDF::new_from_impl(NarrowSum {
            overflow: self.overflow,
            signature,
        })
        .call(vec![column])
    }
}

#[derive(Debug)]
struct WholeNumber {
    operator: WholeOperator,
    overflow: Arc<Occurrence>,
    signature: Signature,
}

impl PartialEq for WholeNumber {
    fn eq(&self, other: &Self) -> bool {
        self.operator == other.operator
    }
}

impl Eq for WholeNumber {}

impl Hash for WholeNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operator.hash(state);
    }
}

impl ScalarUDFImpl for WholeNumber {
    fn name(&self) -> &str {
        match self.operator {
            WholeOperator::Add => "whole_add",
            WholeOperator::Subtract => "whole_subtract",
            WholeOperator::Multiply => "whole_multiply",
            WholeOperator::Remainder => "whole_remainder",
            WholeOperator::Distance => "whole_distance",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let left = args.args[0].to_array(args.number_rows)?;
        let right = args.args[1].to_array(args.number_rows)?;
        let pairs = left
            .as_primitive::<Int64Type>()
            .iter()
            .zip(right.as_primitive::<Int64Type>());
        let results: Int64Array = pairs
            .map(|(left, right)| {
                let (left, right) = left.zip(right)?;
                self.operator.apply(left, right).unwrap_or_else(|TooLarge| {
                    self.overflow.happen();
                    None
                })
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(results) as Arc<dyn Array>))
    }
}

#[derive(Debug)]
struct NarrowSum {
    overflow: Arc<Occurrence>,
    signature: Signature,
}

impl PartialEq for NarrowSum {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for NarrowSum {}

impl Hash for NarrowSum {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for NarrowSum {
    fn name(&self) -> &str {
        "whole_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let sums = args.args[0].to_array(args.number_rows)?;
        let narrowed: Int64Array = sums
            .as_primitive::<Decimal128Type>()
            .iter()
            .map(|sum| {
                let narrow = i64::try_from(sum?);
                if narrow.is_err() {
                    self.overflow.happen();
                }
                narrow.ok()
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(narrowed) as Arc<dyn Array>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WholeOperator::{Add, Distance, Multiply, Remainder, Subtract};

    #[test]
    fn results_are_exact_or_refused() {
        for (operator, left, right, expected) in [
            (Add, i64::MAX - 1, 1, Ok(Some(i64::MAX))),
            (Add, i64::MAX, 1, Err(TooLarge)),
            (Subtract, i64::MIN, 1, Err(TooLarge)),
            (Multiply, 3_037_000_500, 3_037_000_500, Err(TooLarge)),
            (Multiply, -4, 5, Ok(Some(-20))),
            (Remainder, -7, 3, Ok(Some(-1))),
            (Remainder, 7, 0, Ok(None)),
            (Remainder, i64::MIN, -1, Ok(Some(0))),
            (Distance, 3, 10, Ok(Some(7))),
            (Distance, i64::MIN, 0, Err(TooLarge)),
        ] {
            assert_eq!(operator.apply(left, right), expected, "{operator:?}");
        }
    }
}
