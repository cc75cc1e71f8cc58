//! Functions that replace the points of each series: by the value of an expression, or by a function of a point and
//! those before it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion::logical_expr::Expr;
use functions::points::{PointFunction, float_results, whole_results};
use plan::{SeriesSchema, Type, number_column};

use super::Evaluation;
use super::numbers::{Numbers, numbers};
use crate::error::EngineError;
use crate::series_batch::SeriesBatch;

/// Replaces each number by the value of an expression over its column.
pub(super) fn each_number(
    evaluation: &mut Evaluation<'_>,
    values: &[Expr],
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<SeriesBatch, EngineError> {
    let inputs = numbers(batch, &mut evaluation.warnings)?;
    let columns = inputs.iter().enumerate();
    let columns = columns.map(|(index, input)| (number_column(index), input.array()));
    let types = schema.columns.iter().map(|(_, value_type)| *value_type);
    let exprs: Vec<(&Expr, Type)> = values.iter().zip(types).collect();
    let columns = evaluation.expressions(&exprs, columns.collect(), batch.rows())?;
    let is_point = |row: usize| inputs.iter().any(|input| input.is_present(row));
    replaced(batch, schema, columns, &is_point)
}

/// Replaces each point by the result of a function of it and those before it. Whether a whole result did not fit into
/// 64 bits is returned, too.
pub(super) fn along_points(
    evaluation: &mut Evaluation<'_>,
    function: PointFunction,
    schema: &SeriesSchema,
    batch: &SeriesBatch,
) -> Result<(SeriesBatch, bool), EngineError> {
    let inputs = numbers(batch, &mut evaluation.warnings)?;
    let mut results = Results {
        has_result: vec![false; batch.rows()],
        overflowed: false,
    };
    let mut columns = Vec::with_capacity(inputs.len());
    for (input, (_, value_type)) in inputs.iter().zip(&schema.columns) {
        columns.push(match (value_type, input) {
            (Type::Int, Numbers::Whole(_)) => results.whole(function, batch, input)?,
            _ => results.float(function, batch, input)?,
        });
    }
    let batch = replaced(batch, schema, columns, &|row| results.has_result[row])?;
    Ok((batch, results.overflowed))
}

struct Results {
    /// Whether a row has a result in any column.
    has_result: Vec<bool>,
    overflowed: bool,
}

impl Results {
    fn whole(
        &mut self,
        function: PointFunction,
        batch: &SeriesBatch,
        input: &Numbers,
    ) -> Result<ArrayRef, EngineError> {
        let mut column: Vec<Option<i64>> = vec![None; batch.rows()];
        for range in batch.ranges() {
            let (rows, numbers, _) = points(batch, input, range)?;
            let results = whole_results(function, numbers.as_primitive::<Int64Type>());
            for (row, result) in rows.into_iter().zip(results) {
                self.has_result[row] |= result.is_some();
                column[row] = result.and_then(|result| i64::try_from(result).ok());
                self.overflowed |= result.is_some() && column[row].is_none();
            }
        }
        Ok(Arc::new(Int64Array::from(column)))
    }

    fn float(
        &mut self,
        function: PointFunction,
        batch: &SeriesBatch,
        input: &Numbers,
    ) -> Result<ArrayRef, EngineError> {
        let mut column: Vec<Option<f64>> = vec![None; batch.rows()];
        for range in batch.ranges() {
            let (rows, numbers, times) = points(batch, input, range)?;
            let numbers = arrow::compute::cast(&numbers, &Type::Float.exported())?;
            let numbers = numbers.as_primitive::<Float64Type>();
            let results = float_results(function, numbers, times.as_primitive::<Int64Type>());
            for (row, result) in rows.into_iter().zip(results) {
                self.has_result[row] |= result.is_some();
                column[row] = result;
            }
        }
        Ok(Arc::new(Float64Array::from(column)))
    }
}

/// The rows of points, oldest first, their numbers and their times.
fn points(
    batch: &SeriesBatch,
    input: &Numbers,
    range: std::ops::Range<usize>,
) -> Result<(Vec<usize>, ArrayRef, ArrayRef), EngineError> {
    let mut rows = batch.oldest_first(range);
    rows.retain(|row| input.is_present(*row));
    let indices: UInt64Array = rows.iter().map(|row| *row as u64).collect();
    let times: ArrayRef = Arc::new(batch.times.clone());
    let numbers = take(&input.array(), &indices, None)?;
    Ok((rows, numbers, take(&times, &indices, None)?))
}

/// The series with other columns, without the rows that are no points any more.
fn replaced(
    batch: &SeriesBatch,
    schema: &SeriesSchema,
    columns: Vec<ArrayRef>,
    is_kept: &dyn Fn(usize) -> bool,
) -> Result<SeriesBatch, EngineError> {
    let all = SeriesBatch {
        schema: schema.clone(),
        columns,
        ..batch.clone()
    };
    let kept = batch
        .ranges()
        .map(|rows| rows.filter(|row| is_kept(*row)).collect());
    let kept: Vec<(usize, Vec<usize>)> = kept.enumerate().collect();
    all.take(&kept)
}
