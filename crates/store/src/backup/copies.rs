//! The copies in a root of backups: which there are, and making new ones.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::manifest::{BackupFault, Object};
use super::{BackupOptions, Earlier};
use crate::error::StoreError;
use crate::file::digest::{self, Digest};
use crate::root::location::Location;

const DIRECTORY: &str = "copies";

/// Where a run copies the object at `path` of the store.
pub(super) fn path(path: &str, run: &str) -> Path {
    // It was encoded before.
    Path::parse(format!("{DIRECTORY}/{path}.{run}"))
        .unwrap_or_else(|_| Path::from(format!("{DIRECTORY}/{path}.{run}")))
}

/// The object of the store that is copied at `path`, and the run.
fn parse(path: &Path) -> Option<(&str, &str)> {
    let path = path.as_ref().strip_prefix(DIRECTORY)?.strip_prefix('/')?;
    path.rsplit_once('.')
}

/// The number of the backup for which a run has made the copy at `path`.
pub(super) fn number(path: &Path) -> Option<u64> {
    let (_, run) = parse(path)?;
    number_of_run(run)
}

fn number_of_run(run: &str) -> Option<u64> {
    run.split_once('-')?.0.parse().ok()
}

/// All copies that there are, also those that belong to no backup.
pub(super) async fn listed(location: &Location) -> Result<Vec<ObjectMeta>, StoreError> {
    let listed = location.objects.list(Some(&Path::from(DIRECTORY)));
    Ok(listed.try_collect().await?)
}

/// An object that is to be copied.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: Path,
    pub(super) size: u64,
    /// When it was written, by the object store, Unix milliseconds.
    pub(super) modified_ms: Option<i64>,
    /// What the log says about its bytes.
    pub(super) digest: Option<Digest>,
}

impl From<ObjectMeta> for Source {
    fn from(object: ObjectMeta) -> Self {
        Self {
            path: object.location,
            size: object.size,
            modified_ms: Some(object.last_modified.timestamp_millis()),
            digest: None,
        }
    }
}

/// A copy of an object.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) object: Object,
    pub(super) is_new: bool,
    /// Why it is not what the log says.
    pub(super) fault: Option<String>,
}

/// The number of runs in which every copy of earlier backups is read again once.
const SHARES: u64 = 32;

/// The copies that a run may use, and where it makes more.
pub(super) struct Copies<'a> {
    target: &'a Location,
    /// Distinguishes the copies of this run from those of others.
    run: String,
    /// What is copied already, by paths in the store.
    known: HashMap<String, Object>,
    /// Copies of a run that was interrupted, by paths in the store.
    leftovers: HashMap<String, Vec<(String, u64)>>,
    /// The number of the backup.
    number: u64,
    options: BackupOptions,
    /// Copies of earlier backups that are damaged.
    damaged: Mutex<Vec<String>>,
}

impl<'a> Copies<'a> {
    /// Copies that no run uses.
    pub(super) fn new(target: &'a Location) -> Self {
        Self {
            target,
            run: String::new(),
            known: HashMap::new(),
            leftovers: HashMap::new(),
            number: 0,
            options: BackupOptions::default(),
            damaged: Mutex::default(),
        }
    }

    /// The copies that a new run may use: what earlier backups name and is there.
    pub(super) async fn of_run(
        target: &'a Location,
        earlier: &Earlier,
        options: &BackupOptions,
    ) -> Result<Self, StoreError> {
        let run = Uuid::new_v4().simple().to_string();
        let number = earlier.number + 1;
        let mut copies = Self {
            run: format!("{number}-{}", &run[..8]),
            number,
            options: *options,
            ..Self::new(target)
        };
        let listed = listed(target).await?.into_iter();
        let there: HashMap<Path, u64> = listed.map(|copy| (copy.location, copy.size)).collect();
        let mut named = HashSet::new();
        for object in earlier.manifests().flat_map(|manifest| &manifest.objects) {
            let path = object.copy_path();
            if there.get(&path) == Some(&object.size) {
                copies.known.insert(object.path.clone(), object.clone());
            }
            named.insert(path);
        }
        for (copy, size) in there.iter().filter(|(copy, _)| !named.contains(*copy)) {
            // Those of earlier numbers may be deleted at any moment, by the backup of that number.
            if let Some((path, run)) = parse(copy)
                && number_of_run(run) == Some(number)
            {
                let leftovers = copies.leftovers.entry(path.to_owned()).or_default();
                leftovers.push((run.to_owned(), *size));
            }
        }
        Ok(copies)
    }

    /// Copies an object, unless a copy is there.
    ///
    /// # Errors
    ///
    /// As for [`copy`].
    pub(super) async fn take(&self, from: &Location, source: &Source) -> Result<Taken, StoreError> {
        if let Some(taken) = self.known(source).await? {
            return Ok(taken);
        }
        let to = path(source.path.as_ref(), &self.run);
        let (size, digest) = copy(from, &source.path, self.target, &to).await?;
        Ok(self.taken(source, size, digest))
    }

    /// Like [`Copies::take`], of a small object; with its bytes, if it was read.
    pub(super) async fn take_small(
        &self,
        from: &Location,
        source: &Source,
    ) -> Result<(Taken, Option<Bytes>), StoreError> {
        if let Some(taken) = self.known(source).await? {
            return Ok((taken, None));
        }
        let bytes = from.bytes_of(&source.path).await?;
        let to = path(source.path.as_ref(), &self.run);
        let sent = self.target.objects.put(&to, bytes.clone().into()).await;
        sent.map_err(StoreError::ObjectStore)?;
        let digest = blake3::hash(&bytes).into();
        let taken = self.taken(source, bytes.len() as u64, digest);
        Ok((taken, Some(bytes)))
    }

    /// Notes what is copied, so that it is not copied again when a table is tried again.
    pub(super) fn note(&mut self, taken: &Taken) {
        let object = taken.object.clone();
        self.known.insert(object.path.clone(), object);
    }

    fn taken(&self, source: &Source, size: u64, digest: Digest) -> Taken {
        let fault = match source.digest {
            Some(logged) if size != source.size => Some(format!(
                "it has {size} bytes, and the log says {} bytes, with digest {logged}",
                source.size
            )),
            Some(logged) if logged != digest => {
                Some("its content has changed since it was committed".to_owned())
            }
            _ => None,
        };
        Taken {
            object: Object {
                path: source.path.to_string(),
                run: self.run.clone(),
                size,
                blake3: digest.to_string(),
                modified_ms: source.modified_ms,
            },
            is_new: true,
            fault,
        }
    }

    /// The copy that is there of an object.
    async fn known(&self, source: &Source) -> Result<Option<Taken>, StoreError> {
        if let Some(known) = self.known.get(source.path.as_ref()) {
            let is_same = match source.digest {
                Some(digest) => known.has_digest(digest),
                // A data file that the log had a digest of has no time here, and never changes.
                None => known.modified_ms.is_none() || known.modified_ms == source.modified_ms,
            };
            if is_same && known.size == source.size && self.is_sound(known).await? {
                return Ok(Some(Taken {
                    object: known.clone(),
                    is_new: false,
                    fault: None,
                }));
            }
        }
        let Some(digest) = source.digest else {
            return Ok(None);
        };
        let leftovers = self.leftovers.get(source.path.as_ref());
        for (run, size) in leftovers.into_iter().flatten() {
            let copy = path(source.path.as_ref(), run);
            let found = match digest::of_object(self.target, &copy).await {
                Ok((_, found)) => Some(found),
                Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => None,
                Err(error) => return Err(error),
            };
            if *size == source.size && found == Some(digest) {
                let mut taken = self.taken(source, *size, digest);
                taken.object.run.clone_from(run);
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// Whether the copy that an earlier backup has of an object is what was copied, as far as it is read.
    async fn is_sound(&self, known: &Object) -> Result<bool, StoreError> {
        let is_own = known.run == self.run;
        let share = blake3::hash(known.path.as_bytes()).as_bytes()[0];
        let is_due = u64::from(share) % SHARES == self.number % SHARES;
        if is_own || !(self.options.verify || is_due) {
            return Ok(true);
        }
        let Some(fault) = self.fault(known).await? else {
            return Ok(true);
        };
        tracing::warn!(path = %fault.path, reason = %fault.reason, "a copy is damaged and is made anew");
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.push(known.copy_path().to_string());
        Ok(false)
    }

    /// The copies of earlier backups that were found to be damaged.
    pub(super) fn into_damaged(self) -> Vec<String> {
        let damaged = self.damaged.into_inner();
        let mut damaged = damaged.unwrap_or_else(PoisonError::into_inner);
        damaged.sort_unstable();
        damaged.dedup();
        damaged
    }

    /// What is wrong with the copy of an object.
    ///
    /// # Errors
    ///
    /// When the object store fails.
    pub(super) async fn fault(&self, object: &Object) -> Result<Option<BackupFault>, StoreError> {
        match digest::of_object(self.target, &object.copy_path()).await {
            Ok((_, digest)) => Ok(fault_of_copy(object, digest)),
            Err(error) => without_copy(object, error).map(Some),
        }
    }
}

/// That the copy of an object is not what was copied.
pub(super) fn fault_of_copy(object: &Object, digest: Digest) -> Option<BackupFault> {
    (!object.has_digest(digest)).then(|| BackupFault {
        path: object.path.clone(),
        reason: format!("its copy `{}` has changed", object.copy_path()),
    })
}

/// That the copy of an object is missing or cannot be read, which is what `error` says.
///
/// # Errors
///
/// `error`, when it is about the object store.
pub(super) fn without_copy(object: &Object, error: StoreError) -> Result<BackupFault, StoreError> {
    let copy = object.copy_path();
    let reason = match error {
        StoreError::NotFound { .. } => format!("its copy `{copy}` is missing"),
        StoreError::Corrupt { reason, .. } => format!("its copy `{copy}` is damaged: {reason}"),
        error => return Err(error),
    };
    let path = object.path.clone();
    Ok(BackupFault { path, reason })
}

/// Copies an object of any size; returns the size and the digest of what was read.
///
/// # Errors
///
/// [`StoreError::NotFound`] when it is not there; [`StoreError::Corrupt`] when it alone cannot be read; and when an
/// object store fails.
pub(super) async fn copy(
    from: &Location,
    source: &Path,
    to: &Location,
    target: &Path,
) -> Result<(u64, Digest), StoreError> {
    let read = || async {
        match copy_once(from, source, to, target).await {
            Err(CopyError::Source(error)) => Err(error.into()),
            Err(CopyError::Target(error)) => Ok(Err(StoreError::ObjectStore(error))),
            Ok(copied) => Ok(Ok(copied)),
        }
    };
    from.read_object(source, read).await?
}

/// Which of two object stores has failed.
enum CopyError {
    Source(object_store::Error),
    Target(object_store::Error),
}

async fn copy_once(
    from: &Location,
    source: &Path,
    to: &Location,
    target: &Path,
) -> Result<(u64, Digest), CopyError> {
    let found = from.objects.get(source).await.map_err(CopyError::Source)?;
    let mut parts = found.into_stream();
    let mut upload = BufWriter::new(Arc::clone(&to.objects), target.clone());
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    let sent = async {
        while let Some(part) = parts.try_next().await.map_err(CopyError::Source)? {
            hasher.update(&part);
            size += part.len() as u64;
            upload.put(part).await.map_err(CopyError::Target)?;
        }
        Ok(())
    };
    if let Err(error) = sent.await {
        // What is left of the upload goes with the lifecycle rule of the bucket, or with a backup that is finished a
        // week later.
        let _ = upload.abort().await;
        return Err(error);
    }
    let finished = upload.shutdown().await;
    finished.map_err(|error| CopyError::Target(of_upload(error)))?;
    Ok((size, hasher.finalize().into()))
}

fn of_upload(error: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "upload",
        source: Box::new(error),
    }
}
