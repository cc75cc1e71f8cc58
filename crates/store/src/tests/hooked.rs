//! An object store that asks before everything it does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// What an object store is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Put,
    Get,
    Head,
    List,
    Delete,
}

/// Runs before a request, which is not made when it fails.
pub(super) type Hook = Arc<dyn Fn(Request) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The same, told the path of the object or of the directory, too; that of the root where there is none.
pub(super) type PathHook =
    Arc<dyn Fn(Request, &Path) -> BoxFuture<'static, Result<()>> + Send + Sync>;

#[derive(Clone)]
struct Hooked {
    objects: Arc<dyn ObjectStore>,
    hook: PathHook,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hooked")
    }
}

impl fmt::Display for Hooked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hooked")
    }
}

/// The root with `hook` before everything.
pub(super) fn hooked(root: &Root, hook: Hook) -> Location {
    hooked_by_path(root, Arc::new(move |request, _: &Path| hook(request)))
}

/// The root on a disk that cannot read the content of some objects.
pub(super) fn unreadable(
    root: &Root,
    is_unreadable: impl Fn(&Path) -> bool + Send + Sync + 'static,
) -> Location {
    let objects = Arc::clone(&root.location.objects);
    let hook = move |request, path: &Path| {
        let fails = request == Request::Get && is_unreadable(path);
        let (objects, path) = (Arc::clone(&objects), path.clone());
        async move {
            match fails && objects.head(&path).await.is_ok() {
                true => Err(io_error()),
                false => Ok(()),
            }
        }
        .boxed()
    };
    hooked_by_path(root, Arc::new(hook))
}

/// What a disk says about bytes that it cannot read.
fn io_error() -> Error {
    Error::Generic {
        store: "hooked",
        source: "Input/output error (os error 5)".into(),
    }
}

/// The root with `hook` before everything.
pub(super) fn hooked_by_path(root: &Root, hook: PathHook) -> Location {
    Location {
        objects: Arc::new(Hooked {
            objects: Arc::clone(&root.location.objects),
            hook,
        }),
        ..root.location.clone()
    }
}

/// What a dead machine says.
pub(super) fn dead() -> Error {
    Error::Generic {
        store: "hooked",
        source: "the machine is gone".into(),
    }
}

#[async_trait]
impl ObjectStore for Hooked {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        (self.hook)(Request::Put, location).await?;
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        (self.hook)(Request::Put, location).await?;
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = if options.head {
            Request::Head
        } else {
            Request::Get
        };
        (self.hook)(request, location).await?;
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        (self.hook)(Request::Get, location).await?;
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let asked = (self.hook)(Request::Delete, &Path::default());
        let objects = Arc::clone(&self.objects);
        stream::once(async move {
            match asked.await {
                Ok(()) => objects.delete_stream(locations),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        })
        .flatten()
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        let directory = prefix.clone().unwrap_or_default();
        self.listing(&directory, move |objects| objects.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        let directory = prefix.clone().unwrap_or_default();
        self.listing(&directory, move |objects| {
            objects.list_with_offset(prefix.as_ref(), &offset)
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        (self.hook)(Request::List, &prefix.cloned().unwrap_or_default()).await?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

impl Hooked {
    fn listing(
        &self,
        directory: &Path,
        list: impl FnOnce(Arc<dyn ObjectStore>) -> BoxStream<'static, Result<ObjectMeta>>
        + Send
        + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let asked = (self.hook)(Request::List, directory);
        let objects = Arc::clone(&self.objects);
        stream::once(async move {
            match asked.await {
                Ok(()) => list(objects),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        })
        .flatten()
        .boxed()
    }
}
