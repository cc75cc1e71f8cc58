//! The events of one workspace and day that are in segments and not in its table.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray, UInt64Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, not, take_record_batch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use chrono::NaiveDate;
use events::{Content, Contents, day_of, fields};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::error::StoreError;
use crate::file::claims::{Claim, Holders, Settled};
use crate::file::event_ids::{ShortId, short};
use crate::file::reader::FileRef;
use crate::root::location::Location;

/// Batches are concatenated up to this many rows.
const BATCH_ROWS: usize = 8 * 1024;

/// And batches of segments up to this many bytes, of which an array of texts has at most 2 GiB.
const BATCH_BYTES: usize = 256 * 1024 * 1024;

/// How many files of a day are asked for ids at the same time.
const FILE_CONCURRENCY: usize = 4;

/// The events of some segments on one day, without those that some files were found to hold.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// The ids of all events of the segments.
    ids: HashSet<ShortId>,
    /// The only event of each id, without those that are `stored`, in the columns of [`events::view_schema`].
    batches: Batches,
    contested: Contested,
    /// The files that `compared` ids were looked for in.
    files: HashSet<Path>,
    /// The ids that were looked for in all `files`.
    compared: HashSet<ShortId>,
    /// The events that files have under some of them.
    stored: HashMap<ShortId, Content>,
}

/// Batches of which each has more than twice the rows of the next one, or would have too many together with it, so that
/// a question does not read many small ones, and a row is copied only a few times until its batch is full.
#[derive(Debug, Default)]
struct Batches(Vec<RecordBatch>);

/// Different events that have the same id, or whose id a file has for another event.
#[derive(Debug, Default)]
struct Contested {
    /// The events in the order in which they came.
    events: Batches,
    /// What is known of them, by id.
    contents: HashMap<ShortId, Contents>,
    /// Those of them that no file has, under ids of their own; `None` when that is not known.
    shown: Option<Vec<RecordBatch>>,
}

impl Day {
    /// The events that no file has.
    pub(super) fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        let contested = self.contested.shown.iter().flatten();
        self.batches.0.iter().chain(contested)
    }

    pub(super) fn has_events(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Forgets all events, but not what was found out about ids.
    pub(super) fn clear_events(&mut self) {
        self.ids.clear();
        self.batches.0.clear();
        // Files that came after an id was contested were not asked for it.
        let contested = std::mem::take(&mut self.contested);
        for id in contested.contents.keys() {
            self.compared.remove(id);
        }
    }

    /// Forgets what was found out about ids of other events.
    pub(super) fn forget_others(&mut self) {
        self.compared.retain(|id| self.ids.contains(id));
        self.stored.retain(|id, _| self.ids.contains(id));
    }

    /// Adds the events of a segment that are new, which come in the columns of [`events::view_schema`].
    pub(super) fn add(&mut self, events: RecordBatch) -> Result<(), StoreError> {
        let mut again = Vec::new();
        let is_new = ids(&events)?.iter().enumerate().map(|(row, id)| {
            let id = short(id.unwrap_or_default());
            let is_first = self.ids.insert(id) && !self.stored.contains_key(&id);
            if !is_first {
                again.push((id, row));
            }
            is_first
        });
        let is_new: Vec<bool> = is_new.collect();
        let new = match again.is_empty() {
            true => events.clone(),
            false => filter_record_batch(&events, &BooleanArray::from(is_new))?,
        };
        if new.num_rows() > 0 {
            // A contested event may be shown under an id that is one of theirs.
            self.contested.shown = None;
        }
        self.batches.push(new)?;
        self.add_again(&events, &again)
    }

    /// Adds those of the rows, whose ids came before, that are other events.
    fn add_again(
        &mut self,
        events: &RecordBatch,
        again: &[(ShortId, usize)],
    ) -> Result<(), StoreError> {
        if again.is_empty() {
            return Ok(());
        }
        let first = self.contents_of(&again.iter().map(|(id, _)| *id).collect())?;
        let mut contested = HashSet::new();
        let mut is_other = vec![false; events.num_rows()];
        for (id, row) in again {
            let content = Content::of_row(events, *row, None);
            let before = first.get(id).or_else(|| self.stored.get(id));
            if before.is_none_or(|before| !before.is_same(&content)) {
                contested.insert(*id);
                is_other[*row] = true;
            }
        }
        for batch in self.take_out(&contested)? {
            self.contested.add(&batch)?;
        }
        let others = filter_record_batch(events, &BooleanArray::from(is_other))?;
        self.contested.add(&others)
    }

    /// The contents of the events that alone have some ids.
    fn contents_of(
        &self,
        wanted: &HashSet<ShortId>,
    ) -> Result<HashMap<ShortId, Content>, StoreError> {
        let mut contents = HashMap::new();
        for batch in &self.batches.0 {
            for (row, id) in ids(batch)?.iter().enumerate() {
                let id = short(id.unwrap_or_default());
                if wanted.contains(&id) {
                    contents.insert(id, Content::of_row(batch, row, None));
                }
            }
        }
        Ok(contents)
    }

    /// Removes the events with some ids from `batches`, and returns them.
    fn take_out(&mut self, wanted: &HashSet<ShortId>) -> Result<Vec<RecordBatch>, StoreError> {
        let mut taken = Vec::new();
        if wanted.is_empty() {
            return Ok(taken);
        }
        for batch in &mut self.batches.0 {
            let is_wanted = ids(batch)?.iter().map(|id| {
                let id = short(id.unwrap_or_default());
                Some(wanted.contains(&id))
            });
            let is_wanted: BooleanArray = is_wanted.collect();
            if is_wanted.true_count() > 0 {
                taken.push(filter_record_batch(batch, &is_wanted)?);
                *batch = filter_record_batch(batch, &not(&is_wanted)?)?;
            }
        }
        self.batches.0.retain(|batch| batch.num_rows() > 0);
        Ok(taken)
    }

    /// Leaves out what `files`, those of the day, hold. Each is read once, however many segments there are.
    pub(super) async fn compare(
        &mut self,
        location: &Location,
        files: Vec<FileRef>,
    ) -> Result<(), StoreError> {
        let (mut all, mut new) = (Vec::new(), Vec::new());
        for batch in &self.batches.0 {
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
        let lookups = files.iter().map(|file| {
            let wanted = match self.files.contains(&file.path) {
                true => &new,
                false => &all,
            };
            file.contents_among(location, wanted)
        });
        let lookups: Vec<_> = lookups.collect();
        let found: Vec<HashMap<String, Content>> = futures::stream::iter(lookups)
            .buffer_unordered(FILE_CONCURRENCY)
            .try_collect()
            .await?;
        self.compared.extend(new.iter().map(|id| short(id)));
        let found = found.into_iter().flatten();
        self.leave_out(&found.map(|(id, content)| (short(&id), content)).collect())?;
        let paths = files.iter().map(|file| file.path.clone()).collect();
        if self.files != paths {
            self.files = paths;
            self.contested.shown = None;
        }
        self.settle(location, &files).await
    }

    /// Takes out the events with the ids that files hold. Those that are others than the events in the files are
    /// contested.
    fn leave_out(&mut self, found: &HashMap<ShortId, Content>) -> Result<(), StoreError> {
        let taken = self.take_out(&found.keys().copied().collect())?;
        for batch in taken {
            let is_other = ids(&batch)?.iter().enumerate().map(|(row, id)| {
                let stored = found.get(&short(id.unwrap_or_default()));
                let content = Content::of_row(&batch, row, None);
                Some(stored.is_none_or(|stored| !stored.is_same(&content)))
            });
            let is_other: BooleanArray = is_other.collect();
            self.contested
                .add(&filter_record_batch(&batch, &is_other)?)?;
        }
        self.stored.extend(found);
        Ok(())
    }

    /// Finds out which of the contested events no file has, and under which ids they are shown.
    async fn settle(&mut self, location: &Location, files: &[FileRef]) -> Result<(), StoreError> {
        if self.contested.shown.is_some() || self.contested.events.0.is_empty() {
            return Ok(());
        }
        let claims = self.contested.events.0.iter().flat_map(|events| {
            (0..events.num_rows()).map(|row| Claim {
                own_id: events::own_id(events, row).unwrap_or_default().to_owned(),
                content: Content::of_row(events, row, None),
            })
        });
        let claims: Vec<Claim> = claims.collect();
        let other = |id: &str| {
            let id = short(id);
            if !self.ids.contains(&id) || self.contested.contents.contains_key(&id) {
                return None;
            }
            let contents = self.contents_of(&HashSet::from([id])).ok()?;
            contents.into_values().next()
        };
        let mut holders = Holders::default();
        let settled = holders.settle(location, files, &claims, other).await?;
        let mut settled = settled.into_iter();
        let mut shown = Vec::new();
        for events in &self.contested.events.0 {
            let ids = settled.by_ref().take(events.num_rows());
            let ids = ids.map(|settled| match settled {
                Settled::Under(id) => Some(id),
                Settled::Repeated => None,
            });
            let ids: Vec<Option<String>> = ids.collect();
            let is_shown: BooleanArray = ids.iter().map(|id| Some(id.is_some())).collect();
            let events = filter_record_batch(&events::with_ids(events, &ids)?, &is_shown)?;
            if events.num_rows() > 0 {
                shown.push(events);
            }
        }
        self.contested.shown = Some(shown);
        Ok(())
    }
}

impl Batches {
    /// Adds the rows of a batch.
    fn push(&mut self, new: RecordBatch) -> Result<(), ArrowError> {
        if new.num_rows() == 0 {
            return Ok(());
        }
        let mut rows = new.num_rows();
        let mut first = self.0.len();
        while let Some(before) = first.checked_sub(1)
            && self.0[before].num_rows() <= 2 * rows
            && self.0[before].num_rows() + rows <= BATCH_ROWS
        {
            rows += self.0[before].num_rows();
            first = before;
        }
        self.0.push(new);
        if first + 1 < self.0.len() {
            let together = self.0.split_off(first);
            let joined = concat_batches(together[0].schema_ref(), &together)?;
            self.0.push(compacted(&joined)?);
        }
        Ok(())
    }
}

/// The same rows with one buffer a column: each batch that was put together has left its own, with texts of other days.
fn compacted(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()) as ArrayRef,
            None => Arc::clone(column),
        });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

impl Contested {
    /// Adds the events of a batch, without those that are there.
    fn add(&mut self, events: &RecordBatch) -> Result<(), StoreError> {
        let is_new = ids(events)?.iter().enumerate().map(|(row, id)| {
            let contents = self.contents.entry(short(id.unwrap_or_default()));
            let content = Content::of_row(events, row, None);
            Some(contents.or_default().insert(&content))
        });
        let is_new: BooleanArray = is_new.collect();
        if is_new.true_count() > 0 {
            self.events.push(filter_record_batch(events, &is_new)?)?;
            self.shown = None;
        }
        Ok(())
    }
}

/// The events of a batch by day, in their order on each.
pub(super) fn split(batch: &RecordBatch) -> Result<Vec<(NaiveDate, RecordBatch)>, ArrowError> {
    let dates = column(batch, fields::DATE)?.as_primitive::<Int64Type>();
    let mut days: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
    for (row, date) in dates.values().iter().enumerate() {
        days.entry(day_of(*date)).or_default().push(row);
    }
    let split = days.into_iter().map(|(day, rows)| {
        // Rows that follow each other are not copied.
        let events = match rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
            true => batch.slice(rows[0], rows.len()),
            false => {
                let rows = rows.into_iter().map(|row| row as u64);
                take_record_batch(batch, &UInt64Array::from_iter_values(rows))?
            }
        };
        Ok((day, events))
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

/// The rows of batches of segments in the types of the [`events::view_schema`], in as few batches as there may be: each
/// costs as much as many rows, and there may be hundreds of segments with a few events of a workspace.
pub(super) fn together<'b>(
    batches: impl Iterator<Item = &'b RecordBatch>,
) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut together: Vec<Vec<&RecordBatch>> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for batch in batches {
        let batch_bytes = batch.get_array_memory_size();
        rows += batch.num_rows();
        bytes += batch_bytes;
        match together.last_mut() {
            Some(last) if rows <= BATCH_ROWS && bytes <= BATCH_BYTES => last.push(batch),
            _ => {
                (rows, bytes) = (batch.num_rows(), batch_bytes);
                together.push(vec![batch]);
            }
        }
    }
    let joined = together.into_iter().map(|batches| match &batches[..] {
        [only] => as_views(only),
        several => as_views(&concat_batches(
            several[0].schema_ref(),
            several.iter().copied(),
        )?),
    });
    joined.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// However small the batches are that come, few are kept, with one buffer for the texts of each.
    #[test]
    fn small_batches_are_put_together() {
        let mut batches = Batches::default();
        let text = |row: usize| format!("a text that is not in its view {row}");
        for row in 0..10_000 {
            let texts: ArrayRef = Arc::new(StringViewArray::from(vec![text(row)]));
            let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
            batches.push(batch).unwrap();
        }
        assert!(batches.0.len() <= 14, "{}", batches.0.len());
        let mut rows = 0..;
        for batch in &batches.0 {
            let texts = batch.column(0).as_string_view();
            assert_eq!(texts.data_buffers().len(), 1);
            for (found, row) in texts.iter().zip(rows.by_ref()) {
                assert_eq!(found, Some(text(row).as_str()));
            }
        }
    }
}
