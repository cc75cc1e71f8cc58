//! Damaged data files out of a table: what is whole of them stays in it, and an audit event says what is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use events::WorkspaceId;
use futures::TryStreamExt;
use serde_json::{Map, json};

use super::{RepairStep, TableRepair};
use crate::data_file::{DataFileWriter, StagedFile};
use crate::error::StoreError;
use crate::log::{Changes, Operation, Plan, Planner};
use crate::paths;
use crate::record::Record;
use crate::snapshot::{DataFile, Snapshot};
use crate::store::Store;
use crate::verify::FaultKind;

impl Store {
    /// Sets damaged and missing data files aside, each in a commit of its own.
    pub(super) async fn repair_files(
        &self,
        workspace: &WorkspaceId,
        by: Option<&str>,
        repair: &mut TableRepair,
    ) -> Result<(), StoreError> {
        let Some(verification) = self.verify(workspace).await? else {
            return Ok(());
        };
        let Some(snapshot) = self.snapshot(workspace).await? else {
            return Ok(());
        };
        let mut reasons: BTreeMap<String, String> = BTreeMap::new();
        for fault in verification.faults {
            let is_damage = matches!(
                fault.kind,
                FaultKind::Missing
                    | FaultKind::Size { .. }
                    | FaultKind::Changed
                    | FaultKind::Unreadable(_)
            );
            if is_damage {
                let reason = fault.kind.to_string();
                reasons.entry(fault.path).or_insert(reason);
            }
        }
        for file in snapshot.files.iter() {
            if let Some(reason) = reasons.get(file.path.as_ref()) {
                let step = self.repair_file(workspace, file, reason, by).await?;
                repair.steps.push(step);
            }
        }
        Ok(())
    }

    async fn repair_file(
        &self,
        workspace: &WorkspaceId,
        file: &Arc<DataFile>,
        reason: &str,
        by: Option<&str>,
    ) -> Result<RepairStep, StoreError> {
        let (kept, salvaged) = self.salvage(workspace, file, by.is_some()).await?;
        let lost = file.rows.saturating_sub(kept);
        let step = RepairStep::File {
            path: file.path.to_string(),
            day: file.day,
            reason: reason.to_owned(),
            lost,
            kept,
        };
        let Some(by) = by else {
            return Ok(step);
        };
        let repaired_ms = self.location().now_ms();
        let mut planner = SetAsideFile {
            file,
            salvaged,
            record: Record {
                action: "file.set_aside",
                title: "Damaged data file set aside",
                message: step.to_string(),
                by: Some(by.to_owned()),
                attributes: Map::from_iter([
                    ("file".to_owned(), json!(file.path.to_string())),
                    (
                        "set_aside".to_owned(),
                        json!(paths::set_aside_of_table(repaired_ms, &file.path).to_string()),
                    ),
                    ("day".to_owned(), json!(paths::day_text(file.day))),
                    ("reason".to_owned(), json!(reason)),
                    ("events_lost".to_owned(), json!(lost)),
                    ("events_kept".to_owned(), json!(kept)),
                ]),
            },
        };
        self.commit(workspace, &mut planner).await?;
        self.move_aside(&file.path, repaired_ms).await?;
        Ok(step)
    }

    /// Copies the row groups that are whole; only a file with digests of its blocks has any that are known to be.
    async fn salvage(
        &self,
        workspace: &WorkspaceId,
        file: &DataFile,
        is_applied: bool,
    ) -> Result<(u64, Option<StagedFile>), StoreError> {
        let place = file.place();
        if file.tail.is_none() {
            return Ok((0, None));
        }
        let opened = match place.open(self.location()).await {
            Ok(opened) => opened,
            Err(error @ StoreError::ObjectStore(_)) => {
                return match self.location().explain_read(&file.path, error).await {
                    StoreError::Corrupt { .. } => Ok((0, None)),
                    error => Err(error),
                };
            }
            Err(_) => return Ok((0, None)),
        };
        let groups = opened.metadata().num_row_groups();
        let mut kept = 0;
        let mut writer = None;
        for group in 0..groups {
            let rows = async {
                let failed = |error| StoreError::parquet(&file.path, error);
                let opened = place.open(self.location()).await?;
                let rows = opened
                    .with_row_groups(vec![group])
                    .build()
                    .map_err(failed)?;
                rows.try_collect::<Vec<_>>().await.map_err(failed)
            };
            let rows = match rows.await {
                Ok(rows) => rows,
                Err(error @ StoreError::ObjectStore(_)) => {
                    match self.location().explain_read(&file.path, error).await {
                        StoreError::Corrupt { .. } => continue,
                        error => return Err(error),
                    }
                }
                Err(_) => continue,
            };
            kept += rows
                .iter()
                .map(|batch| batch.num_rows() as u64)
                .sum::<u64>();
            if !is_applied {
                continue;
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(DataFileWriter::create(
                    self.location(),
                    workspace,
                    file.day,
                )?),
            };
            for batch in rows {
                let delivery = file.delivery.as_deref();
                let batch = events::with_all_columns(&batch, delivery)?;
                writer.write(&batch).await?;
            }
        }
        let salvaged = match writer {
            Some(writer) => Some(writer.finish().await?),
            None => None,
        };
        Ok((kept, salvaged))
    }
}

/// The commit that takes a damaged file out of the table, and brings what is whole of it in.
struct SetAsideFile<'a> {
    file: &'a Arc<DataFile>,
    salvaged: Option<StagedFile>,
    record: Record,
}

#[async_trait]
impl Planner for SetAsideFile<'_> {
    type Value = ();

    async fn plan(&mut self, newest: &Snapshot, _: u64) -> Result<Plan<()>, StoreError> {
        let is_named = newest.files().any(|file| file.path == self.file.path);
        if !is_named {
            return Ok(Plan::Stop(()));
        }
        let changes = Changes {
            adds: self.salvaged.iter().cloned().collect(),
            removes: vec![Arc::clone(self.file)],
            record: Some(self.record.clone()),
            ..Changes::new(Operation::Restore)
        };
        Ok(Plan::Commit(Box::new(changes), ()))
    }
}
