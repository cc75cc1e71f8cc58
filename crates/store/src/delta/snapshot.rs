//! A table at one version.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use events::{Delivery, TimeRange, WorkspaceId};
use object_store::path::Path;

use crate::delta::log::{FileTotals, TableMetadata};
use crate::file::blocks::Tail;
use crate::file::decoded::{self, Decoded};
use crate::file::digest::Digest;
use crate::file::statistics::Constant;

/// The files of one workspace's table at one version; cheap to clone.
///
/// Files never change, and removed ones stay for a while, so a snapshot can be read while the
/// table moves on. Everything that is asked here is answered without reading a file.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose table it is.
    pub workspace: WorkspaceId,
    /// The version of the Delta table.
    pub version: u64,
    /// The active files, by day, then by path.
    pub files: Arc<[Arc<DataFile>]>,
    /// When the version was committed, by the object store; `None` when its commit is no longer
    /// in the log and only a checkpoint is.
    pub(crate) committed: Option<DateTime<Utc>>,
    /// The table's metadata as the log has them.
    pub(crate) metadata: Arc<TableMetadata>,
    /// The table's metadata with the columns that it lacks; `None` when it lacks none. The next
    /// commit brings it in.
    pub(crate) newer_metadata: Option<Arc<TableMetadata>>,
    /// The totals of the active files.
    pub(crate) totals: FileTotals,
}

/// One Parquet file of a table.
///
/// Its rows are sorted by `date`, then by `df_event_id`, when Vouch has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// The path under the root of the store.
    pub path: Path,
    /// The path inside the table as its log names the file, with percent encodings resolved.
    pub(crate) relative_path: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// The UTC day that all of its events belong to.
    pub day: NaiveDate,
    /// How many events it holds.
    pub rows: u64,
    /// The smallest and the largest `date`, both inclusive, in Unix milliseconds; `None` when the
    /// writer of the file has not recorded them.
    pub date_range_ms: Option<(i64, i64)>,
    /// When the writing of the file began.
    pub modified: DateTime<Utc>,
    /// The digest of the file's bytes; `None` when the writer of the file has not recorded it.
    pub digest: Option<Digest>,
    /// The end of the file, with digests of its blocks; `None` when the writer of the file has not made any.
    pub(crate) tail: Option<Tail>,
    /// The decoded size of its events; `None` when the writer of the file has not recorded it.
    pub(crate) decoded: Option<Decoded>,
    /// How its events came, when that is the same of all of them and not in its columns.
    pub delivery: Option<Arc<Delivery>>,
    /// The smallest and the largest `vouch_received`, both inclusive, in Unix milliseconds; `None` when the log does
    /// not have them.
    pub received_range_ms: Option<(i64, i64)>,
    /// The text columns that have the same value in all rows, of those that the log has statistics of.
    pub constants: Box<[Constant]>,
    /// What else its entry in the log carries, by keys.
    pub(crate) tags: BTreeMap<String, String>,
    /// The digest of what its entry in the log says.
    pub(crate) entry_digest: blake3::Hash,
}

impl DataFile {
    /// A file of which nothing is known that its bytes could be compared with, and no statistics.
    #[must_use]
    pub fn unproved(path: Path, day: NaiveDate, size_bytes: u64, rows: u64) -> Self {
        Self {
            relative_path: path.to_string(),
            path,
            size_bytes,
            day,
            rows,
            date_range_ms: None,
            modified: DateTime::UNIX_EPOCH,
            digest: None,
            tail: None,
            decoded: None,
            delivery: None,
            received_range_ms: None,
            constants: Box::default(),
            tags: BTreeMap::new(),
            entry_digest: blake3::hash(b""),
        }
    }

    /// Whether the file may hold events of `range`; `false` is certain.
    #[must_use]
    pub fn may_hold(&self, range: &TimeRange) -> bool {
        let (first_ms, last_ms) = self.span_ms();
        first_ms < range.to_ms && last_ms >= range.from_ms
    }

    /// How many rows of the file to decode at a time, at most `most`, so that memory does not grow with the size
    /// of events.
    #[must_use]
    pub fn batch_rows(&self, most: usize) -> usize {
        self.decoded.map_or(most, |decoded| {
            decoded.rows_at_a_time(decoded::BATCH_BYTES, most)
        })
    }

    /// The first and the last millisecond an event of this file can have.
    #[must_use]
    pub fn span_ms(&self) -> (i64, i64) {
        self.date_range_ms.unwrap_or_else(|| {
            let day = TimeRange::of_day(self.day);
            (day.from_ms, day.to_ms - 1)
        })
    }
}

impl Snapshot {
    /// How many events the table holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// How many bytes the active files have together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// The first and the last `date` of the table in Unix milliseconds; `None` when it is empty.
    ///
    /// Where a file does not say which dates it holds, the bounds of its day are used.
    #[must_use]
    pub fn date_range_ms(&self) -> Option<(i64, i64)> {
        self.files
            .iter()
            .map(|file| file.span_ms())
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// The files that may hold events of `range`, by day and by the dates that they hold.
    pub fn files_in(&self, range: &TimeRange) -> impl Iterator<Item = &DataFile> {
        let range = *range;
        self.files().filter(move |file| file.may_hold(&range))
    }

    /// The identity of the table, which another table under the same path does not have.
    pub(crate) fn table_id(&self) -> &str {
        &self.metadata.id
    }

    /// The metadata that a commit starts from: the table's, with all columns that events have.
    pub(crate) fn metadata_to_commit(&self) -> &TableMetadata {
        self.newer_metadata.as_ref().unwrap_or(&self.metadata)
    }

    /// The active files, by day, then by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.files.iter().map(AsRef::as_ref)
    }

    /// The files of one day.
    pub(crate) fn files_of(&self, day: NaiveDate) -> impl Iterator<Item = &DataFile> {
        self.files().filter(move |file| file.day == day)
    }
}
