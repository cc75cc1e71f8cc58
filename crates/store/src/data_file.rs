//! Writing one data file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{NaiveDate, Utc};
use events::WorkspaceId;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use uuid::Uuid;

use crate::error::StoreError;
use crate::layout;
use crate::location::Location;
use crate::paths;
use crate::statistics::StatisticsCollector;

/// A data file that is in the object store but in no version of its table yet.
#[derive(Debug, Clone)]
pub(crate) struct StagedFile {
    /// The path under the root of the store.
    pub(crate) path: Path,
    /// The path inside the table, as its log names the file.
    pub(crate) in_table: String,
    /// The day of all its events.
    pub(crate) day: NaiveDate,
    /// How many events it holds.
    pub(crate) rows: u64,
    /// The file's size in bytes.
    pub(crate) size_bytes: u64,
    /// When it was written, in Unix milliseconds.
    pub(crate) modified_ms: i64,
    /// What the log says about its content.
    pub(crate) statistics: String,
}

/// A data file that is being written. Large ones are uploaded in parts while they grow.
pub(crate) struct DataFileWriter {
    path: Path,
    in_table: String,
    day: NaiveDate,
    rows: u64,
    writer: AsyncArrowWriter<BufWriter>,
    statistics: StatisticsCollector,
}

impl DataFileWriter {
    /// Begins a file with events of `day`.
    pub(crate) fn create(
        location: &Location,
        workspace: &WorkspaceId,
        day: NaiveDate,
    ) -> Result<Self, StoreError> {
        let in_table = paths::data_file_in_table(day, Uuid::new_v4());
        let path = paths::data_file(workspace, &in_table);
        let upload = BufWriter::new(Arc::clone(&location.objects), path.clone());
        let properties = layout::writer_properties();
        let writer = AsyncArrowWriter::try_new(upload, events::schema(), Some(properties))
            .map_err(|error| StoreError::parquet(&path, error))?;
        Ok(Self {
            path,
            in_table,
            day,
            rows: 0,
            writer,
            statistics: StatisticsCollector::default(),
        })
    }

    /// Adds rows, which must come in the order of [`layout::SORT_COLUMNS`].
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        self.statistics.add(batch);
        self.rows += batch.num_rows() as u64;
        self.writer
            .write(batch)
            .await
            .map_err(|error| StoreError::parquet(&self.path, error))
    }

    /// Completes the file; it is durable when this returns.
    pub(crate) async fn finish(mut self) -> Result<StagedFile, StoreError> {
        self.writer
            .finish()
            .await
            .map_err(|error| StoreError::parquet(&self.path, error))?;
        Ok(StagedFile {
            size_bytes: self.writer.bytes_written() as u64,
            path: self.path,
            in_table: self.in_table,
            day: self.day,
            rows: self.rows,
            modified_ms: Utc::now().timestamp_millis(),
            statistics: self.statistics.finish(),
        })
    }
}
