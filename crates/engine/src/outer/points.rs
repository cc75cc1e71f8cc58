//! The points of a series, and functions of them that give points.

use api::Series;
use dql::ast::{Arg, Call, ExprKind};
use dql::{Code, Diagnostic, Severity};
use plan::Type;
use serde_json::{Number, Value};

use super::{whole_number, wrong};
use crate::error::EngineError;
use crate::whole::Whole;

/// A number of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// The row.
    pub(super) row: usize,
    /// Its time, Unix milliseconds.
    pub(super) time: Option<i64>,
    /// The number.
    pub(super) value: f64,
}

/// What a function gives: rows, and their numbers.
type Given = Vec<(usize, f64)>;

/// A function of points, oldest first.
type Function = Box<dyn Fn(&[Point]) -> Given>;

/// The numbers of a column, oldest first; rows without a time come before all others. Column 0 is `time`.
pub(super) fn points(series: &Series, column: usize) -> Vec<Point> {
    let mut points: Vec<Point> = series
        .values
        .iter()
        .enumerate()
        // Answers are newest first, and where times are equal so is the order between them.
        .rev()
        .filter_map(|(row, cells)| {
            Some(Point {
                row,
                time: cells[0].as_i64(),
                value: cells.get(column)?.as_f64()?,
            })
        })
        .collect();
    points.sort_by_key(|point| point.time);
    points
}

/// A number as a value of a column.
pub(super) fn number(value: f64, value_type: Type) -> Value {
    // Beyond 2^53 a float does not tell which whole number it stands for.
    if value_type == Type::Int && value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// The type of sums and differences of a column.
pub(super) fn summed(value_type: Type) -> Type {
    match value_type {
        Type::Int => Type::Int,
        _ => Type::Float,
    }
}

/// Says of each column whether values of it are no numbers, and so were left out.
pub(super) fn warn_of_others(whole: &mut Whole) {
    for (index, (name, _)) in whole.columns.iter().enumerate() {
        let cells = whole.answer.series.iter().flat_map(|series| &series.values);
        let cells = cells.filter_map(|row| row.get(index + 1));
        let mut others = cells.filter(|cell| !cell.is_null() && !cell.is_number());
        if others.next().is_some() {
            let message = format!("values of `{name}` that are not numbers were left out");
            let warning = Diagnostic::new(Severity::Warning, Code::NotANumber, message, None);
            whole
                .answer
                .summary
                .warnings
                .push(warning.with_hint("convert text inside the query, with `float(…)`"));
        }
    }
}

/// Applies a function that gives points, if the call is one.
pub(super) fn apply(call: &Call, others: &[&Arg], whole: &mut Whole) -> Result<bool, EngineError> {
    let name = call.name.text.to_ascii_lowercase();
    let Some((function, keeps_whole)) = function(&name, call, others)? else {
        return Ok(false);
    };
    warn_of_others(whole);
    for column in &mut whole.columns {
        column.1 = match keeps_whole {
            true => summed(column.1),
            false => Type::Float,
        };
    }
    for series in &mut whole.answer.series {
        let mut rows: Vec<Option<Vec<Value>>> = vec![None; series.values.len()];
        for (index, (_, value_type)) in whole.columns.iter().enumerate() {
            for (row, value) in function(&points(series, index + 1)) {
                let cells = rows[row].get_or_insert_with(|| {
                    let mut cells = vec![Value::Null; whole.columns.len() + 1];
                    cells[0] = series.values[row][0].clone();
                    cells
                });
                cells[index + 1] = number(value, *value_type);
            }
        }
        series.values = rows.into_iter().flatten().collect();
    }
    Ok(true)
}

/// The function of that name, and whether whole numbers stay whole under it.
fn function(
    name: &str,
    call: &Call,
    others: &[&Arg],
) -> Result<Option<(Function, bool)>, EngineError> {
    let each = |function: fn(f64) -> f64| each_value(function);
    Ok(Some(match name {
        "abs" => (each(f64::abs), true),
        "ceil" => (each(f64::ceil), false),
        "floor" => (each(f64::floor), false),
        "log2" => (each(f64::log2), false),
        "log10" => (each(f64::log10), false),
        "log" => match optional_number(call, others)? {
            Some(base) => (each_value(move |value| value.ln() / base.ln()), false),
            None => (each(f64::ln), false),
        },
        "round" => {
            let digits = optional_number(call, others)?.unwrap_or(0.0);
            if digits.fract() != 0.0 {
                let message = "the digits of `round` are a whole number".to_owned();
                return Err(wrong(Code::WrongArgumentKind, message, call.name.span));
            }
            let unit = 10_f64.powf(digits.clamp(-300.0, 300.0));
            (
                each_value(move |value| (value * unit).round() / unit),
                false,
            )
        }
        "cumsum" => (Box::new(cumsum), true),
        "difference" => (Box::new(difference), true),
        "non_negative_difference" | "increase" => {
            (Box::new(|points| rising(difference(points))), true)
        }
        "derivative" => (Box::new(derivative), false),
        // Between the points of a series, the rate of the window and that of an instant are the same.
        "non_negative_derivative" | "rate" | "irate" => {
            (Box::new(|points| rising(derivative(points))), false)
        }
        "moving_average" => {
            let size = whole_number(call, others)?;
            (Box::new(move |points| moving_average(points, size)), false)
        }
        _ => return Ok(None),
    }))
}

fn optional_number(call: &Call, others: &[&Arg]) -> Result<Option<f64>, EngineError> {
    match others.first().map(|argument| &argument.value.kind) {
        None => Ok(None),
        Some(ExprKind::Int(number)) => Ok(Some(*number as f64)),
        Some(ExprKind::Float(number)) => Ok(Some(*number)),
        Some(_) => {
            let message = format!("`{}` takes a number beside the query", call.name.text);
            Err(wrong(Code::WrongArgumentKind, message, call.name.span))
        }
    }
}

fn each_value(function: impl Fn(f64) -> f64 + 'static) -> Function {
    Box::new(move |points| {
        let value = |point: &Point| (point.row, function(point.value));
        points.iter().map(value).collect()
    })
}

fn cumsum(points: &[Point]) -> Given {
    let sum = |total: &mut f64, point: &Point| {
        *total += point.value;
        Some((point.row, *total))
    };
    points.iter().scan(0.0, sum).collect()
}

fn difference(points: &[Point]) -> Given {
    let step = |pair: &[Point]| (pair[1].row, pair[1].value - pair[0].value);
    points.windows(2).map(step).collect()
}

/// The difference by second; none where no time passed.
fn derivative(points: &[Point]) -> Given {
    let per_second = |pair: &[Point]| {
        let seconds = (pair[1].time? - pair[0].time?) as f64 / 1000.0;
        let rise = pair[1].value - pair[0].value;
        (seconds > 0.0).then(|| (pair[1].row, rise / seconds))
    };
    points.windows(2).filter_map(per_second).collect()
}

fn rising(given: Given) -> Given {
    given
        .into_iter()
        .filter(|(_, value)| *value >= 0.0)
        .collect()
}

fn moving_average(points: &[Point], size: usize) -> Given {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let means = functions::moving_average::moving_average(&values, size);
    let of_rows = points.iter().zip(means);
    of_rows
        .filter_map(|(point, mean)| Some((point.row, mean?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Point> {
        let values = [(0, 1.0), (1000, 4.0), (2000, 2.0), (4000, 6.0)];
        let point = |(row, (time, value)): (usize, (i64, f64))| Point {
            row,
            time: Some(time),
            value,
        };
        values.into_iter().enumerate().map(point).collect()
    }

    #[test]
    fn functions_of_points() {
        let points = sample();
        assert_eq!(cumsum(&points), [(0, 1.0), (1, 5.0), (2, 7.0), (3, 13.0)]);
        assert_eq!(difference(&points), [(1, 3.0), (2, -2.0), (3, 4.0)]);
        assert_eq!(derivative(&points), [(1, 3.0), (2, -2.0), (3, 2.0)]);
        assert_eq!(rising(derivative(&points)), [(1, 3.0), (3, 2.0)]);
        assert_eq!(moving_average(&points, 2), [(1, 2.5), (2, 3.0), (3, 4.0)]);
        assert!(difference(&points[..1]).is_empty());
        assert!(moving_average(&points, 5).is_empty());
    }

    #[test]
    fn a_rate_needs_time_between_its_points() {
        let mut points = sample();
        points[1].time = Some(0);
        points[2].time = None;
        assert!(derivative(&points).is_empty());
    }

    #[test]
    fn numbers_have_the_type_of_their_column() {
        assert_eq!(number(2.0, Type::Int), Value::from(2));
        assert_eq!(number(2.0, Type::Float), Value::from(2.0));
        assert_eq!(number(f64::INFINITY, Type::Float), Value::Null);
    }
}
