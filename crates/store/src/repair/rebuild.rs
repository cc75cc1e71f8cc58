//! A new log from what can be read of the old one, and from data files.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use deltalake_core::kernel::{Action, Add};
use events::{EventBatchBuilder, WorkspaceId, identity};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;

use super::found::Candidate;
use super::kept::KeptEvents;
use super::recorded::{Drop, Recorded};
use super::{RebuiltLog, RepairStep, TableRepair, rebuild_record};
use crate::data_file::{DataFileWriter, StagedFile};
use crate::error::StoreError;
use crate::hold::Hold;
use crate::log::{self, TableMetadata};
use crate::paths;
use crate::settings::Settings;
use crate::snapshot::DataFile;
use crate::store::Store;
use crate::table::{self, Table};

/// What can be read of a log.
#[derive(Debug, Default)]
struct Readable {
    /// The last version whose files are known as a whole.
    base: Option<u64>,
    /// The last version whose entry is sound.
    newest: Option<u64>,
    files: BTreeMap<String, Add>,
    /// The files that entries after the base have added.
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
    metadata: Option<TableMetadata>,
    /// The first day that no run had dropped at the base.
    base_dropped: Option<NaiveDate>,
    /// Whether the newest entry states just these files.
    is_complete: bool,
}

/// The parts of a new log.
#[derive(Debug)]
struct NewLog {
    files: Vec<Add>,
    staged: Vec<StagedFile>,
    metadata: TableMetadata,
}

impl Store {
    /// Replaces the log by one with what can be read of it and what data files hold.
    pub(super) async fn rebuild_log(
        &self,
        workspace: &WorkspaceId,
        reason: Option<String>,
        by: Option<&str>,
        repair: &mut TableRepair,
    ) -> Result<(), StoreError> {
        let log = table::list_from(self.location(), workspace, 0).await?;
        let log: Vec<Path> = log.into_iter().map(|object| object.location).collect();
        let faults = self.verify_log(workspace).await?;
        let mut rebuilt = RebuiltLog {
            damage: reason.into_iter().collect(),
            ..RebuiltLog::default()
        };
        let faults_told = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.path, fault.kind));
        rebuilt.damage.extend(faults_told);
        let damaged = faults.iter().map(|fault| fault.path.as_str());
        let readable = self.readable(workspace, &log, &damaged.collect()).await?;
        let new = self
            .new_log(workspace, readable, by.is_some(), &mut rebuilt)
            .await?;
        let Some(by) = by else {
            repair.steps.push(RepairStep::Rebuild(rebuilt));
            return Ok(());
        };
        let newest = log.iter().filter_map(paths::version_of).max();
        let newest = newest.max(self.witnessed_version(workspace).await?);
        let version = newest.map_or(0, |newest| newest + 1);
        self.put_log(workspace, version, new, &rebuilt, by).await?;
        let repaired_ms = self.location().now_ms();
        let old = self.objects_of_log(workspace).await?;
        for path in old.iter().filter(|path| is_before(path, version)) {
            self.move_aside(path, repaired_ms).await?;
        }
        repair.steps.push(RepairStep::Rebuild(rebuilt));
        Ok(())
    }

    async fn objects_of_log(&self, workspace: &WorkspaceId) -> Result<Vec<Path>, StoreError> {
        let objects = self.location().objects.list(Some(&paths::log(workspace)));
        Ok(objects
            .map_ok(|object| object.location)
            .try_collect()
            .await?)
    }

    /// Reads the newest version that can be read, and the sound entries after it.
    async fn readable(
        &self,
        workspace: &WorkspaceId,
        log: &[Path],
        damaged: &HashSet<&str>,
    ) -> Result<Readable, StoreError> {
        let mut readable = Readable::default();
        let versions = log.iter().filter_map(paths::version_of);
        let wrong = damaged.iter().map(|path| Path::from(*path));
        let wrong = wrong.filter(paths::is_commit);
        let mut candidates: BTreeSet<u64> = wrong
            .filter_map(|path| paths::version_of(&path)?.checked_sub(1))
            .collect();
        candidates.extend(versions.max());
        let mut hidden: HashSet<Path> = damaged.iter().map(|path| Path::from(*path)).collect();
        hidden.insert(paths::last_checkpoint(workspace));
        for version in candidates.into_iter().rev() {
            match Table::load_at(self.location(), workspace, version, &hidden).await {
                Ok(table) => {
                    readable.base = Some(version);
                    readable.newest = Some(version);
                    readable.files = table.adds()?;
                    readable.removed = table.removed_paths().await?;
                    let snapshot = table.snapshot();
                    readable.base_dropped = snapshot
                        .settings()
                        .ok()
                        .and_then(|settings| settings.dropped_before);
                    readable.metadata = Some((*snapshot.metadata).clone());
                    break;
                }
                Err(StoreError::ObjectStore(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        for path in log.iter().filter(|path| paths::is_commit(path)) {
            let is_after = paths::version_of(path) > readable.base;
            if !is_after || damaged.contains(path.as_ref()) {
                continue;
            }
            if let Some(entry) = log::entry_at(self.location(), path).await? {
                readable.newest = paths::version_of(path);
                readable.replay(&entry);
            }
        }
        let lost = damaged.iter().map(|path| Path::from(*path));
        let lost = lost.filter(paths::is_commit);
        let lost = lost.filter_map(|path| paths::version_of(&path)).max();
        let witnessed = self.witnessed_version(workspace).await?;
        let is_newest = readable.newest > lost && readable.newest >= witnessed;
        readable.is_complete = is_newest && readable.states_itself(workspace).await;
        Ok(readable)
    }

    /// Decides what the new log consists of; data files are written when it `is_applied`.
    async fn new_log(
        &self,
        workspace: &WorkspaceId,
        readable: Readable,
        is_applied: bool,
        rebuilt: &mut RebuiltLog,
    ) -> Result<NewLog, StoreError> {
        rebuilt.base = readable.base;
        rebuilt.settings_lost = readable.metadata.is_none();
        let now_ms = self.location().now_ms();
        let mut metadata = readable
            .metadata
            .clone()
            .unwrap_or_else(|| TableMetadata::new(now_ms));
        let mut settings = Settings::of(&metadata).unwrap_or_default();
        let mut new = NewLog {
            files: Vec::new(),
            staged: Vec::new(),
            metadata: metadata.clone(),
        };
        if readable.is_complete {
            new.files = readable.files.into_values().collect();
            rebuilt.named_files = new.files.len();
            return Ok(new);
        }
        let mut found = Vec::new();
        let mut recorded = Recorded::default();
        for (object, day) in self.unnamed_files(workspace, &readable).await? {
            match self.candidate(&object, day, &mut recorded).await {
                Ok(candidate) => found.push(candidate),
                Err(StoreError::ObjectStore(error)) => return Err(error.into()),
                Err(error) => rebuilt
                    .unreadable
                    .push(format!("{}: {error}", object.location)),
            }
        }
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
        if settings.dropped_before > readable.base_dropped
            && let Some(kept_from) = settings.dropped_before
        {
            let at_ms = i64::MAX;
            recorded.drops.push(Drop { kept_from, at_ms });
        }
        let drops = recorded.drops.iter().map(|drop| drop.kept_from);
        settings.dropped_before = settings.dropped_before.max(drops.max());
        metadata = settings.written_to(&metadata);
        new.metadata = metadata;
        let mut sorting = Sorting {
            store: self,
            workspace,
            is_applied,
            drops: &recorded.drops,
            holds: &settings.holds,
            new: &mut new,
            rebuilt,
        };
        sorting.sort(readable, found).await?;
        Ok(new)
    }

    async fn candidate(
        &self,
        object: &ObjectMeta,
        day: NaiveDate,
        recorded: &mut Recorded,
    ) -> Result<Candidate, StoreError> {
        let candidate = Candidate::found(self.location(), object, day).await?;
        candidate.add_recorded(self.location(), recorded).await?;
        Ok(candidate)
    }

    /// The data files that the log neither has nor has removed, the largest of each day first.
    async fn unnamed_files(
        &self,
        workspace: &WorkspaceId,
        readable: &Readable,
    ) -> Result<Vec<(ObjectMeta, NaiveDate)>, StoreError> {
        let mut objects = self.location().objects.list(Some(&paths::table(workspace)));
        let mut found = Vec::new();
        while let Some(object) = objects.try_next().await? {
            let Some(in_table) = paths::in_table(workspace, &object.location) else {
                continue;
            };
            let is_known =
                readable.files.contains_key(&in_table) || readable.removed.contains(&in_table);
            if let Some(day) = paths::day_of_data_file(&in_table).filter(|_| !is_known) {
                found.push((object, day));
            }
        }
        found.sort_unstable_by_key(|(object, day)| (*day, std::cmp::Reverse(object.size)));
        Ok(found)
    }

    /// Writes the new log as one version with a checkpoint, which needs nothing of the old log.
    async fn put_log(
        &self,
        workspace: &WorkspaceId,
        version: u64,
        new: NewLog,
        rebuilt: &RebuiltLog,
        by: &str,
    ) -> Result<(), StoreError> {
        let NewLog {
            files,
            mut staged,
            metadata,
        } = new;
        staged.push(
            self.stage_record(workspace, version, &metadata, rebuilt, by)
                .await?,
        );
        let mut adds: Vec<Action> = files.into_iter().map(Action::Add).collect();
        let staged = staged.iter();
        adds.extend(staged.map(|file| log::add(workspace, file, log::Operation::Restore)));
        let now = self.location().now();
        let actions = |metadata: &TableMetadata| log::restored(now, metadata, &adds);
        let alone = table::alone(workspace, &actions(&metadata)?).await?;
        let metadata = log::stated(version, &alone, metadata)?;
        let actions = actions(&metadata)?;
        let checkpoint = table::checkpoint_of(workspace, &actions).await?;
        let location = self.location();
        let path = paths::checkpoint(workspace, version);
        location
            .objects
            .put(&path, checkpoint.clone().into())
            .await?;
        match log::put_entry(location, workspace, version, &actions).await? {
            true => {}
            false => {
                return Err(StoreError::Conflict {
                    path: paths::commit(workspace, version).to_string(),
                });
            }
        }
        let hint = serde_json::json!({"version": version, "size": actions.len() - 1});
        let path = paths::last_checkpoint(workspace);
        location.objects.put(&path, hint.to_string().into()).await?;
        Ok(())
    }

    async fn stage_record(
        &self,
        workspace: &WorkspaceId,
        version: u64,
        metadata: &TableMetadata,
        rebuilt: &RebuiltLog,
        by: &str,
    ) -> Result<StagedFile, StoreError> {
        let id = identity::derived_id(&[b"record", metadata.id.as_bytes(), &version.to_le_bytes()]);
        let now_ms = self.location().now_ms();
        let event = rebuild_record(by, rebuilt).event_called(&id, "repair", now_ms, workspace)?;
        let mut batch = EventBatchBuilder::new();
        batch.append(&event);
        let mut file = DataFileWriter::create(self.location(), workspace, event.day())?;
        file.write(&batch.finish()?).await?;
        file.finish().await
    }
}

fn is_before(path: &Path, version: u64) -> bool {
    paths::version_of(path).is_some_and(|found| found < version)
}

impl Readable {
    /// Takes a sound entry.
    fn replay(&mut self, entry: &[u8]) {
        for mut action in log::actions_in(entry) {
            if let Some(path) = action["remove"]["path"].as_str() {
                self.files.remove(path);
                self.removed.insert(path.to_owned());
            }
            if let Some(metadata) = action.get_mut("metaData").map(Value::take)
                && let Ok(metadata) = serde_json::from_value(metadata)
            {
                self.metadata = Some(metadata);
            }
            if let Some(add) = action.get_mut("add").map(Value::take)
                && let Ok(add) = serde_json::from_value::<Add>(add)
            {
                self.added.insert(add.path.clone());
                self.files.insert(add.path.clone(), add);
            }
        }
        let Self { files, removed, .. } = self;
        files.retain(|path, _| !removed.contains(path));
    }

    /// Whether the newest entry states just these files, so that nothing is missing.
    async fn states_itself(&self, workspace: &WorkspaceId) -> bool {
        let Some(metadata) = &self.metadata else {
            return false;
        };
        let adds: Vec<Action> = self.files.values().cloned().map(Action::Add).collect();
        let Ok(actions) = log::restored(chrono::Utc::now(), metadata, &adds) else {
            return false;
        };
        match table::alone(workspace, &actions).await {
            Ok(alone) => log::is_stated(&alone),
            Err(_) => false,
        }
    }
}

/// Named and found files on their way into a new log.
struct Sorting<'a> {
    store: &'a Store,
    workspace: &'a WorkspaceId,
    is_applied: bool,
    drops: &'a [Drop],
    holds: &'a [Hold],
    new: &'a mut NewLog,
    rebuilt: &'a mut RebuiltLog,
}

impl Sorting<'_> {
    async fn sort(&mut self, readable: Readable, found: Vec<Candidate>) -> Result<(), StoreError> {
        let mut by_day: BTreeMap<NaiveDate, (Vec<DataFile>, Vec<Candidate>)> = BTreeMap::new();
        for candidate in found {
            by_day.entry(candidate.day).or_default().1.push(candidate);
        }
        let adds = readable.files.values().cloned().map(Action::Add);
        let adds: Vec<Action> = adds.collect();
        let now = self.store.location().now();
        let actions = log::restored(now, &self.new.metadata, &adds)?;
        let named = table::alone(self.workspace, &actions).await?;
        let mut adds = readable.files;
        for file in named.files() {
            let in_table = file.in_table.clone();
            let Some(add) = adds.remove(&in_table) else {
                continue;
            };
            let of_day = by_day.entry(file.day).or_default();
            let is_added = readable.added.contains(&in_table);
            if is_added || !self.is_dropped(file) {
                self.rebuilt.named_files += 1;
                self.new.files.push(add);
                of_day.0.push(file.clone());
            } else {
                of_day.1.push(Candidate {
                    place: file.place(),
                    day: file.day,
                    begun_ms: file.modified.timestamp_millis(),
                });
            }
        }
        for (named, found) in by_day.into_values() {
            self.take_day(&named, &found).await?;
        }
        Ok(())
    }

    /// Whether a lost entry has dropped the file, and no hold covers all of its day.
    fn is_dropped(&self, file: &DataFile) -> bool {
        let day = file.day;
        let is_held = self.holds.iter().any(|hold| hold.events.holds_all_of(day));
        !is_held && self.drops.iter().any(|drop| drop.covers_file(file))
    }

    async fn take_day(
        &mut self,
        named: &[DataFile],
        found: &[Candidate],
    ) -> Result<(), StoreError> {
        if found.is_empty() {
            return Ok(());
        }
        let location = self.store.location();
        let mut kept = KeptEvents::default();
        for file in named {
            let added = kept.add(location, file.place()).await;
            // A damaged file is set aside afterwards; what others have of it is kept.
            if let Err(StoreError::ObjectStore(error)) = added {
                return Err(error.into());
            }
        }
        for candidate in found {
            let workspace = self.is_applied.then_some(self.workspace);
            let taken = candidate.take(location, workspace, &mut kept, self.drops, self.holds);
            let taken = match taken.await {
                Ok(taken) => taken,
                Err(StoreError::ObjectStore(error)) => return Err(error.into()),
                Err(error) => {
                    self.rebuilt.unreadable.push(error.to_string());
                    continue;
                }
            };
            self.rebuilt.dropped_events += taken.dropped;
            self.rebuilt.found_files += usize::from(taken.rows > 0);
            self.rebuilt.found_events += taken.rows;
            self.new.staged.extend(taken.files);
        }
        Ok(())
    }
}
