//! Many events at once: straight into data files of their tables.

pub(crate) mod day_buffer;
pub(crate) mod staging;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use events::{DayEvents, Delivery, Event, Origin, WorkspaceId};
use futures::{StreamExt, TryFutureExt, stream};
use tokio::task::JoinSet;

use crate::error::StoreError;
use crate::import::day_buffer::DayBuffer;
use crate::import::staging::{Committed, Staging};
use crate::root::segment_key::SegmentKey;
use crate::segment::BatchSequence;
use crate::store::Store;

use writing::Write;

/// The default of [`ImportOptions::memory_bytes`].
const DEFAULT_MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// Above this a batch of columns could exceed what Arrow can count.
const MAX_MEMORY_BYTES: usize = 1024 * 1024 * 1024;

/// How many tables are committed to at the same time.
const COMMIT_CONCURRENCY: usize = 8;

/// How an import works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOptions {
    /// About how many bytes of memory events may take until they are written, at most 1 GiB;
    /// 256 MiB by default. More of it makes fewer and larger files. What is being written counts;
    /// files that are being written take some memory in addition.
    pub memory_bytes: usize,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            memory_bytes: DEFAULT_MEMORY_BYTES,
        }
    }
}

/// An import in progress: takes events in any order, of any workspaces and days.
///
/// Events become visible all together per workspace, when [`Import::finish`] is called. An import
/// that is dropped before leaves files that no reader uses; [`Import::abort`] removes them.
#[derive(Debug)]
pub struct Import {
    store: Store,
    memory_bytes: usize,
    /// What the events take that wait to be written.
    waiting_bytes: usize,
    /// What the events take that are being written.
    writing_bytes: usize,
    /// What all events so far have taken.
    taken_bytes: u64,
    workspaces: BTreeMap<WorkspaceId, WorkspaceImport>,
    writes: JoinSet<Write>,
    /// How the events come; `None` when they say it themselves.
    delivery: Option<Arc<Delivery>>,
}

#[derive(Debug)]
struct WorkspaceImport {
    days: BTreeMap<NaiveDate, Waiting>,
    /// The days of which events are being written.
    writing: BTreeSet<NaiveDate>,
    staging: Staging,
    /// That a file is gone whose ids had to be read.
    missing: Option<StoreError>,
}

/// Events of a day that wait to be written.
#[derive(Debug, Default)]
struct Waiting {
    buffer: DayBuffer,
    /// [`Import::taken_bytes`] when the last of them came.
    touched_at: u64,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// How many events were stored.
    pub stored: u64,
    /// How many events were left out because the same event was already stored on that day, be it by
    /// this import or before it.
    pub repeated: u64,
    /// How many of the stored events got another id, because another event of the day has theirs.
    pub conflicts: u64,
    /// The same for each workspace that had events, sorted by workspace.
    pub workspaces: Vec<WorkspaceSummary>,
}

/// The result of an import in one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSummary {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// How many events were stored.
    pub stored: u64,
    /// How many events were left out because the same event was already stored on that day.
    pub repeated: u64,
    /// How many of the stored events got another id, because another event of the day has theirs.
    pub conflicts: u64,
    /// The version of the table that holds them; `None` when nothing new was to be stored.
    pub version: Option<u64>,
    /// How many files were added.
    pub files: usize,
    /// How many bytes the added files have together.
    pub size_bytes: u64,
}

impl Import {
    pub(crate) fn new(store: Store, options: ImportOptions) -> Self {
        Self {
            store,
            memory_bytes: options.memory_bytes.min(MAX_MEMORY_BYTES),
            waiting_bytes: 0,
            writing_bytes: 0,
            taken_bytes: 0,
            workspaces: BTreeMap::new(),
            writes: JoinSet::new(),
            delivery: None,
        }
    }

    /// Notes from whom the events come, and through which door. They are received when they are committed.
    #[must_use]
    pub fn from_origin(mut self, origin: Origin) -> Self {
        self.delivery = Some(Arc::new(Delivery {
            received_ms: None,
            origin,
        }));
        self
    }

    /// Takes one event.
    ///
    /// # Errors
    ///
    /// When files had to be written to make room and that failed. The event was taken all the
    /// same, and the next call tries to write again.
    pub async fn push(&mut self, event: Event) -> Result<(), StoreError> {
        self.take(event.workspace(), event.day(), |buffer| buffer.push(&event));
        self.make_room().await
    }

    /// Takes events of one workspace and day; as [`Import::push`].
    ///
    /// # Errors
    ///
    /// Those of [`Import::push`].
    pub async fn extend(&mut self, day: DayEvents) -> Result<(), StoreError> {
        self.take(&day.workspace, day.day, |buffer| buffer.extend(day.events));
        self.make_room().await
    }

    /// Adds what `add` adds to the buffer of a day; it returns the bytes that it has added.
    fn take(
        &mut self,
        workspace: &WorkspaceId,
        day: NaiveDate,
        add: impl FnOnce(&mut DayBuffer) -> usize,
    ) {
        let taken_bytes = self.taken_bytes;
        let waiting = self.of_workspace(workspace).days.entry(day).or_default();
        let size_bytes = add(&mut waiting.buffer);
        waiting.touched_at = taken_bytes + size_bytes as u64;
        self.waiting_bytes += size_bytes;
        self.taken_bytes += size_bytes as u64;
    }

    /// Takes the numbers of batches whose events this import has; they are committed with the events.
    pub(crate) fn number(&mut self, number: &BatchSequence, now_ms: i64) {
        self.of_workspace(&number.workspace)
            .staging
            .number(number, now_ms);
    }

    /// Notes that all events which a segment has of a workspace are in this import: its commit names the segment.
    pub(crate) fn folds(&mut self, workspace: &WorkspaceId, key: &SegmentKey) {
        self.of_workspace(workspace).staging.folds(key);
    }

    fn of_workspace(&mut self, workspace: &WorkspaceId) -> &mut WorkspaceImport {
        let new = || WorkspaceImport::new(workspace.clone(), self.delivery.clone());
        self.workspaces.entry(workspace.clone()).or_insert_with(new)
    }

    /// Writes what is left and makes everything visible: one new version of each workspace's table
    /// that has anything new.
    ///
    /// # Errors
    ///
    /// When something could not be written. Each workspace has all of its new events then or none
    /// of them; running the same import again stores what is missing and nothing twice.
    pub async fn finish(mut self) -> Result<ImportSummary, StoreError> {
        match self.try_finish().await {
            Ok(summary) => Ok(summary),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Aborts: deletes the files that were written so far, if possible.
    pub async fn abort(mut self) {
        self.wait_for_writes().await;
        for import in self.workspaces.into_values() {
            import.staging.discard(self.store.location()).await;
        }
    }

    async fn try_finish(&mut self) -> Result<ImportSummary, StoreError> {
        self.write_all().await?;
        if !self.workspaces.is_empty() {
            // The commits say when the events are received.
            self.store.location().measured_ms().await;
        }
        let workspaces = std::mem::take(&mut self.workspaces);
        let commits: Vec<Result<WorkspaceSummary, StoreError>> = stream::iter(workspaces)
            .map(|(workspace, import)| {
                let commit = import.staging.commit(&self.store);
                commit.map_ok(|committed| WorkspaceSummary::new(workspace, &committed))
            })
            .buffered(COMMIT_CONCURRENCY)
            .collect()
            .await;
        let workspaces = commits.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(ImportSummary {
            stored: workspaces.iter().map(|workspace| workspace.stored).sum(),
            repeated: workspaces.iter().map(|workspace| workspace.repeated).sum(),
            conflicts: workspaces.iter().map(|workspace| workspace.conflicts).sum(),
            workspaces,
        })
    }
}

impl WorkspaceImport {
    fn new(workspace: WorkspaceId, delivery: Option<Arc<Delivery>>) -> Self {
        Self {
            days: BTreeMap::new(),
            writing: BTreeSet::new(),
            staging: Staging::new(workspace, delivery),
            missing: None,
        }
    }
}

impl WorkspaceSummary {
    fn new(workspace: WorkspaceId, committed: &Committed) -> Self {
        Self {
            workspace,
            stored: committed.files.iter().map(|file| file.rows).sum(),
            repeated: committed.counts.repeated,
            conflicts: committed.counts.conflicts,
            version: committed.version,
            files: committed.files.len(),
            size_bytes: committed.files.iter().map(|file| file.size_bytes).sum(),
        }
    }
}
