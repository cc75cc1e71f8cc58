//! Summaries of numbers that have more than one step.

use serde_json::Value as Json;

use super::aggregate::nearest_rank;
use super::value::{Kind, Value};

/// The columns of `histogram_auto`.
pub(super) const AUTO_COLUMNS: [(&str, Kind); 10] = [
    ("lower_bounds", Kind::Json),
    ("upper_bounds", Kind::Json),
    ("counts", Kind::Json),
    ("min", Kind::Float),
    ("p50", Kind::Float),
    ("p75", Kind::Float),
    ("p90", Kind::Float),
    ("p95", Kind::Float),
    ("p99", Kind::Float),
    ("max", Kind::Float),
];

/// The slope of the line through points (x, y) that has the least squares of distances.
pub(super) fn slope(points: &[(f64, f64)]) -> Value {
    let (xx, xy, _) = products(points);
    Value::finite(xy / xx)
}

/// Pearson's coefficient of pairs; missing where one side does not vary.
pub(super) fn correlation(pairs: &[(f64, f64)]) -> Value {
    let (xx, xy, yy) = products(pairs);
    Value::finite(xy / (xx.sqrt() * yy.sqrt()))
}

/// The sums of the products of the distances from the means: both x, mixed, both y.
fn products(points: &[(f64, f64)]) -> (f64, f64, f64) {
    let Some((first_x, first_y)) = points.first() else {
        return (0.0, 0.0, 0.0);
    };
    // From the first point, so that equal values have a distance of exactly 0.
    let moved = points.iter().map(|(x, y)| (x - first_x, y - first_y));
    let moved: Vec<(f64, f64)> = moved.collect();
    let count = moved.len() as f64;
    let mean_x = moved.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = moved.iter().map(|(_, y)| y).sum::<f64>() / count;
    let mut sums = (0.0, 0.0, 0.0);
    for (x, y) in moved {
        sums.0 += (x - mean_x) * (x - mean_x);
        sums.1 += (x - mean_x) * (y - mean_y);
        sums.2 += (y - mean_y) * (y - mean_y);
    }
    sums
}

/// How numbers are spread: 1 + log2(n) intervals of one width, and some ranks.
pub(super) fn spread(numbers: &[f64]) -> Vec<Value> {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (numbers.first(), numbers.last()) else {
        return vec![Value::Missing; AUTO_COLUMNS.len()];
    };
    let mut lower = vec![*least];
    if most > least {
        let count = 1 + (numbers.len() as f64).log2().ceil() as usize;
        let edge = |index: usize| least + (most - least) * index as f64 / count as f64;
        lower = (0..count).map(edge).collect();
    }
    let mut upper: Vec<f64> = lower[1..].to_vec();
    upper.push(*most);
    let counts = lower.iter().enumerate().map(|(index, from)| {
        let is_last = index + 1 == lower.len();
        let inside = |number: &&f64| *number >= from && (is_last || **number < upper[index]);
        numbers.iter().filter(inside).count()
    });
    let counts: Vec<usize> = counts.collect();
    let rank = |percent: f64| nearest_rank(numbers.clone(), percent);
    let lists = [
        Json::from(lower.clone()),
        Json::from(upper.clone()),
        Json::from(counts),
    ];
    let ranks = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 100.0];
    lists
        .into_iter()
        .map(Value::Json)
        .chain(ranks.map(rank))
        .collect()
}
