//! Bringing back what a retention run has dropped.
//!
//! The files that a drop took out are there for a day. Their events are copied into new files, without those
//! that the table has: held ones that stayed, and those that arrived again. The old files are not named
//! again, as a cleaner may be about to delete them.

use std::collections::HashSet;

use arrow::array::Array;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use events::settings::{Dropped, Settings, Undone};
use events::{Content, WorkspaceId};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::{Map, Value, json};

use super::run::is_copied_whole;
use super::stats::add_day;
use crate::delta::audit_event::AuditEvent;
use crate::delta::log::{Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::delta::table::Table;
use crate::error::StoreError;
use crate::file::claims::Holders;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::import::day_buffer::WrittenFile;
use crate::import::staging::Staging;
use crate::maintenance::vacuum::REMOVED_AGE;
use crate::root::location::Location;
use crate::root::paths;
use crate::settings::dropped_since::{ChangedFile, actions, files_of_drop};
use crate::settings::error::SettingsError;
use crate::settings::hold::check_actor;
use crate::store::Store;

/// The key with the version of the drop, in what an undo records of its commit.
const UNDONE: &str = "undone";

impl Store {
    /// Brings back the events that the retention run dropped which made `dropped_version`, or the newest one of the
    /// last day that is not undone, on behalf of `by`. With `dry_run` it only returns which one. `None` when
    /// there is no such
    /// table.
    ///
    /// After this, no retention run drops anything in the workspace until an operator sets another retention or
    /// confirms a run.
    ///
    /// # Errors
    ///
    /// [`SettingsError::NothingToUndo`] when there is no such drop, or it is undone already;
    /// [`SettingsError::DropGone`] when files of it are deleted; [`SettingsError::Invalid`] when `by` is empty
    /// or too long; else as for committing.
    pub async fn undo_drop(
        &self,
        workspace: &WorkspaceId,
        dropped_version: Option<u64>,
        by: &str,
        dry_run: bool,
    ) -> Result<Option<Undone>, SettingsError> {
        check_actor(by)?;
        let mut undo = UndoDrop {
            location: self.location(),
            dropped_version,
            by,
            dry_run,
            copies: None,
        };
        let result = self.commit_existing(workspace, &mut undo).await;
        if !matches!(
            result,
            Ok(_) | Err(SettingsError::Store(StoreError::CommitUnknown { .. }))
        ) && let Some(copies) = undo.copies
        {
            copies.staging.discard(self.location()).await;
        }
        Ok(result?.map(|committed| committed.value))
    }
}

/// The commit that brings events back.
struct UndoDrop<'a> {
    location: &'a Location,
    dropped_version: Option<u64>,
    by: &'a str,
    dry_run: bool,
    /// The events of a drop in new files, for the next attempt.
    copies: Option<Copies>,
}

/// The events of one drop in new files.
struct Copies {
    dropped_version: u64,
    staging: Staging,
}

/// A drop as the log has it.
struct FoundDrop {
    version: u64,
    /// The files that it took out, by day.
    files: Vec<ChangedFile>,
    /// Whether no later drop is in force.
    is_last: bool,
    /// The drops that are undone, as far as later versions say.
    undone: HashSet<u64>,
}

#[async_trait]
impl CommitPlanner for UndoDrop<'_> {
    type Value = Undone;
    type Error = SettingsError;

    async fn plan(
        &mut self,
        newest: &Snapshot,
        version: u64,
    ) -> Result<CommitPlan<Undone>, SettingsError> {
        let found = find(self.location, newest, self.dropped_version).await?;
        // After a conflict it is still this drop that is undone.
        self.dropped_version = Some(found.version);
        check_files(self.location, &found).await?;
        if self.dry_run {
            let undone = preview(self.location, newest, &found).await?;
            return Ok(CommitPlan::Stop(undone));
        }
        let mut copies = match self.copies.take() {
            Some(copies) if copies.dropped_version == found.version => copies,
            other => {
                if let Some(outdated) = other {
                    outdated.staging.discard(self.location).await;
                }
                let copied = copies_of(self.location, newest, &found).await;
                match copied {
                    // A cleaner was faster.
                    Err(SettingsError::Store(error)) if error.is_missing_object() => {
                        check_files(self.location, &found).await?;
                        return Err(error.into());
                    }
                    copied => copied?,
                }
            }
        };
        let settled = copies.staging.settle(self.location, newest).await;
        let undone = undone(newest, version, &copies);
        let adds = copies.staging.files().to_vec();
        self.copies = Some(copies);
        settled?;
        let settings = Settings {
            dropped_before: dropped_before(self.location, newest, &found).await?,
            drop_undone: true,
            ..newest.settings()?
        };
        let changes = changes(newest, &settings, &undone, adds, self.by);
        Ok(CommitPlan::Commit(Box::new(changes), undone))
    }
}

/// An entry of the log, for what it says of drops.
struct Entry {
    path: Path,
    actions: Vec<Value>,
    committed: DateTime<Utc>,
    /// The version whose drop it undoes.
    undone: Option<u64>,
    is_drop: bool,
}

impl Entry {
    /// Reads the entry that made `version`; `None` when it does not exist any more.
    async fn read(
        location: &Location,
        workspace: &WorkspaceId,
        version: u64,
    ) -> Result<Option<Self>, StoreError> {
        let path = paths::commit(workspace, version);
        let found = match location.objects.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let committed = found.meta.last_modified;
        let actions = actions(&path, &found.bytes().await?)?;
        let info = actions
            .iter()
            .find_map(|action| action.get("commitInfo"))
            .unwrap_or(&Value::Null);
        let engine = info["engineInfo"].as_str().unwrap_or_default();
        Ok(Some(Self {
            undone: info["vouch"][UNDONE].as_u64(),
            is_drop: info["operation"] == Operation::Delete.name() && engine.starts_with("vouch/"),
            committed,
            path,
            actions,
        }))
    }
}

/// The drop that made the version `wanted`, or the newest one of the last day that is not undone: older ones have no
/// files once a cleaner was there.
async fn find(
    location: &Location,
    newest: &Snapshot,
    wanted: Option<u64>,
) -> Result<FoundDrop, SettingsError> {
    let nothing = |reason: String| SettingsError::NothingToUndo {
        workspace: newest.workspace.clone(),
        reason,
    };
    let now = DateTime::from_timestamp_millis(location.corrected_ms()).unwrap_or_default();
    let mut undone = HashSet::new();
    let mut is_last = true;
    for version in (wanted.unwrap_or_default()..=newest.version).rev() {
        let Some(entry) = Entry::read(location, &newest.workspace, version).await? else {
            break;
        };
        if wanted.is_none() && entry.committed < now - REMOVED_AGE {
            break;
        }
        undone.extend(entry.undone);
        if !entry.is_drop {
            continue;
        }
        let is_undone = undone.contains(&version);
        if wanted.is_some_and(|wanted| version != wanted) {
            is_last &= is_undone;
        } else if !is_undone {
            let mut files = files_of_drop(newest, &entry.path, &entry.actions)?;
            files.retain(|file| file.sign > 0);
            files.sort_by_key(|file| file.day);
            return Ok(FoundDrop {
                version,
                files,
                is_last,
                undone,
            });
        } else if wanted.is_some() {
            return Err(nothing(format!(
                "the drop of version {version} is undone already"
            )));
        }
    }
    Err(nothing(match wanted {
        Some(wanted) => format!(
            "version {wanted} is no retention run; the audit events `retention.expired` tell of them, and without a version the newest one of the last day is undone"
        ),
        None => "no retention run of the last day has dropped something that is not undone; the audit events `retention.expired` tell of older ones, which are undone by their version".to_owned(),
    }))
}

/// The first day that no retention run has dropped yet, once the drop is undone: as it was before it. When a drop of
/// before is undone as well, and none in between is in force, as it was before that one.
async fn dropped_before(
    location: &Location,
    newest: &Snapshot,
    found: &FoundDrop,
) -> Result<Option<NaiveDate>, StoreError> {
    let now = newest.settings()?.dropped_before;
    if !found.is_last {
        return Ok(now);
    }
    let mut first = found.version;
    let mut undone = found.undone.clone();
    let earlier = undone.iter().filter(|undone| **undone < first);
    let earliest = earlier.min().copied().unwrap_or(first);
    for version in (earliest..found.version).rev() {
        let Some(entry) = Entry::read(location, &newest.workspace, version).await? else {
            break;
        };
        undone.extend(entry.undone);
        match entry.is_drop {
            false => {}
            true if undone.contains(&version) => first = version,
            true => break,
        }
    }
    let version = first.saturating_sub(1);
    let before = Table::load_at(location, &newest.workspace, version, &HashSet::new()).await?;
    Ok(now.min(before.snapshot().settings()?.dropped_before))
}

/// Makes sure that the files are there, and that a copy of them loses nothing.
async fn check_files(location: &Location, found: &FoundDrop) -> Result<(), SettingsError> {
    let mut missing = 0;
    for file in &found.files {
        match location.objects.head(&file.place.path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => missing += 1,
            Err(error) => return Err(StoreError::from(error).into()),
        }
    }
    if missing > 0 {
        return Err(SettingsError::DropGone {
            version: found.version,
            missing,
            files: found.files.len(),
        });
    }
    Ok(())
}

/// What the drop would bring back.
async fn preview(
    location: &Location,
    newest: &Snapshot,
    found: &FoundDrop,
) -> Result<Undone, StoreError> {
    let mut undone = Undone {
        workspace: newest.workspace.clone(),
        dropped_version: found.version,
        version: None,
        restored: Dropped::default(),
        repeated: 0,
    };
    for file in &found.files {
        let ids = file.place.event_ids(location).await?;
        let rows: u64 = ids.iter().map(|ids| ids.len() as u64).sum();
        let ids: HashSet<&str> = ids.iter().flat_map(|ids| ids.iter().flatten()).collect();
        let active = newest.files_of(file.day).map(DataFile::file_ref);
        let active: Vec<_> = active.collect();
        let holders = Holders::of_files(location, &active, &ids).await?;
        let taken = ids.into_iter().filter(|id| holders.of(id).is_some());
        let own = file
            .place
            .contents_among(location, &taken.collect())
            .await?;
        let is_stored = |(id, content): &(&String, &Content)| {
            holders.of(id).is_some_and(|stored| stored.is_same(content))
        };
        let repeated = own.iter().filter(is_stored).count() as u64;
        undone.repeated += repeated;
        if repeated < rows {
            undone.restored.events += rows - repeated;
            undone.restored.size_bytes += file.place.size_bytes;
            add_day(&mut undone.restored.days, file.day);
        }
    }
    Ok(undone)
}

/// Copies the events of the drop. Those that the table has are left out when the copies are settled.
async fn copies_of(
    location: &Location,
    newest: &Snapshot,
    found: &FoundDrop,
) -> Result<Copies, SettingsError> {
    let mut staging = Staging::new(newest.workspace.clone(), None);
    for file in &found.files {
        match copy_of(location, newest, file).await {
            Ok(file) => staging.add(WrittenFile {
                file: Some(file),
                repeated: 0,
                conflicts: 0,
            }),
            Err(error) => {
                staging.discard(location).await;
                return Err(error);
            }
        }
    }
    Ok(Copies {
        dropped_version: found.version,
        staging,
    })
}

/// Copies the events of one file.
async fn copy_of(
    location: &Location,
    newest: &Snapshot,
    file: &ChangedFile,
) -> Result<StagedFile, SettingsError> {
    let place = &file.place;
    let failed = |error| StoreError::parquet(&place.path, error);
    let builder = place.open(location).await?;
    if !is_copied_whole(place, builder.schema()) {
        return Err(SettingsError::NothingToUndo {
            workspace: newest.workspace.clone(),
            reason: format!(
                "`{}` is a file of other software, and a copy might lose columns; restore it with that software",
                place.path
            ),
        });
    }
    let mut batches = builder.build().map_err(failed)?;
    let mut copy = DataFileWriter::create(location, &newest.workspace, file.day)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let delivery = place.delivery.as_deref();
        let batch = events::with_all_columns(&batch, delivery).map_err(StoreError::from)?;
        copy.write(&batch).await?;
    }
    let mut copy = copy.finish().await?;
    copy.tags = file.tags.clone();
    Ok(copy)
}

fn undone(newest: &Snapshot, version: u64, copies: &Copies) -> Undone {
    let mut files: Vec<&StagedFile> = copies.staging.files().iter().collect();
    files.sort_by_key(|file| file.day);
    let mut restored = Dropped::default();
    for file in files {
        restored.events += file.rows;
        restored.size_bytes += file.size_bytes;
        add_day(&mut restored.days, file.day);
    }
    Undone {
        workspace: newest.workspace.clone(),
        dropped_version: copies.dropped_version,
        version: Some(version),
        restored,
        repeated: copies.staging.repeated(),
    }
}

fn changes(
    newest: &Snapshot,
    settings: &Settings,
    undone: &Undone,
    adds: Vec<StagedFile>,
    by: &str,
) -> Changes {
    let info = (UNDONE.to_owned(), json!(undone.dropped_version));
    Changes {
        adds,
        metadata: Some(newest.metadata_with(settings)),
        record: Some(record(undone, by)),
        info: Map::from_iter([info]),
        ..Changes::new(Operation::Write)
    }
}

/// The audit event about an undo.
fn record(undone: &Undone, by: &str) -> AuditEvent {
    let restored = &undone.restored;
    let days = restored.days.iter().map(
        |(first, last)| json!({"first": paths::day_text(*first), "last": paths::day_text(*last)}),
    );
    AuditEvent {
        action: "retention.undone",
        title: "Drop undone",
        message: format!(
            "{} events of {} days are back, which version {} had dropped; {} were there already",
            restored.events,
            restored.day_count(),
            undone.dropped_version,
            undone.repeated,
        ),
        by: Some(by.to_owned()),
        attributes: Map::from_iter([(
            "undone".to_owned(),
            json!({
                "dropped_version": undone.dropped_version,
                "events": restored.events,
                "bytes": restored.size_bytes,
                "day_count": restored.day_count(),
                "days": Value::from_iter(days),
                "repeated": undone.repeated,
            }),
        )]),
    }
}
