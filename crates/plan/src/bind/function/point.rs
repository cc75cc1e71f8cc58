//! Functions of points: of the points of each group, and of those of a series.

use dql::Code;
use dql::ast::ExprKind;
use functions::points::PointFunction;

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::limits::LARGEST_COUNT;
use crate::bind::{BindResult, wrong};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::point("difference", |_| Ok(PointFunction::Difference))
        .over_series(|series| Ok(series.points(PointFunction::Difference))),
    Function::point("non_negative_difference", |_| {
        Ok(PointFunction::RisingDifference)
    })
    .over_series(|series| Ok(series.points(PointFunction::RisingDifference))),
    Function::point("increase", |_| Ok(PointFunction::RisingDifference))
        .over_series(|series| Ok(series.points(PointFunction::RisingDifference))),
    Function::point("derivative", |_| Ok(PointFunction::Derivative))
        .over_series(|series| Ok(series.points(PointFunction::Derivative))),
    Function::point("deriv", |_| Ok(PointFunction::Derivative)),
    Function::point("non_negative_derivative", |_| {
        Ok(PointFunction::RisingDerivative)
    })
    .over_series(|series| Ok(series.points(PointFunction::RisingDerivative))),
    // Between the points of a series, the rate of the window and that of an instant are the same.
    Function::point("rate", |_| Ok(PointFunction::RisingDerivative))
        .over_series(|series| Ok(series.points(PointFunction::RisingDerivative))),
    Function::point("irate", |_| Ok(PointFunction::RisingDerivative))
        .over_series(|series| Ok(series.points(PointFunction::RisingDerivative))),
    Function::point("cumsum", |_| Ok(PointFunction::RunningSum))
        .over_series(|series| Ok(series.points(PointFunction::RunningSum))),
    Function::point("moving_average", moving_average).over_series(|series| {
        let size = series.whole_number()?;
        Ok(series.points(PointFunction::MovingAverage(size)))
    }),
    Function::point("ewma", ewma),
    Function::point("zscore", |_| Ok(PointFunction::DeviationsFromMean)),
    Function::point("mad_score", |_| Ok(PointFunction::DeviationsFromMedian)),
    Function::unsupported(
        "change_score",
        "no public description says how the score is computed",
    ),
    Function::unsupported(
        "unwrap",
        "it makes metric samples of log lines; name the field itself",
    ),
];

/// `moving_average(x, n)`.
fn moving_average(arguments: &Arguments<'_>) -> BindResult<PointFunction> {
    let written = arguments.values[1];
    let size = match written.kind {
        ExprKind::Int(size) if (1..=LARGEST_COUNT as i64).contains(&size) => size.unsigned_abs(),
        _ => {
            let message = format!(
                "the number of points to average is a whole number from 1 to {LARGEST_COUNT}"
            );
            return Err(wrong(Code::WrongArgumentKind, message, written.span));
        }
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    Ok(PointFunction::MovingAverage(size))
}

/// `ewma(x, weight)`.
fn ewma(arguments: &Arguments<'_>) -> BindResult<PointFunction> {
    let written = arguments.values[1];
    let weight = arguments::number(written, "the weight of the newest point")?;
    if !(weight > 0.0 && weight <= 1.0) {
        let message = "the weight of the newest point is above 0 and up to 1";
        return Err(wrong(Code::WrongArgumentKind, message, written.span));
    }
    Ok(PointFunction::SmoothedMean(weight))
}
