//! Writing one data file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{NaiveDate, TimeDelta};
use events::{Delivery, WorkspaceId};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::error::StoreError;
use crate::file::blocks::{BlockHasher, Tail};
use crate::file::decoded::{self, Decoded};
use crate::file::digest::Digest;
use crate::file::layout;
use crate::file::statistics::StatisticsCollector;
use crate::root::location::Location;
use crate::root::paths;

/// The age up to which a staged file may be committed.
///
/// A cleaner deletes files that no version names when they are a day older than this, and makes a
/// commit of its own before. A writer checks the age after it has read the newest version: so
/// either it has seen the cleaner's commit and its file is too young for that cleaner, or it has not
/// and loses the version to it.
const MAX_STAGED_AGE: TimeDelta = TimeDelta::days(6);

/// A data file that is in the object store but in no version of its table yet.
#[derive(Debug, Clone)]
pub(crate) struct StagedFile {
    /// The path under the root of the store.
    pub(crate) path: Path,
    /// The path inside the table, as its log names the file.
    pub(crate) relative_path: String,
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
    /// Its end, with the digests of its blocks.
    pub(crate) tail: Tail,
    /// The decoded size of its events.
    pub(crate) decoded: Decoded,
    /// Its statistics, as the log has them.
    pub(crate) statistics: String,
    /// How its events came, when that is the same of all of them and not in its columns.
    pub(crate) delivery: Option<Arc<Delivery>>,
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
    location: Location,
    path: Path,
    relative_path: String,
    day: NaiveDate,
    rows: u64,
    begun_ms: i64,
    writer: ArrowWriter<Vec<u8>>,
    /// What the events of the row group that grows take when they are decoded.
    group_bytes: u64,
    decoded: Decoded,
    upload: BufWriter,
    digests: Digests,
    statistics: StatisticsCollector,
}

/// The digests of a file while it grows.
#[derive(Default)]
struct Digests {
    whole: blake3::Hasher,
    blocks: BlockHasher,
}

impl DataFileWriter {
    /// Begins a file with events of `day`.
    pub(crate) fn create(
        location: &Location,
        workspace: &WorkspaceId,
        day: NaiveDate,
    ) -> Result<Self, StoreError> {
        let relative_path = paths::data_file_in_table(day, Uuid::new_v4());
        let path = paths::data_file(workspace, &relative_path);
        let options = ArrowWriterOptions::new()
            .with_properties(layout::writer_properties())
            // All types follow from those of Parquet, and the Arrow schema would take 3 kB of each file.
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), events::schema(), options)
            .map_err(|error| StoreError::parquet(&path, error))?;
        Ok(Self {
            location: location.clone(),
            upload: BufWriter::new(Arc::clone(&location.objects), path.clone()),
            path,
            relative_path,
            day,
            rows: 0,
            begun_ms: location.now().timestamp_millis(),
            writer,
            group_bytes: 0,
            decoded: Decoded::default(),
            digests: Digests::default(),
            statistics: StatisticsCollector::default(),
        })
    }

    /// Adds rows, which must come in the order of [`layout::SORT_COLUMNS`].
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        self.statistics.add(batch);
        self.rows += batch.num_rows() as u64;
        let sizes = decoded::row_bytes(batch);
        self.decoded.add(&sizes);
        let mut start = 0;
        for (row, size) in sizes.into_iter().enumerate() {
            if self.group_bytes > 0 && self.group_bytes + size > layout::ROW_GROUP_BYTES {
                self.encode(&batch.slice(start, row - start)).await?;
                self.encoded(ArrowWriter::flush)?;
                self.group_bytes = 0;
                start = row;
            }
            self.group_bytes += size;
        }
        self.encode(&batch.slice(start, batch.num_rows() - start))
            .await
    }

    async fn encode(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let groups = self.writer.flushed_row_groups().len();
        self.encoded(|writer| writer.write(batch))?;
        if self.writer.flushed_row_groups().len() > groups {
            self.group_bytes = 0;
        }
        self.upload().await
    }

    /// Completes the file; it is durable when this returns.
    pub(crate) async fn finish(mut self) -> Result<StagedFile, StoreError> {
        self.encoded(ArrowWriter::flush)?;
        self.upload().await?;
        let offset = self.writer.bytes_written() as u64;
        let digests = std::mem::take(&mut self.digests.blocks).finish();
        self.encoded(|writer| Ok(writer.write_all(&digests)?))?;
        self.encoded(|writer| writer.finish().map(drop))?;
        let tail = self.written()?;
        self.digests.whole.update(&tail);
        let digest = Digest::from(blake3::hash(&tail));
        self.put(tail).await?;
        let completed = self.upload.shutdown().await;
        completed.map_err(|error| self.failed(error.into()))?;
        Ok(StagedFile {
            size_bytes: self.writer.bytes_written() as u64,
            path: self.path,
            relative_path: self.relative_path,
            day: self.day,
            rows: self.rows,
            begun_ms: self.begun_ms,
            digest: self.digests.whole.finalize().into(),
            tail: Tail { offset, digest },
            decoded: self.decoded,
            statistics: self.statistics.finish(),
            delivery: None,
            tags: BTreeMap::new(),
        })
    }

    fn encoded(
        &mut self,
        encode: impl FnOnce(&mut ArrowWriter<Vec<u8>>) -> parquet::errors::Result<()>,
    ) -> Result<(), StoreError> {
        encode(&mut self.writer).map_err(|error| self.failed(error))
    }

    /// Sends on what is encoded, which is data.
    async fn upload(&mut self) -> Result<(), StoreError> {
        let data = self.written()?;
        self.digests.whole.update(&data);
        self.digests.blocks.update(&data);
        self.put(data).await
    }

    /// What is encoded and was not taken before.
    fn written(&mut self) -> Result<Bytes, StoreError> {
        self.encoded(|writer| Ok(writer.sync()?))?;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }

    async fn put(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.location.check_writable().await?;
        let sent = self.upload.put(bytes).await;
        sent.map_err(|error| self.failed(ParquetError::External(error.into())))
    }

    fn failed(&self, error: ParquetError) -> StoreError {
        StoreError::parquet(&self.path, error)
    }
}
