//! The numbers of a column of series.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};
use dql::{Code, Diagnostic, Severity};
use plan::Type;

use crate::cells::Cells;
use crate::error::EngineError;
use crate::series_batch::SeriesBatch;

/// The values of a column that are numbers; others are missing.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    /// Of a column of whole numbers.
    Whole(Int64Array),
    /// Of any other.
    Float(Float64Array),
}

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

impl Numbers {
    /// The numbers of a column, and whether it has values that are no numbers.
    pub(super) fn of_column(
        column: &ArrayRef,
        value_type: Type,
    ) -> Result<(Self, bool), EngineError> {
        Ok(match value_type {
            Type::Int => (
                Self::Whole(column.as_primitive::<Int64Type>().clone()),
                false,
            ),
            Type::Float => (
                Self::Float(column.as_primitive::<Float64Type>().clone()),
                false,
            ),
            _ => {
                let cells = Cells::new(column, value_type)?;
                let numbers = (0..column.len()).map(|row| cells.value(row).as_f64());
                let numbers: Float64Array = numbers.collect();
                let has_others = numbers.null_count() > column.logical_null_count();
                (Self::Float(numbers), has_others)
            }
        })
    }

    /// The number of a row as a float.
    pub(super) fn float(&self, row: usize) -> Option<f64> {
        match self {
            Self::Whole(numbers) => numbers.is_valid(row).then(|| numbers.value(row) as f64),
            Self::Float(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
        }
    }

    /// Whether a row has a number.
    pub(super) fn is_present(&self, row: usize) -> bool {
        match self {
            Self::Whole(numbers) => numbers.is_valid(row),
            Self::Float(numbers) => numbers.is_valid(row),
        }
    }

    /// The numbers as an array.
    pub(super) fn array(&self) -> ArrayRef {
        match self {
            Self::Whole(numbers) => Arc::new(numbers.clone()),
            Self::Float(numbers) => Arc::new(numbers.clone()),
        }
    }

    /// The points of some rows, oldest first.
    pub(super) fn points(&self, batch: &SeriesBatch, rows: Range<usize>) -> Vec<Point> {
        let rows = batch.oldest_first(rows).into_iter();
        let point = |row: usize| {
            Some(Point {
                row,
                time: batch.time(row),
                value: self.float(row)?,
            })
        };
        rows.filter_map(point).collect()
    }
}

/// The numbers of every column. The warnings name the columns with values that are no numbers.
pub(super) fn numbers(
    batch: &SeriesBatch,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Vec<Numbers>, EngineError> {
    let mut all = Vec::with_capacity(batch.columns.len());
    for (column, (name, value_type)) in batch.columns.iter().zip(&batch.schema.columns) {
        let (numbers, has_others) = Numbers::of_column(column, *value_type)?;
        if has_others {
            let message = format!("values of `{name}` that are not numbers were left out");
            let warning = Diagnostic::new(Severity::Warning, Code::NotANumber, message, None);
            warnings.push(warning.with_hint("convert text inside the query, with `float(…)`"));
        }
        all.push(numbers);
    }
    Ok(all)
}

/// A float as an answer has it: there is no word for infinity.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
