//! A log that can be read, with damaged objects that no reader needs.

use std::collections::HashSet;

use events::WorkspaceId;
use object_store::path::Path;

use super::{RepairStep, TableRepair, log_record};
use crate::error::StoreError;
use crate::paths;
use crate::store::Store;
use crate::table::{self, Table};

impl Store {
    /// Sets aside what is damaged of the log, and what is before it, and writes a checkpoint that stands for it.
    pub(super) async fn repair_readable_log(
        &self,
        workspace: &WorkspaceId,
        by: Option<&str>,
        repair: &mut TableRepair,
    ) -> Result<(), StoreError> {
        let faults = self.verify_log(workspace).await?;
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
        // Makes sure that a version after the damaged entries is there, and that its checkpoint is sound.
        self.record_repair(workspace, &log_record(by, &repair.steps))
            .await?;
        self.checkpoint(workspace).await?;
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
