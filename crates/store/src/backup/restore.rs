//! A store of a backup.

use std::collections::{BTreeMap, HashMap};

use events::{Origin, WorkspaceId, identity};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Map, json};

use super::copies::{self, fault_of_copy, without_copy};
use super::manifest::{BackupFault, BackupSummary, Manifest, Object};
use super::marks::RestoreMark;
use super::{BackupRoot, CONCURRENCY, Chosen};
use crate::delta::audit_event::AuditEvent;
use crate::error::StoreError;
use crate::file::digest;
use crate::import::ImportOptions;
use crate::root::location::Location;
use crate::root::paths;
use crate::store::Store;

/// The category of the audit events.
const CATEGORY: &str = "backup";

/// How a backup is restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Take the newest backup, whether or not it is complete, and make a store of it although objects are damaged
    /// or missing.
    pub incomplete: bool,
    /// The actor, for the audit event.
    pub by: Option<String>,
}

/// What restoring a backup has done.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub summary: BackupSummary,
    /// What is damaged or missing; nothing unless [`RestoreOptions::incomplete`].
    pub faults: Vec<BackupFault>,
    /// A newer backup, which is incomplete and was not restored.
    pub newer: Option<BackupSummary>,
    /// The manifests of newer backups that cannot be read, so that these were not restored.
    pub damaged: Vec<BackupFault>,
    /// The workspaces that have an audit event about it.
    pub recorded: Vec<WorkspaceId>,
    /// The workspaces whose table takes no audit event, and why.
    pub unrecorded: BTreeMap<WorkspaceId, StoreError>,
}

impl Store {
    /// Makes a store of the newest complete backup at this root, where no store may be. It has the id of the store
    /// that was backed up, and a new incarnation. Every workspace gets an audit event, `store.restored`.
    ///
    /// The marker is written when everything else is there and was compared with its digest. A restore that was
    /// interrupted continues when it is run again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoBackup`]; [`StoreError::StoreExists`] and [`StoreError::BackupHere`] when something is here;
    /// [`StoreError::NotRestored`] when objects of the backup are damaged or missing; or when an object store fails.
    pub async fn restore(
        &self,
        from: &BackupRoot,
        options: &RestoreOptions,
    ) -> Result<Restored, StoreError> {
        let Chosen {
            manifest,
            newer,
            damaged,
        } = from.chosen(options.incomplete).await?;
        let location = self.location();
        let (mut mark, is_copied) = self.begin_restore(from, &manifest).await?;
        if !is_copied {
            let mut faults = manifest.summary.faults.clone();
            faults.extend(copy_all(from, &manifest, location).await?);
            location.marker.note(mark.marker.clone());
            faults.extend(self.faults_of_tables(&manifest).await?);
            if let (false, Some(first)) = (options.incomplete, faults.first()) {
                return Err(StoreError::NotRestored {
                    reason: format!(
                        "{} objects of the backup are damaged, such as `{}`: {}; --dry-run names all, and --incomplete makes a store without them",
                        faults.len(),
                        first.path,
                        first.reason
                    ),
                });
            }
            mark.faults = Some(faults);
            location.replace_restore_mark(&mark).await?;
            location.create_marker(&mark.marker).await?;
        }
        let faults = mark.faults.clone();
        let mut restored = Restored {
            summary: mark.backup.clone(),
            faults: faults.unwrap_or_else(|| mark.backup.faults.clone()),
            newer,
            damaged,
            recorded: Vec::new(),
            unrecorded: BTreeMap::new(),
        };
        let record = record(&mark, options.by.clone());
        for workspace in self.known_workspaces().await? {
            match self.record_restore(&record, &mark, &workspace).await {
                Ok(()) => restored.recorded.push(workspace),
                Err(error) => drop(restored.unrecorded.insert(workspace, error)),
            }
        }
        location.objects.delete(&paths::restore_marker()).await?;
        Ok(restored)
    }

    /// Makes the root one into which this backup is restored, or continues a restore; whether all is copied.
    async fn begin_restore(
        &self,
        from: &BackupRoot,
        manifest: &Manifest,
    ) -> Result<(RestoreMark, bool), StoreError> {
        let location = self.location();
        let Some(mark) = location.restore_mark().await? else {
            location.refuse_store().await?;
            let mark = RestoreMark::new(&from.marker().await?, manifest)?;
            location.create_restore_mark(&mark).await?;
            return Ok((mark, false));
        };
        let marker = location.read_marker().await?;
        if marker.as_ref().is_some_and(|marker| *marker != mark.marker) {
            location.refuse_store().await?;
        }
        if marker.is_none() && mark.manifest != manifest.digest()? {
            return Err(StoreError::NotRestored {
                reason: format!(
                    "another backup, number {}, was being restored at `{}`; delete what is there, or choose another place",
                    mark.backup.number,
                    self.url()
                ),
            });
        }
        Ok((mark, marker.is_some()))
    }

    /// Loads the tables and compares them with what was copied.
    async fn faults_of_tables(&self, manifest: &Manifest) -> Result<Vec<BackupFault>, StoreError> {
        let objects = manifest.objects.iter();
        let objects: HashMap<&str, &Object> = objects
            .map(|object| (object.path.as_str(), object))
            .collect();
        let mut faults = Vec::new();
        let known = |path: &str| {
            manifest
                .summary
                .faults
                .iter()
                .any(|fault| fault.path == path)
        };
        for copied in &manifest.summary.workspaces {
            let path = paths::log(&copied.workspace).to_string();
            let snapshot = match self.snapshot(&copied.workspace).await {
                Ok(Some(snapshot)) if snapshot.version == copied.version => snapshot,
                // The marker is not there yet, so that an empty log looks like a store that is gone.
                Ok(_) | Err(StoreError::Gone { .. }) => {
                    let reason = format!("version {} is not there", copied.version);
                    faults.push(BackupFault { path, reason });
                    continue;
                }
                Err(error) if error.may_be_damage() => {
                    let reason = error.to_string();
                    faults.push(BackupFault { path, reason });
                    continue;
                }
                Err(error) => return Err(error),
            };
            for file in snapshot.files() {
                let path = file.path.to_string();
                let is_there = objects.get(path.as_str()).is_some_and(|object| {
                    let is_digest = file.digest.is_none_or(|digest| object.has_digest(digest));
                    object.size == file.size_bytes && is_digest
                });
                if !is_there && !known(&path) {
                    let reason = "it is not what the log says".to_owned();
                    faults.push(BackupFault { path, reason });
                }
            }
        }
        Ok(faults)
    }

    async fn record_restore(
        &self,
        record: &AuditEvent,
        mark: &RestoreMark,
        workspace: &WorkspaceId,
    ) -> Result<(), StoreError> {
        let now_ms = self.location().corrected_ms();
        let incarnation = mark.marker.incarnation();
        let id = identity::derived_id(&[
            b"restored",
            incarnation.as_bytes(),
            workspace.as_str().as_bytes(),
        ]);
        let event = record.event_called(&id, CATEGORY, now_ms, workspace)?;
        let mut import = self
            .import(ImportOptions::default())
            .from_origin(Origin::itself());
        import.push(event).await?;
        import.finish().await?;
        Ok(())
    }
}

/// Copies what is not there yet, and compares everything with its digest; what is wrong with it.
async fn copy_all(
    from: &BackupRoot,
    manifest: &Manifest,
    to: &Location,
) -> Result<Vec<BackupFault>, StoreError> {
    let listed: Vec<_> = to.objects.list(None).try_collect().await?;
    let there: HashMap<Path, u64> = listed
        .into_iter()
        .map(|object| (object.location, object.size))
        .collect();
    let there = &there;
    let faults: Vec<Option<BackupFault>> = stream::iter(manifest.objects.clone())
        .map(|object| async move { copy_one(from, &object, to, there).await })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(faults.into_iter().flatten().collect())
}

async fn copy_one(
    from: &BackupRoot,
    object: &Object,
    to: &Location,
    there: &HashMap<Path, u64>,
) -> Result<Option<BackupFault>, StoreError> {
    let path = Path::parse(&object.path).map_err(object_store::Error::from)?;
    if there.get(&path) == Some(&object.size) {
        match digest::of_object(to, &path).await {
            Ok((_, digest)) if object.has_digest(digest) => return Ok(None),
            Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    match copies::copy(&from.location, &object.copy_path(), to, &path).await {
        Ok((_, digest)) => Ok(fault_of_copy(object, digest)),
        Err(error) => without_copy(object, error).map(Some),
    }
}

fn record(mark: &RestoreMark, by: Option<String>) -> AuditEvent {
    let summary = &mark.backup;
    let begun = chrono::DateTime::from_timestamp_millis(summary.begun_ms);
    let begun = begun.map_or_else(|| summary.begun_ms.to_string(), |time| time.to_rfc3339());
    let number = summary.number;
    AuditEvent {
        action: "store.restored",
        title: "Store restored from a backup",
        message: format!(
            "the store was restored from backup {number}; events that were acknowledged after {begun} may be missing"
        ),
        by,
        attributes: Map::from_iter([
            ("backup".to_owned(), json!(number)),
            ("backup_begun_ms".to_owned(), json!(summary.begun_ms)),
            ("backup_complete".to_owned(), json!(summary.is_complete())),
            ("incarnation".to_owned(), json!(mark.marker.incarnation())),
            ("incarnation_before".to_owned(), json!(summary.incarnation)),
        ]),
    }
}
