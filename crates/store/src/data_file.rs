//! Writing one data file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{NaiveDate, TimeDelta};
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

/// The age up to which a staged file may be committed.
///
/// A cleaner deletes files that no version names when they are a day older than this, and makes a
/// commit of its own before. A writer looks at the age after it has read the newest version: so
/// either it has seen the cleaner's commit and its file is too young for that cleaner, or it has not
/// and loses the version to it.
const MAX_STAGED_AGE: TimeDelta = TimeDelta::days(6);

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
    /// When its writing began, in Unix milliseconds: the object store shows no earlier time, also
    /// one that dates an upload in parts by its beginning.
    pub(crate) begun_ms: i64,
    /// The digest of its bytes.
    pub(crate) digest: Digest,
    /// What the log says about its content.
    pub(crate) statistics: String,
    /// What else its entry in the log carries, by keys.
    pub(crate) tags: BTreeMap<String, String>,
}

impl StagedFile {
    /// Whether the file is so old that a cleaner may have deleted it; to be asked after the newest
    /// version was read.
    pub(crate) fn is_too_old(&self, location: &Location) -> bool {
        location.now().timestamp_millis() - self.begun_ms >= MAX_STAGED_AGE.num_milliseconds()
    }
}

/// A data file that is being written. Large ones are uploaded in parts while they grow.
pub(crate) struct DataFileWriter {
    path: Path,
    in_table: String,
    day: NaiveDate,
    rows: u64,
    begun_ms: i64,
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
            begun_ms: location.now().timestamp_millis(),
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
            begun_ms: self.begun_ms,
            digest: written.hasher.finalize().into(),
            statistics: self.statistics.finish(),
            tags: BTreeMap::new(),
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
