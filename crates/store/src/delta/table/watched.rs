//! The objects of a log as the Delta library sees them: without some of the checkpoints, for when these are damaged and
//! the entries are there, and with a note of what the object store failed to do.
//!
//! The library puts what an object store says into errors of its own, of which some are only text. So they do
//! not distinguish a
//! damaged log from an object store that did not answer.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use events::WorkspaceId;
use futures::stream::{self, BoxStream, StreamExt};
use futures::{TryStreamExt, future};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};

use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;

/// What to hide of a log that cannot be read, one attempt after the other: the hint, then one checkpoint
/// after the other too, the newest first.
pub(super) fn candidates(workspace: &WorkspaceId, log: &[ObjectMeta]) -> Vec<HashSet<Path>> {
    let mut hidden = HashSet::from([paths::last_checkpoint(workspace)]);
    let mut candidates = vec![hidden.clone()];
    let checkpoints = log.iter().rev().map(|object| &object.location);
    for checkpoint in checkpoints.filter(|path| is_part_of_checkpoint(path)) {
        hidden.insert(checkpoint.clone());
        candidates.push(hidden.clone());
    }
    candidates
}

fn is_part_of_checkpoint(path: &Path) -> bool {
    paths::version_of(path).is_some() && !paths::is_commit(path)
}

/// The last failure of an object store; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures(Arc<Mutex<Option<Failure>>>);

#[derive(Debug)]
struct Failure {
    /// The path of the object, or the directory that was listed.
    path: Option<Path>,
    /// `None` when it was taken.
    error: Option<Error>,
}

impl Failures {
    pub(super) fn clear(&self) {
        *self.slot() = None;
    }

    /// The last error. That an object is not there is none.
    pub(super) fn take(&self) -> Option<Error> {
        self.slot().as_mut()?.error.take()
    }

    /// Whether the last error, also one that was taken, is about an object that readers can do without.
    pub(super) fn is_of_checkpoint(&self) -> bool {
        let slot = self.slot();
        let path = slot.as_ref().and_then(|failure| failure.path.as_ref());
        path.is_some_and(|path| is_part_of_checkpoint(path) || path.filename() == Some(paths::HINT))
    }

    /// The error of a log that could not be read because of `error`: that the object is damaged which the last
    /// failure is
    /// about, if only that cannot be read.
    pub(super) async fn explain(&self, location: &Location, error: StoreError) -> StoreError {
        let path = self
            .slot()
            .as_ref()
            .and_then(|failure| failure.path.clone());
        match path {
            Some(path) if error.is_of_object_store() => location.explain_read(&path, error).await,
            _ => error,
        }
    }

    fn note(&self, path: Option<&Path>, error: Error) -> Error {
        if matches!(error, Error::NotFound { .. }) {
            return error;
        }
        let noted = Error::Generic {
            store: "log",
            source: error.to_string().into(),
        };
        *self.slot() = Some(Failure {
            path: path.cloned(),
            error: Some(error),
        });
        noted
    }

    fn slot(&self) -> MutexGuard<'_, Option<Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The objects without those that are `hidden`; what fails is noted in `failures`.
pub(super) fn watched(
    objects: &Arc<dyn ObjectStore>,
    hidden: &HashSet<Path>,
    failures: &Failures,
) -> Arc<dyn ObjectStore> {
    Arc::new(Watched {
        objects: Arc::clone(objects),
        hidden: Arc::new(hidden.clone()),
        failures: failures.clone(),
    })
}

#[derive(Debug, Clone)]
struct Watched {
    objects: Arc<dyn ObjectStore>,
    hidden: Arc<HashSet<Path>>,
    failures: Failures,
}

impl fmt::Display for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(formatter)
    }
}

impl Watched {
    fn check(&self, path: &Path) -> Result<()> {
        if self.hidden.contains(path) {
            return Err(Error::NotFound {
                path: path.to_string(),
                source: "it is damaged and is not used".into(),
            });
        }
        Ok(())
    }

    /// Notes that the bytes before `end` of an object were not read. Of an object that is shorter that is damage of
    /// whatever named them, and object stores refuse them in words of their own.
    async fn note_of_range(&self, path: &Path, end: u64, error: Error) -> Error {
        match self.objects.head(path).await {
            Ok(object) if object.size < end => error,
            _ => self.failures.note(Some(path), error),
        }
    }

    /// The object with its content, so that a failure to read that is noted, too.
    async fn read(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let found = self.objects.get_opts(path, options).await?;
        if is_head {
            return Ok(found);
        }
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let attributes = found.attributes.clone();
        let bytes = found.bytes().await?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta,
            range,
            attributes,
        })
    }

    fn shown(
        &self,
        prefix: Option<&Path>,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let hidden = Arc::clone(&self.hidden);
        let (failures, prefix) = (self.failures.clone(), prefix.cloned());
        listing
            .map_err(move |error| failures.note(prefix.as_ref(), error))
            .try_filter(move |object| future::ready(!hidden.contains(&object.location)))
            .boxed()
    }
}

#[async_trait]
impl ObjectStore for Watched {
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
        self.check(location)?;
        let end = match &options.range {
            Some(GetRange::Bounded(range)) => range.end,
            _ => 0,
        };
        match self.read(location, options).await {
            Err(error) => Err(self.note_of_range(location, end, error).await),
            found => found,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        let end = ranges.iter().map(|range| range.end).max();
        match self.objects.get_ranges(location, ranges).await {
            Err(error) => {
                let end = end.unwrap_or_default();
                Err(self.note_of_range(location, end, error).await)
            }
            read => read,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shown(prefix, self.objects.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shown(prefix, self.objects.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.objects.list_with_delimiter(prefix).await;
        let mut listed = listed.map_err(|error| self.failures.note(prefix, error))?;
        let is_shown = |object: &ObjectMeta| !self.hidden.contains(&object.location);
        listed.objects.retain(is_shown);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
