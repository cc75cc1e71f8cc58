//! A plan's batches as rows of the answer: what a limit cut off is noticed, and the rows and columns
//! that only serve to notice it are taken away.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use datafusion::common::Result;
use plan::{Limit, Limits, Lowered, Position, Type};
use serde_json::Value;

use crate::cells::Cells;

/// What went through so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Passed {
    /// Rows of the answer.
    pub(crate) rows: u64,
    /// Events behind them, where the plan counts them.
    pub(crate) hits: u64,
    /// Whether rows of a group were cut off.
    pub(crate) rows_cut: bool,
    /// Whether groups were cut off.
    pub(crate) groups_cut: bool,
}

/// Takes a plan's batches in order and gives those of the answer.
#[derive(Debug)]
pub(crate) struct RowFilter {
    limits: Limits,
    has_hits: bool,
    is_ranked: bool,
    row_is_group: bool,
    /// The columns of the answer: keys, time, values.
    answer_columns: usize,
    /// The types of the columns that tell the place of a row.
    place: Vec<Type>,
    passed: Passed,
    last: Option<Position>,
    /// The place of the first row that was cut off.
    next: Option<Position>,
}

impl RowFilter {
    /// For the batches of a lowered query.
    pub(crate) fn new(lowered: &Lowered, limits: Limits) -> Self {
        Self {
            limits,
            has_hits: lowered.has_hits,
            is_ranked: lowered.is_ranked,
            row_is_group: lowered.row_is_group,
            answer_columns: lowered.keys.len() + 1 + lowered.columns.len(),
            place: lowered.cursor.clone(),
            passed: Passed::default(),
            last: None,
            next: None,
        }
    }

    /// The rows of a batch that belong to the answer, with the answer's columns.
    pub(crate) fn pass(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let batch = if self.is_ranked {
            self.ranked(batch)?
        } else {
            self.counted(batch)?
        };
        self.passed.rows += batch.num_rows() as u64;
        if self.has_hits {
            let hits = numbers(batch.column(self.answer_columns))?;
            self.passed.hits += hits.iter().flatten().sum::<u64>();
        }
        if !self.place.is_empty() && batch.num_rows() > 0 {
            self.last = Some(position(&batch, &self.place)?);
        }
        let columns: Vec<usize> = (0..self.answer_columns).collect();
        Ok(batch.project(&columns)?)
    }

    /// What went through.
    pub(crate) fn passed(&self) -> Passed {
        self.passed
    }

    /// The place of the last row or group, where the plan tells it.
    pub(crate) fn last(&self) -> Option<&Position> {
        self.last.as_ref()
    }

    /// The place of the first row behind the last, where the plan tells it and one was cut off.
    pub(crate) fn next(&self) -> Option<&Position> {
        self.next.as_ref()
    }

    /// Takes back the last rows of the answer.
    pub(crate) fn take_back(&mut self, rows: u64) {
        self.passed.rows -= rows;
    }

    /// Groups of several rows: the rank of the group tells, and the last row of a group that has more.
    fn ranked(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let cut_column = self.answer_columns + usize::from(self.has_hits);
        let mut batch = batch.clone();
        if let Some(slimit) = self.limits.slimit.count() {
            let last = self.limits.soffset.saturating_add(slimit);
            let ranks = numbers(batch.column(cut_column + 1))?;
            let wanted: BooleanArray = ranks
                .iter()
                .map(|rank| Some(rank.is_some_and(|rank| rank <= last)))
                .collect();
            self.passed.groups_cut |= wanted.false_count() > 0;
            batch = filter_record_batch(&batch, &wanted)?;
        }
        let is_cut = batch.column(cut_column).as_boolean();
        self.passed.rows_cut |= is_cut.has_true();
        Ok(batch)
    }

    /// One group, or groups of one row: the number of rows tells.
    fn counted(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let limit = if self.row_is_group {
            self.limits.slimit
        } else {
            self.limits.limit
        };
        let Some(limit) = Limit::count(limit) else {
            return Ok(batch.clone());
        };
        let left = limit.saturating_sub(self.passed.rows);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        if batch.num_rows() <= left {
            return Ok(batch.clone());
        }
        if !self.place.is_empty() && self.next.is_none() {
            self.next = Some(position(&batch.slice(left, 1), &self.place)?);
        }
        if self.row_is_group {
            self.passed.groups_cut = true;
        } else {
            self.passed.rows_cut = true;
        }
        Ok(batch.slice(0, left))
    }
}

fn numbers(column: &ArrayRef) -> Result<UInt64Array> {
    Ok(cast(column, &DataType::UInt64)?
        .as_primitive::<UInt64Type>()
        .clone())
}

/// The place of a batch's last row, which its last columns tell.
fn position(batch: &RecordBatch, types: &[Type]) -> Result<Position> {
    let last = batch.slice(batch.num_rows() - 1, 1);
    let first_column = batch.num_columns() - types.len();
    let value = |(index, value_type): (usize, &Type)| {
        let column = last.column(first_column + index);
        if *value_type == Type::Float && !column.is_null(0) {
            // JSON has no infinity, and some clients read a number with one digit less.
            let number = cast(column, &DataType::Float64)?;
            let text = number.as_primitive::<Float64Type>().value(0).to_string();
            return Ok(Value::from(text));
        }
        Ok(Cells::new(column, *value_type)?.value(0))
    };
    let values: Result<Vec<Value>> = types.iter().enumerate().map(value).collect();
    Ok(Position { values: values? })
}
