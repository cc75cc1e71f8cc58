//! A log that can be read, with damaged objects that no reader needs.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use events::WorkspaceId;
use object_store::path::Path;
use serde_json::Map;

use super::{RepairStep, TableRepair, log_record};
use crate::delta::audit_event::AuditEvent;
use crate::delta::folded_segments::FoldedSegments;
use crate::delta::log::{self, Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::snapshot::Snapshot;
use crate::delta::table::{self, Table};
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::root::paths;
use crate::store::Store;

impl Store {
    /// Sets aside what is damaged of the log, and what is before it, and writes a checkpoint that replaces it.
    pub(super) async fn repair_readable_log(
        &self,
        workspace: &WorkspaceId,
        by: Option<&str>,
        repair: &mut TableRepair,
    ) -> Result<(), StoreError> {
        let log = table::list_from(self.location(), workspace, 0).await?;
        let log: Vec<Path> = log.into_iter().map(|object| object.location).collect();
        let mut faults = self.verify_log(workspace).await?;
        faults.extend(unfinished(workspace, &log, &faults));
        if faults.is_empty() {
            return Ok(());
        }
        let damaged = faults.iter().map(|fault| Path::from(fault.path.as_str()));
        let damaged: Vec<Path> = damaged.collect();
        let entries = damaged.iter().filter(|path| paths::is_commit(path));
        let last_entry = entries.filter_map(paths::version_of).max();
        for fault in &faults {
            repair.steps.push(RepairStep::SetAside {
                path: fault.path.clone(),
                reason: fault.kind.to_string(),
            });
        }
        repair.steps.push(RepairStep::Checkpoint);
        let Some(by) = by else {
            return Ok(());
        };
        let repaired_ms = self.location().now_ms();
        for path in damaged.iter().filter(|path| !paths::is_commit(path)) {
            self.move_aside(path, repaired_ms).await?;
        }
        let is_old = |path: &Path| {
            let version = paths::version_of(path);
            version.is_some() && version <= last_entry && !damaged.contains(path)
        };
        let sound = log.iter().filter(|path| is_old(path));
        let mut commit = LogRepaired {
            record: log_record(by, &repair.steps),
            folded: self.folded_in(sound).await?,
        };
        // Makes sure that a version after the damaged entries is there, and that its checkpoint is sound.
        self.commit(workspace, &mut commit).await?;
        self.checkpoint(workspace).await?;
        self.move_old_entries(workspace, last_entry, repaired_ms)
            .await
    }

    /// The segments that entries name as folded.
    async fn folded_in(
        &self,
        log: impl Iterator<Item = &Path>,
    ) -> Result<FoldedSegments, StoreError> {
        let mut folded = FoldedSegments::default();
        for path in log.filter(|path| paths::is_commit(path)) {
            if let Some(entry) = log::entry_at(self.location(), path).await? {
                folded.extend(&log::folded_in(&entry));
            }
        }
        Ok(folded)
    }

    async fn move_old_entries(
        &self,
        workspace: &WorkspaceId,
        last_entry: Option<u64>,
        repaired_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(last_entry) = last_entry else {
            return Ok(());
        };
        let log = table::list_from(self.location(), workspace, 0).await?;
        let log: Vec<Path> = log.into_iter().map(|object| object.location).collect();
        let old = log
            .iter()
            .filter(|path| paths::version_of(path).is_some_and(|version| version <= last_entry));
        let old: Vec<&Path> = old.collect();
        let hidden: HashSet<Path> = old.iter().map(|path| (*path).clone()).collect();
        if let Some(snapshot) = self.snapshot(workspace).await? {
            // Without them the table must be the same.
            Table::load_at(self.location(), workspace, snapshot.version, &hidden).await?;
        }
        for path in old {
            self.move_aside(path, repaired_ms).await?;
        }
        Ok(())
    }
}

/// The missing entry of a checkpoint after other entries: a rebuild that was interrupted has put it, or its entry was
/// removed.
fn unfinished(workspace: &WorkspaceId, log: &[Path], faults: &[Fault]) -> Option<Fault> {
    let entries = log.iter().filter(|path| paths::is_commit(path));
    let entries: BTreeSet<u64> = entries.filter_map(paths::version_of).collect();
    let is_damaged = |path: &Path| faults.iter().any(|fault| fault.path == path.as_ref());
    let checkpoints = log
        .iter()
        .filter(|path| paths::is_checkpoint(path) && !is_damaged(path));
    let newest = checkpoints.filter_map(paths::version_of).max()?;
    let path = paths::commit(workspace, newest);
    let is_unfinished = !entries.contains(&newest)
        && entries.first().is_some_and(|first| *first < newest)
        && !is_damaged(&path);
    is_unfinished.then(|| Fault {
        path: path.to_string(),
        kind: FaultKind::Missing,
    })
}

/// The commit of a repair; it names the segments of the entries that are moved aside.
struct LogRepaired {
    record: AuditEvent,
    folded: FoldedSegments,
}

#[async_trait]
impl CommitPlanner for LogRepaired {
    type Value = ();
    type Error = StoreError;

    async fn plan(&mut self, _: &Snapshot, _: u64) -> Result<CommitPlan<()>, StoreError> {
        let mut info = Map::new();
        self.folded.write_to(&mut info);
        let changes = Changes {
            record: Some(self.record.clone()),
            info,
            ..Changes::new(Operation::Restore)
        };
        Ok(CommitPlan::Commit(Box::new(changes), ()))
    }
}
