//! `percentile`: nearest rank, exact up to a million values a group, from a t-digest above.

use std::hash::{Hash, Hasher};
use std::mem::size_of_val;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
};
use datafusion_functions_aggregate_common::tdigest::TDigest;

/// The values of a group up to which a percentile is exact.
pub const EXACT_VALUES: usize = 1_000_000;

/// Centroids of the digest; 200 keep the error of a rank well under one percent.
const DIGEST_SIZE: usize = 200;

/// Whether a percentile was estimated while the query ran.
#[derive(Debug, Default)]
pub struct Estimate(AtomicBool);

impl Estimate {
    /// Whether a group was larger than [`EXACT_VALUES`].
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The smallest value that at least `percent` of the group's values do not exceed; `value` is a float.
pub(crate) fn percentile(value: Expr, percent: f64, estimate: Arc<Estimate>) -> Expr {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    AggregateUDF::new_from_impl(Percentile {
        percent,
        estimate,
        signature,
    })
    .call(vec![value])
}

#[derive(Debug)]
struct Percentile {
    percent: f64,
    estimate: Arc<Estimate>,
    signature: Signature,
}

impl PartialEq for Percentile {
    fn eq(&self, other: &Self) -> bool {
        self.percent.to_bits() == other.percent.to_bits()
    }
}

impl Eq for Percentile {}

impl Hash for Percentile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.percent.to_bits().hash(state);
    }
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        "percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(PercentileAccumulator {
            percent: self.percent,
            estimate: Arc::clone(&self.estimate),
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
    estimate: Arc<Estimate>,
    values: Vec<f64>,
    digest: Option<TDigest>,
}

impl PercentileAccumulator {
    fn add(&mut self, values: impl Iterator<Item = f64>) {
        self.values.extend(values);
        if self.values.len() > EXACT_VALUES {
            self.estimate.0.store(true, Ordering::Relaxed);
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
        if let Some(digest) = self.digest.take() {
            let digest = digest.merge_unsorted_f64(std::mem::take(&mut self.values));
            return Ok(ScalarValue::Float64(Some(
                digest.estimate_quantile(self.percent / 100.0),
            )));
        }
        Ok(ScalarValue::Float64(nearest_rank(
            &mut self.values,
            self.percent,
        )))
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
            estimate: Arc::default(),
            values: Vec::new(),
            digest: None,
        }
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
        let state: Vec<ArrayRef> = right
            .state()
            .unwrap()
            .iter()
            .map(|part| part.to_array().unwrap())
            .collect();
        left.merge_batch(&state).unwrap();
        assert_eq!(left.evaluate().unwrap(), ScalarValue::Float64(Some(501.0)));
        assert!(!left.estimate.happened());
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
        let state: Vec<ArrayRef> = right
            .state()
            .unwrap()
            .iter()
            .map(|part| part.to_array().unwrap())
            .collect();
        left.merge_batch(&state).unwrap();
        let ScalarValue::Float64(Some(value)) = left.evaluate().unwrap() else {
            panic!()
        };
        assert!((value - 2_160_000.0).abs() < 24_000.0, "{value}");
        assert!(left.estimate.happened());
    }
}
