//! `fill`: what replaces missing values. It makes no points.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, StringArray, UInt64Array, new_null_array};
use arrow::compute::{cast, is_not_null, kernels::zip::zip, take};
use datafusion::scalar::ScalarValue;
use plan::{FillMode, SeriesSchema, Type};
use serde_json::Value;

use super::Evaluation;
use super::numbers::{Numbers, finite, numbers};
use crate::cells::Cells;
use crate::error::EngineError;
use crate::series_batch::SeriesBatch;

/// Replaces the missing values of every column.
pub(super) fn fill(
    evaluation: &mut Evaluation<'_>,
    mode: &FillMode,
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<SeriesBatch, EngineError> {
    let inputs = batch
        .columns
        .iter()
        .zip(&batch.schema.columns)
        .zip(&schema.columns);
    let columns = match mode {
        FillMode::Linear => {
            let inputs = numbers(batch, &mut evaluation.warnings)?;
            inputs.iter().map(|input| on_lines(batch, input)).collect()
        }
        FillMode::Previous => inputs
            .map(|((column, _), _)| from_before(batch, column))
            .collect::<Result<Vec<ArrayRef>, EngineError>>()?,
        FillMode::Value(value) => inputs
            .map(|((column, (_, own)), (_, filled))| with_value(column, *own, *filled, value))
            .collect::<Result<Vec<ArrayRef>, EngineError>>()?,
    };
    Ok(SeriesBatch {
        schema: schema.clone(),
        columns,
        ..batch.clone()
    })
}

/// Each missing value replaced by the one before it.
fn from_before(batch: &SeriesBatch, column: &ArrayRef) -> Result<ArrayRef, EngineError> {
    let mut sources: Vec<Option<u64>> = vec![None; batch.rows()];
    for rows in batch.ranges() {
        let mut last = None;
        for row in batch.oldest_first(rows) {
            if column.is_valid(row) {
                last = Some(row as u64);
            }
            sources[row] = last;
        }
    }
    Ok(take(column, &UInt64Array::from(sources), None)?)
}

/// Each missing value replaced by that on the straight line between the nearest earlier and later ones.
fn on_lines(batch: &SeriesBatch, input: &Numbers) -> ArrayRef {
    let mut column: Vec<Option<f64>> = vec![None; batch.rows()];
    for rows in batch.ranges() {
        let known = input.points(batch, rows.clone());
        for row in rows {
            let on_line = || {
                let time = batch.time(row)?;
                let later = known.partition_point(|point| point.time <= Some(time));
                let before = later.checked_sub(1).and_then(|index| known.get(index))?;
                let after = known.get(later)?;
                let (from, to) = (before.time?, after.time?);
                let part = (time - from) as f64 / (to - from) as f64;
                (to > from).then_some(before.value + (after.value - before.value) * part)
            };
            column[row] = input.float(row).or_else(on_line).and_then(finite);
        }
    }
    Arc::new(Float64Array::from(column))
}

/// Each missing value replaced by a literal, in the type that both have.
fn with_value(
    column: &ArrayRef,
    own: Type,
    filled: Type,
    value: &ScalarValue,
) -> Result<ArrayRef, EngineError> {
    if value.is_null() {
        return Ok(Arc::clone(column));
    }
    let (column, value) = match filled {
        Type::Json => {
            let value = value.to_array()?;
            let literal = match value.data_type() {
                arrow::datatypes::DataType::Utf8 => Type::String,
                arrow::datatypes::DataType::Int64 => Type::Int,
                _ => Type::Float,
            };
            (as_json(column, own)?, as_json(&value, literal)?)
        }
        _ if own == Type::Null => {
            let missing = new_null_array(&filled.exported(), column.len());
            (missing, cast(&value.to_array()?, &filled.exported())?)
        }
        _ => (
            cast(column, &filled.exported())?,
            cast(&value.to_array()?, &filled.exported())?,
        ),
    };
    let value = arrow::array::Scalar::new(value);
    Ok(zip(&is_not_null(&column)?, &column, &value)?)
}

/// The values of a column as JSON texts.
fn as_json(column: &ArrayRef, own: Type) -> Result<ArrayRef, EngineError> {
    if own == Type::Json {
        return Ok(Arc::clone(column));
    }
    let cells = Cells::new(column, own)?;
    let text = |row: usize| match cells.value(row) {
        Value::Null => None,
        value => Some(value.to_string()),
    };
    let texts: StringArray = (0..column.len()).map(text).collect();
    Ok(Arc::new(texts))
}
