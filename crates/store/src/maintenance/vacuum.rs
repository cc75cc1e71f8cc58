//! Vacuum: deletes objects that no reader and no writer can need, and nothing else.
//!
//! | what | is deleted when |
//! |---|---|
//! | a data file that a version removed | that version was no longer the newest, or was, a day ago: no query runs longer |
//! | a data file that no version names | it is a week older than a commit that the cleaner has made for it |
//! | an entry of the log | it is 30 days old, and so is a later checkpoint that can be read and a version after it |
//! | a staging file on a local disk | it was not written to for a week |
//! | an object by which a start tried the object store | it is a day old: its process was killed |
//!
//! All ages are those of the object store. A node whose clock differs from the time of the store deletes
//! nothing (`clock`). The commit
//! (`VACUUM START`) changes nothing; it is what a writer loses to that has slept for days and would
//! still name a file: see [`crate::file::writer::StagedFile::is_too_old`].
//!
//! Deleting twice, or stopping anywhere in between, does no harm. Objects of other names than Vouch
//! writes stay unless a version has removed them.

mod plan;

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};
use std::{fs, io};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::WorkspaceId;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;

use crate::delta::log::{Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::snapshot::Snapshot;
use crate::delta::table::{self, TableAt};
use crate::error::StoreError;
use crate::file::reader::FileRef;
use crate::root::location::Location;
use crate::root::paths;
use crate::root::synced_fs;
use crate::store::Store;
pub(crate) use plan::REMOVED_AGE;
use plan::Removable;

/// Something that was deleted, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its path under the root of the store.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Why it is not needed.
    pub reason: RemovalReason,
}

/// Why an object is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemovalReason {
    /// A version of the table has removed it more than a day ago.
    Removed,
    /// No version of the table has named it for a week: what a killed writer left.
    Unnamed,
    /// An entry of the log that a checkpoint has summed up, more than 30 days old.
    LogEntry,
    /// A file on a local disk that never got its name, more than a week old.
    Staging,
    /// An object by which a start tried the object store, more than a day old.
    StartProbe,
}

impl Store {
    /// Deletes the objects of the table of `workspace` that no reader and no writer can need: files that were
    /// replaced or
    /// dropped more than a day ago, files of writers that were killed more than a week ago, and
    /// entries of the log that are older than 30 days. Returns what was deleted, or with `dry_run` what
    /// would be; `None` when there is no such table.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClockDiffers`]; else when the table cannot be read or the object store fails; what was
    /// deleted by then was not needed.
    pub async fn vacuum(
        &self,
        workspace: &WorkspaceId,
        dry_run: bool,
    ) -> Result<Option<Vec<Removal>>, StoreError> {
        // What the log shows of the time counts before anything else.
        if self.snapshot(workspace).await?.is_none() {
            return Ok(None);
        }
        let now = self.vacuum_time(dry_run).await?;
        let Some(found) = self.removable(workspace, now).await? else {
            return Ok(None);
        };
        if dry_run || found.is_empty() {
            return Ok(Some(found.into_iter().map(Removal::from).collect()));
        }
        self.refuse_lost_versions(workspace).await?;
        let started = match self.start_vacuum(workspace).await {
            Ok(Some(started)) => started,
            Ok(None) => return Ok(None),
            // A full disk takes no commit, and only deleting makes room on it.
            Err(error @ (StoreError::ObjectStore(_) | StoreError::CommitUnknown { .. })) => {
                return self
                    .remove_replaced(workspace, found, error)
                    .await
                    .map(Some);
            }
            Err(error) => return Err(error),
        };
        let Some(found) = self.removable(workspace, started).await? else {
            return Ok(None);
        };
        remove(self.location(), &found).await?;
        Ok(Some(found.into_iter().map(Removal::from).collect()))
    }

    /// Deletes what killed processes have left outside of tables, and returns it; with `dry_run` it stays: objects by
    /// which they tried the object store, and on a local disk files in the staging directory.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClockDiffers`]; else when something cannot be listed or deleted.
    pub async fn vacuum_leftovers(&self, dry_run: bool) -> Result<Vec<Removal>, StoreError> {
        let mut removals = self.clean_start_probes(dry_run).await?;
        removals.extend(self.clean_staging(dry_run).await?);
        Ok(removals)
    }

    async fn clean_start_probes(&self, dry_run: bool) -> Result<Vec<Removal>, StoreError> {
        let location = self.location();
        let mut probes = location.objects.list_with_delimiter(None).await?.objects;
        probes.retain(|object| paths::is_start_probe(&object.location));
        if probes.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.vacuum_time(dry_run).await? - plan::START_PROBE_AGE;
        let old = probes
            .into_iter()
            .filter(|probe| probe.last_modified < before);
        let old: Vec<Removable> = old
            .map(|object| Removable {
                object,
                reason: RemovalReason::StartProbe,
            })
            .collect();
        if !dry_run {
            remove(location, &old).await?;
        }
        Ok(old.into_iter().map(Removal::from).collect())
    }

    async fn clean_staging(&self, dry_run: bool) -> Result<Vec<Removal>, StoreError> {
        let Some(root) = self.location().directory() else {
            return Ok(Vec::new());
        };
        if !root.join(synced_fs::STAGING_DIRECTORY).is_dir() {
            return Ok(Vec::new());
        }
        let now = self.vacuum_time(dry_run).await?;
        let files = old_staging_files(root, now, dry_run).await?;
        let removal = |(path, size_bytes): (PathBuf, u64)| Removal {
            path: path.display().to_string(),
            size_bytes,
            reason: RemovalReason::Staging,
        };
        Ok(files.into_iter().map(removal).collect())
    }

    /// The time by which objects are old. A full disk takes no object to compare clocks with, and only deleting
    /// makes room on it: what was known before counts there. In a dry run the clock of the node does.
    async fn vacuum_time(&self, dry_run: bool) -> Result<DateTime<Utc>, StoreError> {
        let location = self.location();
        if dry_run {
            return Ok(location.now());
        }
        match location.right_time().await {
            Err(error @ StoreError::ObjectStore(_)) => {
                tracing::warn!(%error, "the clock of this node cannot be compared with the store's time");
                location.last_right_time(error)
            }
            time => time,
        }
    }

    /// Deletes those of `found` that a version has removed: no writer can name them again, so this needs no
    /// commit. Fails with `error`, which kept the commit from being made, when there are none.
    async fn remove_replaced(
        &self,
        workspace: &WorkspaceId,
        mut found: Vec<Removable>,
        error: StoreError,
    ) -> Result<Vec<Removal>, StoreError> {
        found.retain(|found| found.reason == RemovalReason::Removed);
        if found.is_empty() {
            return Err(error);
        }
        tracing::warn!(%workspace, %error, "only replaced files are deleted: nothing can be committed");
        remove(self.location(), &found).await?;
        Ok(found.into_iter().map(Removal::from).collect())
    }

    /// Makes the commit that lets writers know, and returns its time; `None` when the table is
    /// gone.
    async fn start_vacuum(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let Some(committed) = self.commit_existing(workspace, &mut VacuumStart).await? else {
            return Ok(None);
        };
        let entry = paths::commit(workspace, committed.value);
        let entry = self.location().objects.head(&entry).await?;
        Ok(Some(entry.last_modified))
    }

    /// The objects that nothing needs at the time `at`; `None` when there is no table.
    async fn removable(
        &self,
        workspace: &WorkspaceId,
        at: DateTime<Utc>,
    ) -> Result<Option<Vec<Removable>>, StoreError> {
        let location = self.location();
        let Some(newest) = self.snapshot(workspace).await? else {
            return Ok(None);
        };
        let log = table::list_from(location, workspace, 0).await?;
        let mut removable = Vec::new();
        if let Some(version) = plan::version_at(&log, at - plan::REMOVED_AGE) {
            let named: HashSet<&Path> = newest.files.iter().map(|file| &file.path).collect();
            let unnamed = files_except(location, workspace, &named).await?;
            if !unnamed.is_empty() {
                let past = TableAt::load(location, workspace, version).await?;
                let created = newest.metadata.created_ms();
                let created = created
                    .and_then(DateTime::from_timestamp_millis)
                    .unwrap_or(DateTime::<Utc>::MIN_UTC);
                removable = plan::removable_files(workspace, unnamed, &past, created, at);
            }
        }
        if let Some(checkpoint) = plan::old_checkpoint(&log, at)
            && let Some(kept) = kept_checkpoint(location, workspace, checkpoint, &log).await?
        {
            removable.extend(plan::old_entries(&log, kept, at));
        }
        Ok(Some(removable))
    }
}

/// The commit that lets writers know that files are about to be deleted; it returns its version.
pub(crate) struct VacuumStart;

#[async_trait]
impl CommitPlanner for VacuumStart {
    type Value = u64;
    type Error = StoreError;

    async fn plan(&mut self, _: &Snapshot, version: u64) -> Result<CommitPlan<u64>, StoreError> {
        let changes = Changes::new(Operation::VacuumStart);
        Ok(CommitPlan::Commit(Box::new(changes), version))
    }
}

/// The objects of the table that are neither `named` nor part of the log.
async fn files_except(
    location: &Location,
    workspace: &WorkspaceId,
    named: &HashSet<&Path>,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let log = paths::log(workspace);
    let mut objects = location.objects.list(Some(&paths::table(workspace)));
    let mut files = Vec::new();
    while let Some(object) = objects.try_next().await? {
        if !object.location.prefix_matches(&log) && !named.contains(&object.location) {
            files.push(object);
        }
    }
    Ok(files)
}

/// The version of the checkpoint before which the log may be cut off: `checkpoint`, or the older one
/// that readers are led to; `None` when it cannot be read to its end, or readers are led nowhere.
async fn kept_checkpoint(
    location: &Location,
    workspace: &WorkspaceId,
    checkpoint: u64,
    log: &[ObjectMeta],
) -> Result<Option<u64>, StoreError> {
    let hint = match location
        .objects
        .get(&paths::last_checkpoint(workspace))
        .await
    {
        Ok(hint) => hint.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let hint: Option<Value> = serde_json::from_slice(&hint).ok();
    let Some(hint) = hint.and_then(|hint| hint["version"].as_u64()) else {
        return Ok(None);
    };
    let kept = checkpoint.min(hint);
    let path = paths::checkpoint(workspace, kept);
    let Some(object) = log.iter().find(|object| object.location == path) else {
        return Ok(None);
    };
    let failed = |error| StoreError::parquet(&path, error);
    let place = FileRef::unproved(path.clone(), object.size);
    let reader = place.open(location).await?;
    let mut batches = reader.build().map_err(failed)?;
    while batches.try_next().await.map_err(failed)?.is_some() {}
    Ok(Some(kept))
}

async fn remove(location: &Location, removable: &[Removable]) -> Result<(), StoreError> {
    // Another store may be there since they were listed, whose objects have the same paths.
    location.check_present().await?;
    let is_entry = |found: &&Removable| found.reason == RemovalReason::LogEntry;
    let files = removable.iter().filter(|found| !is_entry(found));
    let files: Vec<_> = files
        .map(|found| Ok(found.object.location.clone()))
        .collect();
    let mut deleted = location.objects.delete_stream(stream::iter(files).boxed());
    while let Some(result) = deleted.next().await {
        forgive_missing(result.map(|_| ()))?;
    }
    // Each only when all before it are gone: by that a writer decides whether its commit counts.
    for entry in removable.iter().filter(is_entry) {
        forgive_missing(location.objects.delete(&entry.object.location).await)?;
    }
    Ok(())
}

/// The files in the staging directory of `root` that were not written to for a week at the time `now`, with their
/// sizes; they are deleted unless it is a `dry_run`.
pub(crate) async fn old_staging_files(
    root: PathBuf,
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    let before = now - plan::UNNAMED_AGE;
    let files = tokio::task::spawn_blocking(move || {
        let files = synced_fs::staging_files(&root, before.into())?;
        if !dry_run {
            files.iter().try_for_each(|(path, _)| delete_file(path))?;
        }
        Ok::<_, io::Error>(files)
    });
    let files = files.await.map_err(object_store::Error::from)?;
    let files = files.map_err(|source| object_store::Error::Generic {
        store: synced_fs::STORE_NAME,
        source: source.into(),
    })?;
    Ok(files)
}

/// Another cleaner may have been faster.
fn forgive_missing(deleted: object_store::Result<()>) -> object_store::Result<()> {
    match deleted {
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        other => other,
    }
}

fn delete_file(path: &FilePath) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl From<Removable> for Removal {
    fn from(removable: Removable) -> Self {
        Self {
            path: removable.object.location.to_string(),
            size_bytes: removable.object.size,
            reason: removable.reason,
        }
    }
}
