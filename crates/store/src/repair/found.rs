//! Rows of data files that the log does not name, or of which some stay dropped: each id of a day once.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use chrono::NaiveDate;
use events::{WorkspaceId, fields};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::recorded::{Drop, Recorded};
use crate::blocks::{BLOCK_BYTES, DIGEST_BYTES, Tail};
use crate::data_file::{DataFileWriter, StagedFile};
use crate::error::StoreError;
use crate::file_reader::FilePlace;
use crate::hold::Hold;
use crate::location::Location;

/// A file to take rows of.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) place: FilePlace,
    pub(super) day: NaiveDate,
    pub(super) begun_ms: i64,
}

/// The event ids of one day, as 16 bytes of their digests.
#[derive(Debug, Default)]
pub(super) struct DayIds(HashSet<[u8; 16]>);

impl DayIds {
    fn insert(&mut self, id: &str) -> bool {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
        self.0.insert(short)
    }

    /// Takes the ids of a file that stays.
    pub(super) async fn add(
        &mut self,
        location: &Location,
        place: &FilePlace,
    ) -> Result<(), StoreError> {
        for ids in place.event_ids(location).await? {
            ids.iter().flatten().for_each(|id| _ = self.insert(id));
        }
        Ok(())
    }
}

/// What was taken of a file.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) file: Option<StagedFile>,
    pub(super) rows: u64,
    pub(super) dropped: u64,
}

impl Candidate {
    /// A file that nothing names. Its bytes are compared with the digests that it has itself.
    pub(super) async fn found(
        location: &Location,
        object: &ObjectMeta,
        day: NaiveDate,
    ) -> Result<Self, StoreError> {
        let place = FilePlace::unproved(object.location.clone(), object.size);
        let tail = tail(location, &place).await?;
        Ok(Self {
            place: FilePlace { tail, ..place },
            day,
            begun_ms: object.last_modified.timestamp_millis(),
        })
    }

    /// Whether a retention run has dropped what the file had, unless a hold kept it.
    fn is_dropped(&self, drops: &[Drop]) -> bool {
        let mut drops = drops.iter();
        drops.any(|drop| drop.covers(self.day, self.begun_ms))
    }

    /// Takes the rows that `ids` lacks, and that no run of `drops` has dropped. With `workspace` they are written to a
    /// new file; without, only counted.
    pub(super) async fn take(
        &self,
        location: &Location,
        workspace: Option<&WorkspaceId>,
        ids: &mut DayIds,
        drops: &[Drop],
        holds: &[Hold],
    ) -> Result<Taken, StoreError> {
        let is_dropped = self.is_dropped(drops);
        let failed = |error| StoreError::parquet(&self.place.path, error);
        let mut batches = self.place.open(location).await?.build().map_err(failed)?;
        let mut taken = Taken::default();
        let mut writer = None;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let kept = match is_dropped {
                true => held(&batch, holds).map_err(|column| {
                    self.place
                        .corrupt(format!("its column `{column}` has another type"))
                })?,
                false => BooleanArray::from(vec![true; batch.num_rows()]),
            };
            taken.dropped += (batch.num_rows() - kept.true_count()) as u64;
            let batch = new_rows(&filter_record_batch(&batch, &kept)?, ids)?;
            taken.rows += batch.num_rows() as u64;
            let Some(workspace) = workspace.filter(|_| batch.num_rows() > 0) else {
                continue;
            };
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(DataFileWriter::create(location, workspace, self.day)?),
            };
            let delivery = self.place.delivery.as_deref();
            let batch = events::with_all_columns(&batch, delivery)?;
            writer.write(&batch).await?;
        }
        if let Some(writer) = writer {
            taken.file = Some(writer.finish().await?);
        }
        Ok(taken)
    }

    /// Reads all rows, and takes what audit events among them tell. A file that this succeeds with is whole.
    pub(super) async fn add_recorded(
        &self,
        location: &Location,
        recorded: &mut Recorded,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::parquet(&self.place.path, error);
        let mut batches = self.place.open(location).await?.build().map_err(failed)?;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            recorded.add(&batch);
        }
        Ok(())
    }
}

fn held(batch: &RecordBatch, holds: &[Hold]) -> Result<BooleanArray, &'static str> {
    let mut held = vec![false; batch.num_rows()];
    for hold in holds {
        for (row, is_held) in hold.events.rows(batch)?.iter().enumerate() {
            held[row] |= is_held == Some(true);
        }
    }
    Ok(held.into())
}

fn new_rows(batch: &RecordBatch, ids: &mut DayIds) -> Result<RecordBatch, StoreError> {
    let column = batch.column_by_name(fields::EVENT_ID);
    let Some(column) = column.and_then(|column| column.as_string_opt::<i32>()) else {
        return Ok(batch.slice(0, 0));
    };
    let new = column
        .iter()
        .map(|id| Some(id.is_some_and(|id| ids.insert(id))));
    let new: BooleanArray = new.collect();
    Ok(filter_record_batch(batch, &new)?)
}

/// The tail of a file whose entry in the log is not known, found by its footer; `None` when the file has no digests of
/// its blocks.
async fn tail(location: &Location, place: &FilePlace) -> Result<Option<Tail>, StoreError> {
    let opened = place.open(location).await?;
    let columns = opened.metadata().row_groups().iter();
    let columns: Vec<_> = columns.flat_map(|group| group.columns()).collect();
    let number = |value: i64| u64::try_from(value).unwrap_or_default();
    let data_end = columns.iter().map(|column| {
        let (start, length) = column.byte_range();
        start + length
    });
    let data_end = data_end.max().unwrap_or_default();
    let indexes = columns.iter().flat_map(|column| {
        [
            column.column_index_offset(),
            column.offset_index_offset(),
            column.bloom_filter_offset(),
        ]
    });
    let first = indexes
        .flatten()
        .map(number)
        .filter(|start| *start >= data_end);
    let Some(first) = first.min() else {
        return Ok(None);
    };
    // So many blocks have so many digests, which are right before the indexes.
    let most = first.div_ceil(BLOCK_BYTES);
    let offset = (0..=most.min(1 << 20)).rev().find_map(|blocks| {
        let offset = first.checked_sub(blocks * DIGEST_BYTES as u64)?;
        (offset.div_ceil(BLOCK_BYTES) == blocks && offset >= data_end).then_some(offset)
    });
    let Some(offset) = offset else {
        return Ok(None);
    };
    let range = offset..place.size_bytes;
    let content = location.objects.get_range(&place.path, range).await?;
    let tail = Tail {
        offset,
        digest: blake3::hash(&content).into(),
    };
    Ok(Some(tail))
}
