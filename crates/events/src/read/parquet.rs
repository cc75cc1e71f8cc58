//! Parquet, row group by row group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use super::Record;
use super::error::ReadError;
use super::input::Input;
use crate::json::row_json;
use crate::rejection::{Rejection, RejectionCode};

const BATCH_ROWS: usize = 1024;

/// The rows of a Parquet input, as objects under the names of its columns.
pub(super) struct Rows {
    name: String,
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    next_in_batch: usize,
    row: u64,
    row_count: u64,
    size_bytes: u64,
    bytes_read: Arc<AtomicU64>,
    is_done: bool,
}

impl Rows {
    pub(super) fn open(input: &Input) -> Result<Self, ReadError> {
        let name = input.name().to_owned();
        let failed = |error: parquet::errors::ParquetError| ReadError::Parquet {
            name: name.clone(),
            after_row: 0,
            reason: error.to_string(),
        };
        let file = input.decompressed_file()?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
        let row_count = builder.metadata().file_metadata().num_rows();
        let batches = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(failed)?;
        Ok(Self {
            name,
            batches,
            batch: None,
            next_in_batch: 0,
            row: 0,
            row_count: u64::try_from(row_count).unwrap_or(0),
            size_bytes: input.size_bytes(),
            bytes_read: input.bytes_read(),
            is_done: false,
        })
    }

    /// Columns are read here and there in the file, so progress is the share of rows.
    fn report_progress(&self) {
        let share =
            u128::from(self.size_bytes) * u128::from(self.row) / u128::from(self.row_count.max(1));
        let bytes = u64::try_from(share).unwrap_or(self.size_bytes);
        self.bytes_read
            .store(bytes.min(self.size_bytes), Ordering::Relaxed);
    }
}

impl Iterator for Rows {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_done {
            if let Some(batch) = &self.batch
                && self.next_in_batch < batch.num_rows()
            {
                let value = row_json(batch, self.next_in_batch)
                    .map(Value::Object)
                    .map_err(|error| {
                        Rejection::new(RejectionCode::UnsupportedType, error.to_string())
                    });
                self.next_in_batch += 1;
                self.row += 1;
                let line = self.row;
                return Some(Ok(Record { line, value }));
            }
            self.report_progress();
            match self.batches.next() {
                None => self.is_done = true,
                Some(Ok(batch)) => {
                    self.batch = Some(batch);
                    self.next_in_batch = 0;
                }
                Some(Err(error)) => {
                    self.is_done = true;
                    return Some(Err(ReadError::Parquet {
                        name: self.name.clone(),
                        after_row: self.row,
                        reason: error.to_string(),
                    }));
                }
            }
        }
        None
    }
}
