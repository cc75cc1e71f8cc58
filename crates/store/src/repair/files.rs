//! Damaged data files out of a table: what is whole of them stays in it, and an audit event says what is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use events::WorkspaceId;
use futures::TryStreamExt;
use serde_json::{Map, json};

use super::found::{Candidate, is_damage_of};
use super::kept::KeptEvents;
use super::{RepairStep, TableRepair};
use crate::delta::audit_event::AuditEvent;
use crate::delta::log::{Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::file::writer::StagedFile;
use crate::maintenance::retention_run::is_copied_whole;
use crate::root::paths;
use crate::store::Store;

/// The fault of a file.
struct Wrong {
    reason: String,
    /// Whether its bytes are those that were committed, and the log says something else about them.
    is_whole: bool,
}

/// The readable rows of a file.
struct Salvaged {
    events: u64,
    /// Those of them that no other file of the day has.
    files: Vec<StagedFile>,
}

impl Store {
    /// Sets damaged and missing data files aside, each in a commit of its own. A file of which the log says something
    /// wrong is replaced by one with the same events.
    pub(super) async fn repair_files(
        &self,
        workspace: &WorkspaceId,
        by: Option<&str>,
        repair: &mut TableRepair,
    ) -> Result<(), StoreError> {
        let Some(verification) = self.verify(workspace).await? else {
            return Ok(());
        };
        let wrong = wrong_files(verification.faults);
        // Each commit of this repair changes the files of a day.
        for (path, wrong) in wrong {
            let Some(snapshot) = self.snapshot(workspace).await? else {
                return Ok(());
            };
            let mut files = snapshot.files.iter();
            if let Some(file) = files.find(|file| file.path.as_ref() == path) {
                let step = Box::pin(self.repair_file(&snapshot, file, &wrong, by)).await?;
                repair.steps.extend(step);
            }
        }
        Ok(())
    }

    async fn repair_file(
        &self,
        snapshot: &Snapshot,
        file: &Arc<DataFile>,
        wrong: &Wrong,
        by: Option<&str>,
    ) -> Result<Option<RepairStep>, StoreError> {
        if wrong.is_whole && !self.can_be_copied(file).await? {
            return Ok(None);
        }
        let salvaged = self.salvage(snapshot, file, wrong, by.is_some()).await?;
        let kept = salvaged.events;
        let lost = match wrong.is_whole {
            true => 0,
            false => file.rows.saturating_sub(kept),
        };
        let step = RepairStep::File {
            path: file.path.to_string(),
            day: file.day,
            reason: wrong.reason.clone(),
            lost,
            kept,
        };
        let Some(by) = by else {
            return Ok(Some(step));
        };
        let repaired_ms = self.location().now_ms();
        let aside = paths::set_aside_of_table(repaired_ms, &file.path).to_string();
        let mut planner = SetAsideFile {
            file,
            salvaged: salvaged.files,
            record: AuditEvent {
                action: "file.set_aside",
                title: "Damaged data file set aside",
                message: step.to_string(),
                by: Some(by.to_owned()),
                attributes: Map::from_iter([
                    ("file".to_owned(), json!(file.path.to_string())),
                    ("set_aside".to_owned(), json!(aside)),
                    ("day".to_owned(), json!(paths::day_text(file.day))),
                    ("reason".to_owned(), json!(wrong.reason)),
                    ("events_lost".to_owned(), json!(lost)),
                    ("events_kept".to_owned(), json!(kept)),
                ]),
            },
        };
        // A cleaner deletes what no version names: the copy has to be there before.
        self.copy_aside(&file.path, repaired_ms).await?;
        self.commit(&snapshot.workspace, &mut planner).await?;
        self.delete_copied(&file.path).await?;
        Ok(Some(step))
    }

    /// Whether a file with the same events loses nothing: other software may have written other columns.
    async fn can_be_copied(&self, file: &DataFile) -> Result<bool, StoreError> {
        let place = file.file_ref();
        let opened = place.open(self.location()).await?;
        Ok(is_copied_whole(&place, opened.schema()))
    }

    /// Copies what is whole and in no other file of the day.
    async fn salvage(
        &self,
        snapshot: &Snapshot,
        file: &DataFile,
        wrong: &Wrong,
        is_applied: bool,
    ) -> Result<Salvaged, StoreError> {
        let location = self.location();
        let (groups, events) = self.whole_groups(file, wrong).await?;
        if groups.is_empty() {
            return Ok(Salvaged {
                events,
                files: Vec::new(),
            });
        }
        let mut kept = KeptEvents::default();
        let others = snapshot.files_of(file.day);
        for other in others.filter(|other| other.path != file.path) {
            match kept.add(location, other.file_ref()).await {
                Err(error) if !is_damage_of(&other.path, &error) => return Err(error),
                // It is repaired too.
                _ => {}
            }
        }
        let candidate = Candidate {
            groups: Some(groups),
            ..Candidate::named(file)
        };
        let workspace = is_applied.then_some(&snapshot.workspace);
        let taken = candidate.take(location, workspace, &mut kept, &[], &[]);
        let mut files = taken.await?.files;
        for salvaged in &mut files {
            salvaged.tags.clone_from(&file.tags);
        }
        Ok(Salvaged { events, files })
    }

    /// The row groups that are whole, and the number of their events; only a file with digests of its blocks has any
    /// that are known to be.
    async fn whole_groups(
        &self,
        file: &DataFile,
        wrong: &Wrong,
    ) -> Result<(Vec<usize>, u64), StoreError> {
        let place = file.file_ref();
        let (mut whole, mut events) = (Vec::new(), 0);
        if file.tail.is_none() && !wrong.is_whole {
            return Ok((whole, events));
        }
        let opened = match place.open(self.location()).await {
            Ok(opened) => opened,
            Err(error) => {
                self.damage_of(file, error).await?;
                return Ok((whole, events));
            }
        };
        for group in 0..opened.metadata().num_row_groups() {
            let rows = async {
                let failed = |error| StoreError::parquet(&file.path, error);
                let opened = place.open(self.location()).await?;
                let opened = opened.with_row_groups(vec![group]);
                let mut batches = opened.build().map_err(failed)?;
                let mut rows = 0;
                while let Some(batch) = batches.try_next().await.map_err(failed)? {
                    rows += batch.num_rows() as u64;
                }
                Ok(rows)
            };
            match rows.await {
                Ok(rows) => {
                    whole.push(group);
                    events += rows;
                }
                Err(error) => self.damage_of(file, error).await?,
            }
        }
        Ok((whole, events))
    }

    /// Nothing when `error` says that the file is damaged, or cannot be read while others can.
    async fn damage_of(&self, file: &DataFile, error: StoreError) -> Result<(), StoreError> {
        let error = match error {
            error @ StoreError::ObjectStore(_) => {
                self.location().explain_read(&file.path, error).await
            }
            error => error,
        };
        match is_damage_of(&file.path, &error) {
            true => Ok(()),
            false => Err(error),
        }
    }
}

/// The files that are damaged or of which the log says something wrong, with the first reason of each.
fn wrong_files(faults: Vec<Fault>) -> BTreeMap<String, Wrong> {
    let mut wrong: BTreeMap<String, Wrong> = BTreeMap::new();
    for fault in faults {
        let is_whole = match fault.kind {
            FaultKind::Missing
            | FaultKind::Size { .. }
            | FaultKind::Changed
            | FaultKind::Unreadable(_) => false,
            FaultKind::Dates { .. } | FaultKind::Rows { .. } => true,
            _ => continue,
        };
        let reason = fault.kind.to_string();
        match wrong.get_mut(&fault.path) {
            Some(known) => known.is_whole &= is_whole,
            None => _ = wrong.insert(fault.path, Wrong { reason, is_whole }),
        }
    }
    wrong
}

/// The commit that takes a damaged file out of the table, and brings what is whole of it in.
struct SetAsideFile<'a> {
    file: &'a Arc<DataFile>,
    salvaged: Vec<StagedFile>,
    record: AuditEvent,
}

#[async_trait]
impl CommitPlanner for SetAsideFile<'_> {
    type Value = ();
    type Error = StoreError;

    async fn plan(&mut self, newest: &Snapshot, _: u64) -> Result<CommitPlan<()>, StoreError> {
        let is_named = newest.files().any(|file| file.path == self.file.path);
        if !is_named {
            return Ok(CommitPlan::Stop(()));
        }
        let changes = Changes {
            adds: self.salvaged.clone(),
            removes: vec![Arc::clone(self.file)],
            record: Some(self.record.clone()),
            ..Changes::new(Operation::Restore)
        };
        Ok(CommitPlan::Commit(Box::new(changes), ()))
    }
}
