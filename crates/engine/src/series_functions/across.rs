//! Functions of several series together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};
use dql::{Code, Diagnostic, Severity};
use plan::{SeriesSchema, Type};

use super::Evaluation;
use super::numbers::{Numbers, finite, numbers};
use crate::error::EngineError;
use crate::series_batch::{SeriesBatch, Tags, ends};

/// A sum of numbers of a column; of whole ones, none has fewer bits than there are numbers for.
#[derive(Debug, Clone, Copy)]
enum Sum {
    None,
    Whole(i128),
    Float(f64),
}

/// The sums of each column by time.
type Sums = BTreeMap<Option<i64>, Vec<Sum>>;

/// `series_sum`: the sum over all series at each time, or over those that share the kept keys. Whether a whole sum did
/// not fit into 64 bits is returned, too.
pub(super) fn series_sum(
    evaluation: &mut Evaluation<'_>,
    keys: &[usize],
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<(SeriesBatch, bool), EngineError> {
    let inputs = numbers(batch, &mut evaluation.warnings)?;
    let mut groups: Vec<(Tags, Sums)> = Vec::new();
    let mut known: HashMap<Tags, usize> = HashMap::new();
    for (tags, rows) in batch.tags.iter().zip(batch.ranges()) {
        let tags: Tags = keys.iter().map(|key| tags[*key].clone()).collect();
        let index = *known.entry(tags).or_insert_with_key(|tags| {
            groups.push((tags.clone(), Sums::new()));
            groups.len() - 1
        });
        for row in rows {
            let sums = groups[index].1.entry(batch.time(row));
            let sums = sums.or_insert_with(|| vec![Sum::None; inputs.len()]);
            for (sum, input) in sums.iter_mut().zip(&inputs) {
                sum.add(input, row);
            }
        }
    }
    Ok(summed(batch, schema, groups))
}

impl Sum {
    fn add(&mut self, input: &Numbers, row: usize) {
        if !input.is_present(row) {
            return;
        }
        *self = match (input, *self) {
            (Numbers::Whole(numbers), Self::Whole(sum)) => {
                Self::Whole(sum + i128::from(numbers.value(row)))
            }
            (Numbers::Whole(numbers), _) => Self::Whole(numbers.value(row).into()),
            (Numbers::Float(numbers), Self::Float(sum)) => Self::Float(sum + numbers.value(row)),
            (Numbers::Float(numbers), _) => Self::Float(numbers.value(row)),
        };
    }
}

/// The groups as series, newest first.
fn summed(
    batch: &SeriesBatch,
    schema: &SeriesSchema,
    groups: Vec<(Tags, Sums)>,
) -> (SeriesBatch, bool) {
    let rows = || groups.iter().flat_map(|(_, sums)| sums.iter().rev());
    let mut overflowed = false;
    let mut column = |index: usize, value_type: Type| -> ArrayRef {
        if value_type == Type::Int {
            let whole = rows().map(|(_, sums)| match sums[index] {
                Sum::Whole(sum) => {
                    let whole = i64::try_from(sum).ok();
                    overflowed |= whole.is_none();
                    whole
                }
                _ => None,
            });
            return Arc::new(whole.collect::<Int64Array>());
        }
        let floats = rows().map(|(_, sums)| match sums[index] {
            Sum::Float(sum) => finite(sum),
            _ => None,
        });
        Arc::new(floats.collect::<Float64Array>())
    };
    let columns = schema.columns.iter().enumerate();
    let columns = columns
        .map(|(index, (_, value_type))| column(index, *value_type))
        .collect();
    let sum = SeriesBatch {
        name: batch.name.clone(),
        schema: schema.clone(),
        times: rows().map(|(time, _)| *time).collect(),
        ends: ends(groups.iter().map(|(_, sums)| sums.len())),
        columns,
        tags: groups.into_iter().map(|(tags, _)| tags).collect(),
    };
    (sum, overflowed)
}

/// `top` and `bottom`: the series whose newest number of the first column is largest or smallest.
pub(super) fn extreme(
    count: usize,
    largest: bool,
    batch: &SeriesBatch,
) -> Result<SeriesBatch, EngineError> {
    let Some(numbers) = first_numbers(batch)? else {
        return batch.take(&[]);
    };
    let newest = batch.ranges().enumerate().filter_map(|(index, rows)| {
        let newest = numbers.points(batch, rows.clone()).last()?.value;
        Some((newest, (index, rows.collect())))
    });
    let mut newest: Vec<(f64, (usize, Vec<usize>))> = newest.collect();
    newest.sort_by(|(left, _), (right, _)| match largest {
        true => right.total_cmp(left),
        false => left.total_cmp(right),
    });
    let best: Vec<(usize, Vec<usize>)> = newest
        .into_iter()
        .take(count)
        .map(|(_, series)| series)
        .collect();
    batch.take(&best)
}

fn first_numbers(batch: &SeriesBatch) -> Result<Option<Numbers>, EngineError> {
    match (batch.columns.first(), batch.schema.columns.first()) {
        (Some(column), Some((_, value_type))) => {
            Ok(Some(Numbers::of_column(column, *value_type)?.0))
        }
        _ => Ok(None),
    }
}

/// How many points the series of `dbscan` need between them (Guance documentation, advanced functions).
const FEWEST_TIMES: usize = 5;
/// The most series that need to lie near one for it to be inside a cluster.
const CORE_SERIES: usize = 5;

/// `dbscan`: the series that are away from all others.
pub(super) async fn outliers(
    evaluation: &mut Evaluation<'_>,
    reach: f64,
    batch: &SeriesBatch,
) -> Result<SeriesBatch, EngineError> {
    let numbers = numbers(batch, &mut evaluation.warnings)?;
    let Some(first) = numbers.first() else {
        return batch.take(&[]);
    };
    let series: Vec<Values> = batch
        .ranges()
        .map(|rows| values(batch, first, rows))
        .collect();
    let times = series.iter().flatten().map(|(time, _)| *time);
    let times: BTreeSet<Option<i64>> = times.collect();
    if times.len() < FEWEST_TIMES {
        let message = format!(
            "`dbscan` needs points at {FEWEST_TIMES} times at least, and there are {}: no series stands out",
            times.len()
        );
        let warning = Diagnostic::new(Severity::Warning, Code::TooFewPoints, message, None);
        let hint = "give the query a window and a step such as `[1h::1m]`";
        evaluation.warnings.push(warning.with_hint(hint));
        return batch.take(&[]);
    }
    let outliers = away_from_all(&series, reach).await;
    let kept = batch
        .ranges()
        .enumerate()
        .filter(|(index, _)| outliers[*index]);
    let kept: Vec<(usize, Vec<usize>)> =
        kept.map(|(index, rows)| (index, rows.collect())).collect();
    batch.take(&kept)
}

/// The values of a series, oldest first, and one of each time.
type Values = Vec<(Option<i64>, f64)>;

/// The numbers of a series; of one time, the last one.
fn values(batch: &SeriesBatch, numbers: &Numbers, rows: std::ops::Range<usize>) -> Values {
    let points = numbers.points(batch, rows).into_iter();
    let by_time: BTreeMap<Option<i64>, f64> =
        points.map(|point| (point.time, point.value)).collect();
    by_time.into_iter().collect()
}

/// Which series are noise: none of those inside a cluster is near them. Series are as far from each other
/// as their values differ in the square mean over the times both have, in standard deviations of all
/// values; without a common time they are not near.
async fn away_from_all(series: &[Values], reach: f64) -> Vec<bool> {
    let all: Vec<f64> = series.iter().flatten().map(|(_, value)| *value).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let variance = all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64;
    let unit = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    let mut near = vec![vec![false; series.len()]; series.len()];
    for (at, left) in series.iter().enumerate() {
        for (other, right) in series.iter().enumerate().skip(at) {
            // A comparison of all with all that was cancelled ends here.
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
        assert_eq!(away_from_all(&near, 0.5).await, [false, false, false, true]);
        assert_eq!(away_from_all(&near, 3.0).await, [false; 4]);
        let equal = [flat(2.0), flat(2.0)];
        assert_eq!(away_from_all(&equal, 0.5).await, [false; 2]);
        let two_clusters = [flat(1.0), flat(1.0), flat(5.0), flat(5.0)];
        assert_eq!(away_from_all(&two_clusters, 0.5).await, [false; 4]);
    }

    /// A comparison that was cancelled ends while there is more to compare.
    #[tokio::test]
    async fn a_comparison_of_all_series_can_be_cancelled() {
        let series = vec![flat(1.0); 100];
        let cancelled = tokio::time::timeout(Duration::ZERO, away_from_all(&series, 0.5)).await;
        assert!(cancelled.is_err());
        assert_eq!(away_from_all(&series, 0.5).await.len(), 100);
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
