//! Copies of a store, made while it is used, and stores made of them.
//!
//! A root of backups holds those of one store:
//!
//! ```text
//! vouch-backup.json                  the marker of the store
//! manifests/<number>.json            what belongs to one backup
//! copies/<path in the store>.<run>   the objects
//! ```
//!
//! Events move from segments to tables, and data files are there before the log names them. So objects are copied
//! in this order: segments, parked segments, then of each table a version of its log and the files that this names.
//! An event that moves meanwhile is in the copy at least once, and its id makes it one event.
//!
//! No copy is ever overwritten, and the manifest is written last. So a backup that is interrupted changes nothing
//! about the one before. The next one uses what it has copied.
//!
//! | module | is |
//! |---|---|
//! | `marks` | roots of backups, and roots into which one is being restored |
//! | `manifest` | the list of what belongs to a backup |
//! | `run` | making a backup: what to copy |
//! | `copies` | the copies in a root of backups: which there are, and making new ones |
//! | `restore` | a store of a backup |

mod copies;
mod manifest;
mod marks;
mod restore;
mod run;

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use url::Url;

use crate::error::StoreError;
use crate::maintenance::vacuum::old_staging_files;
use crate::root::location::{Location, StoreOptions};
use crate::root::marker::Marker;
use crate::store::Store;

use copies::Copies;
use manifest::Manifest;
pub use manifest::{BackupFault, BackupSummary, CopiedWorkspace};
pub use restore::{RestoreOptions, Restored};
use run::Run;

/// How many objects are copied at the same time.
const CONCURRENCY: usize = 8;

/// A root that holds backups of a store, the newest complete one and what is newer.
#[derive(Debug, Clone)]
pub struct BackupRoot {
    location: Location,
}

/// How a backup is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// Read every copy of earlier backups again, and copy damaged ones anew.
    pub verify: bool,
}

/// What making a backup has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// What belongs to the backup.
    pub summary: BackupSummary,
    /// How many of its objects earlier backups did not have.
    pub new_objects: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// The copies of earlier backups that were damaged or missing, by paths in the root of backups. Their objects were
    /// copied anew.
    pub replaced: Vec<String>,
}

/// The result of reading a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupVerification {
    /// The backup.
    pub summary: BackupSummary,
    /// What was damaged or missing when it was made, and what is now.
    pub faults: Vec<BackupFault>,
    /// A newer backup, which is incomplete.
    pub newer: Option<BackupSummary>,
    /// The manifests of newer backups that cannot be read.
    pub damaged: Vec<BackupFault>,
}

/// The backup that is restored.
struct Chosen {
    manifest: Manifest,
    /// The newest backup, if that is an incomplete one which is not taken.
    newer: Option<BackupSummary>,
    /// The manifests of newer backups that cannot be read.
    damaged: Vec<BackupFault>,
}

/// The manifests that a root of backups has.
#[derive(Debug, Default)]
struct Earlier {
    /// The number of the newest one, whether or not it can be read.
    number: u64,
    /// The newest one that can be read.
    newest: Option<Manifest>,
    /// The newest complete one, if that is another one.
    complete: Option<Manifest>,
}

impl Earlier {
    /// The manifests, the complete one last.
    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.newest.iter().chain(&self.complete)
    }

    /// The newest complete one.
    fn complete(&self) -> Option<&Manifest> {
        self.manifests()
            .find(|manifest| manifest.summary.is_complete())
    }
}

impl BackupRoot {
    /// Finds the root at `url`, as [`Store::open`]. Nothing is read or written yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidUrl`] when `url` cannot hold objects.
    pub fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        Location::open(url, options).map(Self::at)
    }

    pub(crate) fn at(location: Location) -> Self {
        Self { location }
    }

    /// The absolute address of the root.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.location.url
    }

    /// Compares every object of the newest complete backup, or of the newest one if `incomplete`, with its digest.
    ///
    /// # Errors
    ///
    /// As for [`Store::restore`]; faults of single objects are not an error but returned.
    pub async fn verify(&self, incomplete: bool) -> Result<BackupVerification, StoreError> {
        let Chosen {
            manifest,
            newer,
            damaged,
        } = self.chosen(incomplete).await?;
        let copies = Copies::new(&self.location);
        let copies = &copies;
        let checked = stream::iter(manifest.objects)
            .map(|object| async move { copies.fault(&object).await })
            .buffered(CONCURRENCY);
        let found: Vec<Option<BackupFault>> = checked.try_collect().await?;
        let mut faults = manifest.summary.faults.clone();
        faults.extend(found.into_iter().flatten());
        Ok(BackupVerification {
            summary: manifest.summary,
            faults,
            newer,
            damaged,
        })
    }

    /// The backup that is restored.
    async fn chosen(&self, incomplete: bool) -> Result<Chosen, StoreError> {
        self.marker().await?;
        let numbers = manifest::numbers(&self.location).await?;
        let mut newer = None;
        let mut damaged = Vec::new();
        for number in numbers.iter().rev() {
            let manifest = match Manifest::read(&self.location, *number).await {
                Ok(manifest) => manifest,
                Err(StoreError::Corrupt { path, reason }) => {
                    damaged.push(BackupFault { path, reason });
                    continue;
                }
                Err(error) => return Err(error),
            };
            if incomplete || manifest.summary.is_complete() {
                return Ok(Chosen {
                    manifest,
                    newer,
                    damaged,
                });
            }
            newer.get_or_insert(manifest.summary);
        }
        if let (None, Some(BackupFault { path, reason })) = (&newer, damaged.pop()) {
            return Err(StoreError::Corrupt { path, reason });
        }
        let reason = match numbers.is_empty() {
            true => format!("no backup was ever finished at `{}`", self.url()),
            false => format!(
                "no backup at `{}` is complete; --incomplete restores the newest one as it is",
                self.url()
            ),
        };
        Err(StoreError::NotRestored { reason })
    }

    /// The backups that there are. A manifest that cannot be read is not needed for the next backup.
    async fn earlier(&self) -> Result<Earlier, StoreError> {
        let mut earlier = Earlier::default();
        for number in manifest::numbers(&self.location).await?.into_iter().rev() {
            earlier.number = earlier.number.max(number);
            let manifest = match Manifest::read(&self.location, number).await {
                Ok(manifest) => manifest,
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::warn!(number, %error, "a backup is damaged; everything is copied anew");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let is_complete = manifest.summary.is_complete();
            match earlier.newest {
                None => earlier.newest = Some(manifest),
                Some(_) if is_complete => earlier.complete = Some(manifest),
                Some(_) => {}
            }
            if is_complete {
                break;
            }
        }
        Ok(earlier)
    }

    /// Writes the manifest, which makes it a backup.
    async fn publish(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let objects = &self.location.objects;
        let path = manifest::path(manifest.summary.number);
        let bytes = bytes::Bytes::from(manifest.encode()?);
        let sent = objects.put_opts(&path, bytes.clone().into(), PutMode::Create.into());
        let Err(error) = sent.await else {
            return Ok(());
        };
        // The answer to an attempt that arrived may have been lost.
        let present = match objects.get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(_) => return Err(StoreError::ObjectStore(error)),
        };
        match present == bytes {
            true => Ok(()),
            false => Err(StoreError::NotBackedUp {
                reason: "another backup was made meanwhile; let only one run at a time".to_owned(),
            }),
        }
    }

    /// Deletes what belongs neither to the newest complete backup nor to the newest one.
    async fn clean(&self, earlier: &Earlier, manifest: &Manifest) -> Result<(), StoreError> {
        let mut kept = vec![manifest];
        if !manifest.summary.is_complete() {
            kept.extend(earlier.complete());
        }
        let kept_numbers = kept.iter().map(|manifest| manifest.summary.number);
        let kept_numbers: HashSet<u64> = kept_numbers.collect();
        let numbers = manifest::numbers(&self.location).await?;
        let numbers = numbers
            .into_iter()
            .filter(|number| *number < manifest.summary.number && !kept_numbers.contains(number));
        self.delete(numbers.map(manifest::path).collect()).await?;
        let objects = kept.iter().flat_map(|manifest| &manifest.objects);
        let named: HashSet<Path> = objects.map(manifest::Object::copy_path).collect();
        let copies = copies::listed(&self.location).await?;
        // The copies of a later run, which may go on already, are its own.
        let is_old = |path: &Path| {
            copies::number(path).is_some_and(|number| number <= manifest.summary.number)
        };
        let paths = copies.into_iter().map(|copy| copy.location);
        let unnamed = paths.filter(|path| is_old(path) && !named.contains(path));
        self.delete(unnamed.collect()).await?;
        if let Some(root) = self.location.directory() {
            old_staging_files(root, self.location.now(), false).await?;
        }
        Ok(())
    }

    async fn delete(&self, paths: Vec<Path>) -> Result<(), StoreError> {
        let paths = stream::iter(paths).map(Ok).boxed();
        let mut deleted = self.location.objects.delete_stream(paths);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Store {
    /// Makes a root for the backups of this store. On a local disk the directory is made when it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::BackupHere`] and [`StoreError::StoreExists`] when something is there.
    pub async fn init_backup(&self, to: &BackupRoot) -> Result<(), StoreError> {
        let marker = self.marker_to_back_up().await?;
        self.refuse_inside(to)?;
        to.location.create_backup_marker(&marker).await
    }

    /// Copies the store, while it is used. Every event that was acknowledged before is in the copy. What earlier
    /// backups have is not copied again, unless its copy turns out to be damaged: a thirty-second part of the copies is
    /// read again each time, or all with [`BackupOptions::verify`]. The newest complete backup stays until this one is
    /// complete.
    ///
    /// What is damaged is copied as it is, what cannot be read is left out; both are named in
    /// [`BackupSummary::faults`], and the backup is incomplete then. Only one backup may be made to a root at a time.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoBackup`] when the root was not made by [`Store::init_backup`];
    /// [`StoreError::NotBackedUp`] when it holds backups of another store; or when an object store fails.
    pub async fn backup(
        &self,
        to: &BackupRoot,
        options: &BackupOptions,
    ) -> Result<Backup, StoreError> {
        let begun_ms = self.location().now_ms();
        let marker = self.marker_to_back_up().await?;
        self.refuse_inside(to)?;
        to.check_owner(&marker).await?;
        let earlier = to.earlier().await?;
        let copies = Copies::of_run(&to.location, &earlier, options).await?;
        let mut run = Run::new(self, copies);
        run.segments().await?;
        run.tables().await?;
        run.set_aside().await?;
        self.check_present().await?;
        if self.marker().await?.as_ref() != Some(&marker) {
            return Err(StoreError::NotBackedUp {
                reason: "another store is there now; begin again".to_owned(),
            });
        }
        let (manifest, backup) = run.finish(earlier.number + 1, &marker, begun_ms)?;
        to.check_there(&manifest).await?;
        to.publish(&manifest).await?;
        to.clean(&earlier, &manifest).await?;
        Ok(backup)
    }

    async fn marker_to_back_up(&self) -> Result<Marker, StoreError> {
        self.check_present().await?;
        let marker = match self.marker().await? {
            Some(marker) => Some(marker),
            // Of version 0.1.0.
            None => self.location().check_writable().await?,
        };
        marker.ok_or_else(|| StoreError::NotBackedUp {
            reason: "a store in memory has no backups".to_owned(),
        })
    }

    fn refuse_inside(&self, to: &BackupRoot) -> Result<(), StoreError> {
        let directory = |url: &Url| format!("{}/", url.as_str().trim_end_matches('/'));
        let (from, to) = (directory(self.url()), directory(to.url()));
        if from.starts_with(&to) || to.starts_with(&from) {
            return Err(StoreError::NotBackedUp {
                reason: "the backup and the store are in one another; choose another place"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

impl BackupRoot {
    /// Makes sure that all that a manifest names is there.
    async fn check_there(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let copies = copies::listed(&self.location).await?.into_iter();
        let there: HashSet<(Path, u64)> = copies.map(|copy| (copy.location, copy.size)).collect();
        let mut objects = manifest.objects.iter();
        let is_missing =
            |object: &&manifest::Object| !there.contains(&(object.copy_path(), object.size));
        match objects.find(is_missing) {
            None => Ok(()),
            Some(object) => Err(StoreError::NotBackedUp {
                reason: format!(
                    "`{}` went away from the backup; let only one run at a time, and nothing else delete there",
                    object.copy_path()
                ),
            }),
        }
    }
}
