//! An object store that fetches a small data file once.
//!
//! Readers fetch the end of a file first, which of a small file is all of it; what they want of it
//! afterwards is here already. Data files never change.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use quick_cache::sync::Cache;

/// The size up to which a file is kept.
pub(crate) const LARGEST_BYTES: u64 = 64 * 1024;

/// What all kept files may take together.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// About how large a small file is, for the size of the table of files.
const USUAL_BYTES: u64 = 16 * 1024;

/// The directories of data files begin with this.
const DAY_PREFIX: &str = "day=";

/// Asks in the extensions of a request for the object as it is in the object store: what is kept of it was damaged in its
/// transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchAnew;

/// A data file that was fetched whole.
#[derive(Debug, Clone)]
struct Whole {
    meta: ObjectMeta,
    bytes: Bytes,
}

#[derive(Clone)]
struct BySize;

impl quick_cache::Weighter<Path, Whole> for BySize {
    fn weight(&self, _: &Path, file: &Whole) -> u64 {
        file.bytes.len() as u64 + 256
    }
}

/// Another object store, of which small data files are kept in memory.
pub(crate) struct SmallFiles {
    objects: Arc<dyn ObjectStore>,
    files: Arc<Cache<Path, Whole, BySize>>,
}

impl SmallFiles {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        let files = usize::try_from(MEMORY_BYTES / USUAL_BYTES).unwrap_or(1);
        Self {
            objects,
            files: Arc::new(Cache::with_weighter(files, MEMORY_BYTES, BySize)),
        }
    }

    /// The part of a kept file; `None` when it has to be fetched.
    fn kept(&self, location: &Path, range: &Range<u64>) -> Option<(Whole, Bytes)> {
        let file = self.files.get(location)?;
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        if start > end || end > file.bytes.len() {
            return None;
        }
        let part = file.bytes.slice(start..end);
        Some((file, part))
    }
}

/// The range of a request for nothing but bytes of a data file.
fn plain_range(location: &Path, options: &GetOptions) -> Option<Range<u64>> {
    let Some(GetRange::Bounded(range)) = &options.range else {
        return None;
    };
    let plain = GetOptions::default();
    let is_plain = options.if_match == plain.if_match
        && options.if_none_match == plain.if_none_match
        && options.if_modified_since == plain.if_modified_since
        && options.if_unmodified_since == plain.if_unmodified_since
        && options.version == plain.version
        && !options.head
        && location
            .parts()
            .any(|part| part.as_ref().starts_with(DAY_PREFIX));
    is_plain.then(|| range.clone())
}

fn result(meta: ObjectMeta, attributes: Attributes, range: Range<u64>, bytes: Bytes) -> GetResult {
    GetResult {
        payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
        meta,
        range,
        attributes,
    }
}

impl fmt::Debug for SmallFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(formatter)
    }
}

impl fmt::Display for SmallFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.objects, formatter)
    }
}

#[async_trait]
impl ObjectStore for SmallFiles {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(range) = plain_range(location, &options) else {
            return self.objects.get_opts(location, options).await;
        };
        let is_anew = options.extensions.get::<FetchAnew>().is_some();
        if !is_anew && let Some((file, part)) = self.kept(location, &range) {
            return Ok(result(file.meta, Attributes::default(), range, part));
        }
        let found = self.objects.get_opts(location, options).await?;
        if range.start > 0 || found.meta.size > LARGEST_BYTES || found.range.end < found.meta.size {
            return Ok(found);
        }
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let attributes = found.attributes.clone();
        let bytes = found.bytes().await?;
        let whole = Whole {
            meta: meta.clone(),
            bytes: bytes.clone(),
        };
        self.files.insert(location.clone(), whole);
        Ok(result(meta, attributes, range, bytes))
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let kept = ranges.iter().map(|range| self.kept(location, range));
        let kept: Option<Vec<Bytes>> = kept.map(|kept| Some(kept?.1)).collect();
        match kept {
            Some(parts) => Ok(parts),
            None => self.objects.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let files = Arc::clone(&self.files);
        let locations = locations.inspect_ok(move |location| {
            files.remove(location);
        });
        self.objects.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
