//! The events of one workspace and day that are in segments and not in its table.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use chrono::NaiveDate;
use events::{day_of, fields};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::error::StoreError;
use crate::file_reader::FilePlace;
use crate::location::Location;
use crate::snapshot::DataFile;

/// Batches with fewer rows than this are put together, so that a question does not read many small ones.
const BATCH_ROWS: usize = 8 * 1024;

/// How many files are asked for ids at the same time.
const FILE_CONCURRENCY: usize = 8;

/// The form of an event id in memory; those of two different ids are never the same.
type ShortId = [u8; 16];

/// The events of some segments on one day, without those that some files were found to hold.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// The ids of all events of the segments.
    ids: HashSet<ShortId>,
    /// The first event of each id, without those that are `stored`, in the columns of
    /// [`events::view_schema`].
    batches: Vec<RecordBatch>,
    /// The files that `compared` ids were looked for in.
    files: HashSet<Path>,
    /// The ids that were looked for in all `files`.
    compared: HashSet<ShortId>,
    /// Those of them that a file has.
    stored: HashSet<ShortId>,
}

impl Day {
    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    pub(super) fn has_events(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Forgets all events, but not what was found out about ids.
    pub(super) fn clear_events(&mut self) {
        self.ids.clear();
        self.batches.clear();
    }

    /// Forgets what was found out about ids of other events.
    pub(super) fn forget_others(&mut self) {
        self.compared.retain(|id| self.ids.contains(id));
        self.stored.retain(|id| self.ids.contains(id));
    }

    /// Adds the events of a segment that are new.
    pub(super) fn add(&mut self, events: &RecordBatch) -> Result<(), StoreError> {
        let events = as_views(events)?;
        let is_new = ids(&events)?.iter().map(|id| {
            let id = short(id.unwrap_or_default());
            self.ids.insert(id) && !self.stored.contains(&id)
        });
        let is_new: Vec<bool> = is_new.collect();
        let events = filter_record_batch(&events, &BooleanArray::from(is_new))?;
        if events.num_rows() == 0 {
            return Ok(());
        }
        match self.batches.last_mut() {
            Some(last) if last.num_rows() + events.num_rows() <= BATCH_ROWS => {
                *last = concat_batches(&events.schema(), [&*last, &events])?;
            }
            _ => self.batches.push(events),
        }
        Ok(())
    }

    /// Leaves out what `files`, those of the day, hold. Each is read once, however many segments there are.
    pub(super) async fn compare(
        &mut self,
        location: &Location,
        files: impl Iterator<Item = &DataFile>,
    ) -> Result<(), StoreError> {
        let (mut all, mut new) = (Vec::new(), Vec::new());
        for batch in &self.batches {
            let ids = ids(batch)?.iter().flatten();
            all.extend(ids.map(|id| (short(id), id)));
        }
        new.extend(all.iter().filter(|(id, _)| !self.compared.contains(id)));
        let wanted = |ids: &[(ShortId, &'_ str)]| -> Vec<String> {
            ids.iter().map(|(_, id)| (*id).to_owned()).collect()
        };
        let (all, new) = (wanted(&all), wanted(&new));
        let all: HashSet<&str> = all.iter().map(String::as_str).collect();
        let new: HashSet<&str> = new.iter().map(String::as_str).collect();
        let files: Vec<FilePlace> = files.map(DataFile::place).collect();
        let lookups = files.iter().map(|file| {
            let wanted = match self.files.contains(&file.path) {
                true => &new,
                false => &all,
            };
            stored_in(location, file, wanted)
        });
        let lookups: Vec<_> = lookups.collect();
        let found: Vec<Vec<ShortId>> = futures::stream::iter(lookups)
            .buffer_unordered(FILE_CONCURRENCY)
            .try_collect()
            .await?;
        self.compared.extend(new.iter().map(|id| short(id)));
        self.files = files.into_iter().map(|file| file.path).collect();
        self.leave_out(&found.into_iter().flatten().collect())
    }

    fn leave_out(&mut self, found: &HashSet<ShortId>) -> Result<(), StoreError> {
        if found.is_empty() {
            return Ok(());
        }
        for batch in &mut self.batches {
            let is_kept = ids(batch)?.iter().map(|id| {
                let id = short(id.unwrap_or_default());
                Some(!found.contains(&id))
            });
            let is_kept: BooleanArray = is_kept.collect();
            *batch = filter_record_batch(batch, &is_kept)?;
        }
        self.batches.retain(|batch| batch.num_rows() > 0);
        self.stored.extend(found);
        Ok(())
    }
}

/// Those of some ids that a file holds.
async fn stored_in(
    location: &Location,
    file: &FilePlace,
    wanted: &HashSet<&str>,
) -> Result<Vec<ShortId>, StoreError> {
    let found = file.ids_among(location, wanted).await?;
    Ok(found.into_iter().map(short).collect())
}

/// The events of a batch by day.
pub(super) fn split(batch: &RecordBatch) -> Result<Vec<(NaiveDate, RecordBatch)>, ArrowError> {
    let dates = column(batch, fields::DATE)?.as_primitive::<Int64Type>();
    let days: Vec<NaiveDate> = dates.values().iter().map(|date| day_of(*date)).collect();
    let mut rows: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    for day in &days {
        *rows.entry(*day).or_default() += 1;
    }
    if let (Some((day, _)), 1) = (rows.first_key_value(), rows.len()) {
        return Ok(vec![(*day, batch.clone())]);
    }
    let split = rows.into_keys().map(|day| {
        let is_of_day: BooleanArray = days.iter().map(|other| Some(*other == day)).collect();
        Ok((day, filter_record_batch(batch, &is_of_day)?))
    });
    split.collect()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("events have no column `{name}`"));
    batch.column_by_name(name).ok_or_else(missing)
}

/// The ids of a batch of the [`events::view_schema`].
fn ids(batch: &RecordBatch) -> Result<&StringViewArray, ArrowError> {
    Ok(column(batch, fields::EVENT_ID)?.as_string_view())
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
