//! Segments into tables.
//!
//! Folding adds the events of segments to their tables and deletes the segments afterwards. Whatever
//! interrupts it, doing it again changes nothing that was done: a table holds an event id once a day.
//! So nobody needs to know who folds, and two that fold the same segments do no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::{NaiveDate, Utc};
use events::{DayEvents, PackedEvents, WorkspaceId, day_of, fields};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;

use crate::error::StoreError;
use crate::import::{ImportOptions, ImportSummary};
use crate::paths;
use crate::segment::{Segment, SegmentKey};
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
    /// How many events were left out because their id was stored already on that day.
    pub repeated: u64,
    /// The workspaces whose events stay in segments for now, and why.
    pub failed: BTreeMap<WorkspaceId, StoreError>,
}

impl Store {
    /// Moves the events of all segments under the root into their tables.
    ///
    /// A node of the service does so by itself for what it has written, and for what a node that
    /// vanished has left.
    ///
    /// # Errors
    ///
    /// When the segments cannot be read or deleted. What fails for one workspace does not keep the
    /// others from being folded, and is in [`FoldSummary::failed`].
    pub async fn fold(&self) -> Result<FoldSummary, StoreError> {
        self.fold_where(|_| true).await
    }

    /// Like [`Store::fold`], of the segments that `is_chosen` is true of.
    pub(crate) async fn fold_where(
        &self,
        is_chosen: impl Fn(&SegmentKey) -> bool,
    ) -> Result<FoldSummary, StoreError> {
        let segments: Arc<[Arc<Segment>]> = self
            .segments(Duration::ZERO)
            .await?
            .into_iter()
            .filter(|segment| is_chosen(&segment.key))
            .collect();
        let workspaces = segments.iter().flat_map(|segment| segment.workspaces());
        let workspaces: BTreeSet<WorkspaceId> = workspaces.cloned().collect();
        let outcomes: Vec<(WorkspaceId, Result<ImportSummary, StoreError>)> =
            stream::iter(workspaces)
                .map(|workspace| fold_workspace(self.clone(), workspace, Arc::clone(&segments)))
                .buffer_unordered(WORKSPACE_CONCURRENCY)
                .collect()
                .await;
        let mut summary = FoldSummary::default();
        for (workspace, outcome) in outcomes {
            match outcome {
                Ok(folded) => {
                    summary.stored += folded.stored;
                    summary.repeated += folded.repeated;
                }
                Err(error) => {
                    summary.failed.insert(workspace, error);
                }
            }
        }
        let is_folded = |segment: &&Arc<Segment>| {
            let mut workspaces = segment.workspaces();
            workspaces.all(|workspace| !summary.failed.contains_key(workspace))
        };
        let folded: Vec<SegmentKey> = segments
            .iter()
            .filter(is_folded)
            .map(|segment| segment.key)
            .collect();
        self.delete_segments(&folded).await?;
        summary.segments = folded.len();
        Ok(summary)
    }

    /// Deletes segments whose events are in their tables.
    async fn delete_segments(&self, keys: &[SegmentKey]) -> Result<(), StoreError> {
        self.known_segments().remove(keys);
        let paths: Vec<_> = keys.iter().map(|key| Ok(paths::segment(key))).collect();
        let deletions = self
            .location()
            .objects
            .delete_stream(stream::iter(paths).boxed());
        let is_gone = |error: &object_store::Error| {
            // Somebody else has folded it too.
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

/// Adds the events that segments hold of one workspace to its table, in one commit.
async fn fold_workspace(
    store: Store,
    workspace: WorkspaceId,
    segments: Arc<[Arc<Segment>]>,
) -> (WorkspaceId, Result<ImportSummary, StoreError>) {
    let outcome = add_to_table(&store, &workspace, &segments).await;
    (workspace, outcome)
}

async fn add_to_table(
    store: &Store,
    workspace: &WorkspaceId,
    segments: &[Arc<Segment>],
) -> Result<ImportSummary, StoreError> {
    let options = ImportOptions {
        memory_bytes: MEMORY_BYTES,
    };
    let mut import = store.import(options);
    let now_ms = Utc::now().timestamp_millis();
    for segment in segments {
        let numbers = segment.header.numbers.iter();
        for number in numbers.filter(|number| number.workspace == *workspace) {
            import.number(number, now_ms);
        }
        let Some(batch) = segment.batch(workspace) else {
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
