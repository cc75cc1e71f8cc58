//! The events of one workspace that are in segments and not in its table.

mod day;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use events::{TimeRange, WorkspaceId};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinSet;

use super::Segment;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::{StoreError, joined};
use crate::root::location::Location;
use crate::root::segment_key::SegmentKey;
use day::Day;

/// How many days are compared with their files at the same time, each by a task.
const DAY_CONCURRENCY: usize = 8;

/// What was found out about the segments of each workspace, so that a query reads only new segments.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents {
    workspaces: Mutex<HashMap<WorkspaceId, Arc<AsyncMutex<Recent>>>>,
}

impl RecentEvents {
    /// The events in `segments` that neither the table at `snapshot` nor an earlier segment holds, as
    /// batches of the [`events::view_schema`]; `None` when no segment has events of the workspace.
    ///
    /// Has at least the events of `windows`, and reads files of their days only.
    pub(crate) async fn of(
        &self,
        location: &Location,
        workspace: &WorkspaceId,
        snapshot: Option<&Snapshot>,
        segments: &[Arc<Segment>],
        windows: &[TimeRange],
    ) -> Result<Option<Arc<[RecordBatch]>>, StoreError> {
        let batches: Vec<(SegmentKey, &RecordBatch)> = segments
            .iter()
            .filter_map(|segment| Some((segment.key, segment.events(workspace)?)))
            .collect();
        if batches.is_empty() {
            self.slots().remove(workspace);
            return Ok(None);
        }
        let slot = Arc::clone(self.slots().entry(workspace.clone()).or_default());
        let mut slot = slot.lock().await;
        // Taken out, so that an update that fails or is cancelled leaves nothing incomplete.
        let mut recent = std::mem::take(&mut *slot);
        recent.update(snapshot, &batches)?;
        let is_needed = |day: NaiveDate| {
            let day = TimeRange::of_day(day);
            let overlaps =
                |window: &TimeRange| window.from_ms < day.to_ms && day.from_ms < window.to_ms;
            windows.iter().any(overlaps)
        };
        let needed: Vec<NaiveDate> = recent
            .days
            .keys()
            .copied()
            .filter(|day| is_needed(*day))
            .collect();
        recent.compare(location, snapshot, &needed).await?;
        let days = needed.iter().filter_map(|day| recent.days.get(day));
        let found = days.flat_map(|day| day.batches().cloned()).collect();
        *slot = recent;
        Ok(Some(found))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Arc<AsyncMutex<Recent>>>> {
        self.workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of some segments by day, without those that files of the table were found to hold.
#[derive(Debug, Default)]
struct Recent {
    /// The segments whose events are in it, in order.
    segments: Vec<SegmentKey>,
    /// The id of the table that days were compared with, and the newest of its versions.
    table: Option<(String, u64)>,
    days: BTreeMap<NaiveDate, Day>,
}

impl Recent {
    /// Brings in what is new, and leaves out the events of segments that are gone. Reads no file.
    fn update(
        &mut self,
        snapshot: Option<&Snapshot>,
        batches: &[(SegmentKey, &RecordBatch)],
    ) -> Result<(), StoreError> {
        let table = snapshot.map(|snapshot| (snapshot.table_id().to_owned(), snapshot.version));
        if let Some((id, version)) = &self.table {
            let is_newer =
                |(newest_id, newest): &(String, u64)| newest_id == id && newest >= version;
            if !table.as_ref().is_some_and(is_newer) {
                // Of another table, or of an older version, it is unknown what it holds.
                *self = Self::default();
            }
        }
        self.table = table;
        let mut known = self.segments.iter().zip(batches);
        let is_known = known.all(|(known, (key, _))| known == key);
        let is_rebuilt = !is_known || self.segments.len() > batches.len();
        if is_rebuilt {
            self.segments.clear();
            self.days.values_mut().for_each(Day::clear_events);
        }
        let new = &batches[self.segments.len()..];
        for events in day::together(new.iter().map(|(_, batch)| *batch))? {
            for (date, events) in day::split(&events)? {
                self.days.entry(date).or_default().add(events)?;
            }
        }
        self.segments.extend(new.iter().map(|(key, _)| *key));
        self.days.retain(|_, day| day.has_events());
        if is_rebuilt {
            // Files that were compared later were not asked for the ids of events that were gone.
            self.days.values_mut().for_each(Day::forget_others);
        }
        Ok(())
    }

    /// Leaves out what the files of some days hold. After a failure it lacks some of them.
    async fn compare(
        &mut self,
        location: &Location,
        snapshot: Option<&Snapshot>,
        needed: &[NaiveDate],
    ) -> Result<(), StoreError> {
        let mut waiting = needed.iter();
        let mut comparing = JoinSet::new();
        loop {
            while comparing.len() < DAY_CONCURRENCY
                && let Some(date) = waiting.next()
            {
                let Some(mut day) = self.days.remove(date) else {
                    continue;
                };
                let files = snapshot.map(|snapshot| snapshot.files_of(*date));
                let files = files
                    .into_iter()
                    .flatten()
                    .map(DataFile::file_ref)
                    .collect();
                let (location, date) = (location.clone(), *date);
                comparing.spawn(async move {
                    day.compare(&location, files).await?;
                    Ok::<_, StoreError>((date, day))
                });
            }
            let Some(compared) = comparing.join_next().await else {
                return Ok(());
            };
            let (date, day) = joined(compared)??;
            self.days.insert(date, day);
        }
    }
}
