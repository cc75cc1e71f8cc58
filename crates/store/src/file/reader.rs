//! Reading a data file from the object store. All bytes are compared with the digests in the log, as far as the
//! writer has left some, before they are used.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use events::Delivery;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::bloom_filter::Sbbf;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::StoreError;
use crate::file::blocks::{Blocks, KnownBlocks, Tail};
use crate::file::decoded::{self, Decoded};
use crate::file::digest::Digest;
use crate::file::footer::{Footer, Footers};
use crate::file::small_files::{Freshness, LARGEST_BYTES, SmallFiles};
use crate::root::location::Location;
use crate::root::paths;

/// What is fetched of the end of a file at first, when the log does not have the size of the footer with the page index
/// is. It is mostly smaller, and then nothing else has to be fetched for it.
const END_BYTES: usize = 64 * 1024;

/// A data file, in a table or staged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileRef {
    /// The path under the root of the store.
    pub(crate) path: Path,
    /// The file's size in bytes.
    pub(crate) size_bytes: u64,
    /// The digest of the file's bytes; `None` when its writer has left none.
    pub(crate) digest: Option<Digest>,
    /// The end of the file, with digests of its blocks; `None` when its writer has left none.
    pub(crate) tail: Option<Tail>,
    /// The decoded size of its events; `None` when its writer has not recorded it.
    pub(crate) decoded: Option<Decoded>,
    /// How its events came, when that is the same of all of them and not in its columns.
    pub(crate) delivery: Option<Arc<Delivery>>,
}

impl FileRef {
    /// A file of which nothing is known that its bytes could be compared with.
    pub(crate) fn unproved(path: Path, size_bytes: u64) -> Self {
        Self {
            path,
            size_bytes,
            digest: None,
            tail: None,
            decoded: None,
            delivery: None,
        }
    }

    /// Opens the file for reading all columns, as many rows at a time as take a bounded number of bytes.
    pub(crate) async fn open(
        &self,
        location: &Location,
    ) -> std::result::Result<ParquetRecordBatchStreamBuilder<FileReader>, StoreError> {
        let footer = location.caches.footers.of(location, self).await?;
        Ok(self.builder(location, &footer))
    }

    /// Opens the file as [`FileRef::open`] does, with a footer that was read before.
    pub(crate) fn builder(
        &self,
        location: &Location,
        footer: &Footer,
    ) -> ParquetRecordBatchStreamBuilder<FileReader> {
        let reader = FileReader::new(location, self);
        let metadata = footer.reader().clone();
        let rows = decoded::batch_rows(self.decoded, metadata.metadata());
        ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata).with_batch_size(rows)
    }

    /// Whether it never changes, so that what was read of it may be kept: a checkpoint is read to see whether it can be
    /// read now.
    pub(crate) fn is_data_file(&self) -> bool {
        paths::is_of_day(&self.path)
    }

    pub(crate) fn corrupt(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            path: self.path.to_string(),
            reason: reason.into(),
        }
    }

    /// The error of a file whose bytes are others than those that were committed.
    pub(crate) fn changed(&self) -> StoreError {
        self.corrupt("its content has changed since it was committed")
    }
}

/// The caches of this process for data files, which never change.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileCaches {
    /// The digests of blocks.
    pub(crate) blocks: KnownBlocks,
    /// Their footers.
    pub(crate) footers: Footers,
    /// All bytes of small ones.
    pub(crate) small_files: SmallFiles,
}

/// Fetches parts of one data file.
#[derive(Debug)]
pub struct FileReader {
    location: Location,
    file: FileRef,
    blocks: Option<Arc<Blocks>>,
    /// The end of the file, once it was read.
    tail: Option<Bytes>,
}

/// The bloom filters of a column, one for each row group, where there is one.
pub(crate) async fn bloom_filters(
    builder: &mut ParquetRecordBatchStreamBuilder<FileReader>,
    column: usize,
) -> Result<Vec<Option<Sbbf>>> {
    let mut filters = Vec::new();
    for row_group in 0..builder.metadata().num_row_groups() {
        let filter = builder.get_row_group_column_bloom_filter(row_group, column);
        filters.push(filter.await?);
    }
    Ok(filters)
}

/// Fetches ranges of a file that `is_right` accepts. What was damaged in its transfer is right when it is
/// fetched once more.
///
/// # Errors
///
/// [`StoreError::Corrupt`] when the file itself is not right.
pub(crate) async fn fetch_compared(
    location: &Location,
    file: &FileRef,
    ranges: &[Range<u64>],
    is_right: impl Fn(&[Bytes]) -> bool,
) -> std::result::Result<Vec<Bytes>, StoreError> {
    for freshness in [Freshness::Kept, Freshness::Anew] {
        let parts = fetch(location, file, ranges, freshness).await?;
        if is_right(&parts) {
            return Ok(parts);
        }
    }
    Err(file.changed())
}

/// Fetches ranges of a file, which are not compared yet; only of a small file something is kept.
async fn fetch(
    location: &Location,
    file: &FileRef,
    ranges: &[Range<u64>],
    freshness: Freshness,
) -> std::result::Result<Vec<Bytes>, StoreError> {
    let size_bytes = file.size_bytes;
    if ranges.iter().any(|range| range.end > size_bytes) {
        return Err(file.corrupt("its footer names bytes after its end"));
    }
    let fetched = if size_bytes <= LARGEST_BYTES && file.is_data_file() {
        fetch_small(location, file, ranges, freshness).await
    } else {
        location.objects.get_ranges(&file.path, ranges).await
    };
    let failed = match fetched {
        Ok(parts) => {
            let lengths = parts.iter().map(|part| part.len() as u64);
            if lengths.eq(ranges.iter().map(|range| range.end - range.start)) {
                return Ok(parts);
            }
            None
        }
        Err(object_store::Error::NotFound { .. }) => {
            let path = file.path.to_string();
            return Err(StoreError::NotFound { path });
        }
        Err(error) => Some(error),
    };
    // A store refuses a range after the end of an object in words of its own.
    match (location.objects.head(&file.path).await, failed) {
        (Ok(object), Some(error)) if object.size == size_bytes => Err(error.into()),
        (Ok(object), _) => Err(file.corrupt(format!(
            "it has {} bytes, and the log says {size_bytes} bytes",
            object.size
        ))),
        (Err(error), failed) => Err(failed.unwrap_or(error).into()),
    }
}

/// Ranges of a small file, which is fetched as a whole: `SmallFiles` keeps it for the next reader.
async fn fetch_small(
    location: &Location,
    file: &FileRef,
    ranges: &[Range<u64>],
    freshness: Freshness,
) -> object_store::Result<Vec<Bytes>> {
    let whole = location
        .caches
        .small_files
        .get(location, &file.path, file.size_bytes, freshness)
        .await?;
    let part = |range: &Range<u64>| {
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        (start <= end && end <= whole.len()).then(|| whole.slice(start..end))
    };
    // What is missing makes a part of another length than was asked for.
    Ok(ranges
        .iter()
        .map(|range| part(range).unwrap_or_default())
        .collect())
}

impl FileReader {
    /// Reads parts of a file.
    pub(crate) fn new(location: &Location, file: &FileRef) -> Self {
        Self {
            location: location.clone(),
            file: file.clone(),
            blocks: None,
            tail: None,
        }
    }

    /// Ranges of the file, compared with its digests if there are any.
    async fn read(&mut self, ranges: &[Range<u64>]) -> std::result::Result<Vec<Bytes>, StoreError> {
        let Some(blocks) = self.blocks().await? else {
            return fetch(&self.location, &self.file, ranges, Freshness::Kept).await;
        };
        if ranges.iter().any(|range| range.end > self.file.size_bytes) {
            return Err(self.file.corrupt("its footer names bytes after its end"));
        }
        let (spans, parts) = match blocks.tail() {
            // A reader of the footer asks for parts of it one by one.
            Some(tail) if ranges.iter().all(|range| range.start >= tail.start) => {
                let content = self.tail(&blocks, &tail).await?;
                (vec![tail], vec![content])
            }
            _ => {
                let spans = blocks.spans(ranges);
                let parts = self.compared(&blocks, &spans).await?;
                (spans, parts)
            }
        };
        let content = |range: &Range<u64>| {
            if range.is_empty() {
                return Some(Bytes::new());
            }
            let index = spans.partition_point(|span| span.end <= range.start);
            let start = usize::try_from(range.start - spans.get(index)?.start).ok()?;
            let length = usize::try_from(range.end - range.start).ok()?;
            Some(parts.get(index)?.slice(start..start + length))
        };
        let contents: Option<Vec<Bytes>> = ranges.iter().map(content).collect();
        contents.ok_or_else(|| self.file.corrupt("its footer names bytes after its end"))
    }

    async fn tail(
        &mut self,
        blocks: &Blocks,
        range: &Range<u64>,
    ) -> std::result::Result<Bytes, StoreError> {
        if let Some(tail) = &self.tail {
            return Ok(tail.clone());
        }
        let read = self.compared(blocks, std::slice::from_ref(range)).await?;
        let tail: Bytes = read.into_iter().next().unwrap_or_default();
        self.tail = Some(tail.clone());
        Ok(tail)
    }

    /// Whole blocks, compared.
    async fn compared(
        &self,
        blocks: &Blocks,
        spans: &[Range<u64>],
    ) -> std::result::Result<Vec<Bytes>, StoreError> {
        fetch_compared(&self.location, &self.file, spans, |parts| {
            let mut all = spans.iter().zip(parts);
            all.all(|(span, part)| blocks.hold(span.start, part))
        })
        .await
    }

    async fn blocks(&mut self) -> std::result::Result<Option<Arc<Blocks>>, StoreError> {
        if self.blocks.is_none()
            && let Some((blocks, tail)) = self
                .location
                .caches
                .blocks
                .of(&self.location, &self.file)
                .await?
        {
            self.blocks = Some(blocks);
            self.tail = tail;
        }
        Ok(self.blocks.clone())
    }

    /// How many bytes at the end of the file to fetch at first.
    fn end_bytes(&self) -> usize {
        let tail = self
            .file
            .tail
            .map(|tail| self.file.size_bytes.saturating_sub(tail.offset));
        tail.and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(END_BYTES)
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let read = self
                .read(std::slice::from_ref(&range))
                .await
                .map_err(external)?;
            Ok(read.into_iter().next().unwrap_or_default())
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { self.read(&ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size_bytes = self.file.size_bytes;
            let metadata = ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .with_prefetch_hint(Some(self.end_bytes()))
                .load_and_finish(self, size_bytes)
                .await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

fn external(error: StoreError) -> ParquetError {
    ParquetError::External(Box::new(error))
}
