//! Functions of several series together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api::Series;
use dql::ast::{Arg, Call, ExprKind};
use dql::{Code, Diagnostic, Severity};
use plan::Type;
use serde_json::Value;

use super::points::{number, points, summed, warn_of_others};
use super::{text_of, whole_number, wrong};
use crate::error::EngineError;
use crate::whole::Whole;

/// The sums of each column by time.
type Sums = BTreeMap<Option<i64>, Vec<Option<f64>>>;

/// `series_sum(query [, sumBy = [tags]])`: the sum over all series at each time, or over those that
/// share the named tags.
pub(super) fn series_sum(
    call: &Call,
    others: &[&Arg],
    whole: &mut Whole,
) -> Result<(), EngineError> {
    let kept = kept_tags(call, others)?;
    warn_of_others(whole);
    for (_, value_type) in &mut whole.columns {
        *value_type = summed(*value_type);
    }
    whole.keys.retain(|key| kept.contains(key));
    let mut groups: Vec<(Series, Sums)> = Vec::new();
    let mut known: HashMap<Vec<(String, Value)>, usize> = HashMap::new();
    for part in std::mem::take(&mut whole.answer.series) {
        let tags: Vec<(String, Value)> = part
            .tags
            .iter()
            .filter(|(name, _)| kept.contains(name))
            .cloned()
            .collect();
        let at = *known.entry(tags).or_insert_with_key(|tags| {
            let group = Series {
                name: part.name.clone(),
                tags: tags.clone(),
                columns: part.columns.clone(),
                values: Vec::new(),
            };
            groups.push((group, Sums::new()));
            groups.len() - 1
        });
        let sums = &mut groups[at].1;
        for row in &part.values {
            let sum = sums
                .entry(row[0].as_i64())
                .or_insert_with(|| vec![None; whole.columns.len()]);
            for (total, value) in sum.iter_mut().zip(row.iter().skip(1)) {
                if let Some(value) = value.as_f64() {
                    *total = Some(total.unwrap_or_default() + value);
                }
            }
        }
    }
    let row = |(time, sums): (Option<i64>, Vec<Option<f64>>)| {
        let cells = sums.into_iter().zip(&whole.columns);
        let cells = cells
            .map(|(sum, (_, value_type))| sum.map_or(Value::Null, |sum| number(sum, *value_type)));
        let time = time.map_or(Value::Null, Value::from);
        std::iter::once(time).chain(cells).collect()
    };
    let finished = groups.into_iter().map(|(group, sums)| Series {
        values: sums.into_iter().rev().map(row).collect(),
        ..group
    });
    whole.answer.series = finished.collect();
    Ok(())
}

fn kept_tags(call: &Call, others: &[&Arg]) -> Result<Vec<String>, EngineError> {
    let Some(argument) = others.first() else {
        return Ok(Vec::new());
    };
    let ExprKind::Array(items) = &argument.value.kind else {
        let message = "the tags to keep are a list: `sumBy = ['host']`".to_owned();
        return Err(wrong(Code::WrongArgumentKind, message, call.name.span));
    };
    Ok(items.iter().filter_map(text_of).collect())
}

/// `top(query, n)` and `bottom(query, n)`: the series whose newest value is largest or smallest.
pub(super) fn extreme(
    call: &Call,
    others: &[&Arg],
    whole: &mut Whole,
    largest: bool,
) -> Result<(), EngineError> {
    let count = whole_number(call, others)?;
    let series = std::mem::take(&mut whole.answer.series).into_iter();
    let with_newest = series.filter_map(|series| {
        let newest = points(&series, 1).last()?.value;
        Some((newest, series))
    });
    let mut with_newest: Vec<(f64, Series)> = with_newest.collect();
    with_newest.sort_by(|(left, _), (right, _)| match largest {
        true => right.total_cmp(left),
        false => left.total_cmp(right),
    });
    let best = with_newest.into_iter().take(count);
    whole.answer.series = best.map(|(_, series)| series).collect();
    Ok(())
}

/// How many points the series of `dbscan` need between them (Guance documentation, advanced functions).
const FEWEST_TIMES: usize = 5;
/// The most series that need to lie near one for it to be inside a cluster.
const CORE_SERIES: usize = 5;

/// `dbscan(query [, eps])`: the series that lie away from all others.
pub(super) async fn dbscan(
    call: &Call,
    others: &[&Arg],
    whole: &mut Whole,
) -> Result<(), EngineError> {
    if whole.keys.is_empty() {
        let message = "`dbscan` compares the series of a query with BY".to_owned();
        return Err(wrong(Code::WrongArgumentKind, message, call.name.span));
    }
    let reach = match others.first().map(|argument| &argument.value.kind) {
        Some(ExprKind::Int(number)) => *number as f64,
        Some(ExprKind::Float(number)) => *number,
        _ => 0.5,
    };
    warn_of_others(whole);
    let series: Vec<Values> = whole.answer.series.iter().map(values).collect();
    let times = series.iter().flatten().map(|(time, _)| *time);
    let times: BTreeSet<Option<i64>> = times.collect();
    if times.len() < FEWEST_TIMES {
        let message = format!(
            "`dbscan` needs points at {FEWEST_TIMES} times at least, and there are {}: no series stands out",
            times.len()
        );
        let warning = Diagnostic::new(Severity::Warning, Code::TooFewPoints, message, None);
        let warning = warning.with_hint("give the query a window and a step such as `[1h::1m]`");
        whole.answer.summary.warnings.push(warning);
        whole.answer.series.clear();
        return Ok(());
    }
    let mut outliers = outliers(&series, reach).await.into_iter();
    whole
        .answer
        .series
        .retain(|_| outliers.next().unwrap_or_default());
    Ok(())
}

/// The values of a series, oldest first, and one of each time.
type Values = Vec<(Option<i64>, f64)>;

/// The values of the first column; of one time, the last one.
fn values(series: &Series) -> Values {
    let points = points(series, 1).into_iter();
    let by_time: BTreeMap<Option<i64>, f64> =
        points.map(|point| (point.time, point.value)).collect();
    by_time.into_iter().collect()
}

/// Which series are noise: none of those inside a cluster is near them. Series are as far from each other
/// as their values differ in the square mean over the times both have, in standard deviations of all
/// values; without a common time they are not near.
async fn outliers(series: &[Values], reach: f64) -> Vec<bool> {
    let all: Vec<f64> = series.iter().flatten().map(|(_, value)| *value).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let variance = all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64;
    let unit = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    let mut near = vec![vec![false; series.len()]; series.len()];
    for (at, left) in series.iter().enumerate() {
        for (other, right) in series.iter().enumerate().skip(at) {
            // A comparison of all with all that was given up ends here.
            tokio::task::consume_budget().await;
            let is_near = is_near(left, right, unit, reach);
            near[at][other] = is_near;
            near[other][at] = is_near;
        }
    }
    let fewest = series.len().div_ceil(2).min(CORE_SERIES);
    let is_core: Vec<bool> = near
        .iter()
        .map(|row| row.iter().filter(|near| **near).count() >= fewest)
        .collect();
    near.iter()
        .map(|row| !row.iter().zip(&is_core).any(|(near, core)| *near && *core))
        .collect()
}

/// Whether two series are no further from each other than `reach`.
fn is_near(left: &Values, right: &Values, unit: f64, reach: f64) -> bool {
    let mut right = right.iter().peekable();
    let (mut sum, mut count) = (0.0, 0_usize);
    for (time, value) in left {
        while right.next_if(|(other, _)| other < time).is_some() {}
        if let Some((_, other)) = right.next_if(|(other, _)| other == time) {
            let gap = (value - other) / unit;
            sum += gap * gap;
            count += 1;
        }
    }
    count > 0 && (sum / count as f64).sqrt() <= reach
}

/// `fill(query, value)`, `fill(query, PREVIOUS)` and `fill(query, LINEAR)`: what stands in the place of
/// missing values. It makes no points.
pub(super) fn fill(call: &Call, others: &[&Arg], whole: &mut Whole) -> Result<(), EngineError> {
    let argument = others.first().map(|argument| &argument.value.kind);
    let mode = match argument {
        Some(ExprKind::Field(field)) if field.path.is_empty() => field.name.to_ascii_lowercase(),
        Some(ExprKind::String(text)) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    if mode == "previous" || mode == "linear" {
        if mode == "linear" {
            warn_of_others(whole);
        }
        for (index, (_, value_type)) in whole.columns.iter_mut().enumerate() {
            if mode == "linear" {
                *value_type = Type::Float;
            }
            for series in &mut whole.answer.series {
                match mode.as_str() {
                    "linear" => fill_linear(series, index + 1),
                    _ => fill_previous(series, index + 1),
                }
            }
        }
        return Ok(());
    }
    let (value, filled_type) = match argument {
        Some(ExprKind::Int(number)) => (Value::from(*number), Type::Int),
        Some(ExprKind::Float(value)) => (number(*value, Type::Float), Type::Float),
        Some(ExprKind::String(text)) => (Value::from(text.as_str()), Type::String),
        Some(ExprKind::Nil) => return Ok(()),
        _ => {
            let message = "`fill` takes a value, `PREVIOUS` or `LINEAR`".to_owned();
            return Err(wrong(Code::WrongArgumentKind, message, call.name.span));
        }
    };
    for (index, (_, value_type)) in whole.columns.iter_mut().enumerate() {
        let (value, joined) = match (*value_type, filled_type) {
            (old, new) if old == new => (value.clone(), old),
            (Type::Float, Type::Int) => (Value::from(value.as_f64()), Type::Float),
            (Type::Int, Type::Float) => (value.clone(), Type::Float),
            (Type::Null, new) => (value.clone(), new),
            _ => (value.clone(), Type::Json),
        };
        let is_widened = *value_type == Type::Int && joined == Type::Float;
        *value_type = joined;
        for cells in whole
            .answer
            .series
            .iter_mut()
            .flat_map(|series| &mut series.values)
        {
            let Some(cell) = cells.get_mut(index + 1) else {
                continue;
            };
            if cell.is_null() {
                *cell = value.clone();
            } else if is_widened {
                *cell = Value::from(cell.as_f64());
            }
        }
    }
    Ok(())
}

/// The rows of a series, oldest first.
fn oldest_first(series: &Series) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..series.values.len()).rev().collect();
    rows.sort_by_key(|row| series.values[*row][0].as_i64());
    rows
}

fn fill_previous(series: &mut Series, column: usize) {
    let mut last = Value::Null;
    for row in oldest_first(series) {
        let cell = &mut series.values[row][column];
        match cell.is_null() {
            true => *cell = last.clone(),
            false => last = cell.clone(),
        }
    }
}

/// Values on the straight line between the nearest earlier and later ones; whole numbers become floats.
fn fill_linear(series: &mut Series, column: usize) {
    let known = points(series, column);
    for row in 0..series.values.len() {
        let value = match (
            series.values[row][column].as_f64(),
            series.values[row][0].as_i64(),
        ) {
            (Some(value), _) => Some(value),
            (None, Some(time)) => {
                let later = known.partition_point(|point| point.time <= Some(time));
                let before = later.checked_sub(1).and_then(|index| known.get(index));
                before.zip(known.get(later)).and_then(|(before, after)| {
                    let (from, to) = (before.time?, after.time?);
                    let part = (time - from) as f64 / (to - from) as f64;
                    (to > from).then_some(before.value + (after.value - before.value) * part)
                })
            }
            (None, None) => None,
        };
        series.values[row][column] = value.map_or(Value::Null, |value| number(value, Type::Float));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn flat(value: f64) -> Values {
        (0..6).map(|time| (Some(time), value)).collect()
    }

    #[tokio::test]
    async fn a_series_away_from_all_others_is_an_outlier() {
        let near = [flat(1.0), flat(1.1), flat(0.9), flat(9.0)];
        assert_eq!(outliers(&near, 0.5).await, [false, false, false, true]);
        assert_eq!(outliers(&near, 3.0).await, [false; 4]);
        let equal = [flat(2.0), flat(2.0)];
        assert_eq!(outliers(&equal, 0.5).await, [false; 2]);
        let two_clusters = [flat(1.0), flat(1.0), flat(5.0), flat(5.0)];
        assert_eq!(outliers(&two_clusters, 0.5).await, [false; 4]);
    }

    /// A comparison that was given up ends while there is more to compare.
    #[tokio::test]
    async fn a_comparison_of_all_series_can_be_given_up() {
        let series = vec![flat(1.0); 100];
        let given_up = tokio::time::timeout(Duration::ZERO, outliers(&series, 0.5)).await;
        assert!(given_up.is_err());
        assert_eq!(outliers(&series, 0.5).await.len(), 100);
    }

    /// Only times that both series have count, wherever they are in them.
    #[test]
    fn distance_is_that_of_common_times() {
        let of = |points: &[(i64, f64)]| -> Values {
            let points = points.iter();
            points.map(|(time, value)| (Some(*time), *value)).collect()
        };
        let left = of(&[(1, 0.0), (3, 1.0), (5, 2.0), (8, 9.0)]);
        let right = of(&[(2, 50.0), (3, 1.5), (5, 2.5), (6, 50.0)]);
        assert!(is_near(&left, &right, 1.0, 0.5));
        assert!(is_near(&right, &left, 1.0, 0.5));
        assert!(!is_near(&left, &right, 1.0, 0.49));
        assert!(!is_near(&left, &of(&[(2, 0.0)]), 1.0, 100.0));
    }
}
