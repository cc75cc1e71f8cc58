//! Parquet, batch by batch.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::error::ReadError;
use super::input::Input;
use crate::rejection::excerpt;

const BATCH_ROWS: usize = 1024;

const FORMAT: &str = "Parquet";

/// Rows that stand one behind the other in an input.
#[derive(Debug)]
pub(super) struct Rows {
    /// The number of rows before them.
    pub(super) rows_before: u64,
    pub(super) batch: RecordBatch,
}

/// The rows of a Parquet input.
pub(super) struct Batches {
    name: String,
    batches: ParquetRecordBatchReader,
    row: u64,
    row_count: u64,
    size_bytes: u64,
    bytes_read: Arc<AtomicU64>,
    is_done: bool,
}

impl Batches {
    pub(super) fn open(input: &Input) -> Result<Self, ReadError> {
        let name = input.name().to_owned();
        let failed = |error: parquet::errors::ParquetError| ReadError::Columns {
            name: name.clone(),
            format: FORMAT,
            after_row: 0,
            reason: error.to_string(),
        };
        let file = input.decompressed_file()?;
        let metadata =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(failed)?;
        check_names(&name, metadata.schema())?;
        let options = ArrowReaderOptions::new().with_schema(Arc::new(as_views(metadata.schema())));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
            .map_err(failed)?;
        let row_count = metadata.metadata().file_metadata().num_rows();
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(failed)?;
        Ok(Self {
            name,
            batches,
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

/// Refuses columns of one name, of which only one would be read.
pub(super) fn check_names(name: &str, schema: &Schema) -> Result<(), ReadError> {
    let mut seen = HashSet::new();
    let mut columns = schema.fields().iter();
    match columns.find(|column| !seen.insert(column.name().as_str())) {
        None => Ok(()),
        Some(column) => Err(ReadError::Header {
            name: name.to_owned(),
            reason: format!("two columns are called `{}`", excerpt(column.name())),
        }),
    }
}

/// The schema with columns of text as views, which share the memory of what is decoded.
fn as_views(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => {
            Arc::new(Field::clone(field).with_data_type(DataType::Utf8View))
        }
        _ => Arc::clone(field),
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

impl Iterator for Batches {
    type Item = Result<Rows, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        self.report_progress();
        match self.batches.next() {
            None => {
                self.is_done = true;
                None
            }
            Some(Ok(batch)) => {
                let rows_before = self.row;
                self.row += batch.num_rows() as u64;
                Some(Ok(Rows { rows_before, batch }))
            }
            Some(Err(error)) => {
                self.is_done = true;
                Some(Err(ReadError::Columns {
                    name: self.name.clone(),
                    format: FORMAT,
                    after_row: self.row,
                    reason: error.to_string(),
                }))
            }
        }
    }
}
