//! Evaluates monotonic functions on sorted input by sampling: if two samples agree, so does everything between.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::column_expr::{ColumnExpr, Values};
use crate::column_cache::RowSelection;

/// The distance between samples.
const STRIDE: usize = 64;

/// Whether an expression is a function of one column, and non-decreasing where the column is.
pub(super) fn is_monotonic(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() else {
        return Ok(false);
    };
    let [argument] = function.args() else {
        return Ok(false);
    };
    if !argument.is::<Column>() {
        return Ok(false);
    }
    let ascending = SortProperties::Ordered(SortOptions::default());
    let argument = ExprProperties {
        sort_properties: ascending,
        range: Interval::make_unbounded(&arrow::datatypes::DataType::Int64)?,
        preserves_lex_ordering: false,
        strictly_order_preserving: false,
    };
    let output = function.fun().output_ordering(&[argument])?;
    Ok(output == ascending)
}

/// The results of a monotonic function for at least one of ascending numbers; `None` when they are not all numbers.
pub(super) fn evaluate(
    expr: &ColumnExpr,
    numbers: &[i64],
    rows: &RowSelection,
) -> Result<Option<Values>> {
    let evaluate_at = |indices: &[usize]| -> Result<Option<Int64Array>> {
        let numbers = indices.iter().map(|index| numbers[rows.get(*index)]);
        let numbers: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
        let results = expr.evaluate_rows(vec![numbers], indices.len())?;
        let results = results.as_primitive_opt::<Int64Type>();
        Ok(results.filter(|results| results.null_count() == 0).cloned())
    };
    let last = rows.len() - 1;
    let sampled: Vec<usize> = (0..last).step_by(STRIDE).chain([last]).collect();
    let Some(samples) = evaluate_at(&sampled)? else {
        return Ok(None);
    };
    if samples.value(0) == samples.value(samples.len() - 1) {
        return Ok(Some(Values::Scalar(Arc::new(samples.slice(0, 1)))));
    }
    // Between two samples that differ, every number is evaluated.
    let between = sampled.windows(2).zip(samples.values().windows(2));
    let between = between
        .filter(|(_, results)| results[0] != results[1])
        .flat_map(|(indices, _)| indices[0] + 1..indices[1]);
    let between: Vec<usize> = between.collect();
    let Some(others) = evaluate_at(&between)? else {
        return Ok(None);
    };
    let known = sampled.iter().zip(samples.values());
    let mut known: Vec<(usize, i64)> = known
        .chain(between.iter().zip(others.values()))
        .map(|(index, result)| (*index, *result))
        .collect();
    known.sort_unstable();
    Ok(Some(runs(&known, rows.len())))
}

/// The values of `rows` rows from the known ones: a row has the value of the last known row before it.
fn runs(known: &[(usize, i64)], rows: usize) -> Values {
    let mut keys: Vec<u32> = Vec::with_capacity(rows);
    let mut distinct: Vec<i64> = Vec::new();
    for (index, result) in known {
        if distinct.last() != Some(result) {
            keys.resize(*index, distinct.len().saturating_sub(1) as u32);
            distinct.push(*result);
        }
    }
    keys.resize(rows, distinct.len().saturating_sub(1) as u32);
    Values::Dictionary {
        keys,
        dictionary: Arc::new(Int64Array::from(distinct)),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::config::ConfigOptions;
    use datafusion::logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    };

    use super::*;

    /// A number without its last digits.
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Rounded {
        to: i64,
        is_monotonic: bool,
        signature: Signature,
    }

    impl ScalarUDFImpl for Rounded {
        fn name(&self) -> &str {
            "rounded"
        }

        fn signature(&self) -> &Signature {
            &self.signature
        }

        fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
            Ok(DataType::Int64)
        }

        fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
            Ok(match self.is_monotonic {
                true => inputs[0].sort_properties,
                false => SortProperties::Unordered,
            })
        }

        fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
            let numbers = args.args[0].to_array(args.number_rows)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            let rounded: Int64Array = numbers.unary(|number| number - number.rem_euclid(self.to));
            Ok(ColumnarValue::Array(Arc::new(rounded)))
        }
    }

    fn rounded(to: i64, is_monotonic: bool) -> ColumnExpr {
        let schema = Arc::new(Schema::new(vec![Field::new("date", DataType::Int64, true)]));
        let function = ScalarUDF::new_from_impl(Rounded {
            to,
            is_monotonic,
            signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable),
        });
        let date: Arc<dyn PhysicalExpr> = Arc::new(Column::new("date", 0));
        let options = Arc::new(ConfigOptions::default());
        let call = ScalarFunctionExpr::try_new(Arc::new(function), vec![date], &schema, options);
        ColumnExpr::new(&(Arc::new(call.unwrap()) as _), &schema).unwrap()
    }

    fn values(expr: &ColumnExpr, numbers: &[i64], rows: &RowSelection) -> Vec<i64> {
        let values = evaluate(expr, numbers, rows).unwrap().unwrap();
        let values = values.into_array(rows.len()).unwrap();
        values.as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn sampling_equals_evaluation_of_every_row() {
        // Gaps of all sizes, and repeated numbers.
        let mut numbers = vec![-1000_i64];
        for step in 0..5_000 {
            numbers.push(
                numbers[step] + [0, 0, 1, 3, 0, 7, 250, 0][step % 8] * i64::from(step % 97 < 60),
            );
        }
        let all = 0..numbers.len();
        let ranges: [Range<usize>; 5] = [all, 0..1, 63..64, 10..200, 1_000..1_130];
        let lists = [vec![0], vec![3, 4, 900], (0..5_000).step_by(3).collect()];
        let rows = ranges.map(RowSelection::Range).into_iter();
        for rows in rows.chain(lists.map(RowSelection::List)) {
            for to in [1, 10, 1_000, 1_000_000] {
                let expected = rows
                    .iter()
                    .map(|row| numbers[row] - numbers[row].rem_euclid(to));
                let expected: Vec<i64> = expected.collect();
                assert_eq!(
                    values(&rounded(to, true), &numbers, &rows),
                    expected,
                    "{to}, {rows:?}"
                );
            }
        }
    }

    #[test]
    fn one_result_for_all_rows_is_a_scalar() {
        let numbers: Vec<i64> = (0..1_000).collect();
        let rows = RowSelection::Range(0..1_000);
        let same = evaluate(&rounded(1_000, true), &numbers, &rows).unwrap();
        assert!(matches!(same, Some(Values::Scalar(_))));
        let two = evaluate(&rounded(999, true), &numbers, &rows).unwrap();
        assert!(matches!(two, Some(Values::Dictionary { .. })));
    }

    #[test]
    fn only_monotonic_functions_are_sampled() {
        assert_eq!(rounded(10, true).monotonic_in(), Some(0));
        assert_eq!(rounded(10, false).monotonic_in(), None);
    }
}
