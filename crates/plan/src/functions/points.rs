//! Functions of the points of a series: each point beside those before it, or beside all of them.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};

use super::moving_average::moving_average;
use crate::occurrence::Occurrence;
use crate::types::Type;

/// How many standard deviations of a normal distribution its median absolute deviation is short of.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// What is computed of the points of a series, which are its values that are there. A point that has no
/// result keeps its row, and so does a missing value, which is no point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PointFunction {
    /// The step from the point before; none at the first.
    Difference,
    /// The same, none where it falls.
    RisingDifference,
    /// The step from the point before by second; none at the first, nor where no time passed.
    Derivative,
    /// The same, none where it falls.
    RisingDerivative,
    /// The mean of so many points, this one the last; none before there are as many.
    MovingAverage(usize),
    /// The sum up to this point.
    RunningSum,
    /// The exponentially weighted mean with this weight of the newest point.
    SmoothedMean(f64),
    /// The distance from the mean in standard deviations of the population; none where all are equal.
    DeviationsFromMean,
    /// The distance from the median in median absolute deviations, scaled so that they are standard
    /// deviations where values are distributed normally; none where that deviation is 0. The median of
    /// an even number of values is the mean of the two in the middle.
    DeviationsFromMedian,
}

impl PointFunction {
    /// The type of the result for values of a type of numbers: whole numbers add up to whole numbers.
    pub(crate) fn result_type(self, value_type: Type) -> Type {
        match self {
            Self::Difference | Self::RisingDifference | Self::RunningSum => value_type,
            _ => Type::Float,
        }
    }
}

impl Eq for PointFunction {}

impl Hash for PointFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        discriminant(self).hash(state);
        match self {
            Self::MovingAverage(size) => size.hash(state),
            Self::SmoothedMean(weight) => weight.to_bits().hash(state),
            _ => {}
        }
    }
}

/// The window function of a function of points. It takes the value, a whole number or a float, and the
/// time in Unix milliseconds; the order of the window is that of the points. A whole number beyond 64 bits
/// is missing, and `overflow` happens.
pub(crate) fn along_points(function: PointFunction, overflow: Arc<Occurrence>) -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(AlongPoints {
        function,
        overflow,
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

#[derive(Debug)]
struct AlongPoints {
    function: PointFunction,
    overflow: Arc<Occurrence>,
    signature: Signature,
}

impl PartialEq for AlongPoints {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for AlongPoints {}

impl Hash for AlongPoints {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl WindowUDFImpl for AlongPoints {
    fn name(&self) -> &str {
        "along_points"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Series {
            function: self.function,
            overflow: Arc::clone(&self.overflow),
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let whole = args
            .get_input_field(0)
            .is_some_and(|value| *value.data_type() == DataType::Int64);
        let value_type = self
            .function
            .result_type(if whole { Type::Int } else { Type::Float });
        let data_type = match value_type {
            Type::Int => DataType::Int64,
            _ => DataType::Float64,
        };
        Ok(Arc::new(Field::new(args.name(), data_type, true)))
    }
}

/// The points of one group.
#[derive(Debug)]
struct Series {
    function: PointFunction,
    overflow: Arc<Occurrence>,
}

impl PartitionEvaluator for Series {
    fn evaluate_all(&mut self, values: &[ArrayRef], _num_rows: usize) -> Result<ArrayRef> {
        let times = values[1].as_primitive::<Int64Type>();
        let is_whole = *values[0].data_type() == DataType::Int64;
        if is_whole && self.function.result_type(Type::Int) == Type::Int {
            let numbers = values[0].as_primitive::<Int64Type>();
            let (points, _) = points(numbers, times);
            let fits = |result: Option<i128>| {
                let narrow = i64::try_from(result?).ok();
                if narrow.is_none() {
                    self.overflow.happen();
                }
                narrow
            };
            let results = whole(self.function, &points).into_iter().map(fits);
            let results: Int64Array = spread(numbers, results.collect());
            return Ok(Arc::new(results));
        }
        let floats = arrow::compute::cast(&values[0], &DataType::Float64)?;
        let numbers = floats.as_primitive::<Float64Type>();
        let (points, times) = points(numbers, times);
        let results: Float64Array = spread(numbers, fractional(self.function, &points, &times));
        Ok(Arc::new(results))
    }
}

/// The values that are there, and their times.
fn points<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    times: &Int64Array,
) -> (Vec<T::Native>, Vec<Option<i64>>) {
    let present = values.iter().zip(times);
    present
        .filter_map(|(value, time)| value.map(|value| (value, time)))
        .unzip()
}

/// The results of the points at the rows of the points.
fn spread<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    results: Vec<Option<T::Native>>,
) -> PrimitiveArray<T> {
    let mut results = results.into_iter();
    values
        .iter()
        .map(|value| value.and_then(|_| results.next().flatten()))
        .collect()
}

/// The functions that keep numbers whole. 128 bits hold the sum of more points than there can be.
fn whole(function: PointFunction, points: &[i64]) -> Vec<Option<i128>> {
    match function {
        PointFunction::RunningSum => {
            let mut total = 0;
            let sum = |point: &i64| {
                total += i128::from(*point);
                Some(total)
            };
            points.iter().map(sum).collect()
        }
        _ => {
            let rising = function == PointFunction::RisingDifference;
            let difference = |before: usize, here: usize| {
                let step = i128::from(points[here]) - i128::from(points[before]);
                (!rising || step >= 0).then_some(step)
            };
            from_before(points.len(), difference)
        }
    }
}

fn fractional(function: PointFunction, points: &[f64], times: &[Option<i64>]) -> Vec<Option<f64>> {
    let difference = |before: usize, here: usize| Some(points[here] - points[before]);
    let derivative = |before: usize, here: usize| {
        let passed_ms = times[here]?.checked_sub(times[before]?)?;
        (passed_ms != 0).then(|| (points[here] - points[before]) / (passed_ms as f64 / 1000.0))
    };
    let rising = |step: Option<f64>| step.filter(|step| *step >= 0.0);
    let count = points.len();
    let results = match function {
        PointFunction::Difference => from_before(count, difference),
        PointFunction::RisingDifference => {
            from_before(count, |before, here| rising(difference(before, here)))
        }
        PointFunction::Derivative => from_before(count, derivative),
        PointFunction::RisingDerivative => {
            from_before(count, |before, here| rising(derivative(before, here)))
        }
        PointFunction::MovingAverage(size) => moving_average(points, size),
        PointFunction::RunningSum => {
            let mut total = 0.0;
            let sum = |point: &f64| {
                total += point;
                Some(total)
            };
            points.iter().map(sum).collect()
        }
        PointFunction::SmoothedMean(weight) => smoothed(points, weight),
        PointFunction::DeviationsFromMean => deviations_from_mean(points),
        PointFunction::DeviationsFromMedian => deviations_from_median(points),
    };
    // An answer has no word for infinity, and -0.0 equals 0.0.
    let finite = |result: Option<f64>| result.filter(|number| number.is_finite());
    results
        .into_iter()
        .map(|result| finite(result).map(|number| number + 0.0))
        .collect()
}

/// A result of each point and the one before it; none at the first.
fn from_before<T>(count: usize, result: impl Fn(usize, usize) -> Option<T>) -> Vec<Option<T>> {
    (0..count)
        .map(|here| here.checked_sub(1).and_then(|before| result(before, here)))
        .collect()
}

fn smoothed(points: &[f64], weight: f64) -> Vec<Option<f64>> {
    let mut mean: Option<f64> = None;
    let smooth = |point: &f64| {
        mean = Some(mean.map_or(*point, |before| weight * point + (1.0 - weight) * before));
        mean
    };
    points.iter().map(smooth).collect()
}

fn deviations_from_mean(points: &[f64]) -> Vec<Option<f64>> {
    let count = points.len() as f64;
    let mean = points.iter().sum::<f64>() / count;
    let variance = points
        .iter()
        .map(|point| (point - mean).powi(2))
        .sum::<f64>()
        / count;
    let deviation = variance.sqrt();
    // The mean of equal values may differ from them by a rounding.
    let all_equal = points.windows(2).all(|pair| pair[0] == pair[1]);
    points
        .iter()
        .map(|point| (!all_equal).then(|| (point - mean) / deviation))
        .collect()
}

fn deviations_from_median(points: &[f64]) -> Vec<Option<f64>> {
    let Some(center) = median(points.to_vec()) else {
        return Vec::new();
    };
    let distances: Vec<f64> = points.iter().map(|point| (point - center).abs()).collect();
    let deviation = median(distances.clone()).filter(|deviation| *deviation > 0.0);
    distances
        .into_iter()
        .map(|distance| deviation.map(|deviation| distance / (MAD_TO_DEVIATION * deviation)))
        .collect()
}

/// The value in the middle, or the mean of both. The nearest rank, which the aggregate `median` gives,
/// would leave a deviation of 0 to half of all short series.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(lower + (upper - lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use dql::{Diagnostic, Span};

    use super::*;

    fn series(function: PointFunction) -> Series {
        let warning = Diagnostic::warning("number_overflow", "", Span::default());
        Series {
            function,
            overflow: Arc::new(Occurrence::new(warning)),
        }
    }

    fn run(function: PointFunction, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let times: Int64Array = (0..values.len() as i64)
            .map(|second| Some(second * 2000))
            .collect();
        let values: Float64Array = values.iter().copied().collect();
        let results = series(function)
            .evaluate_all(&[Arc::new(values), Arc::new(times)], 0)
            .unwrap();
        results.as_primitive::<Float64Type>().iter().collect()
    }

    const VALUES: [Option<f64>; 5] = [Some(1.0), Some(4.0), None, Some(2.0), Some(6.0)];

    #[test]
    fn a_missing_value_is_no_point_and_keeps_its_row() {
        assert_eq!(
            run(PointFunction::Difference, &VALUES),
            [None, Some(3.0), None, Some(-2.0), Some(4.0)]
        );
        assert_eq!(
            run(PointFunction::RisingDifference, &VALUES),
            [None, Some(3.0), None, None, Some(4.0)]
        );
        assert_eq!(
            run(PointFunction::Derivative, &VALUES),
            [None, Some(1.5), None, Some(-0.5), Some(2.0)]
        );
        assert_eq!(
            run(PointFunction::MovingAverage(2), &VALUES),
            [None, Some(2.5), None, Some(3.0), Some(4.0)]
        );
        assert_eq!(
            run(PointFunction::RunningSum, &VALUES),
            [Some(1.0), Some(5.0), None, Some(7.0), Some(13.0)]
        );
        assert_eq!(
            run(PointFunction::SmoothedMean(0.5), &VALUES),
            [Some(1.0), Some(2.5), None, Some(2.25), Some(4.125)]
        );
    }

    #[test]
    fn scores_tell_the_distance_from_the_middle() {
        let values = [Some(2.0), Some(4.0), Some(6.0), None];
        let deviation = (8.0_f64 / 3.0).sqrt();
        assert_eq!(
            run(PointFunction::DeviationsFromMean, &values),
            [
                Some(-2.0 / deviation),
                Some(0.0),
                Some(2.0 / deviation),
                None
            ]
        );
        let values = [Some(1.0), Some(2.0), Some(3.0), Some(4.0), Some(10.0)];
        let score = |distance: f64| Some(distance / 1.4826);
        assert_eq!(
            run(PointFunction::DeviationsFromMedian, &values),
            [score(2.0), score(1.0), score(0.0), score(1.0), score(7.0)]
        );
        let values = [Some(1.0), Some(5.0)];
        let middle = Some(1.0 / 1.4826);
        assert_eq!(
            run(PointFunction::DeviationsFromMedian, &values),
            [middle, middle]
        );
        let equal = [Some(0.1), Some(0.1), Some(0.1)];
        assert_eq!(run(PointFunction::DeviationsFromMean, &equal), [None; 3]);
        assert_eq!(run(PointFunction::DeviationsFromMedian, &equal), [None; 3]);
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let values: Int64Array = [Some(1), None, Some(i64::MAX), Some(5)]
            .into_iter()
            .collect();
        let times: Int64Array = [Some(0), Some(1), Some(2), Some(3)].into_iter().collect();
        let arguments: [ArrayRef; 2] = [Arc::new(values), Arc::new(times)];
        let run = |function| {
            let mut series = series(function);
            let results = series.evaluate_all(&arguments, 4).unwrap();
            let results: Vec<_> = results.as_primitive::<Int64Type>().iter().collect();
            (results, series.overflow.warning().is_some())
        };
        assert_eq!(
            run(PointFunction::RunningSum),
            (vec![Some(1), None, None, None], true),
            "a sum beyond 64 bits is missing, and said"
        );
        assert_eq!(
            run(PointFunction::Difference),
            (
                vec![None, None, Some(i64::MAX - 1), Some(5 - i64::MAX)],
                false
            )
        );
        assert_eq!(
            run(PointFunction::RisingDifference),
            (vec![None, None, Some(i64::MAX - 1), None], false)
        );
    }
}
