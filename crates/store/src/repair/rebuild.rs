//! A new log from what can be read of the old one, and from data files.

use chrono::NaiveDate;
use deltalake_core::kernel::{Action, Add};
use events::{WorkspaceId, identity};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use serde_json::Map;

use super::found::{Candidate, caught, is_damage_of};
use super::readable::Readable;
use super::recorded::{Drop, Recorded};
use super::sort::Sorting;
use super::{Loss, RebuiltLog, RepairStep, TableRepair, rebuild_record};
use crate::delta::folded_segments::FoldedSegments;
use crate::delta::log::{self, TableMetadata};
use crate::delta::snapshot::Snapshot;
use crate::delta::table;
use crate::error::StoreError;
use crate::file::writer::StagedFile;
use crate::root::paths;
use crate::settings;
use crate::store::Store;

/// The parts of a new log.
#[derive(Debug)]
pub(super) struct NewLog {
    pub(super) files: Vec<Add>,
    pub(super) staged: Vec<StagedFile>,
    metadata: TableMetadata,
    folded: FoldedSegments,
    /// Files that nothing names and that cannot be read.
    pub(super) unreadable: Vec<Path>,
}

/// A rebuild of a log.
struct Rebuild<'a> {
    store: &'a Store,
    workspace: &'a WorkspaceId,
    /// The version that the new log makes.
    version: u64,
    is_applied: bool,
}

impl Store {
    /// Replaces the log by one with what can be read of it and what data files hold.
    pub(super) async fn rebuild_log(
        &self,
        workspace: &WorkspaceId,
        loss: Loss,
        by: Option<&str>,
        repair: &mut TableRepair,
    ) -> Result<(), StoreError> {
        let faults = self.verify_log(workspace).await?;
        let mut rebuilt = RebuiltLog::default();
        rebuilt.damage.extend(loss.reason);
        let faults_told = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.path, fault.kind));
        rebuilt.damage.extend(faults_told);
        let mut readable = self.readable_log(workspace, &faults).await?;
        if let Some(changed) = &readable.changed {
            rebuilt.damage.push(format!("{changed}: it has changed"));
        }
        // What replaced a witnessed entry states just its own files.
        readable.is_complete &= !loss.is_witnessed;
        let log = table::list_from(self.location(), workspace, 0).await?;
        let newest = log.iter();
        let newest = newest.filter_map(|object| paths::version_of(&object.location));
        let newest = newest.max().max(self.witnessed_version(workspace).await?);
        let rebuild = Rebuild {
            store: self,
            workspace,
            version: newest.map_or(0, |newest| newest + 1),
            is_applied: by.is_some(),
        };
        let new = Box::pin(rebuild.new_log(readable, &mut rebuilt)).await?;
        if let Some(by) = by {
            Box::pin(rebuild.apply(new, &rebuilt, by)).await?;
        }
        repair.steps.push(RepairStep::Rebuild(rebuilt));
        Ok(())
    }
}

impl Rebuild<'_> {
    /// Decides what the new log consists of.
    async fn new_log(
        &self,
        readable: Readable,
        rebuilt: &mut RebuiltLog,
    ) -> Result<NewLog, StoreError> {
        rebuilt.base = readable.base;
        rebuilt.settings_lost = readable.metadata.is_none();
        let now_ms = self.store.location().now_ms();
        let known = readable.metadata.clone();
        let mut new = NewLog {
            files: Vec::new(),
            staged: Vec::new(),
            metadata: known.unwrap_or_else(|| TableMetadata::new(now_ms)),
            folded: readable.folded.clone(),
            unreadable: Vec::new(),
        };
        if readable.is_complete {
            new.files = readable.files.into_values().collect();
            rebuilt.named_files = new.files.len();
            return Ok(new);
        }
        let mut settings = settings::read(&new.metadata, self.workspace)?;
        let adds = readable.files.values().cloned().map(Action::Add);
        let named = self.alone(&new.metadata, &adds.collect::<Vec<_>>()).await?;
        let table = readable.metadata.as_ref().map(|known| known.id.as_str());
        let mut recorded = Recorded::of(table, Some(self.version));
        let found = self
            .found_files(&readable, &mut recorded, &mut new, rebuilt)
            .await?;
        self.add_recorded_of_named(&readable, &named, &mut recorded)
            .await?;
        for hold in std::mem::take(&mut recorded.holds) {
            if settings.holds.iter().all(|known| known.name != hold.name) {
                rebuilt.holds.push(hold.name.clone());
                settings.holds.push(hold);
            }
        }
        settings
            .holds
            .sort_unstable_by(|one, other| one.name.cmp(&other.name));
        settings.older_events |= rebuilt.settings_lost;
        // A lost entry may have set a longer retention.
        settings.drop_undone = true;
        rebuilt.waits_for_confirmation = true;
        let drops = drops(recorded.drops, &readable.raised);
        let dropped_before = drops.iter().map(|drop| drop.kept_from).max();
        settings.dropped_before = settings.dropped_before.max(dropped_before);
        new.metadata = settings::write(&settings, &new.metadata);
        let record_id = self.record_id();
        let mut sorting = Sorting {
            store: self.store,
            workspace: self.is_applied.then_some(self.workspace),
            drops: &drops,
            holds: &settings.holds,
            record_id: &record_id,
            new: &mut new,
            rebuilt,
        };
        Box::pin(sorting.sort(readable, &named, found)).await?;
        Ok(new)
    }

    /// The table that has these metadata and files, and nothing else.
    async fn alone(
        &self,
        metadata: &TableMetadata,
        adds: &[Action],
    ) -> Result<Snapshot, StoreError> {
        let now = self.store.location().now();
        let actions = log::restored(now, metadata, adds, Map::new())?;
        table::alone(self.workspace, &actions).await
    }

    /// The files that the log does not name and that can be read, the largest of each day first; takes what audit
    /// events record.
    async fn found_files(
        &self,
        readable: &Readable,
        recorded: &mut Recorded,
        new: &mut NewLog,
        rebuilt: &mut RebuiltLog,
    ) -> Result<Vec<Candidate>, StoreError> {
        let location = self.store.location();
        let mut found = Vec::new();
        for (object, day) in self.unnamed_files(readable).await? {
            let path = object.location.clone();
            let candidate = async {
                let candidate = Candidate::found(location, &object, day).await?;
                candidate.add_recorded(location, recorded).await?;
                Ok(candidate)
            };
            match caught(&path, candidate).await {
                Ok(candidate) => found.push(candidate),
                Err(error) if is_damage_of(&path, &error) => {
                    rebuilt.unreadable.push(format!("{path}: {error}"));
                    new.unreadable.push(path);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The data files that the log neither has nor has removed, the largest of each day first.
    async fn unnamed_files(
        &self,
        readable: &Readable,
    ) -> Result<Vec<(ObjectMeta, NaiveDate)>, StoreError> {
        let objects = &self.store.location().objects;
        let mut objects = objects.list(Some(&paths::table(self.workspace)));
        let mut found = Vec::new();
        while let Some(object) = objects.try_next().await? {
            let Some(relative_path) = paths::relative_path(self.workspace, &object.location) else {
                continue;
            };
            let is_known = readable.files.contains_key(&relative_path)
                || readable.removed.contains(&relative_path);
            if let Some(day) = paths::day_of_data_file(&relative_path).filter(|_| !is_known) {
                found.push((object, day));
            }
        }
        found.sort_unstable_by_key(|(object, day)| (*day, std::cmp::Reverse(object.size)));
        Ok(found)
    }

    /// Takes what audit events record of the files that entries after the base have added: a compaction may have moved
    /// an audit event there.
    async fn add_recorded_of_named(
        &self,
        readable: &Readable,
        named: &Snapshot,
        recorded: &mut Recorded,
    ) -> Result<(), StoreError> {
        let added = named.files();
        for file in added.filter(|file| readable.added.contains_key(&file.relative_path)) {
            let place = file.file_ref();
            match recorded.add_file(self.store.location(), &place).await {
                // A damaged file is set aside later.
                Err(error) if !is_damage_of(&file.path, &error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The id of the audit event about this rebuild, also when it is done again.
    fn record_id(&self) -> String {
        let workspace = self.workspace.as_str().as_bytes();
        identity::derived_id(&[b"rebuilt log", workspace, &self.version.to_le_bytes()])
    }

    /// Puts the new log, then moves the old one and unreadable files aside.
    async fn apply(&self, new: NewLog, rebuilt: &RebuiltLog, by: &str) -> Result<(), StoreError> {
        let store = self.store;
        let repaired_ms = store.location().now_ms();
        let unreadable = new.unreadable.clone();
        // A cleaner deletes what no version names: the copies have to be there before.
        for path in &unreadable {
            store.copy_aside(path, repaired_ms).await?;
        }
        self.put(new, rebuilt, by).await?;
        let log = paths::log(self.workspace);
        let objects = store.location().objects.list(Some(&log));
        let objects: Vec<ObjectMeta> = objects.try_collect().await?;
        for ObjectMeta { location, .. } in objects {
            if paths::version_of(&location).is_some_and(|version| version < self.version) {
                store.move_aside(&location, repaired_ms).await?;
            }
        }
        for path in &unreadable {
            store.delete_copied(path).await?;
        }
        Ok(())
    }

    /// Writes the new log as one version with a checkpoint, which needs nothing of the old log.
    async fn put(&self, new: NewLog, rebuilt: &RebuiltLog, by: &str) -> Result<(), StoreError> {
        let (workspace, location) = (self.workspace, self.store.location());
        let marker = location.check_writable().await?;
        let record_id = self.record_id();
        let record = rebuild_record(by, rebuilt);
        let record = record.stage_called(location, workspace, &record_id).await?;
        let mut adds: Vec<Action> = new.files.into_iter().map(Action::Add).collect();
        let staged = new.staged.iter().chain([&record]);
        adds.extend(staged.map(|file| log::add(workspace, file, log::Operation::Restore)));
        let alone = self.alone(&new.metadata, &adds).await?;
        let mut metadata = alone.metadata_to_commit().clone();
        metadata.name_store(marker.as_ref());
        let metadata = log::stated(self.version, &alone, metadata)?;
        let mut info = Map::new();
        new.folded.write_to(&mut info);
        let actions = log::restored(location.now(), &metadata, &adds, info)?;
        let checkpoint = table::checkpoint_of(workspace, &actions).await?;
        let path = paths::checkpoint(workspace, self.version);
        let sent = location
            .objects
            .put_opts(&path, checkpoint.into(), PutMode::Create.into());
        match sent.await {
            Err(object_store::Error::AlreadyExists { .. }) => return Err(self.conflict()),
            sent => sent?,
        };
        if !log::put_entry(location, workspace, self.version, &actions).await? {
            // It would hide the entry of the other writer.
            location.objects.delete(&path).await?;
            return Err(self.conflict());
        }
        let hint = serde_json::json!({"version": self.version, "size": actions.len() - 1});
        let path = paths::last_checkpoint(workspace);
        location.objects.put(&path, hint.to_string().into()).await?;
        Ok(())
    }

    fn conflict(&self) -> StoreError {
        StoreError::Conflict {
            path: paths::commit(self.workspace, self.version).to_string(),
        }
    }
}

/// The retention runs that audit events record, and those that only settings show.
fn drops(recorded: Vec<Drop>, raised: &[Drop]) -> Vec<Drop> {
    let mut drops = recorded;
    for raised in raised {
        if drops.iter().all(|drop| drop.kept_from != raised.kept_from) {
            drops.push(raised.clone());
        }
    }
    drops
}
