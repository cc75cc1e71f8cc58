//! The events of one workspace that are in segments and not in its table.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use chrono::NaiveDate;
use events::{WorkspaceId, day_of, fields};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tokio::sync::Mutex as AsyncMutex;

use super::{Segment, SegmentKey};
use crate::error::StoreError;
use crate::location::Location;
use crate::snapshot::{DataFile, Snapshot};

/// Batches with fewer rows than this are put together, so that a question does not read many small ones.
const BATCH_ROWS: usize = 8 * 1024;

/// How many files are asked for ids at the same time.
const FILE_CONCURRENCY: usize = 8;

/// What stands for an event id in memory; of two different ids it is never the same.
type ShortId = [u8; 16];

/// What was found out about the segments of each workspace, so that a question looks only at what is new.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents {
    workspaces: Mutex<HashMap<WorkspaceId, Arc<AsyncMutex<Recent>>>>,
}

impl RecentEvents {
    /// The events in `segments` that neither the table at `snapshot` nor an earlier segment holds, as
    /// batches of the [`events::view_schema`].
    pub(crate) async fn of(
        &self,
        location: &Location,
        workspace: &WorkspaceId,
        snapshot: Option<&Snapshot>,
        segments: &[Arc<Segment>],
    ) -> Result<Arc<[RecordBatch]>, StoreError> {
        let segments: Vec<&Arc<Segment>> = segments
            .iter()
            .filter(|segment| segment.batch(workspace).is_some())
            .collect();
        if segments.is_empty() {
            self.slots().remove(workspace);
            return Ok(Arc::default());
        }
        let slot = Arc::clone(self.slots().entry(workspace.clone()).or_default());
        let mut slot = slot.lock().await;
        // Taken out, so that an update that fails or is given up half-way leaves nothing behind.
        let mut recent = std::mem::take(&mut *slot);
        recent
            .update(location, workspace, snapshot, &segments)
            .await?;
        let batches = recent.batches.iter().cloned().collect();
        *slot = recent;
        Ok(batches)
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<WorkspaceId, Arc<AsyncMutex<Recent>>>> {
        self.workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of some segments without those that the table held at some version.
#[derive(Debug, Default)]
struct Recent {
    /// The segments that were looked at, in order.
    segments: Vec<SegmentKey>,
    /// The table that the events were compared with.
    snapshot: Option<Snapshot>,
    /// The ids of the events by day.
    ids: BTreeMap<NaiveDate, HashSet<ShortId>>,
    batches: Vec<RecordBatch>,
}

impl Recent {
    async fn update(
        &mut self,
        location: &Location,
        workspace: &WorkspaceId,
        snapshot: Option<&Snapshot>,
        segments: &[&Arc<Segment>],
    ) -> Result<(), StoreError> {
        let is_looked_at = self
            .segments
            .iter()
            .zip(segments)
            .all(|(key, segment)| *key == segment.key);
        let version = |snapshot: Option<&Snapshot>| snapshot.map(|snapshot| snapshot.version);
        // Of an older version it is unknown what it does not hold yet.
        let is_older = version(snapshot) < version(self.snapshot.as_ref());
        if !is_looked_at || is_older || self.segments.len() > segments.len() {
            *self = Self::default();
        }
        self.compare_with_newer(location, snapshot).await?;
        for segment in &segments[self.segments.len()..] {
            if let Some(batch) = segment.batch(workspace) {
                self.add(location, batch).await?;
            }
            self.segments.push(segment.key);
        }
        Ok(())
    }

    /// Leaves out what the table holds since the version that was compared with.
    async fn compare_with_newer(
        &mut self,
        location: &Location,
        newest: Option<&Snapshot>,
    ) -> Result<(), StoreError> {
        let before = self.snapshot.take();
        self.snapshot = newest.cloned();
        let (Some(newest), false) = (newest, self.ids.is_empty()) else {
            return Ok(());
        };
        if before.as_ref().map(|before| before.version) == Some(newest.version) {
            return Ok(());
        }
        let known: HashSet<&Path> = before
            .iter()
            .flat_map(|snapshot| snapshot.files.iter().map(|file| &file.path))
            .collect();
        let arrived: Vec<&DataFile> = newest
            .files()
            .filter(|file| self.ids.contains_key(&file.day) && !known.contains(&file.path))
            .collect();
        if arrived.is_empty() {
            return Ok(());
        }
        for batch in std::mem::take(&mut self.batches) {
            let kept = without_stored(location, &arrived, &batch).await?;
            self.keep(kept)?;
        }
        Ok(())
    }

    /// Adds the events of a segment that are new.
    async fn add(&mut self, location: &Location, batch: &RecordBatch) -> Result<(), StoreError> {
        let columns = columns(batch)?;
        let mut is_new = Vec::with_capacity(batch.num_rows());
        for (day, id) in columns.days_and_ids() {
            is_new.push(self.ids.entry(day).or_default().insert(short(id)));
        }
        let batch = filter_record_batch(batch, &BooleanArray::from(is_new))?;
        let batch = match &self.snapshot {
            None => batch,
            Some(snapshot) => {
                let files: Vec<&DataFile> = snapshot
                    .files()
                    .filter(|file| self.ids.contains_key(&file.day))
                    .collect();
                without_stored(location, &files, &batch).await?
            }
        };
        self.keep(as_views(&batch)?)
    }

    /// Puts a batch behind the others, or into the last one.
    fn keep(&mut self, batch: RecordBatch) -> Result<(), StoreError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match self.batches.last_mut() {
            Some(last) if last.num_rows() + batch.num_rows() <= BATCH_ROWS => {
                *last = concat_batches(&batch.schema(), [&*last, &batch])?;
            }
            _ => self.batches.push(batch),
        }
        Ok(())
    }
}

/// The rows of `batch` whose ids none of the `files` of their day holds.
async fn without_stored(
    location: &Location,
    files: &[&DataFile],
    batch: &RecordBatch,
) -> Result<RecordBatch, StoreError> {
    let columns = columns(batch)?;
    let mut by_day: BTreeMap<NaiveDate, HashSet<&str>> = BTreeMap::new();
    for (day, id) in columns.days_and_ids() {
        by_day.entry(day).or_default().insert(id);
    }
    let lookups: Vec<_> = files
        .iter()
        .filter_map(|file| Some(stored_in(location, file, by_day.get(&file.day)?)))
        .collect();
    let stored: Vec<(NaiveDate, HashSet<&str>)> = futures::stream::iter(lookups)
        .buffer_unordered(FILE_CONCURRENCY)
        .try_collect()
        .await?;
    if stored.iter().all(|(_, ids)| ids.is_empty()) {
        return Ok(batch.clone());
    }
    let is_new: Vec<bool> = columns
        .days_and_ids()
        .map(|(day, id)| {
            let mut of_day = stored.iter().filter(|(other, _)| *other == day);
            !of_day.any(|(_, ids)| ids.contains(id))
        })
        .collect();
    Ok(filter_record_batch(batch, &BooleanArray::from(is_new))?)
}

/// Those of some ids that a file holds, with the day of the file.
async fn stored_in<'a>(
    location: &Location,
    file: &DataFile,
    wanted: &HashSet<&'a str>,
) -> Result<(NaiveDate, HashSet<&'a str>), StoreError> {
    let found = file.place().ids_among(location, wanted).await?;
    Ok((file.day, found))
}

/// What tells the events of a batch apart.
struct Columns {
    dates: Vec<i64>,
    ids: StringArray,
}

impl Columns {
    fn days_and_ids(&self) -> impl Iterator<Item = (NaiveDate, &str)> {
        let ids = self.ids.iter().map(Option::unwrap_or_default);
        self.dates.iter().map(|date| day_of(*date)).zip(ids)
    }
}

fn columns(batch: &RecordBatch) -> Result<Columns, ArrowError> {
    let column = |name: &str| {
        let missing = || ArrowError::SchemaError(format!("events have no column `{name}`"));
        batch.column_by_name(name).ok_or_else(missing)
    };
    let dates = column(fields::DATE)?.as_primitive::<Int64Type>();
    let ids: ArrayRef = cast(column(fields::EVENT_ID)?, &arrow::datatypes::DataType::Utf8)?;
    Ok(Columns {
        dates: dates.values().to_vec(),
        ids: ids.as_string::<i32>().clone(),
    })
}

/// The batch in the types of the [`events::view_schema`].
fn as_views(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = events::view_schema();
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| cast(column, field.data_type()))
        .collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    RecordBatch::try_new(schema, columns)
}

fn short(id: &str) -> ShortId {
    let mut short = ShortId::default();
    let length = short.len();
    short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..length]);
    short
}
