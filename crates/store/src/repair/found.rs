//! Data files that the log does not name, or of which some events stay dropped.

use std::panic::AssertUnwindSafe;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use chrono::NaiveDate;
use events::WorkspaceId;
use events::settings::Hold;
use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::kept::{KeptEvents, Taking};
use super::recorded::{Drop, Recorded};
use crate::delta::snapshot::DataFile;
use crate::error::StoreError;
use crate::file::blocks::{BLOCK_BYTES, DIGEST_BYTES, Tail};
use crate::file::reader::FileRef;
use crate::file::writer::StagedFile;
use crate::root::location::Location;
use crate::settings::hold;

/// A file to take rows of.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) place: FileRef,
    pub(super) day: NaiveDate,
    pub(super) begun_ms: i64,
    /// The row groups that are whole; `None` of a file that is.
    pub(super) groups: Option<Vec<usize>>,
}

/// Runs a part of a repair that decodes a file of which nothing proves what its bytes are: decoders panic on some.
pub(super) async fn caught<T>(
    path: &Path,
    decoding: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match AssertUnwindSafe(Box::pin(decoding)).catch_unwind().await {
        Ok(decoded) => decoded,
        Err(_) => Err(StoreError::Corrupt {
            path: path.to_string(),
            reason: "it cannot be decoded".to_owned(),
        }),
    }
}

/// Whether an error says that the file at `path` is damaged, and not that something else could not be read or written.
pub(super) fn is_damage_of(path: &Path, error: &StoreError) -> bool {
    match error {
        StoreError::Corrupt { path: other, .. }
        | StoreError::NotFound { path: other }
        | StoreError::Parquet { path: other, .. } => other == path.as_ref(),
        // A column has another type than events have.
        StoreError::Arrow(_) => true,
        _ => false,
    }
}

/// What was taken of a file.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) files: Vec<StagedFile>,
    pub(super) rows: u64,
    pub(super) dropped: u64,
}

impl Candidate {
    /// A file that the log names.
    pub(super) fn named(file: &DataFile) -> Self {
        Self {
            place: file.file_ref(),
            day: file.day,
            begun_ms: file.modified.timestamp_millis(),
            groups: None,
        }
    }

    /// A file that nothing names. Its bytes are compared with the digests that it has itself.
    pub(super) async fn found(
        location: &Location,
        object: &ObjectMeta,
        day: NaiveDate,
    ) -> Result<Self, StoreError> {
        let place = FileRef::unproved(object.location.clone(), object.size);
        let tail = tail(location, &place).await?;
        Ok(Self {
            place: FileRef { tail, ..place },
            day,
            begun_ms: object.last_modified.timestamp_millis(),
            groups: None,
        })
    }

    /// Whether a retention run has dropped what the file had, unless a hold kept it.
    fn is_dropped(&self, drops: &[Drop]) -> bool {
        let mut drops = drops.iter();
        drops.any(|drop| drop.covers(self.day, self.begun_ms))
    }

    /// Takes the events that `kept` lacks, and that no run of `drops` has dropped. With `workspace` they are written to
    /// new files; without, only counted.
    pub(super) async fn take(
        &self,
        location: &Location,
        workspace: Option<&WorkspaceId>,
        kept: &mut KeptEvents,
        drops: &[Drop],
        holds: &[Hold],
    ) -> Result<Taken, StoreError> {
        let is_dropped = self.is_dropped(drops);
        let failed = |error| StoreError::parquet(&self.place.path, error);
        let mut builder = self.place.open(location).await?;
        if let Some(groups) = &self.groups {
            builder = builder.with_row_groups(groups.clone());
        }
        let mut batches = builder.build().map_err(failed)?;
        let mut taking = Taking::new(location, self, workspace, kept);
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let rows = match is_dropped {
                true => held(&batch, holds).map_err(|column| {
                    self.place
                        .corrupt(format!("its column `{column}` has another type"))
                })?,
                false => BooleanArray::from(vec![true; batch.num_rows()]),
            };
            taking.taken.dropped += (batch.num_rows() - rows.true_count()) as u64;
            taking.add(&filter_record_batch(&batch, &rows)?).await?;
        }
        taking.finish().await
    }

    /// Reads all rows, and takes the audit events among them. A file that this succeeds with is whole.
    pub(super) async fn add_recorded(
        &self,
        location: &Location,
        recorded: &mut Recorded,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::parquet(&self.place.path, error);
        let mut batches = self.place.open(location).await?.build().map_err(failed)?;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            recorded.add(&batch, self.place.delivery.as_deref());
        }
        Ok(())
    }
}

fn held(batch: &RecordBatch, holds: &[Hold]) -> Result<BooleanArray, &'static str> {
    let mut held = vec![false; batch.num_rows()];
    for hold in holds {
        for (row, is_held) in hold::rows_of(&hold.events, batch)?.iter().enumerate() {
            held[row] |= is_held == Some(true);
        }
    }
    Ok(held.into())
}

/// The tail of a file whose entry in the log is not known, found by its footer; `None` when the file has no digests of
/// its blocks.
async fn tail(location: &Location, place: &FileRef) -> Result<Option<Tail>, StoreError> {
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
    // The digests of the blocks are directly before the indexes.
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
