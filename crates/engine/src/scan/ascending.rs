//! Functions that are evaluated for some of ascending numbers only, because they never fall: what they give for
//! two numbers, they give for all between these if it is the same.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use store::Rows;

use super::expression::{ColumnExpr, Values};

/// One number in so many is looked at first.
const STRIDE: usize = 64;

/// Whether an expression is a function of one column of numbers that never falls where the column does not.
pub(super) fn never_falls(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
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
    let given = function.fun().output_ordering(&[argument])?;
    Ok(given == ascending)
}

/// What such a function gives for some of ascending numbers, of which there is at least one; `None` when its
/// results are no numbers.
pub(super) fn evaluate(expr: &ColumnExpr, numbers: &[i64], rows: &Rows) -> Result<Option<Values>> {
    let of_places = |places: &[usize]| -> Result<Option<Int64Array>> {
        let numbers = places.iter().map(|place| numbers[rows.get(*place)]);
        let numbers: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
        let results = expr.of_rows(vec![numbers], places.len())?;
        let results = results.as_primitive_opt::<Int64Type>();
        Ok(results.filter(|results| results.null_count() == 0).cloned())
    };
    let last = rows.len() - 1;
    let looked_at: Vec<usize> = (0..last).step_by(STRIDE).chain([last]).collect();
    let Some(samples) = of_places(&looked_at)? else {
        return Ok(None);
    };
    if samples.value(0) == samples.value(samples.len() - 1) {
        return Ok(Some(Values::Same(Arc::new(samples.slice(0, 1)))));
    }
    // Between two samples that differ every number has to be looked at.
    let between = looked_at.windows(2).zip(samples.values().windows(2));
    let between = between
        .filter(|(_, results)| results[0] != results[1])
        .flat_map(|(places, _)| places[0] + 1..places[1]);
    let between: Vec<usize> = between.collect();
    let Some(others) = of_places(&between)? else {
        return Ok(None);
    };
    let known = looked_at.iter().zip(samples.values());
    let mut known: Vec<(usize, i64)> = known
        .chain(between.iter().zip(others.values()))
        .map(|(place, result)| (*place, *result))
        .collect();
    known.sort_unstable();
    Ok(Some(runs(&known, rows.len())))
}

/// Values of `rows` rows, of which those are known behind which another value may come.
fn runs(known: &[(usize, i64)], rows: usize) -> Values {
    let mut codes: Vec<u32> = Vec::with_capacity(rows);
    let mut different: Vec<i64> = Vec::new();
    for (place, result) in known {
        if different.last() != Some(result) {
            codes.resize(*place, different.len().saturating_sub(1) as u32);
            different.push(*result);
        }
    }
    codes.resize(rows, different.len().saturating_sub(1) as u32);
    Values::Coded {
        codes,
        dictionary: Arc::new(Int64Array::from(different)),
    }
}
