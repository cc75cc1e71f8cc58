//! The functions of points, over the values of a column.

use dql::ast::{Call, ExprKind};

use super::value::{Kind, Value};

/// The values of a column that are numbers, oldest first.
pub(super) struct Points {
    /// The row of each.
    rows: Vec<usize>,
    times: Vec<Option<i64>>,
    numbers: Vec<f64>,
    /// The same exactly, where the column is of whole numbers.
    whole: Option<Vec<i128>>,
    /// What a function takes beside the column.
    parameter: Option<f64>,
}

impl Points {
    pub(super) fn new(call: &Call, kind: Kind, times: &[&Value], values: &[Value]) -> Self {
        let is_point = |row: &usize| values[*row].number().is_some();
        let rows: Vec<usize> = (0..values.len()).filter(is_point).collect();
        let time = |row: &usize| match times[*row] {
            Value::Int(time) => Some(*time),
            _ => None,
        };
        let whole = |row: &usize| match values[*row] {
            Value::Int(number) => i128::from(number),
            ref other => panic!("{other:?} is no whole number"),
        };
        let number = |row: &usize| values[*row].number();
        Self {
            times: rows.iter().map(time).collect(),
            numbers: rows.iter().filter_map(number).collect(),
            whole: (kind == Kind::Int).then(|| rows.iter().map(whole).collect()),
            rows,
            parameter: call.args.get(1).map(|argument| match argument.value.kind {
                ExprKind::Int(number) => number as f64,
                ExprKind::Float(number) => number,
                ref other => panic!("{other:?} is no number"),
            }),
        }
    }

    /// The value of a function in each of `count` rows; rows without a number are no points.
    pub(super) fn along(&self, name: &str, count: usize) -> Vec<Value> {
        let mut results = vec![Value::Missing; count];
        for (index, row) in self.rows.iter().enumerate() {
            results[*row] = self.at(name, index).unwrap_or(Value::Missing);
        }
        results
    }

    fn at(&self, name: &str, index: usize) -> Option<Value> {
        let numbers = &self.numbers;
        let number = match name {
            "cumsum" => return Some(self.sum(index)),
            "difference" => return self.rise(index),
            "increase" | "non_negative_difference" => {
                return self.rise(index).filter(|rise| rise.number() >= Some(0.0));
            }
            "derivative" | "deriv" => self.rate(index)?,
            "moving_average" => {
                let count = self.parameter? as usize;
                let first = (index + 1).checked_sub(count)?;
                numbers[first..=index].iter().sum::<f64>() / count as f64
            }
            "ewma" => {
                let share = self.parameter?;
                let weighted = |mean: f64, number: &f64| share * number + (1.0 - share) * mean;
                numbers[1..=index].iter().fold(numbers[0], weighted)
            }
            "zscore" => zscore(numbers[index], numbers)?,
            "mad_score" => mad_score(numbers[index], numbers)?,
            _ => self.rate(index).filter(|rate| *rate >= 0.0)?,
        };
        Some(Value::finite(number))
    }

    /// The sum up to a point.
    fn sum(&self, index: usize) -> Value {
        match &self.whole {
            Some(whole) => exact(whole[..=index].iter().sum()),
            None => Value::finite(self.numbers[..=index].iter().sum()),
        }
    }

    /// The step from the point before.
    fn rise(&self, index: usize) -> Option<Value> {
        let before = index.checked_sub(1)?;
        Some(match &self.whole {
            Some(whole) => exact(whole[index] - whole[before]),
            None => Value::finite(self.numbers[index] - self.numbers[before]),
        })
    }

    /// The step from the point before by second.
    fn rate(&self, index: usize) -> Option<f64> {
        let before = index.checked_sub(1)?;
        let apart = self.times[index]? - self.times[before]?;
        let rise = self.numbers[index] - self.numbers[before];
        (apart != 0).then(|| rise / (apart as f64 / 1000.0))
    }
}

/// A whole number; one beyond 64 bits is missing.
fn exact(number: i128) -> Value {
    i64::try_from(number).map_or(Value::Missing, Value::Int)
}

/// The distance from the mean in deviations.
fn zscore(number: f64, numbers: &[f64]) -> Option<f64> {
    // From the first number, so that equal ones have no deviation at all.
    let moved: Vec<f64> = numbers.iter().map(|other| other - numbers[0]).collect();
    let count = moved.len() as f64;
    let mean = moved.iter().sum::<f64>() / count;
    let squares = moved.iter().map(|other| (other - mean) * (other - mean));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let is_spread = moved.iter().any(|other| *other != 0.0);
    is_spread.then(|| (number - numbers[0] - mean) / deviation)
}

/// The distance from the median in median distances.
fn mad_score(number: f64, numbers: &[f64]) -> Option<f64> {
    let median = |mut numbers: Vec<f64>| {
        numbers.sort_by(f64::total_cmp);
        let upper = numbers.get(numbers.len() / 2)?;
        let lower = numbers.get((numbers.len() - 1) / 2)?;
        Some((lower + upper) / 2.0)
    };
    let middle = median(numbers.to_vec())?;
    let distances = numbers.iter().map(|other| (other - middle).abs());
    let distance = median(distances.collect())?;
    (distance != 0.0).then(|| (number - middle).abs() / (1.4826 * distance))
}
