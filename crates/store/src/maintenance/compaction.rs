//! Small files of a day into few large ones. Events are only moved: none is added, changed or left
//! out.
//!
//! A compaction writes its file, which no reader uses yet, and makes one commit in which that file
//! comes in and its inputs go out. It does so only in the version after one in which all inputs are
//! still active. So of two compactions of the same files one loses, as does one whose files a
//! retention run has dropped meanwhile; it forgets its file and chooses again. Readers of older
//! versions still find the inputs: vacuum leaves them alone for a day.

mod choose;
mod merge;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{NaiveDate, TimeDelta};
use events::WorkspaceId;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::delta::log::{Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::schema;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::file::writer::StagedFile;
use crate::root::location::Location;
use crate::store::Store;
pub(crate) use choose::Job;
use choose::{Rules, choose};

/// The bytes that a file is to have.
const TARGET_BYTES: u64 = 128 * 1024 * 1024;

/// How a compaction works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionOptions {
    /// For how long a day must not have got a file until its files are merged as far as possible; a
    /// day that still gets files keeps some small ones, which saves merging them again and again. One
    /// hour by default.
    pub settle_after: Duration,
    /// How many times as long as it works a compaction rests, so that it takes a bounded share of a
    /// core: with 4, the default, a fifth.
    pub rest_factor: u32,
    /// Only say what would be merged.
    pub dry_run: bool,
    /// The bytes that a file is to have, 128 MiB by default; the memory that merging takes grows with
    /// it.
    pub target_bytes: u64,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self {
            settle_after: Duration::from_hours(1),
            rest_factor: 4,
            dry_run: false,
            target_bytes: TARGET_BYTES,
        }
    }
}

impl CompactionOptions {
    fn rules(&self) -> Rules {
        Rules {
            target_bytes: self.target_bytes,
            settle_after: TimeDelta::from_std(self.settle_after).unwrap_or(TimeDelta::MAX),
        }
    }
}

/// The result of a compaction of one workspace, or of a dry run.
#[derive(Debug)]
pub struct Compaction {
    /// Whose table it is.
    pub workspace: WorkspaceId,
    /// The days whose files were merged.
    pub days: BTreeSet<NaiveDate>,
    /// How many files were replaced. A file that was written and replaced again counts, too.
    pub replaced_files: usize,
    /// Their bytes.
    pub replaced_bytes: u64,
    /// The number of files that replaced them.
    pub written_files: usize,
    /// Their bytes; 0 in a dry run, as they are not known before.
    pub written_bytes: u64,
    /// How many events were moved.
    pub events: u64,
    /// The files that could not be merged, and why: what is damaged is left as it is.
    pub faults: Vec<StoreError>,
}

/// What became of a job.
enum Done {
    /// The output, unless there were no events, replaced the inputs.
    Committed(Option<Box<StagedFile>>),
    /// Another writer has replaced an input meanwhile; nothing was changed.
    Overtaken,
}

impl Store {
    /// Makes few large files of the many small ones that the table of `workspace` has on a day;
    /// `None` when there is no such table.
    ///
    /// Queries, imports and other compactions may go on meanwhile. Takes less than half a gibibyte of
    /// memory. It can be cancelled at any moment: uncommitted work has no effect.
    ///
    /// # Errors
    ///
    /// When the table cannot be read or written, or has columns that this version does not know and
    /// would lose. A single damaged file is not an error; it is in [`Compaction::faults`].
    pub async fn compact(
        &self,
        workspace: &WorkspaceId,
        options: &CompactionOptions,
    ) -> Result<Option<Compaction>, StoreError> {
        let mut throttle = Throttle::new(options.rest_factor);
        let mut compaction = Compaction::new(workspace);
        let mut left_out: HashSet<Path> = HashSet::new();
        loop {
            let Some(snapshot) = self.snapshot(workspace).await? else {
                return Ok(None);
            };
            refuse_unknown_columns(&snapshot)?;
            let files = snapshot.files();
            let files = files.filter(|file| !left_out.contains(&file.path));
            let jobs = choose(files, self.location().now(), options.rules());
            if jobs.is_empty() {
                throttle.pause().await;
                return Ok(Some(compaction));
            }
            if options.dry_run {
                jobs.iter().for_each(|job| compaction.add(job, None, true));
                return Ok(Some(compaction));
            }
            for job in jobs {
                let job = merge::fitting(self.location(), job).await;
                let damaged = self.merge_into(&job, &mut compaction).await?;
                left_out.extend(damaged);
                throttle.pause().await;
            }
        }
    }

    /// Merges the files of a job and counts what was done; the file that is to blame when that is not possible.
    pub(crate) async fn merge_into(
        &self,
        job: &Job,
        compaction: &mut Compaction,
    ) -> Result<Option<Path>, StoreError> {
        match self.run(&compaction.workspace, job).await {
            Ok(Done::Committed(output)) => {
                compaction.add(job, output.as_deref(), output.is_some());
            }
            Ok(Done::Overtaken) => {}
            Err(error) => {
                let Some(path) = damaged_file(&error, job) else {
                    return Err(error);
                };
                compaction.faults.push(error);
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    async fn run(&self, workspace: &WorkspaceId, job: &Job) -> Result<Done, StoreError> {
        let output = match merge::merge(self.location(), workspace, job).await {
            Ok(output) => output,
            Err(error) if error.is_missing_object() => {
                let newest = self.snapshot(workspace).await?;
                let active = newest.as_ref().and_then(|newest| inputs_in(newest, job));
                return active.map_or(Ok(Done::Overtaken), |_| Err(error));
            }
            Err(error) => return Err(error),
        };
        match self.replace(workspace, job, output.as_ref()).await {
            Ok(true) => Ok(Done::Committed(output.map(Box::new))),
            Ok(false) => {
                self.discard(output).await;
                Ok(Done::Overtaken)
            }
            // The table may name the output.
            Err(error @ StoreError::CommitUnknown { .. }) => Err(error),
            Err(error) => {
                self.discard(output).await;
                Err(error)
            }
        }
    }

    /// Makes a version in which `output` replaces the job's files; `false` when these
    /// are no longer all in the table.
    async fn replace(
        &self,
        workspace: &WorkspaceId,
        job: &Job,
        output: Option<&StagedFile>,
    ) -> Result<bool, StoreError> {
        let mut planner = Replacement {
            location: self.location(),
            job,
            output,
        };
        let committed = self.commit_existing(workspace, &mut planner).await?;
        Ok(committed.is_some_and(|committed| committed.version.is_some()))
    }

    /// Deletes a file that no version names. One that cannot be deleted takes space until vacuum
    /// finds it.
    async fn discard(&self, file: Option<StagedFile>) {
        if let Some(file) = file
            && let Err(error) = self.location().objects.delete(&file.path).await
        {
            tracing::warn!(path = %file.path, %error, "a file that no table names could not be deleted");
        }
    }
}

/// The commit that puts the output of a job in exchange for its files.
struct Replacement<'a> {
    location: &'a Location,
    job: &'a Job,
    output: Option<&'a StagedFile>,
}

#[async_trait]
impl CommitPlanner for Replacement<'_> {
    type Value = ();
    type Error = StoreError;

    async fn plan(&mut self, newest: &Snapshot, _: u64) -> Result<CommitPlan<()>, StoreError> {
        let is_too_old = |output: &StagedFile| output.is_too_old(self.location);
        let Some(removes) = inputs_in(newest, self.job) else {
            return Ok(CommitPlan::Stop(()));
        };
        if self.output.is_some_and(is_too_old) {
            return Ok(CommitPlan::Stop(()));
        }
        let changes = Changes {
            adds: self.output.cloned().into_iter().collect(),
            removes,
            ..Changes::new(Operation::Optimize)
        };
        Ok(CommitPlan::Commit(Box::new(changes), ()))
    }
}

/// The files of the job as the newest version has them; `None` when it lacks one.
fn inputs_in(newest: &Snapshot, job: &Job) -> Option<Vec<Arc<DataFile>>> {
    let inputs: HashSet<&Path> = job.files.iter().map(|file| &file.path).collect();
    let files = newest.files.iter();
    let files = files.filter(|file| inputs.contains(&file.path));
    let found: Vec<Arc<DataFile>> = files.cloned().collect();
    (found.len() == inputs.len()).then_some(found)
}

/// The file of the job that is to blame for the error, if it is damaged or missing.
fn damaged_file(error: &StoreError, job: &Job) -> Option<Path> {
    let (StoreError::Corrupt { path, .. }
    | StoreError::NotFound { path }
    | StoreError::Parquet { path, .. }) = error
    else {
        return None;
    };
    let files = job.files.iter();
    let mut paths = files.map(|file| &file.path);
    paths.find(|known| known.as_ref() == path).cloned()
}

/// Rewriting a file would lose columns that other software has written.
pub(crate) fn refuse_unknown_columns(snapshot: &Snapshot) -> Result<(), StoreError> {
    match schema::unknown_column(&snapshot.metadata.schema_string) {
        None => Ok(()),
        Some(name) => Err(StoreError::Unsupported {
            workspace: snapshot.workspace.clone(),
            reason: format!(
                "has a column `{name}`, whose values would be lost when files are merged"
            ),
        }),
    }
}

impl Compaction {
    pub(crate) fn new(workspace: &WorkspaceId) -> Self {
        Self {
            workspace: workspace.clone(),
            days: BTreeSet::new(),
            replaced_files: 0,
            replaced_bytes: 0,
            written_files: 0,
            written_bytes: 0,
            events: 0,
            faults: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, job: &Job, output: Option<&StagedFile>, is_written: bool) {
        self.days.insert(job.day);
        self.replaced_files += job.files.len();
        self.replaced_bytes += job.size_bytes();
        self.written_files += usize::from(is_written);
        self.written_bytes += output.map_or(0, |output| output.size_bytes);
        self.events += job.rows();
    }
}

/// Keeps work to its share of a core.
#[derive(Debug)]
pub(crate) struct Throttle {
    factor: u32,
    since: Instant,
}

impl Throttle {
    /// Rests `factor` times as long as it has worked.
    pub(crate) fn new(factor: u32) -> Self {
        let since = Instant::now();
        Self { factor, since }
    }

    /// Rests for the work since the last rest.
    pub(crate) async fn pause(&mut self) {
        if self.factor > 0 {
            tokio::time::sleep(self.since.elapsed() * self.factor).await;
        }
        self.since = Instant::now();
    }
}
