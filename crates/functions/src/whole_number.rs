//! Arithmetic of whole numbers that never wraps around: a result beyond 64 bits is missing, and said.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

use crate::notes::{self, NoteId};

/// What is done with two whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WholeOperator {
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
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::Remainder,
        Self::Distance,
    ];

    pub(crate) fn udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(WholeNumber {
            operator: self,
            signature: Signature::any(3, Volatility::Immutable),
        })
    }

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

/// `left operator right` of two whole numbers; missing where the result needs more than 64 bits, which `overflow`
/// notes.
pub fn whole_number(operator: WholeOperator, left: Expr, right: Expr, overflow: NoteId) -> Expr {
    operator.udf().call(vec![left, right, overflow.literal()])
}

/// The index of the note among the arguments of [`whole_number`].
pub(crate) const NUMBER_NOTE: usize = 2;
/// The same for [`narrowed`].
pub(crate) const NARROWED_NOTE: usize = 1;

/// The exact sum of whole numbers, for [`narrowed`]: its 128 bits hold the sum of more rows than a table can have.
pub fn wide_sum(value: Expr) -> Expr {
    sum(cast(value, DataType::Decimal128(20, 0)))
}

/// A whole number of 128 bits as one of 64; missing where it needs more, which `overflow` notes.
pub fn narrowed(wide: Expr, overflow: NoteId) -> Expr {
    narrowed_udf().call(vec![wide, overflow.literal()])
}

pub(crate) fn narrowed_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(Narrowed {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WholeNumber {
    operator: WholeOperator,
    signature: Signature,
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
        let mut overflows = 0;
        let results: Int64Array = pairs
            .map(|(left, right)| {
                let (left, right) = left.zip(right)?;
                self.operator.apply(left, right).unwrap_or_else(|TooLarge| {
                    overflows += 1;
                    None
                })
            })
            .collect();
        notes::count(&args, NUMBER_NOTE, overflows);
        Ok(ColumnarValue::Array(Arc::new(results) as Arc<dyn Array>))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Narrowed {
    signature: Signature,
}

impl ScalarUDFImpl for Narrowed {
    fn name(&self) -> &str {
        "whole_narrowed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wide = args.args[0].to_array(args.number_rows)?;
        let wide = wide.as_primitive::<Decimal128Type>();
        let narrowed: Int64Array = wide.iter().map(|wide| i64::try_from(wide?).ok()).collect();
        let overflows = narrowed.null_count() - wide.null_count();
        notes::count(&args, NARROWED_NOTE, overflows);
        Ok(ColumnarValue::Array(Arc::new(narrowed) as Arc<dyn Array>))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use arrow::datatypes::Field;
    use datafusion::common::config::ConfigOptions;
    use datafusion::execution::memory_pool::UnboundedMemoryPool;
    use datafusion::logical_expr::lit;

    use super::*;
    use crate::notes::NoteMetrics;
    use crate::options::FunctionOptions;
    use WholeOperator::{Add, Distance, Multiply, Remainder, Subtract};

    /// What a call of `left + 1` returns, and the rows and overflows that its note has after it.
    fn added(notes: &NoteMetrics, note: NoteId, left: &[i64]) -> (ColumnarValue, [usize; 2]) {
        let mut config = ConfigOptions::default();
        config.extensions.insert(FunctionOptions {
            pool: Arc::new(UnboundedMemoryPool::default()),
            notes: notes.clone(),
        });
        let Expr::ScalarFunction(call) = whole_number(Add, lit(0_i64), lit(1_i64), note) else {
            panic!("a function is called")
        };
        let literals = call.args[1..].iter().map(|argument| match argument {
            Expr::Literal(value, _) => ColumnarValue::Scalar(value.clone()),
            other => panic!("{other} is no literal"),
        });
        let left: ArrayRef = Arc::new(Int64Array::from(left.to_vec()));
        let field = Arc::new(Field::new("number", DataType::Int64, true));
        let number_rows = left.len();
        let args: Vec<ColumnarValue> = std::iter::once(ColumnarValue::Array(left))
            .chain(literals)
            .collect();
        let result = call.func.invoke_with_args(ScalarFunctionArgs {
            arg_fields: vec![Arc::clone(&field); args.len()],
            args,
            number_rows,
            return_field: field,
            config_options: Arc::new(config),
        });
        (result.unwrap(), [notes.rows(note), notes.met(note)])
    }

    #[test]
    fn overflows_are_counted_in_the_metrics_of_their_note() {
        let (note, other) = (NoteId::new(0, 0), NoteId::new(1, 1));
        let notes = NoteMetrics::new([note, other]);
        assert_eq!(added(&notes, note, &[1, 2]).1, [2, 0]);
        let (sums, counts) = added(&notes, note, &[i64::MAX, 3, i64::MAX]);
        assert_eq!(counts, [5, 2]);
        assert_eq!(sums.to_array(3).unwrap().null_count(), 2);
        assert_eq!((notes.rows(other), notes.met(other)), (0, 0));
        // A note that the question does not have is counted nowhere.
        assert_eq!(added(&notes, NoteId::new(0, 7), &[i64::MAX]).1, [0, 0]);
    }

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
