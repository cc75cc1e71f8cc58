//! A log without some of its checkpoints, for when these are damaged and the entries are there.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use events::WorkspaceId;
use futures::stream::{BoxStream, StreamExt};
use futures::{TryStreamExt, future};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::paths;

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

/// The objects without those that are `hidden`.
pub(super) fn without(
    objects: &Arc<dyn ObjectStore>,
    hidden: &HashSet<Path>,
) -> Arc<dyn ObjectStore> {
    if hidden.is_empty() {
        return Arc::clone(objects);
    }
    Arc::new(Without {
        objects: Arc::clone(objects),
        hidden: Arc::new(hidden.clone()),
    })
}

#[derive(Debug, Clone)]
struct Without {
    objects: Arc<dyn ObjectStore>,
    hidden: Arc<HashSet<Path>>,
}

impl fmt::Display for Without {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} without checkpoints", self.objects)
    }
}

impl Without {
    fn check(&self, path: &Path) -> Result<()> {
        if self.hidden.contains(path) {
            return Err(Error::NotFound {
                path: path.to_string(),
                source: "it is damaged and is not used".into(),
            });
        }
        Ok(())
    }

    fn shown(
        &self,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let hidden = Arc::clone(&self.hidden);
        listing
            .try_filter(move |object| future::ready(!hidden.contains(&object.location)))
            .boxed()
    }
}

#[async_trait]
impl ObjectStore for Without {
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
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shown(self.objects.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shown(self.objects.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.objects.list_with_delimiter(prefix).await?;
        let is_shown = |object: &ObjectMeta| !self.hidden.contains(&object.location);
        listed.objects.retain(is_shown);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
