//! Running the retention of one workspace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use async_trait::async_trait;
use chrono::{DateTime, Days, Utc};
use events::WorkspaceId;
use events::settings::{Hold, RetentionMode, RetentionOutcome, RetentionRun, Settings};
use futures::TryStreamExt;
use object_store::path::Path;

use super::choose::{FileDecision, RetentionPlan, choose};
use super::receipt::receipt;
use super::stats::RetentionStats;
use crate::delta::log::{Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::file::reader::FileRef;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::root::location::Location;
use crate::settings::held_rows::{Held, held_in, held_rows};
use crate::store::Store;

/// A run may drop this many days more than were dropped or confirmed before, whatever share of the events
/// they have: a node that was off for some days makes up for it.
const EXPECTED_DAYS: Days = Days::new(7);

/// More than one of this many events is a large share.
const LARGE_SHARE: u64 = 10;

impl Store {
    /// Drops what is older than the retention of `workspace` and not held, as far as `mode` allows. `None`
    /// when there is no such table.
    ///
    /// Events go by whole UTC days; of days with held events those stay. Nothing is dropped in a workspace
    /// that has no retention set and received events older than the default:
    /// [`RetentionOutcome::Withheld`]. It ignores events that are not in the table yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClockDiffers`]; else when the table cannot be read or the commit fails. Then nothing was dropped, except on
    /// [`StoreError::CommitUnknown`]; running it again is always safe.
    pub async fn expire(
        &self,
        workspace: &WorkspaceId,
        mode: RetentionMode,
    ) -> Result<Option<RetentionRun>, StoreError> {
        let mut run = Run {
            store: self,
            mode,
            read: HashMap::new(),
        };
        let result = run.until_committed(workspace).await;
        if !matches!(
            result,
            Ok(Some(RetentionRun {
                outcome: RetentionOutcome::Dropped { .. },
                ..
            })) | Err(StoreError::CommitUnknown { .. })
        ) {
            run.discard(|_, _| true).await;
        }
        result
    }
}

/// A retention run of one workspace, which may need several attempts.
struct Run<'a> {
    store: &'a Store,
    mode: RetentionMode,
    /// The files that were read, for the next attempt.
    read: HashMap<Path, ReadFile>,
}

/// The result of reading a file.
struct ReadFile {
    /// The holds that were looked for.
    holds: Vec<Arc<Hold>>,
    held: Held,
    /// A file with only the held rows, if they are some of the rows.
    rewritten: Option<StagedFile>,
}

/// What one attempt commits.
#[derive(Default)]
struct Attempt {
    removes: Vec<Arc<DataFile>>,
    adds: Vec<StagedFile>,
    stats: RetentionStats,
}

impl Run<'_> {
    async fn until_committed(
        &mut self,
        workspace: &WorkspaceId,
    ) -> Result<Option<RetentionRun>, StoreError> {
        let store = self.store;
        if self.mode != RetentionMode::DryRun {
            store.refuse_lost_versions(workspace).await?;
        }
        let committed = store.commit_existing(workspace, self).await?;
        Ok(committed.map(|committed| committed.value))
    }

    /// The time by which events are old.
    async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        let location = self.store.location();
        if self.mode == RetentionMode::DryRun {
            return Ok(location.now());
        }
        location.right_time().await
    }

    /// Why nothing may be dropped; `None` when it may.
    fn refusal(
        &self,
        newest: &Snapshot,
        settings: &Settings,
        plan: &RetentionPlan<'_>,
    ) -> Option<RetentionOutcome> {
        if settings.is_withheld() {
            return Some(RetentionOutcome::Withheld);
        }
        match self.mode {
            RetentionMode::DryRun => Some(RetentionOutcome::DryRun),
            RetentionMode::Guarded if settings.drop_undone => Some(RetentionOutcome::Undone),
            RetentionMode::Guarded => {
                is_unconfirmed(newest, settings, plan).then_some(RetentionOutcome::Unconfirmed)
            }
            RetentionMode::Confirmed => None,
        }
    }

    /// Reads what must be read, and with `writes` writes what must be rewritten.
    async fn prepare(
        &mut self,
        newest: &Snapshot,
        plan: &RetentionPlan<'_>,
        writes: bool,
    ) -> Result<Attempt, StoreError> {
        let mut attempt = Attempt::default();
        let stats = &mut attempt.stats;
        for (file, decision) in &plan.files {
            match decision {
                FileDecision::Foreign => stats.foreign_events += file.rows,
                FileDecision::Drop => {
                    stats.add(file, 0, 0);
                    attempt.removes.push(Arc::clone(file));
                }
                FileDecision::Keep(holds) => {
                    stats.add(file, file.rows, file.size_bytes);
                    for hold in holds {
                        stats.add_hold(&hold.name, file.rows);
                    }
                }
                FileDecision::Read(holds) => {
                    let read = self.read(newest, file, holds, writes).await?;
                    let held = &read.held;
                    let held_bytes = match &read.rewritten {
                        Some(rewritten) => rewritten.size_bytes,
                        None => proportion(file.size_bytes, held.rows, file.rows),
                    };
                    stats.add(file, held.rows, held_bytes);
                    for (name, events) in &held.by_hold {
                        stats.add_hold(name, *events);
                    }
                    if held.rows < file.rows {
                        attempt.removes.push(Arc::clone(file));
                        attempt.adds.extend(read.rewritten.clone());
                    }
                }
            }
        }
        Ok(attempt)
    }

    /// What `file` holds for `holds`, and with `writes` a file with only that.
    async fn read(
        &mut self,
        newest: &Snapshot,
        file: &DataFile,
        holds: &[Arc<Hold>],
        writes: bool,
    ) -> Result<&ReadFile, StoreError> {
        let location = self.store.location();
        if !self.read.contains_key(&file.path) {
            let mut held = held_in(location, &file.file_ref(), holds).await?;
            let mut rewritten = None;
            if 0 < held.rows && held.rows < file.rows {
                if !can_be_rewritten(location, file).await? {
                    held.rows = file.rows;
                } else if writes {
                    rewritten = Some(rewrite(location, newest, file, holds, held.rows).await?);
                }
            }
            let read = ReadFile {
                holds: holds.to_vec(),
                held,
                rewritten,
            };
            self.read.insert(file.path.clone(), read);
        }
        self.read
            .get(&file.path)
            .ok_or_else(|| StoreError::NotFound {
                path: file.path.to_string(),
            })
    }

    /// Forgets what was read of files that are gone or may be held by others now, and files that were
    /// written too long ago.
    async fn discard_outdated(&mut self, plan: &RetentionPlan<'_>) {
        let wanted: HashMap<&Path, &[Arc<Hold>]> = plan
            .files
            .iter()
            .filter_map(|(file, decision)| match decision {
                FileDecision::Read(holds) => Some((&file.path, holds.as_slice())),
                _ => None,
            })
            .collect();
        let location = self.store.location();
        self.discard(|path, read| {
            let is_old = |file: &StagedFile| file.is_too_old(location);
            wanted.get(path) != Some(&read.holds.as_slice())
                || read.rewritten.as_ref().is_some_and(is_old)
        })
        .await;
    }

    /// Forgets what was read of some files, and deletes what was written for them.
    async fn discard(&mut self, which: impl Fn(&Path, &ReadFile) -> bool) {
        let discarded: HashSet<Path> = self
            .read
            .iter()
            .filter(|(path, read)| which(path, read))
            .map(|(path, _)| path.clone())
            .collect();
        for path in discarded {
            let read = self.read.remove(&path);
            if let Some(rewritten) = read.and_then(|read| read.rewritten) {
                rewritten.delete(self.store.location()).await;
            }
        }
    }
}

#[async_trait]
impl CommitPlanner for Run<'_> {
    type Value = RetentionRun;
    type Error = StoreError;

    async fn plan(
        &mut self,
        newest: &Snapshot,
        version: u64,
    ) -> Result<CommitPlan<RetentionRun>, StoreError> {
        let settings = newest.settings()?;
        let now = self.now().await?;
        let plan = choose(newest.files.iter(), &settings, now);
        self.discard_outdated(&plan).await;
        let refusal = self.refusal(newest, &settings, &plan);
        let attempt = self.prepare(newest, &plan, refusal.is_none()).await?;
        let mut run = retention_run(newest, &settings, &plan, &attempt.stats);
        run.outcome = match run.dropped.events {
            0 => RetentionOutcome::Nothing,
            _ => refusal.unwrap_or(RetentionOutcome::Dropped { version }),
        };
        Ok(if matches!(run.outcome, RetentionOutcome::Dropped { .. }) {
            CommitPlan::Commit(Box::new(changes(newest, settings, attempt, &run)), run)
        } else {
            CommitPlan::Stop(run)
        })
    }
}

/// Whether a large share of the events would go without confirmation: a clock that is far
/// ahead looks the same.
fn is_unconfirmed(newest: &Snapshot, settings: &Settings, plan: &RetentionPlan<'_>) -> bool {
    let expected = settings.dropped_before.max(settings.confirmed_before);
    let expected = expected.and_then(|day| day.checked_add_days(EXPECTED_DAYS));
    let unexpected = plan.files.iter().filter(|(file, decision)| {
        let goes = matches!(decision, FileDecision::Drop | FileDecision::Read(_));
        goes && expected.is_none_or(|expected| file.day >= expected)
    });
    let rows: u64 = unexpected.map(|(file, _)| file.rows).sum();
    rows > newest.rows() / LARGE_SHARE
}

/// The commit of what was prepared, with the receipt.
fn changes(newest: &Snapshot, settings: Settings, attempt: Attempt, run: &RetentionRun) -> Changes {
    let metadata = newest.metadata_with(&Settings {
        dropped_before: settings.dropped_before.max(Some(run.kept_from)),
        drop_undone: false,
        ..settings
    });
    Changes {
        adds: attempt.adds,
        removes: attempt.removes,
        metadata: Some(metadata),
        record: Some(receipt(run)),
        ..Changes::new(Operation::Delete)
    }
}

fn retention_run(
    newest: &Snapshot,
    settings: &Settings,
    plan: &RetentionPlan<'_>,
    stats: &RetentionStats,
) -> RetentionRun {
    RetentionRun {
        workspace: newest.workspace.clone(),
        outcome: RetentionOutcome::Nothing,
        retention: settings.retention_in_force(),
        retention_is_set: settings.retention.is_some(),
        kept_from: plan.kept_from,
        dropped: stats.dropped.clone(),
        held_events: stats.held_events,
        held_by: stats.held_by.clone(),
        foreign_events: stats.foreign_events,
    }
}

fn proportion(bytes: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(bytes)
}

/// Whether a copy of some rows of the file loses nothing else: other software may have written columns
/// that a new file would not have, and rows in another order. Such a file stays as a whole.
async fn can_be_rewritten(location: &Location, file: &DataFile) -> Result<bool, StoreError> {
    let place = file.file_ref();
    let builder = place.open(location).await?;
    Ok(is_copied_whole(&place, builder.schema()))
}

/// The same of a file that is open, with its columns.
pub(crate) fn is_copied_whole(place: &FileRef, columns: &Schema) -> bool {
    let known = events::schema();
    let is_known = |name: &str| known.field_with_name(name).is_ok();
    let mut columns = columns.fields().iter();
    place.digest.is_some() && columns.all(|column| is_known(column.name()))
}

/// Copies the rows of `file` that any of `holds` covers; there must be `expected` of them.
async fn rewrite(
    location: &Location,
    newest: &Snapshot,
    file: &DataFile,
    holds: &[Arc<Hold>],
    expected: u64,
) -> Result<StagedFile, StoreError> {
    let place = file.file_ref();
    let failed = |error| StoreError::parquet(&file.path, error);
    let mut batches = place.open(location).await?.build().map_err(failed)?;
    let mut copy = DataFileWriter::create(location, &newest.workspace, file.day)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let held = held_rows(&place, &batch, holds)?;
        let held = filter_record_batch(&batch, &held)?;
        let held = events::with_all_columns(&held, file.delivery.as_deref())?;
        copy.write(&held).await?;
    }
    let mut copy = copy.finish().await?;
    copy.tags = file.tags.clone();
    if copy.rows == expected {
        return Ok(copy);
    }
    copy.delete(location).await;
    Err(StoreError::Corrupt {
        path: file.path.to_string(),
        reason: format!(
            "{} of its rows are held at one time, {expected} at another",
            copy.rows
        ),
    })
}
