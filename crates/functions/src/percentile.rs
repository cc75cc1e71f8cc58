//! `percentile`: nearest rank, exact up to a million values a group, from a t-digest above.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion_functions_aggregate_common::tdigest::TDigest;

use crate::literals;
use crate::notes::{self, NoteId};

/// The values of a group up to which a percentile is exact.
pub const EXACT_VALUES: usize = 1_000_000;

/// Centroids of the digest; 200 keep the error of a rank well under one percent.
const DIGEST_SIZE: usize = 200;

/// The smallest value that at least `percent` of the group's values do not exceed, as a structure for
/// [`percentile_value`]; `value` is a float.
pub fn percentile(value: Expr, percent: f64) -> Expr {
    udf().call(vec![value, lit(percent)])
}

pub(crate) fn udf() -> AggregateUDF {
    let float = DataType::Float64;
    AggregateUDF::new_from_impl(Percentile {
        signature: Signature::exact(vec![float.clone(), float], Volatility::Immutable),
    })
}

/// The value of a [`percentile`]; `estimated` notes that it was estimated.
pub fn percentile_value(percentile: Expr, estimated: NoteId) -> Expr {
    value_udf().call(vec![percentile, estimated.literal()])
}

pub(crate) fn value_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(PercentileValue {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

/// The index of the note among the arguments of `percentile_value`.
pub(crate) const NOTE: usize = 1;

/// What an estimated percentile is: its value, and whether it is an estimate.
fn fields() -> Fields {
    Fields::from(vec![
        Field::new("value", DataType::Float64, true),
        Field::new("is_estimated", DataType::Boolean, true),
    ])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PercentileValue {
    signature: Signature,
}

impl ScalarUDFImpl for PercentileValue {
    fn name(&self) -> &str {
        "percentile_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let percentiles = args.args[0].to_array(args.number_rows)?;
        let [value, is_estimated] = percentiles.as_struct().columns() else {
            return exec_err!("a percentile is a value and whether it is an estimate");
        };
        notes::count(&args, NOTE, is_estimated.as_boolean().true_count());
        Ok(ColumnarValue::Array(Arc::clone(value)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    signature: Signature,
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        "percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(PercentileAccumulator {
            percent: literals::float_of_expressions(args.exprs, 1)?,
            values: Vec::new(),
            digest: None,
        }))
    }

    /// The exact values, then the digest's centroids as means and weights.
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let floats = DataType::new_list(DataType::Float64, true);
        Ok(["values", "means", "weights"]
            .map(|part| {
                Arc::new(Field::new(
                    format!("{}[{part}]", args.name),
                    floats.clone(),
                    true,
                ))
            })
            .to_vec())
    }
}

#[derive(Debug)]
struct PercentileAccumulator {
    percent: f64,
    values: Vec<f64>,
    digest: Option<TDigest>,
}

impl PercentileAccumulator {
    fn add(&mut self, values: impl Iterator<Item = f64>) {
        self.values.extend(values);
        if self.values.len() > EXACT_VALUES {
            let digest = self
                .digest
                .take()
                .unwrap_or_else(|| TDigest::new(DIGEST_SIZE));
            self.digest = Some(digest.merge_unsorted_f64(std::mem::take(&mut self.values)));
        }
    }
}

impl Accumulator for PercentileAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values[0].as_primitive::<Float64Type>().iter().flatten());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let is_estimated = self.digest.is_some();
        let value = match self.digest.take() {
            Some(digest) => {
                let digest = digest.merge_unsorted_f64(std::mem::take(&mut self.values));
                Some(digest.estimate_quantile(self.percent / 100.0))
            }
            None => nearest_rank(&mut self.values, self.percent),
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![value])),
            Arc::new(BooleanArray::from(vec![is_estimated])),
        ];
        let percentile = StructArray::try_new(fields(), columns, None)?;
        Ok(ScalarValue::Struct(Arc::new(percentile)))
    }

    fn size(&self) -> usize {
        let digest = self.digest.as_ref().map_or(0, TDigest::size);
        size_of_val(self) + self.values.capacity() * size_of::<f64>() + digest
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let centroids = self.digest.as_ref().map_or(&[][..], TDigest::centroids);
        let means = centroids.iter().map(|centroid| centroid.mean());
        let weights = centroids.iter().map(|centroid| centroid.weight());
        Ok(vec![
            float_list(std::mem::take(&mut self.values)),
            float_list(means.collect()),
            float_list(weights.collect()),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, means, weights] = states else {
            return Ok(());
        };
        for row in 0..values.len() {
            let exact = values.as_list::<i32>().value(row);
            self.add(exact.as_primitive::<Float64Type>().iter().flatten());
            let means = means.as_list::<i32>().value(row);
            if means.is_empty() {
                continue;
            }
            let weights = weights.as_list::<i32>().value(row);
            let other = digest_of(&means, &weights)?;
            let own = self
                .digest
                .take()
                .unwrap_or_else(|| TDigest::new(DIGEST_SIZE));
            self.digest = Some(TDigest::merge_digests([&own, &other]));
        }
        Ok(())
    }
}

fn digest_of(means: &ArrayRef, weights: &ArrayRef) -> Result<TDigest> {
    // Both halves have the same type, so one array checks and carries them.
    let both = concat(&[means.as_ref(), weights.as_ref()])?;
    let both = both.as_primitive::<Float64Type>().values();
    let (means, weights) = both.split_at(means.len());
    let digests: Vec<TDigest> = means
        .iter()
        .zip(weights)
        .map(|(mean, weight)| {
            let centroid =
                datafusion_functions_aggregate_common::tdigest::Centroid::new(*mean, *weight);
            TDigest::new_with_centroid(DIGEST_SIZE, centroid)
        })
        .collect();
    Ok(TDigest::merge_digests(&digests))
}

fn float_list(values: Vec<f64>) -> ScalarValue {
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let lengths = OffsetBuffer::from_lengths([values.len()]);
    let values = Arc::new(Float64Array::from(values));
    ScalarValue::List(Arc::new(ListArray::new(item, lengths, values, None)))
}

fn nearest_rank(values: &mut [f64], percent: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    // In this order of operations every whole percentage is exact.
    let rank = (percent * values.len() as f64 / 100.0).ceil() as usize;
    let index = rank.clamp(1, values.len()) - 1;
    let (_, value, _) = values.select_nth_unstable_by(index, f64::total_cmp);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accumulator(percent: f64) -> PercentileAccumulator {
        PercentileAccumulator {
            percent,
            values: Vec::new(),
            digest: None,
        }
    }

    fn evaluated(accumulator: &mut PercentileAccumulator) -> (f64, bool) {
        let ScalarValue::Struct(percentile) = accumulator.evaluate().unwrap() else {
            panic!()
        };
        let value = percentile.column(0).as_primitive::<Float64Type>().value(0);
        (value, percentile.column(1).as_boolean().value(0))
    }

    /// Adds the state of `right` to `left`.
    fn merge(left: &mut PercentileAccumulator, right: &mut PercentileAccumulator) {
        let state = right.state().unwrap();
        let state: Vec<ArrayRef> = state.iter().map(|part| part.to_array().unwrap()).collect();
        left.merge_batch(&state).unwrap();
    }

    fn array(values: impl Iterator<Item = f64>) -> ArrayRef {
        Arc::new(values.collect::<Float64Array>())
    }

    #[test]
    fn nearest_rank_is_one_of_the_values() {
        let mut values = [15.0, 20.0, 35.0, 40.0, 50.0];
        for (percent, expected) in [
            (0.0, 15.0),
            (5.0, 15.0),
            (30.0, 20.0),
            (40.0, 20.0),
            (50.0, 35.0),
            (100.0, 50.0),
        ] {
            assert_eq!(nearest_rank(&mut values, percent), Some(expected));
        }
        assert_eq!(nearest_rank(&mut [], 50.0), None);
        let mut hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for percent in 1..=100 {
            let percent = f64::from(percent);
            assert_eq!(nearest_rank(&mut hundred, percent), Some(percent));
        }
    }

    #[test]
    fn parts_merge_exactly() {
        let mut left = accumulator(50.0);
        left.update_batch(&[array((1..=600).map(f64::from))])
            .unwrap();
        let mut right = accumulator(50.0);
        right
            .update_batch(&[array((601..=1001).map(f64::from))])
            .unwrap();
        merge(&mut left, &mut right);
        assert_eq!(evaluated(&mut left), (501.0, false));
    }

    #[test]
    fn a_large_group_is_estimated_and_says_so() {
        let mut left = accumulator(90.0);
        let mut right = accumulator(90.0);
        left.update_batch(&[array((0..1_200_000).map(f64::from))])
            .unwrap();
        right
            .update_batch(&[array((1_200_000..2_400_000).map(f64::from))])
            .unwrap();
        merge(&mut left, &mut right);
        let (value, is_estimated) = evaluated(&mut left);
        assert!((value - 2_160_000.0).abs() < 24_000.0, "{value}");
        assert!(is_estimated);
    }
}
