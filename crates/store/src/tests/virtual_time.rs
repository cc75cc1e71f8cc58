//! A root whose time a test sets: years go by in a moment.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;
use crate::root::clock::Clock;

/// A root in memory where time stands still until it is moved on. It begins at [`DAY_START_MS`].
pub(super) struct VirtualTime {
    pub(super) root: Root,
    pub(super) time_ms: Arc<AtomicI64>,
}

impl VirtualTime {
    pub(super) fn new() -> Self {
        let time_ms = Arc::new(AtomicI64::new(DAY_START_MS));
        let mut root = Root::in_memory();
        root.location.objects = dated(&root.location.objects, &time_ms, &Modified::default());
        root.location.clock = Clock::given(&time_ms);
        Self { root, time_ms }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.time_ms.load(Ordering::SeqCst)
    }

    pub(super) fn pass(&self, time: TimeDelta) {
        let time_ms = time.num_milliseconds();
        self.time_ms.fetch_add(time_ms, Ordering::SeqCst);
    }
}

/// When objects were put, by their paths.
pub(super) type Modified = Arc<Mutex<HashMap<Path, DateTime<Utc>>>>;

/// The objects with the times of their puts that `time_ms` has then.
pub(super) fn dated(
    objects: &Arc<dyn ObjectStore>,
    time_ms: &Arc<AtomicI64>,
    modified: &Modified,
) -> Arc<dyn ObjectStore> {
    Arc::new(Dated {
        objects: Arc::clone(objects),
        time_ms: Arc::clone(time_ms),
        modified: Arc::clone(modified),
    })
}

/// Objects with the virtual time of their puts. An upload in parts has the time of its beginning,
/// as on S3.
#[derive(Debug)]
struct Dated {
    objects: Arc<dyn ObjectStore>,
    time_ms: Arc<AtomicI64>,
    modified: Modified,
}

impl Dated {
    fn put(&self, location: &Path) {
        let now = DateTime::from_timestamp_millis(self.time_ms.load(Ordering::SeqCst)).unwrap();
        let mut modified = self.modified.lock().unwrap();
        modified.insert(location.clone(), now);
    }

    fn date(modified: &HashMap<Path, DateTime<Utc>>, mut object: ObjectMeta) -> ObjectMeta {
        if let Some(time) = modified.get(&object.location) {
            object.last_modified = *time;
        }
        object
    }

    fn dated(
        &self,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let modified = self.modified.lock().unwrap().clone();
        let dated = listing.map(move |object| object.map(|object| Self::date(&modified, object)));
        dated.boxed()
    }
}

impl fmt::Display for Dated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Dated")
    }
}

#[async_trait]
impl ObjectStore for Dated {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let result = self.objects.put_opts(location, payload, options).await?;
        self.put(location);
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.put(location);
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.objects.get_opts(location, options).await?;
        // The object may tell another path of itself, with the prefix of the root.
        if let Some(time) = self.modified.lock().unwrap().get(location) {
            result.meta.last_modified = *time;
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.dated(self.objects.list(prefix))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut result = self.objects.list_with_delimiter(prefix).await?;
        let modified = self.modified.lock().unwrap();
        let objects = std::mem::take(&mut result.objects).into_iter();
        result.objects = objects
            .map(|object| Self::date(&modified, object))
            .collect();
        Ok(result)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.put(to);
        self.objects.copy_opts(from, to, options).await
    }
}
