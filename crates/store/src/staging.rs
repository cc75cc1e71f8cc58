//! The files of one import for one workspace, from when they are written until they are committed.

use std::collections::{BTreeSet, HashSet};

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use events::{WorkspaceId, fields};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::data_file::{DataFileWriter, StagedFile};
use crate::error::StoreError;
use crate::file_reader::FilePlace;
use crate::location::Location;
use crate::log::{self, Changes, Operation, Plan, Planner, TableMetadata};
use crate::numbers::Numbers;
use crate::retention::Retention;
use crate::segment::{FoldedSegments, Number, SegmentKey};
use crate::settings::Settings;
use crate::snapshot::{DataFile, Snapshot};
use crate::store::Store;

/// Files that no version of the table names yet.
///
/// None of their ids is in another of them, nor in a file that `checked` names.
#[derive(Debug)]
pub(crate) struct Staging {
    workspace: WorkspaceId,
    files: Vec<StagedFile>,
    repeated: u64,
    numbers: Numbers,
    folded: FoldedSegments,
    checked: Option<Checked>,
}

/// The version of the table that the staged files were checked against.
#[derive(Debug)]
struct Checked {
    snapshot: Option<Snapshot>,
}

/// What became of the staged files.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The version that holds them; `None` when there was nothing to store.
    pub(crate) version: Option<u64>,
    /// The files as they were committed.
    pub(crate) files: Vec<StagedFile>,
    /// How many events were left out because their id was stored already.
    pub(crate) repeated: u64,
}

impl Staging {
    pub(crate) fn new(workspace: WorkspaceId) -> Self {
        Self {
            workspace,
            files: Vec::new(),
            repeated: 0,
            numbers: Numbers::default(),
            folded: FoldedSegments::default(),
            checked: None,
        }
    }

    /// Takes the number of a batch whose events are staged; it is committed with them.
    pub(crate) fn number(&mut self, number: &Number, seen_ms: i64) {
        self.numbers.add(number, seen_ms);
    }

    /// Takes a segment all of whose events are staged; the commit names it, also when none of them is new.
    pub(crate) fn folds(&mut self, key: &SegmentKey) {
        self.folded.insert(key);
    }

    /// Takes a file without any id that [`Staging::known`] files of its day hold, if one was written,
    /// and the number of events that are not in it because of that.
    pub(crate) fn add(&mut self, file: Option<StagedFile>, repeated: u64) {
        self.files.extend(file);
        self.repeated += repeated;
    }

    /// The files whose ids a new file of the day must not have.
    pub(crate) async fn known(
        &mut self,
        store: &Store,
        day: NaiveDate,
    ) -> Result<Vec<FilePlace>, StoreError> {
        let mut known: Vec<FilePlace> = self.files_of(day).map(StagedFile::place).collect();
        if let Some(snapshot) = self.checked(store).await? {
            known.extend(snapshot.files_of(day).map(DataFile::place));
        }
        Ok(known)
    }

    /// Turns to the newest version, because a known file is `missing`: those of the checked version
    /// were replaced long ago, and have been deleted since. No file of the workspace may be in the
    /// making.
    ///
    /// # Errors
    ///
    /// That it is missing, when there is no newer version.
    pub(crate) async fn renew(
        &mut self,
        store: &Store,
        missing: StoreError,
    ) -> Result<(), StoreError> {
        let checked = self.checked(store).await?.map(|snapshot| snapshot.version);
        match store.snapshot(&self.workspace).await? {
            Some(newest) if checked.is_none_or(|checked| newest.version > checked) => {
                self.leave_out_repeats(store.location(), &newest).await
            }
            _ => Err(missing),
        }
    }

    /// Makes all staged files part of the table, in one new version.
    ///
    /// On an error the files are deleted as far as possible, except when it is unknown whether the
    /// table names them.
    pub(crate) async fn commit(mut self, store: &Store) -> Result<Committed, StoreError> {
        match self.try_commit(store).await {
            Ok(version) => Ok(Committed {
                version,
                files: self.files,
                repeated: self.repeated,
            }),
            Err(error) => {
                if !matches!(error, StoreError::CommitUnknown { .. }) {
                    self.discard(store.location()).await;
                }
                Err(error)
            }
        }
    }

    /// Deletes the staged files. One that cannot be deleted takes space, but nobody reads it.
    pub(crate) async fn discard(self, location: &Location) {
        for file in self.files {
            file.delete(location).await;
        }
    }

    async fn try_commit(&mut self, store: &Store) -> Result<Option<u64>, StoreError> {
        if self.files.is_empty() && self.numbers.is_empty() && self.folded.is_empty() {
            return Ok(None);
        }
        let workspace = self.workspace.clone();
        let mut planner = Write {
            staging: self,
            location: store.location(),
        };
        Ok(store.commit(&workspace, &mut planner).await?.version)
    }

    /// What is to be committed on top of `newest`.
    async fn plan(
        &mut self,
        location: &Location,
        newest: &Snapshot,
    ) -> Result<Plan<()>, StoreError> {
        self.write_old_files_anew(location).await?;
        self.leave_out_repeats(location, newest).await?;
        let now = location.now();
        let before = newest.metadata_to_commit();
        let now_ms = now.timestamp_millis();
        let numbered = self
            .numbers
            .merged_into(before, &newest.workspace, now_ms)?;
        if self.files.is_empty() && numbered.is_none() && self.folded.is_empty() {
            return Ok(Plan::Stop(()));
        }
        let noted = self.noting_older_events(newest, numbered.as_ref().unwrap_or(before), now)?;
        let mut changes = Changes {
            adds: self.files.clone(),
            metadata: noted.or(numbered),
            ..Changes::new(Operation::Write)
        };
        self.folded.write_to(&mut changes.info);
        Ok(Plan::Commit(Box::new(changes), ()))
    }

    /// The metadata `before` with a note that keeps retention runs from dropping old events that
    /// somebody has brought on purpose: when nobody has set how long to keep them, and the default
    /// would drop them at once.
    fn noting_older_events(
        &self,
        newest: &Snapshot,
        before: &TableMetadata,
        now: DateTime<Utc>,
    ) -> Result<Option<TableMetadata>, StoreError> {
        let kept_from = Retention::DEFAULT.kept_from(now);
        if self.files.iter().all(|file| file.day >= kept_from) {
            return Ok(None);
        }
        let settings = newest.settings()?;
        if settings.retention.is_some() || settings.older_events {
            return Ok(None);
        }
        let noted = Settings {
            older_events: true,
            ..settings
        };
        Ok(Some(noted.written_to(before)))
    }

    /// Copies files that are so old that a cleaner may be about to delete them.
    async fn write_old_files_anew(&mut self, location: &Location) -> Result<(), StoreError> {
        for file in &mut self.files {
            if !file.is_too_old(location) {
                continue;
            }
            if let Some(new) = rewritten(location, &self.workspace, file, &HashSet::new()).await? {
                let old = std::mem::replace(file, new);
                old.delete(location).await;
            }
        }
        Ok(())
    }

    /// Removes what others have stored since the files were checked last.
    async fn leave_out_repeats(
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
            let arrived: Vec<&FilePlace> = arrived
                .iter()
                .filter(|(day, _)| *day == self.files[index].day)
                .map(|(_, file)| file)
                .collect();
            if !arrived.is_empty() {
                self.rewrite(location, index, &arrived).await?;
            }
        }
        self.checked = Some(Checked {
            snapshot: Some(newest.clone()),
        });
        Ok(())
    }

    /// Replaces the staged file at `index` by one without the ids that `arrived` files hold.
    async fn rewrite(
        &mut self,
        location: &Location,
        index: usize,
        arrived: &[&FilePlace],
    ) -> Result<(), StoreError> {
        let old = &self.files[index];
        let ids = old.place().event_ids(location).await?;
        let wanted: HashSet<&str> = ids.iter().flat_map(|ids| ids.iter().flatten()).collect();
        let mut stored: HashSet<&str> = HashSet::new();
        for file in arrived {
            stored.extend(file.ids_among(location, &wanted).await?);
        }
        if stored.is_empty() {
            return Ok(());
        }
        let new = rewritten(location, &self.workspace, old, &stored).await?;
        self.repeated += stored.len() as u64;
        let old = match new {
            Some(new) => std::mem::replace(&mut self.files[index], new),
            None => self.files.remove(index),
        };
        old.delete(location).await;
        Ok(())
    }

    fn files_of(&self, day: NaiveDate) -> impl Iterator<Item = &StagedFile> {
        self.files.iter().filter(move |file| file.day == day)
    }

    /// The version against which files are checked as they are written: the newest at the first
    /// of them. Whatever is stored later is checked when they are committed.
    async fn checked(&mut self, store: &Store) -> Result<Option<&Snapshot>, StoreError> {
        if self.checked.is_none() {
            let mut snapshot = store.snapshot(&self.workspace).await?;
            if snapshot.is_none() {
                // Before the first file, so that data files without a log always mean a lost log.
                log::create_table(store.location(), &self.workspace).await?;
                snapshot = store.snapshot(&self.workspace).await?;
            }
            self.checked = Some(Checked { snapshot });
        }
        Ok(self
            .checked
            .as_ref()
            .and_then(|checked| checked.snapshot.as_ref()))
    }
}

/// The commit of the staged files.
struct Write<'a> {
    staging: &'a mut Staging,
    location: &'a Location,
}

#[async_trait]
impl Planner for Write<'_> {
    type Value = ();

    async fn plan(&mut self, newest: &Snapshot, _: u64) -> Result<Plan<()>, StoreError> {
        self.staging.plan(self.location, newest).await
    }
}

/// Copies `old` without the events whose ids are `stored`; `None` when no event is left.
async fn rewritten(
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
    file.finish().await.map(Some)
}

impl StagedFile {
    /// Deletes the file, which no version names. If that fails it takes space, but nobody reads it.
    pub(crate) async fn delete(&self, location: &Location) {
        let path = &self.path;
        if let Err(error) = location.objects.delete(path).await {
            tracing::warn!(%path, %error, "a file that no table names could not be deleted");
        }
    }

    pub(crate) fn place(&self) -> FilePlace {
        FilePlace {
            path: self.path.clone(),
            size_bytes: self.size_bytes,
            digest: Some(self.digest),
            tail: Some(self.tail),
            decoded: Some(self.decoded),
        }
    }
}

impl DataFile {
    pub(crate) fn place(&self) -> FilePlace {
        FilePlace {
            path: self.path.clone(),
            size_bytes: self.size_bytes,
            digest: self.digest,
            tail: self.tail,
            decoded: self.decoded,
        }
    }
}
