//! What others have stored since files were staged: repetitions go, and other events with the same ids get ids of
//! their own.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use chrono::NaiveDate;
use events::{WorkspaceId, fields};
use futures::TryStreamExt;
use object_store::path::Path;

use super::{Checked, Counts, Staging};
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::file::claims::{Claim, Holders, Settled};
use crate::file::event_ids::RenamedId;
use crate::file::reader::FileRef;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::import::day_buffer::DayBuffer;
use crate::root::location::Location;

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
        let arrived: Vec<(NaiveDate, FileRef)> = newest
            .files
            .iter()
            .filter(|file| days.contains(&file.day) && !before.contains(&file.path))
            .map(|file| (file.day, file.file_ref()))
            .collect();
        for index in (0..self.files.len()).rev() {
            let day = self.files[index].day;
            let arrived = arrived.iter().filter(|(of_day, _)| *of_day == day);
            let arrived: Vec<FileRef> = arrived.map(|(_, file)| file.clone()).collect();
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
        arrived: &[FileRef],
        newest: &Snapshot,
    ) -> Result<(), StoreError> {
        let old = self.files[index].clone();
        let taken = TakenIds::of(location, &old, arrived).await?;
        let ids: HashSet<&str> = taken.0.iter().map(|renamed| renamed.id.as_str()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let claims = taken.claims(location, &old.file_ref(), &ids).await?;
        let rest = rewritten(location, &self.workspace, &old, &ids).await?;
        // The first file that holds an id counts.
        let mut known = arrived.to_vec();
        known.extend(newest.files_of(old.day).map(DataFile::file_ref));
        let others = self.files_of(old.day).filter(|file| file.path != old.path);
        known.extend(others.chain(&rest).map(StagedFile::file_ref));
        let mut holders = Holders::default();
        let settled = holders.settle(location, &known, &claims, |_| None).await?;
        let mut new_ids = HashMap::new();
        for (renamed, settled) in taken.0.iter().zip(settled) {
            self.counts.count(renamed, &settled);
            if let Settled::Under(id) = settled {
                new_ids.insert(renamed.id.clone(), id);
            }
        }
        let renamed = self.staged_under(location, &old, &new_ids).await?;
        match rest {
            Some(rest) => self.files[index] = rest,
            None => drop(self.files.remove(index)),
        }
        self.files.extend(renamed);
        old.delete(location).await;
        Ok(())
    }

    /// Writes those events of the file `old` that get other ids, by the ids that they have in it; `None` when there are
    /// none.
    async fn staged_under(
        &self,
        location: &Location,
        old: &StagedFile,
        new_ids: &HashMap<String, String>,
    ) -> Result<Option<StagedFile>, StoreError> {
        let mut buffer = DayBuffer::default();
        buffer.extend(old.file_ref().rows_under(location, new_ids, None).await?);
        let delivery = self.delivery.as_ref();
        let written = buffer.write(location, &self.workspace, old.day, &[], delivery);
        Ok(written.await?.file.map(|file| StagedFile {
            tags: old.tags.clone(),
            ..file
        }))
    }
}

impl Counts {
    /// Counts what becomes of a staged event, which was counted as a conflict if its id is not its own.
    fn count(&mut self, staged: &RenamedId, settled: &Settled) {
        self.conflicts = self
            .conflicts
            .saturating_sub(u64::from(staged.id != staged.own));
        match settled {
            Settled::Repeated => self.repeated += 1,
            Settled::Under(id) => self.conflicts += u64::from(*id != staged.own),
        }
    }
}

/// The events of a staged file whose id, or the one that the producer gave them, is in other files.
struct TakenIds(Vec<RenamedId>);

impl TakenIds {
    /// Those of the staged file `old` that are in `arrived` files.
    async fn of(
        location: &Location,
        old: &StagedFile,
        arrived: &[FileRef],
    ) -> Result<Self, StoreError> {
        let ids = old.file_ref().event_ids(location).await?;
        let renamed = old.file_ref().renamed_ids(location).await?;
        let own: HashMap<&str, &str> = renamed
            .iter()
            .map(|renamed| (renamed.id.as_str(), renamed.own.as_str()))
            .collect();
        let all = || ids.iter().flat_map(|ids| ids.iter().flatten());
        let wanted: HashSet<&str> = all().chain(own.values().copied()).collect();
        let holders = Holders::of_files(location, arrived, &wanted).await?;
        let named = all().map(|id| (id, own.get(id).copied().unwrap_or(id)));
        let taken = named.filter(|(id, own)| holders.of(id).or(holders.of(own)).is_some());
        let taken = taken.map(|(id, own)| RenamedId {
            id: id.to_owned(),
            own: own.to_owned(),
        });
        Ok(Self(taken.collect()))
    }

    /// The events as they claim ids, in their order.
    async fn claims(
        &self,
        location: &Location,
        old: &FileRef,
        ids: &HashSet<&str>,
    ) -> Result<Vec<Claim>, StoreError> {
        let contents = old.contents_among(location, ids).await?;
        let claims = self.0.iter().map(|renamed| {
            let content = contents.get(&renamed.id);
            Ok(Claim {
                own_id: renamed.own.clone(),
                content: *content.ok_or_else(|| old.corrupt("it lost an event".to_owned()))?,
            })
        });
        claims.collect()
    }
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
    let place = old.file_ref();
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
