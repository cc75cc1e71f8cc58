//! What can be read of a log that lost something.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use deltalake_core::kernel::{Action, Add, Remove};
use events::WorkspaceId;
use object_store::path::Path;
use serde_json::{Map, Value};

use super::recorded::Drop;
use crate::delta::folded_segments::FoldedSegments;
use crate::delta::log::{self, TableMetadata};
use crate::delta::table::{self, Table};
use crate::error::StoreError;
use crate::fault::Fault;
use crate::root::location::Location;
use crate::root::paths;
use crate::settings;
use crate::store::Store;

/// What can be read of a log.
#[derive(Debug, Default)]
pub(super) struct Readable {
    /// The last version whose files are known as a whole.
    pub(super) base: Option<u64>,
    /// The last version whose entry is sound.
    pub(super) newest: Option<u64>,
    pub(super) files: BTreeMap<String, Add>,
    /// The files that entries after the base have added, each with the number of gaps between the base and the entry.
    /// Files with the same number hold no event twice; an entry of a gap may have replaced one with a lower number by
    /// one with a higher number.
    pub(super) added: BTreeMap<String, usize>,
    pub(super) removed: BTreeSet<String>,
    pub(super) metadata: Option<TableMetadata>,
    /// The retention runs that the settings in entries after the base show, each not later than its time here.
    pub(super) raised: Vec<Drop>,
    /// The segments that sound entries name as folded.
    pub(super) folded: FoldedSegments,
    /// The newest entry, when it is valid JSON and still not what was committed.
    pub(super) changed: Option<Path>,
    /// Whether the newest entry states just these files.
    pub(super) is_complete: bool,
    /// The first day that no retention run had dropped, as far as it was read.
    dropped_before: Option<NaiveDate>,
    gaps: usize,
}

impl Store {
    /// Reads the newest version that can be read, and the sound entries after it.
    pub(super) async fn readable_log(
        &self,
        workspace: &WorkspaceId,
        faults: &[Fault],
    ) -> Result<Readable, StoreError> {
        let log = table::list_from(self.location(), workspace, 0).await?;
        let log: Vec<Path> = log.into_iter().map(|object| object.location).collect();
        let damaged = faults.iter().map(|fault| Path::from(fault.path.as_str()));
        let mut damaged: HashSet<Path> = damaged.collect();
        let entries = log.iter().filter(|path| paths::is_commit(path));
        let last_entry = entries.clone().filter_map(paths::version_of).max();
        let mut readable = self.base(workspace, &log, &damaged).await?;
        if let Some(last) = last_entry
            && readable.base.map(|base| base + 1) == Some(last)
        {
            // No later entry has its digest, but the log can be read without it.
            let changed = paths::commit(workspace, last);
            readable.changed = damaged.insert(changed.clone()).then_some(changed);
        }
        for path in entries {
            let (Some(version), false) = (paths::version_of(path), damaged.contains(path)) else {
                continue;
            };
            let Some(entry) = log::entry_at(self.location(), path).await? else {
                continue;
            };
            if readable.base < Some(version) && !readable.replay(version, &entry, workspace) {
                damaged.insert(path.clone());
                continue;
            }
            readable.folded.extend(&log::folded_in(&entry));
        }
        let lost = damaged.iter().filter(|path| paths::is_commit(path));
        let lost = lost.filter_map(paths::version_of).max();
        let witnessed = self.witnessed_version(workspace).await?;
        let is_newest = readable.newest > lost && readable.newest >= witnessed;
        readable.is_complete =
            is_newest && readable.states_itself(self.location(), workspace).await;
        Ok(readable)
    }

    /// The newest version that can be read as a whole.
    async fn base(
        &self,
        workspace: &WorkspaceId,
        log: &[Path],
        damaged: &HashSet<Path>,
    ) -> Result<Readable, StoreError> {
        let before = |version: u64| version.checked_sub(1);
        let damaged_entries = damaged.iter().filter(|path| paths::is_commit(path));
        let damaged_entries = damaged_entries.filter_map(paths::version_of);
        let checkpoints = log.iter().filter(|path| !paths::is_commit(path));
        let newest = log.iter().filter_map(paths::version_of).max();
        let mut candidates: BTreeSet<u64> = damaged_entries.filter_map(before).collect();
        candidates.extend(newest);
        candidates.extend(newest.and_then(before));
        candidates.extend(checkpoints.filter_map(paths::version_of));
        let mut hidden = damaged.clone();
        hidden.insert(paths::last_checkpoint(workspace));
        for version in candidates.into_iter().rev() {
            match Table::load_at(self.location(), workspace, version, &hidden).await {
                Ok(table) => return Readable::of_base(&table).await,
                Err(error) if error.is_lost_log() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Readable::default())
    }
}

impl Readable {
    async fn of_base(table: &Table) -> Result<Self, StoreError> {
        let snapshot = table.snapshot();
        // Of settings that cannot be understood no run is known to be new.
        let dropped_before = snapshot
            .settings()
            .map_or(Some(NaiveDate::MAX), |settings| settings.dropped_before);
        Ok(Self {
            base: Some(snapshot.version),
            newest: Some(snapshot.version),
            files: table.adds()?,
            removed: table.removed_paths().await?,
            metadata: Some((*snapshot.metadata).clone()),
            dropped_before,
            ..Self::default()
        })
    }

    /// Takes an entry; `false` when it was changed, and nothing of it was taken.
    fn replay(&mut self, version: u64, entry: &[u8], workspace: &WorkspaceId) -> bool {
        let mut actions: Vec<Value> = log::actions_in(entry).collect();
        let metadata = actions.iter_mut().find_map(|action| {
            let metadata = action.get_mut("metaData")?.take();
            serde_json::from_value::<TableMetadata>(metadata).ok()
        });
        if let Some(metadata) = metadata {
            if log::contradicts_itself(version, &metadata) {
                return false;
            }
            self.take_metadata(metadata, &actions, workspace);
        }
        if self.newest.is_none_or(|newest| newest + 1 < version) {
            self.gaps += 1;
        }
        self.newest = Some(version);
        for mut action in actions {
            if let Some(remove) = action.get_mut("remove").map(Value::take)
                && let Ok(remove) = serde_json::from_value::<Remove>(remove)
            {
                self.removed.insert(remove.path);
            }
            if let Some(add) = action.get_mut("add").map(Value::take)
                && let Ok(add) = serde_json::from_value::<Add>(add)
            {
                self.added.insert(add.path.clone(), self.gaps);
                self.files.insert(add.path.clone(), add);
            }
        }
        let Self { files, removed, .. } = self;
        files.retain(|path, _| !removed.contains(path));
        true
    }

    fn take_metadata(
        &mut self,
        metadata: TableMetadata,
        actions: &[Value],
        workspace: &WorkspaceId,
    ) {
        let times = actions.iter();
        let mut times = times.filter_map(|action| action["commitInfo"]["timestamp"].as_i64());
        if let Ok(settings) = settings::read(&metadata, workspace) {
            if let Some(kept_from) = settings.dropped_before
                && settings.dropped_before > self.dropped_before
                && let Some(at_ms) = times.next()
            {
                self.raised.push(Drop { kept_from, at_ms });
            }
            self.dropped_before = settings.dropped_before;
        }
        self.metadata = Some(metadata);
    }

    /// Whether the newest entry states just these files, so that nothing is missing.
    async fn states_itself(&self, location: &Location, workspace: &WorkspaceId) -> bool {
        let Some(metadata) = &self.metadata else {
            return false;
        };
        let adds: Vec<Action> = self.files.values().cloned().map(Action::Add).collect();
        let Ok(actions) = log::restored(location.now(), metadata, &adds, Map::new()) else {
            return false;
        };
        match table::alone(workspace, &actions).await {
            Ok(alone) => log::is_stated(&alone),
            Err(_) => false,
        }
    }
}
