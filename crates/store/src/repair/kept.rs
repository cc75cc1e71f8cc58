//! The events of a day that a rebuilt log keeps: each one once, however many files have it, and of different events
//! with one id all.

use std::collections::{HashMap, HashSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use events::{Content, WorkspaceId, fields};
use futures::TryStreamExt;

use super::found::{Candidate, Taken};
use crate::error::StoreError;
use crate::file::claims::{Claim, Holders, Settled};
use crate::file::event_ids::{ShortId, short};
use crate::file::reader::FileRef;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::import::day_buffer::DayBuffer;
use crate::root::location::Location;

/// Events whose ids are taken are compared with those that have them once there are this many, so that memory
/// is bounded.
const COMPARED_EVENTS: usize = 64 * 1024;

/// The events of one day that are kept so far.
#[derive(Debug, Default)]
pub(super) struct KeptEvents {
    ids: HashSet<ShortId>,
    files: Vec<FileRef>,
    /// An id of which no event is taken.
    left_out: Option<ShortId>,
    /// Those under other ids than the ones that they have in the file that they were found in.
    renamed: HashMap<String, Content>,
}

impl KeptEvents {
    /// None yet; no event with the id `left_out` is taken.
    pub(super) fn without(left_out: &str) -> Self {
        Self {
            left_out: Some(short(left_out)),
            ..Self::default()
        }
    }

    /// Adds a file that the log keeps.
    ///
    /// # Errors
    /// When it is damaged; then nothing of it counts as kept.
    pub(super) async fn add(
        &mut self,
        location: &Location,
        place: FileRef,
    ) -> Result<(), StoreError> {
        let found = FileIds::read(location, &place).await?;
        self.ids.extend(found.ids);
        self.files.push(place);
        Ok(())
    }

    /// Adds a file that the log keeps unless events of it may be kept already; returns whether it was added.
    ///
    /// # Errors
    /// When it is damaged; then nothing of it counts as kept.
    pub(super) async fn add_new(
        &mut self,
        location: &Location,
        place: FileRef,
    ) -> Result<bool, StoreError> {
        let found = FileIds::read(location, &place).await?;
        let mut all = found.ids.iter().chain(&found.own_ids);
        if all.any(|id| self.ids.contains(id)) {
            return Ok(false);
        }
        self.ids.extend(found.ids);
        self.files.push(place);
        Ok(true)
    }
}

/// The ids of a file that was read in full.
#[derive(Debug, Default)]
struct FileIds {
    ids: HashSet<ShortId>,
    /// The ids that producers gave its events.
    own_ids: HashSet<ShortId>,
}

impl FileIds {
    async fn read(location: &Location, place: &FileRef) -> Result<Self, StoreError> {
        let failed = |error| StoreError::parquet(&place.path, error);
        let mut batches = place.open(location).await?.build().map_err(failed)?;
        let mut found = Self::default();
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let ids = ids(&batch).map(|id| short(id.unwrap_or_default()));
            found.ids.extend(ids);
            let own_ids = (0..batch.num_rows()).filter_map(|row| events::own_id(&batch, row));
            found.own_ids.extend(own_ids.map(short));
        }
        Ok(found)
    }
}

/// The events of a file on their way into a new one.
pub(super) struct Taking<'a> {
    location: &'a Location,
    from: &'a Candidate,
    /// The workspace of the new files; `None` when none are written.
    workspace: Option<&'a WorkspaceId>,
    kept: &'a mut KeptEvents,
    pub(super) taken: Taken,
    writer: Option<DataFileWriter>,
    ids: HashSet<ShortId>,
    /// Events whose ids are taken, and the ids that they have in the file.
    again: Vec<(String, Claim)>,
    /// The new ids of those that are other events, by the ids that they have in the file.
    new_ids: HashMap<String, String>,
    /// Those events, by their new ids.
    renamed: HashMap<String, Content>,
}

impl<'a> Taking<'a> {
    pub(super) fn new(
        location: &'a Location,
        from: &'a Candidate,
        workspace: Option<&'a WorkspaceId>,
        kept: &'a mut KeptEvents,
    ) -> Self {
        Self {
            location,
            from,
            workspace,
            kept,
            taken: Taken::default(),
            writer: None,
            ids: HashSet::new(),
            again: Vec::new(),
            new_ids: HashMap::new(),
            renamed: HashMap::new(),
        }
    }

    /// Takes what is new of a batch of the file.
    pub(super) async fn add(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let delivery = self.from.place.delivery.as_deref();
        let mut is_new = Vec::with_capacity(batch.num_rows());
        for (row, id) in ids(batch).enumerate() {
            let id = id.unwrap_or_default();
            if self.kept.left_out == Some(short(id)) {
                is_new.push(false);
                continue;
            }
            let own_id = events::own_id(batch, row).unwrap_or(id);
            let is_taken = [id, own_id]
                .map(short)
                .iter()
                .any(|id| self.kept.ids.contains(id));
            // No version writes an id twice into a file.
            let is_first = self.ids.insert(short(id));
            is_new.push(is_first && !is_taken);
            if is_taken {
                let content = Content::of_row(batch, row, delivery);
                let own_id = own_id.to_owned();
                self.again.push((id.to_owned(), Claim { own_id, content }));
            }
        }
        is_new.resize(batch.num_rows(), false);
        let new = filter_record_batch(batch, &BooleanArray::from(is_new))?;
        self.write(&new).await?;
        match self.again.len() {
            few if few < COMPARED_EVENTS => Ok(()),
            _ => self.compare().await,
        }
    }

    async fn write(&mut self, new: &RecordBatch) -> Result<(), StoreError> {
        self.taken.rows += new.num_rows() as u64;
        let Some(workspace) = self.workspace.filter(|_| new.num_rows() > 0) else {
            return Ok(());
        };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file = DataFileWriter::create(self.location, workspace, self.from.day)?;
                self.writer.insert(file)
            }
        };
        let delivery = self.from.place.delivery.as_deref();
        writer
            .write(&events::with_all_columns(new, delivery)?)
            .await
    }

    /// Finds out which of the events whose ids are taken are other events.
    async fn compare(&mut self) -> Result<(), StoreError> {
        let (ids, claims): (Vec<String>, Vec<Claim>) = self.again.drain(..).unzip();
        let (kept, renamed) = (&self.kept.renamed, &self.renamed);
        let other = |id: &str| kept.get(id).or_else(|| renamed.get(id)).copied();
        let mut holders = Holders::default();
        let files = &self.kept.files;
        let settled = holders.settle(self.location, files, &claims, other).await?;
        for ((id, claim), settled) in ids.into_iter().zip(claims).zip(settled) {
            if let Settled::Under(new_id) = settled {
                self.renamed.insert(new_id.clone(), claim.content);
                self.new_ids.insert(id, new_id);
            }
        }
        Ok(())
    }

    /// What was taken, which is kept from now on.
    pub(super) async fn finish(mut self) -> Result<Taken, StoreError> {
        self.compare().await?;
        self.taken.rows += self.new_ids.len() as u64;
        if let Some(writer) = self.writer.take() {
            self.taken.files.push(writer.finish().await?);
        }
        if let Some(workspace) = self.workspace {
            let renamed = self.write_renamed(workspace).await?;
            self.taken.files.extend(renamed);
            let files = self.taken.files.iter().map(StagedFile::file_ref);
            self.kept.files.extend(files);
        } else {
            self.kept.files.push(self.from.place.clone());
        }
        self.kept.renamed.extend(self.renamed);
        self.kept.ids.extend(self.ids);
        self.kept
            .ids
            .extend(self.new_ids.values().map(|id| short(id)));
        Ok(self.taken)
    }

    // Exclusive, as a writer cannot be shared by threads.
    async fn write_renamed(
        &mut self,
        workspace: &WorkspaceId,
    ) -> Result<Option<StagedFile>, StoreError> {
        let place = &self.from.place;
        let rows = place
            .rows_under(self.location, &self.new_ids, self.from.groups.as_deref())
            .await?;
        let mut buffer = DayBuffer::default();
        buffer.extend(rows);
        let delivery = place.delivery.as_ref();
        let written = buffer.write(self.location, workspace, self.from.day, &[], delivery);
        Ok(written.await?.file)
    }
}

/// The ids of a batch; none of a batch that is no events.
fn ids(batch: &RecordBatch) -> impl Iterator<Item = Option<&str>> {
    let ids = batch.column_by_name(fields::EVENT_ID);
    let ids = ids.and_then(|ids| ids.as_string_opt::<i32>());
    ids.into_iter().flatten()
}
