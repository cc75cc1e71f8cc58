//! Local disk whose writes survive a power cut once they are answered.
//!
//! `object_store` writes to local disk without ever syncing. A write here goes to a staging file
//! first, whose content is synced before it gets its final name: were the name to become durable
//! first, a power cut could leave an empty commit under it, which damages the table for good.
//! After that every directory from the file up to the root is synced, so that the name lasts too.
//!
//! The time of a file is the one that the file system gave it with its last write, a moment before it got its
//! name. It is never set here: on a shared disk the clock of the file server counts, and that of this machine
//! may be wrong.
//!
//! The root is never made by a write, nor is anything directly below it while the marker of the store is not
//! there: were the volume of the store not mounted, or moved away, writes would be acknowledged into a directory
//! that is hidden later.
//!
//! Listings are sorted, which those of a local disk are not by themselves: the Delta library relies
//! on it. They fail when the system does not describe a file: see [`mod@listing`].

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryFutureExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};
use uuid::Uuid;

use crate::root::paths::{MARKER, MARKERS};

pub(crate) const STORE_NAME: &str = "local disk";
pub(crate) const STAGING_DIRECTORY: &str = "_staging";

/// The local file system below one root directory, with durable writes.
///
/// Object paths are absolute, as with [`LocalFileSystem::new`]; wrap it in a prefix to make them
/// relative to the root.
#[derive(Debug, Clone)]
pub(crate) struct SyncedFs {
    disk: LocalFileSystem,
    root: Arc<FilePath>,
}

impl SyncedFs {
    /// Writes below the absolute directory `root`, which must be there: see [`create_root`].
    pub(crate) fn new(root: &FilePath) -> Self {
        Self {
            disk: LocalFileSystem::new(),
            root: Arc::from(root),
        }
    }

    fn directory(&self, prefix: Option<&Path>) -> Result<PathBuf> {
        match prefix {
            Some(prefix) => self.disk.path_to_filesystem(prefix),
            None => Ok(self.root.to_path_buf()),
        }
    }

    /// A listing in the order of names, like that of other object stores.
    fn listing(
        &self,
        prefix: Option<&Path>,
        offset: Option<Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let directory = self.directory(prefix);
        let root = Arc::clone(&self.root);
        let listing = async move {
            let directory = directory?;
            let list = move || {
                listing::below(&root, &directory, offset.as_ref(), |path| {
                    fs::metadata(path)
                })
            };
            let objects = tokio::task::spawn_blocking(list).await??;
            Ok(stream::iter(objects.into_iter().map(Ok)))
        };
        listing.try_flatten_stream().boxed()
    }

    async fn prepare(&self, location: &Path) -> Result<Staged> {
        let target = self.disk.path_to_filesystem(location)?;
        let directory = self.root.join(STAGING_DIRECTORY);
        // Nothing can be there before the marker is.
        let is_marker = MARKERS.iter().any(|name| target == self.root.join(name));
        let source = directory.join(Uuid::new_v4().to_string());
        let location = Path::from_absolute_path(&source)?;
        let root = Arc::clone(&self.root);
        let staged_root = Arc::clone(&self.root);
        blocking(move || {
            if is_marker && root.is_dir() {
                create_directories(&directory)
            } else {
                create_directories_below(&root, &directory)
            }
        })
        .await?;
        Ok(Staged {
            location,
            source,
            target,
            root: staged_root,
        })
    }
}

impl fmt::Display for SyncedFs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SyncedFs({})", self.root.display())
    }
}

/// A file that is written but does not have its name yet.
#[derive(Debug, Clone)]
struct Staged {
    /// The staging file as the inner store names it.
    location: Path,
    /// The staging file.
    source: PathBuf,
    /// Where the file belongs.
    target: PathBuf,
    /// The directory up to which names are synced.
    root: Arc<FilePath>,
}

impl Staged {
    /// Renames the file to its final name; both content and name are durable when this returns.
    async fn publish(self, create: bool) -> Result<()> {
        blocking(move || {
            let published = self.publish_blocking(create);
            if published.is_err() {
                // The staging file is of no use; failing to remove it changes nothing.
                let _ = fs::remove_file(&self.source);
            }
            published
        })
        .await
    }

    fn publish_blocking(&self, create: bool) -> io::Result<()> {
        let file = File::options().write(true).open(&self.source)?;
        sync_file(&file, &self.source)?;
        let directory = self.target.parent().unwrap_or(&self.root);
        create_directories_below(&self.root, directory)?;
        if !create {
            fs::rename(&self.source, &self.target)?;
            return sync_directories(directory, &self.root);
        }
        let linked = fs::hard_link(&self.source, &self.target);
        // Also when the file of another writer is there: a caller that continues from it relies on its name.
        if linked.is_ok() || is_already_exists(&linked) {
            sync_directories(directory, &self.root)?;
        }
        linked?;
        // The file has its name; a second name in the staging directory does no harm.
        let _ = fs::remove_file(&self.source);
        Ok(())
    }
}

fn is_already_exists(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::AlreadyExists)
}

/// The files in the staging directory of `root` that were not written to since `before`, with
/// their sizes. Uploads in parts have names here that no listing of objects shows.
///
/// A writer that would still rename one finds it missing, and its write fails as a whole.
pub(crate) fn staging_files(
    root: &FilePath,
    before: SystemTime,
) -> io::Result<Vec<(PathBuf, u64)>> {
    let entries = match fs::read_dir(root.join(STAGING_DIRECTORY)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // It has got its name meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if metadata.is_file() && metadata.modified()? < before {
            files.push((entry.path(), metadata.len()));
        }
    }
    Ok(files)
}

/// Creates `directory` with all its parents and makes their names durable.
fn create_directories(directory: &FilePath) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let Some(parent) = directory.parent() else {
        return Err(io::Error::new(ErrorKind::NotFound, "no such directory"));
    };
    create_directories(parent)?;
    create_directory(directory, parent)
}

fn create_directory(directory: &FilePath, parent: &FilePath) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(parent),
    }
}

/// Creates `directory`, which is below `root` or is the root itself, unless the store is not there.
fn create_directories_below(root: &FilePath, directory: &FilePath) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if !root.is_dir() {
        return Err(gone(root));
    }
    let parent = directory.parent().unwrap_or(root);
    if parent == root {
        check_marker(root)?;
    } else {
        create_directories_below(root, parent)?;
    }
    create_directory(directory, parent)
}

/// Makes sure that the marker of a store, or of backups, is in the root.
fn check_marker(root: &FilePath) -> io::Result<()> {
    match MARKERS.iter().any(|name| root.join(name).is_file()) {
        true => Ok(()),
        false => Err(gone(&root.join(MARKER))),
    }
}

fn gone(missing: &FilePath) -> io::Error {
    let reason = format!("the store is not there: {} is missing", missing.display());
    io::Error::new(ErrorKind::NotFound, reason)
}

/// Creates the root of a store with all its parents.
pub(crate) async fn create_root(root: PathBuf) -> Result<()> {
    blocking(move || create_directories(&root)).await
}

/// Syncs `directory` and its parents up to the parent of `root`.
///
/// Another process may have created any of them a moment ago without having synced it yet.
fn sync_directories(directory: &FilePath, root: &FilePath) -> io::Result<()> {
    for ancestor in directory.ancestors() {
        sync_directory(ancestor)?;
        if ancestor == root {
            break;
        }
    }
    match root.parent().map(sync_directory) {
        // A process that may not open the parent of the root has not created the root either.
        Some(Err(error)) if error.kind() != ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Makes the content of a file durable, not its name.
fn sync_file(file: &File, path: &FilePath) -> io::Result<()> {
    file.sync_all()?;
    #[cfg(all(test, unix))]
    power_cut::file_is_synced(path)?;
    // Only tests read the path.
    let _ = path;
    Ok(())
}

#[cfg(unix)]
fn sync_directory(directory: &FilePath) -> io::Result<()> {
    File::open(directory)?.sync_all()?;
    #[cfg(test)]
    power_cut::directory_is_synced(directory)?;
    Ok(())
}

/// Elsewhere directories cannot be opened, and the file system keeps names durable by itself.
#[cfg(not(unix))]
fn sync_directory(_directory: &FilePath) -> io::Result<()> {
    Ok(())
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<()> {
    tokio::task::spawn_blocking(work)
        .await?
        .map_err(|source| Error::Generic {
            store: STORE_NAME,
            source: Box::new(source),
        })
}

/// Turns "this name is taken" into the error that callers of a conditional put look for.
fn map_taken(error: Error, location: &Path) -> Error {
    match error {
        Error::Generic { source, .. }
            if source
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == ErrorKind::AlreadyExists) =>
        {
            Error::AlreadyExists {
                path: location.to_string(),
                source,
            }
        }
        other => other,
    }
}

/// An upload in parts whose last step makes the file durable.
#[derive(Debug)]
struct DurableUpload {
    parts: Box<dyn MultipartUpload>,
    staged: Staged,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.parts.complete().await?;
        self.staged.clone().publish(false).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.abort().await
    }
}

#[async_trait]
impl ObjectStore for SyncedFs {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let create = matches!(options.mode, PutMode::Create);
        if create {
            options.mode = PutMode::Overwrite;
        }
        let staged = self.prepare(location).await?;
        let result = self
            .disk
            .put_opts(&staged.location, payload, options)
            .await?;
        staged
            .publish(create)
            .await
            .map_err(|error| map_taken(error, location))?;
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let staged = self.prepare(location).await?;
        let parts = self
            .disk
            .put_multipart_opts(&staged.location, options)
            .await?;
        Ok(Box::new(DurableUpload { parts, staged }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.disk.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.disk.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.disk.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, Some(offset.clone()))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let directory = self.directory(prefix)?;
        let root = Arc::clone(&self.root);
        let list = move || listing::within(&root, &directory, |path| fs::metadata(path));
        tokio::task::spawn_blocking(list).await?
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.disk.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.disk.rename_opts(from, to, options).await
    }
}

mod listing;
#[cfg(unix)]
#[cfg(test)]
pub(crate) mod power_cut;
#[cfg(test)]
mod tests;
