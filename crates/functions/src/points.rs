//! Functions of the points of a series: each point beside those before it, or beside all of them.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Float64Type, Int64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Expr, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl, lit,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::literals;
use crate::moving_average::moving_average;

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
    /// Whether the result of whole numbers is whole.
    pub fn keeps_whole_numbers(self) -> bool {
        matches!(
            self,
            Self::Difference | Self::RisingDifference | Self::RunningSum
        )
    }

    /// Its name, and its parameter if it has one.
    fn literals(self) -> (&'static str, Option<f64>) {
        match self {
            Self::Difference => ("difference", None),
            Self::RisingDifference => ("rising_difference", None),
            Self::Derivative => ("derivative", None),
            Self::RisingDerivative => ("rising_derivative", None),
            Self::MovingAverage(size) => ("moving_average", Some(size as f64)),
            Self::RunningSum => ("running_sum", None),
            Self::SmoothedMean(weight) => ("smoothed_mean", Some(weight)),
            Self::DeviationsFromMean => ("deviations_from_mean", None),
            Self::DeviationsFromMedian => ("deviations_from_median", None),
        }
    }

    /// The function of a name and a parameter.
    fn of_literals(name: &str, parameter: Option<f64>) -> Option<Self> {
        Some(match (name, parameter) {
            ("difference", None) => Self::Difference,
            ("rising_difference", None) => Self::RisingDifference,
            ("derivative", None) => Self::Derivative,
            ("rising_derivative", None) => Self::RisingDerivative,
            ("moving_average", Some(size)) => Self::MovingAverage(size as usize),
            ("running_sum", None) => Self::RunningSum,
            ("smoothed_mean", Some(weight)) => Self::SmoothedMean(weight),
            ("deviations_from_mean", None) => Self::DeviationsFromMean,
            ("deviations_from_median", None) => Self::DeviationsFromMedian,
            _ => return None,
        })
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

/// The arguments of the window function of a function of points: a whole number or a float, and its time in Unix
/// milliseconds. The order of the window is that of the points. Whole results have 128 bits, see
/// [`narrowed`](crate::whole_number::narrowed).
pub fn point_arguments(function: PointFunction, value: Expr, time: Expr) -> Vec<Expr> {
    let (name, parameter) = function.literals();
    vec![value, time, lit(name), lit(ScalarValue::Float64(parameter))]
}

/// The window function, of whole numbers that it keeps whole or of floats.
pub fn along_points(is_whole: bool) -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(AlongPoints {
        is_whole,
        signature: Signature::any(4, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AlongPoints {
    is_whole: bool,
    signature: Signature,
}

/// The function that the literal arguments of a call name.
fn function_of(args: &[Arc<dyn PhysicalExpr>]) -> Result<PointFunction> {
    let name = literals::of_expressions(args, 2)?;
    let ScalarValue::Float64(parameter) = literals::of_expressions(args, 3)? else {
        return exec_err!("the parameter of a function of points has to be a number");
    };
    let function = name
        .try_as_str()
        .flatten()
        .and_then(|name| PointFunction::of_literals(name, *parameter));
    match function {
        Some(function) => Ok(function),
        None => exec_err!("{name} is no function of points"),
    }
}

impl WindowUDFImpl for AlongPoints {
    fn name(&self) -> &str {
        if self.is_whole {
            "along_whole_points"
        } else {
            "along_points"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Without the literals, which are not evaluated for each row.
    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        args.input_exprs().iter().take(2).cloned().collect()
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Series {
            function: function_of(args.input_exprs())?,
            is_whole: self.is_whole,
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let data_type = if self.is_whole {
            DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
        } else {
            DataType::Float64
        };
        Ok(Arc::new(Field::new(args.name(), data_type, true)))
    }
}

/// The points of one group.
#[derive(Debug)]
struct Series {
    function: PointFunction,
    is_whole: bool,
}

impl PartitionEvaluator for Series {
    fn evaluate_all(&mut self, values: &[ArrayRef], _num_rows: usize) -> Result<ArrayRef> {
        let times = values[1].as_primitive::<Int64Type>();
        if self.is_whole {
            let numbers = values[0].as_primitive::<Int64Type>();
            let results: Decimal128Array = spread(numbers, whole_results(self.function, numbers));
            return Ok(Arc::new(
                results.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?,
            ));
        }
        let floats = arrow::compute::cast(&values[0], &DataType::Float64)?;
        let numbers = floats.as_primitive::<Float64Type>();
        let results: Float64Array = spread(numbers, float_results(self.function, numbers, times));
        Ok(Arc::new(results))
    }
}

/// The results of a function that keeps numbers whole, one for each value that is there.
pub fn whole_results(function: PointFunction, values: &Int64Array) -> Vec<Option<i128>> {
    let points: Vec<i64> = values.iter().flatten().collect();
    whole(function, &points)
}

/// The results of a function of floats, one for each value that is there. A result that is not finite is none.
pub fn float_results(
    function: PointFunction,
    values: &Float64Array,
    times: &Int64Array,
) -> Vec<Option<f64>> {
    let (points, times) = points(values, times);
    fractional(function, &points, &times)
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
fn spread<T: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    results: Vec<Option<R::Native>>,
) -> PrimitiveArray<R> {
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
    use arrow::datatypes::Decimal128Type;

    use super::*;

    fn run(function: PointFunction, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let times: Int64Array = (0..values.len() as i64)
            .map(|second| Some(second * 2000))
            .collect();
        let values: Float64Array = values.iter().copied().collect();
        let mut series = Series {
            function,
            is_whole: false,
        };
        let results = series
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
            let mut series = Series {
                function,
                is_whole: true,
            };
            let results = series.evaluate_all(&arguments, 4).unwrap();
            let results: Vec<_> = results.as_primitive::<Decimal128Type>().iter().collect();
            results
        };
        let most = i128::from(i64::MAX);
        assert_eq!(
            run(PointFunction::RunningSum),
            [Some(1), None, Some(most + 1), Some(most + 6)]
        );
        assert_eq!(
            run(PointFunction::Difference),
            [None, None, Some(most - 1), Some(5 - most)]
        );
        assert_eq!(
            run(PointFunction::RisingDifference),
            [None, None, Some(most - 1), None]
        );
    }

    #[test]
    fn literals_name_each_function() {
        for function in [
            PointFunction::Difference,
            PointFunction::RisingDifference,
            PointFunction::Derivative,
            PointFunction::RisingDerivative,
            PointFunction::MovingAverage(7),
            PointFunction::RunningSum,
            PointFunction::SmoothedMean(0.25),
            PointFunction::DeviationsFromMean,
            PointFunction::DeviationsFromMedian,
        ] {
            let (name, parameter) = function.literals();
            assert_eq!(PointFunction::of_literals(name, parameter), Some(function));
        }
    }
}
