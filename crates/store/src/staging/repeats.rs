//! What others have stored since files were staged: repetitions go, and other events with the same ids get ids of
//! their own.

use std::collections::{BTreeSet, HashSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use chrono::NaiveDate;
use events::{Content, PackedEvents, WorkspaceId, fields};
use futures::TryStreamExt;
use object_store::path::Path;

use super::{Checked, Staging};
use crate::claims::{Claim, Holders, Settled};
use crate::data_file::{DataFileWriter, StagedFile};
use crate::day_buffer::DayBuffer;
use crate::error::StoreError;
use crate::file_reader::FilePlace;
use crate::location::Location;
use crate::snapshot::{DataFile, Snapshot};

impl Staging {
    /// Removes what others have stored since the files were checked last.
    pub(super) async fn leave_out_repeats(
        &mut self,
        location: &Location,
        newest: &Snapshot,
    ) -> Result<(), StoreError> {
        let before: HashSet<&Path> = self
            .checked
            .iter()
            .filter_map(|checked| checked.snapshot.as_ref())
            .flat_map(|snapshot| snapshot.files.iter())
            .map(|file| &file.path)
            .collect();
        let days: BTreeSet<NaiveDate> = self.files.iter().map(|file| file.day).collect();
        let arrived: Vec<(NaiveDate, FilePlace)> = newest
            .files
            .iter()
            .filter(|file| days.contains(&file.day) && !before.contains(&file.path))
            .map(|file| (file.day, file.place()))
            .collect();
        for index in (0..self.files.len()).rev() {
            let day = self.files[index].day;
            let arrived = arrived.iter().filter(|(of_day, _)| *of_day == day);
            let arrived: Vec<FilePlace> = arrived.map(|(_, file)| file.clone()).collect();
            if !arrived.is_empty() {
                self.rewrite(location, index, &arrived, newest).await?;
            }
        }
        self.checked = Some(Checked {
            snapshot: Some(newest.clone()),
        });
        Ok(())
    }

    /// Replaces the staged file at `index` by one without the ids that `arrived` files hold. Those of its events that
    /// are others than the ones in these files go into another file, under ids of their own.
    async fn rewrite(
        &mut self,
        location: &Location,
        index: usize,
        arrived: &[FilePlace],
        newest: &Snapshot,
    ) -> Result<(), StoreError> {
        let old = self.files[index].clone();
        let taken = taken_ids(location, &old, arrived).await?;
        let taken: HashSet<&str> = taken.iter().map(String::as_str).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let rows = old.place().rows_among(location, &taken).await?;
        let rest = rewritten(location, &self.workspace, &old, &taken).await?;
        // The first file that holds an id counts.
        let mut known = arrived.to_vec();
        known.extend(newest.files_of(old.day).map(DataFile::place));
        let others = self.files_of(old.day).filter(|file| file.path != old.path);
        known.extend(others.chain(&rest).map(StagedFile::place));
        let renamed = self.settled(location, &known, &rows).await?;
        let renamed = self.staged(location, &old, &renamed).await?;
        match rest {
            Some(rest) => self.files[index] = rest,
            None => drop(self.files.remove(index)),
        }
        let conflicts = renamed.as_ref().map_or(0, |file| file.rows);
        self.counts.conflicts += conflicts;
        self.counts.repeated += taken.len() as u64 - conflicts;
        self.files.extend(renamed);
        old.delete(location).await;
        Ok(())
    }

    /// Those of the rows that are to be stored under other ids, under these.
    async fn settled(
        &self,
        location: &Location,
        known: &[FilePlace],
        rows: &[RecordBatch],
    ) -> Result<Vec<RecordBatch>, StoreError> {
        let mut claims = Vec::new();
        for batch in rows {
            claims.extend((0..batch.num_rows()).map(|row| Claim {
                own_id: events::own_id(batch, row).unwrap_or_default().to_owned(),
                content: Content::of_row(batch, row, self.delivery.as_deref()),
            }));
        }
        let mut holders = Holders::default();
        let settled = holders.settle(location, known, &claims, |_| None).await?;
        let mut settled = settled.into_iter();
        let mut renamed = Vec::new();
        for batch in rows {
            let ids = settled.by_ref().take(batch.num_rows());
            let ids = ids.map(|settled| match settled {
                Settled::Under(id) => Some(id),
                Settled::Repeated => None,
            });
            let ids: Vec<Option<String>> = ids.collect();
            let is_kept: BooleanArray = ids.iter().map(|id| Some(id.is_some())).collect();
            renamed.push(filter_record_batch(
                &events::with_ids(batch, &ids)?,
                &is_kept,
            )?);
        }
        Ok(renamed)
    }

    /// Writes rows that were in the file `old`; `None` when there are none.
    async fn staged(
        &self,
        location: &Location,
        old: &StagedFile,
        rows: &[RecordBatch],
    ) -> Result<Option<StagedFile>, StoreError> {
        let mut packed = PackedEvents::default();
        for batch in rows {
            (0..batch.num_rows()).for_each(|row| packed.push_row(batch, row));
        }
        let mut buffer = DayBuffer::default();
        buffer.extend(packed);
        let delivery = self.delivery.as_ref();
        let written = buffer.write(location, &self.workspace, old.day, &[], delivery);
        Ok(written.await?.file.map(|file| StagedFile {
            tags: old.tags.clone(),
            ..file
        }))
    }
}

/// The ids of the events of `old` whose id, or the one that the producer gave them, is in one of the `arrived` files.
async fn taken_ids(
    location: &Location,
    old: &StagedFile,
    arrived: &[FilePlace],
) -> Result<Vec<String>, StoreError> {
    let ids = old.place().event_ids(location).await?;
    let renamed = old.place().renamed_ids(location).await?;
    let own = renamed.iter().map(|renamed| renamed.own.as_str());
    let wanted = ids.iter().flat_map(|ids| ids.iter().flatten());
    let wanted: HashSet<&str> = wanted.chain(own).collect();
    let holders = Holders::of_files(location, arrived, &wanted).await?;
    let ids = ids.iter().flat_map(|ids| ids.iter().flatten());
    let taken = ids.filter(|id| holders.of(id).is_some());
    let renamed = renamed
        .iter()
        .filter(|renamed| holders.of(&renamed.own).is_some());
    let taken = taken.chain(renamed.map(|renamed| renamed.id.as_str()));
    Ok(taken.map(str::to_owned).collect())
}

/// Copies `old` without the events whose ids are `stored`; `None` when no event is left.
pub(super) async fn rewritten(
    location: &Location,
    workspace: &WorkspaceId,
    old: &StagedFile,
    stored: &HashSet<&str>,
) -> Result<Option<StagedFile>, StoreError> {
    if stored.len() as u64 == old.rows {
        return Ok(None);
    }
    let failed = |error| StoreError::parquet(&old.path, error);
    let place = old.place();
    let mut rows = place.open(location).await?.build().map_err(failed)?;
    let mut file = DataFileWriter::create(location, workspace, old.day)?;
    while let Some(batch) = rows.try_next().await.map_err(failed)? {
        let kept: Option<BooleanArray> = batch.column_by_name(fields::EVENT_ID).map(|ids| {
            let ids = ids.as_string::<i32>();
            ids.iter()
                .map(|id| Some(id.is_none_or(|id| !stored.contains(id))))
                .collect()
        });
        let kept = kept.unwrap_or_else(|| BooleanArray::from(vec![true; batch.num_rows()]));
        file.write(&filter_record_batch(&batch, &kept)?).await?;
    }
    let file = file.finish().await?;
    Ok(Some(StagedFile {
        delivery: old.delivery.clone(),
        tags: old.tags.clone(),
        ..file
    }))
}
