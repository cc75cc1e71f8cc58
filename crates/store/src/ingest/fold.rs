//! Segments into tables.
//!
//! Folding adds the events of segments to their tables and deletes the segments afterwards. Whatever
//! interrupts it, doing it again changes nothing that was done: a table holds an event id once a day.
//! So no node needs to know which one folds, and two that fold the same segments do no harm.

mod park;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::NaiveDate;
use events::{DayEvents, PackedEvents, WorkspaceId, day_of, fields};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;

use crate::error::StoreError;
use crate::import::{ImportOptions, ImportSummary};
use crate::root::paths;
use crate::root::segment_key::SegmentKey;
use crate::segment::Segment;
use crate::store::Store;

/// How many workspaces are folded at the same time.
const WORKSPACE_CONCURRENCY: usize = 4;

/// The memory that the events of one workspace may take while they are folded.
const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// What folding has done.
#[derive(Debug, Default)]
pub struct FoldSummary {
    /// How many segments are in their tables and gone.
    pub segments: usize,
    /// How many events were added to tables.
    pub stored: u64,
    /// How many events were left out because the same event was stored already on that day.
    pub repeated: u64,
    /// How many of the added events got another id, because another event of the day has theirs.
    pub conflicts: u64,
    /// The workspaces whose events stay in segments for now, and why.
    pub failed: BTreeMap<WorkspaceId, StoreError>,
    /// The segments that stay because events of theirs are lost, and what is wrong with each, by the path
    /// under the root of the store. What is whole of them is in tables, unless it is of a workspace that
    /// failed.
    pub damaged: BTreeMap<String, String>,
    /// The versions of tables that were committed.
    pub(crate) committed: BTreeMap<WorkspaceId, u64>,
}

/// The workspaces whose events stay in segments, and whether they are to be parked.
type Left = BTreeMap<WorkspaceId, bool>;

impl Store {
    /// Moves the events of all segments under the root into their tables.
    ///
    /// A node of the service does so by itself for what it has written, and for what a node that
    /// vanished has left.
    ///
    /// # Errors
    ///
    /// When the segments cannot be listed, fetched or deleted. What fails for one workspace does not keep the
    /// others from being folded, and is in [`FoldSummary::failed`]; neither does a damaged segment.
    pub async fn fold(&self) -> Result<FoldSummary, StoreError> {
        self.fold_where(|_, _| true, |_| true).await
    }

    /// Like [`Store::fold`], of the segments that `is_chosen` is true of, by the key and the time since this
    /// process has known of it. The events of a workspace that is not due are parked without reading its
    /// table.
    pub(crate) async fn fold_where(
        &self,
        is_chosen: impl Fn(&SegmentKey, Duration) -> bool,
        is_due: impl Fn(&WorkspaceId) -> bool,
    ) -> Result<FoldSummary, StoreError> {
        let known = self.known_segments();
        let segments = known.chosen(self.location(), is_chosen).await?;
        let mut by_workspace: BTreeMap<WorkspaceId, Vec<Arc<Segment>>> = BTreeMap::new();
        for segment in &segments {
            let folded = known.folded(&segment.key);
            for batch in &segment.batches {
                if !folded.contains(&batch.workspace) {
                    let of_workspace = by_workspace.entry(batch.workspace.clone());
                    of_workspace.or_default().push(Arc::clone(segment));
                }
            }
        }
        let (due, stuck): (BTreeMap<_, _>, BTreeMap<_, _>) = by_workspace
            .into_iter()
            .partition(|(workspace, _)| is_due(workspace));
        let mut left: Left = stuck
            .into_keys()
            .map(|workspace| (workspace, true))
            .collect();
        let outcomes: Vec<(WorkspaceId, Result<ImportSummary, StoreError>)> = stream::iter(due)
            .map(|(workspace, segments)| fold_workspace(self.clone(), workspace, segments))
            .buffer_unordered(WORKSPACE_CONCURRENCY)
            .collect()
            .await;
        let mut summary = FoldSummary::default();
        for (workspace, outcome) in outcomes {
            match outcome {
                Ok(folded) => summary.add(folded),
                Err(error) => {
                    left.insert(workspace.clone(), park::is_lasting(&error));
                    summary.failed.insert(workspace, error);
                }
            }
        }
        self.delete_folded(&segments, &left, &mut summary).await?;
        Ok(summary)
    }

    /// Deletes the segments whose events are all in tables, or parked.
    async fn delete_folded(
        &self,
        segments: &[Arc<Segment>],
        left: &Left,
        summary: &mut FoldSummary,
    ) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        let mut to_park = Vec::new();
        for segment in segments {
            let workspaces = segment.batches.iter().map(|batch| &batch.workspace);
            let (stay, folded): (Vec<_>, Vec<_>) =
                workspaces.partition(|workspace| left.contains_key(*workspace));
            if segment.damage.loses_events() {
                let path = paths::segment(&segment.key).to_string();
                summary.damaged.insert(path, segment.damage.to_string());
            } else if stay.is_empty() {
                gone.push(segment.key);
                summary.segments += 1;
                continue;
            } else if !segment.key.is_parked() && stay.iter().all(|workspace| left[*workspace]) {
                to_park.push(Arc::clone(segment));
            }
            let folded = folded.into_iter().cloned();
            self.known_segments().note_folded(segment.key, folded);
        }
        let stuck: BTreeSet<&WorkspaceId> = left.keys().collect();
        gone.extend(self.park(&to_park, &stuck).await);
        self.delete_segments(&gone).await
    }

    /// Deletes segments whose events are in their tables, or in other segments.
    pub(crate) async fn delete_segments(&self, keys: &[SegmentKey]) -> Result<(), StoreError> {
        self.known_segments().remove(keys);
        let paths: Vec<_> = keys.iter().map(|key| Ok(paths::segment(key))).collect();
        let deletions = self
            .location()
            .objects
            .delete_stream(stream::iter(paths).boxed());
        let is_gone = |error: &object_store::Error| {
            // Another node has folded it too.
            matches!(error, object_store::Error::NotFound { .. })
        };
        deletions
            .map(|deletion| match deletion {
                Err(error) if !is_gone(&error) => Err(StoreError::from(error)),
                _ => Ok(()),
            })
            .try_collect()
            .await
    }
}

impl FoldSummary {
    fn add(&mut self, folded: ImportSummary) {
        self.stored += folded.stored;
        self.repeated += folded.repeated;
        self.conflicts += folded.conflicts;
        for workspace in folded.workspaces {
            if let Some(version) = workspace.version {
                self.committed.insert(workspace.workspace, version);
            }
        }
    }
}

/// Adds the events that segments hold of one workspace to its table, in one commit.
async fn fold_workspace(
    store: Store,
    workspace: WorkspaceId,
    segments: Vec<Arc<Segment>>,
) -> (WorkspaceId, Result<ImportSummary, StoreError>) {
    let outcome = add_to_table(&store, &workspace, &segments).await;
    (workspace, outcome)
}

/// Adds the whole batches that segments have of a workspace to its table, in one commit.
pub(crate) async fn add_to_table(
    store: &Store,
    workspace: &WorkspaceId,
    segments: &[Arc<Segment>],
) -> Result<ImportSummary, StoreError> {
    let options = ImportOptions {
        memory_bytes: MEMORY_BYTES,
    };
    let mut import = store.import(options);
    let parts = segments
        .iter()
        .filter_map(|segment| segment.part(workspace));
    let now_ms = if parts.into_iter().any(|part| !part.numbers.is_empty()) {
        // Other nodes use it to decide when a producer is forgotten.
        let trusted_ms = store.location().trusted_ms().await;
        trusted_ms.unwrap_or_else(|| store.location().corrected_ms())
    } else {
        store.location().corrected_ms()
    };
    for segment in segments {
        let Some(part) = segment.part(workspace) else {
            continue;
        };
        import.folds(workspace, &segment.key);
        for from in &segment.header.parked_from {
            import.folds(workspace, from);
        }
        for number in &part.numbers {
            import.number(number, now_ms);
        }
        let Some(batch) = &part.events else {
            continue;
        };
        let Some(dates) = batch.column_by_name(fields::DATE) else {
            continue;
        };
        let dates = dates.as_primitive::<Int64Type>();
        let mut days: BTreeMap<NaiveDate, PackedEvents> = BTreeMap::new();
        for row in 0..dates.len() {
            let day = day_of(dates.value(row));
            days.entry(day).or_default().push_row(batch, row);
        }
        for (day, events) in days {
            let workspace = workspace.clone();
            let events = DayEvents {
                workspace,
                day,
                events,
            };
            import.extend(events).await?;
        }
        tokio::task::yield_now().await;
    }
    import.finish().await
}
