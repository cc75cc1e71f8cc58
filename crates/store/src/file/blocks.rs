//! Digests of the blocks of a data file: any part of it can be compared with what was written before it is used.
//!
//! ```text
//! data | digest of each block of the data | page index and footer
//!      '--------------------- tail -----------------------------'
//! ```
//!
//! The log has the offset and the digest of the tail. So whatever is read of a file is proved by the log, and a reader
//! fetches the digests together with the footer, which it needs anyway. A file without them, of an older version, is
//! read in full and compared with the digest of the whole file when a process reads it first; from then on the process
//! knows the digests of its blocks, too.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::error::StoreError;
use crate::file::digest::Digest;
use crate::file::reader::{FileRef, fetch_compared};
use crate::file::small_files::LARGEST_BYTES;
use crate::root::location::Location;

/// The key under which the log holds the tail of a file, among the tags of its entry.
pub(crate) const TAG: &str = "vouch.tail";

/// The bytes of a block. Smaller ones make the digests longer, larger ones reading of a few rows; most processors hash
/// this many bytes at once.
pub(crate) const BLOCK_BYTES: u64 = 8 * 1024;

/// The bytes of a block's digest: enough to find damage. A change on purpose can change the log as well.
pub(crate) const DIGEST_BYTES: usize = 8;

/// What the digests of blocks may take in memory; those of an eighth of a tebibyte of files.
const CACHE_BYTES: u64 = 128 * 1024 * 1024;
const TYPICAL_BYTES: usize = 1024;

/// The end of a data file that holds the digests of its blocks, the page index and the footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tail {
    /// Where it begins.
    pub(crate) offset: u64,
    /// The digest of its bytes.
    pub(crate) digest: Digest,
}

impl fmt::Display for Tail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.offset, self.digest)
    }
}

impl FromStr for Tail {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (offset, digest) = text.split_once(':').ok_or(())?;
        Ok(Self {
            offset: offset.parse().map_err(drop)?,
            digest: digest.parse().map_err(drop)?,
        })
    }
}

/// Digests blocks of a file while it passes through.
#[derive(Debug, Default)]
pub(crate) struct BlockHasher {
    hasher: blake3::Hasher,
    hashed: usize,
    digests: Vec<u8>,
}

impl BlockHasher {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let missing = BLOCK_BYTES as usize - self.hashed;
            let (part, others) = bytes.split_at(missing.min(bytes.len()));
            self.hasher.update(part);
            self.hashed += part.len();
            if part.len() == missing {
                self.end_block();
            }
            bytes = others;
        }
    }

    /// The digests of all blocks, of which the last may be shorter.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.hashed > 0 {
            self.end_block();
        }
        self.digests
    }

    fn end_block(&mut self) {
        let digest = self.hasher.finalize();
        self.digests
            .extend_from_slice(&digest.as_bytes()[..DIGEST_BYTES]);
        self.hasher.reset();
        self.hashed = 0;
    }
}

/// The digests of the blocks of one file.
#[derive(Debug)]
pub(crate) struct Blocks {
    digests: Bytes,
    /// The bytes at the beginning of the file that are in blocks.
    data_bytes: u64,
    /// The digest of what follows them.
    tail: Option<Digest>,
    size_bytes: u64,
}

impl Blocks {
    /// The digests that the verified tail of a file begins with.
    fn of_tail(file: &FileRef, tail: Tail, content: &Bytes) -> Option<Self> {
        let blocks = usize::try_from(tail.offset.div_ceil(BLOCK_BYTES)).ok()?;
        let bytes = blocks.checked_mul(DIGEST_BYTES)?;
        let digests = content.get(..bytes)?;
        Some(Self {
            // A copy, so that the footer does not stay in memory.
            digests: Bytes::copy_from_slice(digests),
            data_bytes: tail.offset,
            tail: Some(tail.digest),
            size_bytes: file.size_bytes,
        })
    }

    /// The bytes that are compared as one, because they hold a footer, which is read as a whole.
    pub(crate) fn tail(&self) -> Option<Range<u64>> {
        self.tail.map(|_| self.data_bytes..self.size_bytes)
    }

    /// What has to be read so that all of `ranges` can be compared, ascending and without overlaps.
    pub(crate) fn spans(&self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let spans = ranges.iter().filter(|range| !range.is_empty());
        let mut spans: Vec<_> = spans
            .map(|range| self.block(range.start).start..self.block(range.end - 1).end)
            .collect();
        spans.sort_unstable_by_key(|span| span.start);
        spans.dedup_by(|next, span| {
            let overlaps = next.start <= span.end;
            if overlaps {
                span.end = span.end.max(next.end);
            }
            overlaps
        });
        spans
    }

    /// Whether whole blocks, the first of which begins at `offset`, are as they were written.
    pub(crate) fn hold(&self, offset: u64, mut bytes: &[u8]) -> bool {
        let mut at = offset;
        while !bytes.is_empty() {
            let block = self.block(at);
            let length = usize::try_from(block.end - at).unwrap_or(usize::MAX);
            let Some((content, others)) = bytes.split_at_checked(length) else {
                return false;
            };
            if !self.holds(at, content) {
                return false;
            }
            (at, bytes) = (block.end, others);
        }
        true
    }

    /// The bytes that are compared together with the one at `offset`.
    fn block(&self, offset: u64) -> Range<u64> {
        if offset >= self.data_bytes {
            return self.data_bytes..self.size_bytes;
        }
        let start = offset - offset % BLOCK_BYTES;
        start..(start + BLOCK_BYTES).min(self.data_bytes)
    }

    fn holds(&self, offset: u64, content: &[u8]) -> bool {
        let found = blake3::hash(content);
        if offset >= self.data_bytes {
            return self.tail == Some(found.into());
        }
        let index = usize::try_from(offset / BLOCK_BYTES).unwrap_or(usize::MAX);
        let start = index.saturating_mul(DIGEST_BYTES);
        let written = self.digests.get(start..start.saturating_add(DIGEST_BYTES));
        written == Some(&found.as_bytes()[..DIGEST_BYTES])
    }
}

/// The blocks of files that this process has read.
#[derive(Debug, Clone)]
pub(crate) struct KnownBlocks(Arc<Cache<Path, Arc<Blocks>, BlocksSize>>);

#[derive(Debug, Clone)]
struct BlocksSize;

impl Weighter<Path, Arc<Blocks>> for BlocksSize {
    fn weight(&self, path: &Path, blocks: &Arc<Blocks>) -> u64 {
        (path.as_ref().len() + size_of::<Blocks>() + blocks.digests.len()) as u64
    }
}

impl Default for KnownBlocks {
    fn default() -> Self {
        let typical = CACHE_BYTES as usize / TYPICAL_BYTES;
        Self(Arc::new(Cache::with_weighter(
            typical,
            CACHE_BYTES,
            BlocksSize,
        )))
    }
}

impl KnownBlocks {
    /// The blocks of a file, and its tail if that had to be read for them; `None` when its writer has left nothing to
    /// compare with.
    pub(crate) async fn of(
        &self,
        location: &Location,
        file: &FileRef,
    ) -> Result<Option<(Arc<Blocks>, Option<Bytes>)>, StoreError> {
        let mut tail = None;
        let blocks = match (file.tail, file.digest) {
            (None, None) => return Ok(None),
            (Some(logged), _) => {
                let read = async {
                    let content = read_tail(location, file, logged).await?;
                    let blocks = Blocks::of_tail(file, logged, &content);
                    let blocks = blocks.ok_or_else(|| file.corrupt("it is too short"))?;
                    tail = Some(content);
                    Ok::<_, StoreError>(Arc::new(blocks))
                };
                self.0.get_or_insert_async(&file.path, read).await?
            }
            (None, Some(digest)) => {
                let read = read_all(location, file, digest);
                self.0.get_or_insert_async(&file.path, read).await?
            }
        };
        Ok(Some((blocks, tail)))
    }
}

async fn read_tail(location: &Location, file: &FileRef, tail: Tail) -> Result<Bytes, StoreError> {
    if tail.offset >= file.size_bytes {
        return Err(file.corrupt("the log says that its footer is after its end"));
    }
    let range = tail.offset..file.size_bytes;
    let is_right = |content: &[Bytes]| {
        let mut parts = content.iter();
        parts.all(|part| Digest::from(blake3::hash(part)) == tail.digest)
    };
    let read = fetch_compared(location, file, std::slice::from_ref(&range), is_right);
    Ok(read.await?.pop().unwrap_or_default())
}

/// Compares a whole file with its digest, and digests its blocks meanwhile.
async fn read_all(
    location: &Location,
    file: &FileRef,
    digest: Digest,
) -> Result<Arc<Blocks>, StoreError> {
    let mut content = if file.size_bytes <= LARGEST_BYTES {
        let whole = 0..file.size_bytes;
        let is_right = |parts: &[Bytes]| {
            let mut parts = parts.iter();
            parts.all(|part| Digest::from(blake3::hash(part)) == digest)
        };
        let range = std::slice::from_ref(&whole);
        let parts = fetch_compared(location, file, range, is_right).await?;
        stream::iter(parts).map(Ok).boxed()
    } else {
        match location.objects.get(&file.path).await {
            Ok(object) => object.into_stream(),
            Err(object_store::Error::NotFound { .. }) => {
                let path = file.path.to_string();
                return Err(StoreError::NotFound { path });
            }
            Err(error) => return Err(error.into()),
        }
    };
    let mut whole = blake3::Hasher::new();
    let mut blocks = BlockHasher::default();
    let mut size_bytes = 0;
    while let Some(part) = content.try_next().await? {
        size_bytes += part.len() as u64;
        whole.update(&part);
        blocks.update(&part);
        tokio::task::consume_budget().await;
    }
    if size_bytes != file.size_bytes || Digest::from(whole.finalize()) != digest {
        return Err(file.changed());
    }
    Ok(Arc::new(Blocks {
        digests: blocks.finish().into(),
        data_bytes: size_bytes,
        tail: None,
        size_bytes,
    }))
}
