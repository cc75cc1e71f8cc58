//! `window`: the points of each series in wider steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use chrono_tz::Tz;
use dql::{Code, Diagnostic, Severity};
use functions::step_start::step_start_ms;
use plan::SeriesSchema;

use super::Evaluation;
use super::numbers::{finite, numbers};
use crate::error::EngineError;
use crate::series_batch::{SeriesBatch, ends};

/// The sum of the numbers of each column, and how many they are.
type Sums = Vec<(f64, u64)>;

/// Replaces the points of each window by their mean, at the start of the window. Windows are aligned as steps are. Rows
/// without a time are in none, and stay.
pub(super) fn window(
    evaluation: &mut Evaluation<'_>,
    width_ms: i64,
    zone: Tz,
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<SeriesBatch, EngineError> {
    let inputs = numbers(batch, &mut evaluation.warnings)?;
    let mut rows: Vec<(Option<i64>, Sums)> = Vec::new();
    let mut lengths = Vec::with_capacity(batch.ends.len());
    let mut timeless = 0;
    for range in batch.ranges() {
        let mut windows: BTreeMap<i64, Sums> = BTreeMap::new();
        let mut rest = Vec::new();
        for row in range {
            let numbers = inputs.iter().map(|input| input.float(row));
            let Some(time) = batch.time(row) else {
                let alone = numbers.map(|number| number.map_or((0.0, 0), |number| (number, 1)));
                rest.push((None, alone.collect()));
                continue;
            };
            let sums = windows.entry(step_start_ms(time, width_ms, zone));
            let sums = sums.or_insert_with(|| vec![(0.0, 0); inputs.len()]);
            for (sum, number) in sums.iter_mut().zip(numbers) {
                if let Some(number) = number {
                    *sum = (sum.0 + number, sum.1 + 1);
                }
            }
        }
        timeless += rest.len();
        lengths.push(windows.len() + rest.len());
        rows.extend(
            windows
                .into_iter()
                .rev()
                .map(|(start, sums)| (Some(start), sums)),
        );
        rows.extend(rest);
    }
    if timeless > 0 {
        let message =
            format!("rows without a time are in no window, and stay as they are: {timeless}");
        let warning = Diagnostic::new(Severity::Warning, Code::WindowIgnored, message, None);
        let hint = "give the query a step, as in `[1d::1m]`";
        evaluation.warnings.push(warning.with_hint(hint));
    }
    let column = |index: usize| -> ArrayRef {
        let means = rows.iter().map(|(_, sums)| match sums[index] {
            (_, 0) => None,
            (sum, count) => finite(sum / count as f64),
        });
        Arc::new(means.collect::<Float64Array>())
    };
    Ok(SeriesBatch {
        name: batch.name.clone(),
        schema: schema.clone(),
        tags: batch.tags.clone(),
        ends: ends(lengths.into_iter()),
        times: rows.iter().map(|(time, _)| *time).collect(),
        columns: (0..inputs.len()).map(column).collect(),
    })
}
