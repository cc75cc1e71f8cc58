//! Writing one data file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{NaiveDate, Utc};
use events::WorkspaceId;
use futures::future::BoxFuture;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use uuid::Uuid;

use crate::digest::Digest;
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
    /// The digest of its bytes.
    pub(crate) digest: Digest,
    /// What the log says about its content.
    pub(crate) statistics: String,
}

/// A data file that is being written. Large ones are uploaded in parts while they grow.
pub(crate) struct DataFileWriter {
    path: Path,
    in_table: String,
    day: NaiveDate,
    rows: u64,
    writer: AsyncArrowWriter<DigestingWriter>,
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
        let upload = DigestingWriter {
            upload: BufWriter::new(Arc::clone(&location.objects), path.clone()),
            hasher: blake3::Hasher::new(),
        };
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
        let size_bytes = self.writer.bytes_written() as u64;
        let written = self.writer.into_inner();
        Ok(StagedFile {
            size_bytes,
            path: self.path,
            in_table: self.in_table,
            day: self.day,
            rows: self.rows,
            modified_ms: Utc::now().timestamp_millis(),
            digest: written.hasher.finalize().into(),
            statistics: self.statistics.finish(),
        })
    }
}

/// An upload that digests what passes through.
struct DigestingWriter {
    upload: BufWriter,
    hasher: blake3::Hasher,
}

impl AsyncFileWriter for DigestingWriter {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        self.hasher.update(&bytes);
        AsyncFileWriter::write(&mut self.upload, bytes)
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        AsyncFileWriter::complete(&mut self.upload)
    }
}
