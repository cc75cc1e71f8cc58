//! Functions that replace the rows of each series by one.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, UInt64Array};
use arrow::compute::take;
use datafusion::logical_expr::Expr;
use plan::{SeriesSchema, Summary, Type};

use super::Evaluation;
use super::numbers::{Numbers, finite, numbers};
use crate::cells::Cells;
use crate::error::EngineError;
use crate::series_batch::{SeriesBatch, ends};

/// One row of each series. Whether a whole result did not fit into 64 bits is returned, too.
pub(super) fn summary(
    evaluation: &mut Evaluation<'_>,
    summary: Summary,
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<(SeriesBatch, bool), EngineError> {
    let mut overflowed = false;
    let columns = match summary {
        Summary::Mean | Summary::Sum | Summary::Min | Summary::Max => {
            let inputs = numbers(batch, &mut evaluation.warnings)?;
            let column = |input: &Numbers| of_numbers(summary, batch, input, &mut overflowed);
            inputs.iter().map(column).collect()
        }
        Summary::Count | Summary::CountDistinct | Summary::First | Summary::Last => {
            let inputs = batch.columns.iter().zip(&batch.schema.columns);
            let columns = inputs
                .map(|(column, (_, value_type))| of_values(summary, batch, column, *value_type));
            columns.collect::<Result<Vec<ArrayRef>, EngineError>>()?
        }
    };
    Ok((at_time_0(batch, schema, columns), overflowed))
}

/// The number of rows of each series that fulfil a condition.
pub(super) fn count_filter(
    evaluation: &Evaluation<'_>,
    condition: &Expr,
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<SeriesBatch, EngineError> {
    let fulfilled = evaluation.condition(condition, batch)?;
    let count = |rows: std::ops::Range<usize>| {
        let rows = rows.filter(|row| fulfilled.is_valid(*row) && fulfilled.value(*row));
        rows.count() as i64
    };
    let counts: Int64Array = batch.ranges().map(count).collect::<Vec<i64>>().into();
    Ok(at_time_0(batch, schema, vec![Arc::new(counts)]))
}

/// One row of each series, at time 0 as in the answers of DQL (Guance documentation, outer functions).
fn at_time_0(batch: &SeriesBatch, schema: &SeriesSchema, columns: Vec<ArrayRef>) -> SeriesBatch {
    SeriesBatch {
        name: batch.name.clone(),
        schema: schema.clone(),
        tags: batch.tags.clone(),
        ends: ends(batch.ends.iter().map(|_| 1)),
        times: vec![0; batch.ends.len()].into(),
        columns,
    }
}

fn of_numbers(
    summary: Summary,
    batch: &SeriesBatch,
    input: &Numbers,
    overflowed: &mut bool,
) -> ArrayRef {
    match input {
        Numbers::Whole(numbers) if summary != Summary::Mean => {
            let of_series = |rows: std::ops::Range<usize>| {
                let values = rows.filter(|row| numbers.is_valid(*row));
                let values = values.map(|row| numbers.value(row));
                match summary {
                    Summary::Min => values.min(),
                    Summary::Max => values.max(),
                    _ => {
                        let sum = values.map(i128::from).reduce(|sum, value| sum + value)?;
                        let whole = i64::try_from(sum).ok();
                        *overflowed |= whole.is_none();
                        whole
                    }
                }
            };
            let column: Int64Array = batch.ranges().map(of_series).collect();
            Arc::new(column)
        }
        _ => {
            let of_series = |rows: std::ops::Range<usize>| {
                let points = input.points(batch, rows);
                let values = || points.iter().map(|point| point.value);
                let of_points = match summary {
                    Summary::Min => values().reduce(f64::min),
                    Summary::Max => values().reduce(f64::max),
                    Summary::Sum => values().reduce(|sum, value| sum + value),
                    _ => (!points.is_empty()).then(|| values().sum::<f64>() / points.len() as f64),
                };
                of_points.and_then(finite)
            };
            let column: Float64Array = batch.ranges().map(of_series).collect();
            Arc::new(column)
        }
    }
}

fn of_values(
    summary: Summary,
    batch: &SeriesBatch,
    column: &ArrayRef,
    value_type: Type,
) -> Result<ArrayRef, EngineError> {
    let present = |rows: std::ops::Range<usize>| rows.filter(|row| column.is_valid(*row));
    if matches!(summary, Summary::First | Summary::Last) {
        let picked = |rows: std::ops::Range<usize>| {
            let rows = batch.oldest_first(rows).into_iter();
            let mut rows = rows.filter(|row| column.is_valid(*row));
            let row = match summary {
                Summary::First => rows.next(),
                _ => rows.next_back(),
            };
            row.map(|row| row as u64)
        };
        let rows: UInt64Array = batch.ranges().map(picked).collect();
        return Ok(take(column, &rows, None)?);
    }
    let cells = Cells::new(column, value_type)?;
    let count = |rows: std::ops::Range<usize>| match summary {
        Summary::Count => present(rows).count() as i64,
        _ => {
            let texts = present(rows).map(|row| cells.value(row).to_string());
            texts.collect::<HashSet<String>>().len() as i64
        }
    };
    let counts: Int64Array = batch.ranges().map(count).collect::<Vec<i64>>().into();
    Ok(Arc::new(counts))
}
