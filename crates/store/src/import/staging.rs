//! The files of one import for one workspace, from when they are written until they are committed.

mod repeats;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate};
use events::settings::{Retention, Settings};
use events::{Delivery, WorkspaceId};
use object_store::ObjectStoreExt;

use crate::delta::folded_segments::FoldedSegments;
use crate::delta::log::{self, Changes, CommitPlan, CommitPlanner, Operation, TableMetadata};
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::file::reader::FileRef;
use crate::file::writer::StagedFile;
use crate::import::day_buffer::WrittenFile;
use crate::root::location::Location;
use crate::root::segment_key::SegmentKey;
use crate::segment::BatchSequence;
use crate::segment::sequence::ProducerState;
use crate::settings;
use crate::store::Store;
use repeats::rewritten;

/// Files that no version of the table names yet.
///
/// None of their ids is in another of them, nor in a file that `checked` names.
#[derive(Debug)]
pub(crate) struct Staging {
    workspace: WorkspaceId,
    files: Vec<StagedFile>,
    counts: Counts,
    numbers: ProducerState,
    delivery: Option<Arc<Delivery>>,
    folded: FoldedSegments,
    checked: Option<Checked>,
}

/// Counts of the events that were not stored under their own id.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// How many were left out because the same event was stored already.
    pub(crate) repeated: u64,
    /// How many were stored under another id because another event has theirs.
    pub(crate) conflicts: u64,
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
    pub(crate) counts: Counts,
}

impl Staging {
    /// Nothing yet, for events that come by `delivery` unless they say otherwise.
    pub(crate) fn new(workspace: WorkspaceId, delivery: Option<Arc<Delivery>>) -> Self {
        Self {
            workspace,
            files: Vec::new(),
            counts: Counts::default(),
            numbers: ProducerState::default(),
            delivery,
            folded: FoldedSegments::default(),
            checked: None,
        }
    }

    /// Takes the number of a batch whose events are staged; it is committed with them.
    pub(crate) fn number(&mut self, number: &BatchSequence, seen_ms: i64) {
        self.numbers.add(number, seen_ms);
    }

    /// Takes a segment all of whose events are staged; the commit names it, also when none of them is new.
    pub(crate) fn folds(&mut self, key: &SegmentKey) {
        self.folded.insert(key);
    }

    /// Takes what was written of a buffer: a file without any id that [`Staging::known`] files of its day hold.
    pub(crate) fn add(&mut self, written: WrittenFile) {
        self.files.extend(written.file);
        self.counts.repeated += written.repeated;
        self.counts.conflicts += written.conflicts;
    }

    /// How the events come that do not say it.
    pub(crate) fn delivery(&self) -> Option<&Arc<Delivery>> {
        self.delivery.as_ref()
    }

    /// The files whose ids a new file of the day must not have.
    pub(crate) async fn known(
        &mut self,
        store: &Store,
        day: NaiveDate,
    ) -> Result<Vec<FileRef>, StoreError> {
        let mut known: Vec<FileRef> = self.files_of(day).map(StagedFile::file_ref).collect();
        if let Some(snapshot) = self.checked(store).await? {
            known.extend(snapshot.files_of(day).map(DataFile::file_ref));
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
                counts: self.counts,
            }),
            Err(error) => {
                if !matches!(error, StoreError::CommitUnknown { .. }) {
                    self.discard(store.location()).await;
                }
                Err(error)
            }
        }
    }

    /// Deletes the staged files. One that cannot be deleted takes space, but no reader uses it.
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
    ) -> Result<CommitPlan<()>, StoreError> {
        self.settle(location, newest).await?;
        let before = newest.metadata_to_commit();
        let trusted_ms = if self.numbers.is_empty() {
            None
        } else {
            location.trusted_ms().await
        };
        let numbered = self
            .numbers
            .merged_into(before, &newest.workspace, trusted_ms)?;
        if self.files.is_empty() && numbered.is_none() && self.folded.is_empty() {
            return Ok(CommitPlan::Stop(()));
        }
        let before = numbered.as_ref().unwrap_or(before);
        let noted = self.noting_older_events(location, newest, before).await?;
        let mut changes = Changes {
            adds: self.received(location.corrected_ms()),
            metadata: noted.or(numbered),
            ..Changes::new(Operation::Write)
        };
        self.folded.write_to(&mut changes.info);
        Ok(CommitPlan::Commit(Box::new(changes), ()))
    }

    /// The files as they are committed: their events are received at this moment, unless the events say otherwise.
    fn received(&self, received_ms: i64) -> Vec<StagedFile> {
        let delivery = self.delivery.as_deref().map(|delivery| {
            Arc::new(Delivery {
                received_ms: Some(received_ms),
                ..delivery.clone()
            })
        });
        let mut files = self.files.clone();
        for file in &mut files {
            file.delivery.clone_from(&delivery);
        }
        files
    }

    /// Makes the files ready to be committed on top of `newest`.
    pub(crate) async fn settle(
        &mut self,
        location: &Location,
        newest: &Snapshot,
    ) -> Result<(), StoreError> {
        self.write_old_files_anew(location).await?;
        self.leave_out_repeats(location, newest).await
    }

    /// The files, none of whose ids is in a file of the version that they were settled on.
    pub(crate) fn files(&self) -> &[StagedFile] {
        &self.files
    }

    /// How many events are not in the files because they are stored already.
    pub(crate) fn repeated(&self) -> u64 {
        self.counts.repeated
    }

    /// The metadata `before` with a note that keeps retention runs from dropping the old events of an import: these are
    /// brought on purpose, and the default would drop them at once when no retention is set. Events that a service has
    /// taken make no note, or one device whose clock starts in 1970 would turn the retention off; a run that would
    /// drop many of them waits until an operator confirms it.
    async fn noting_older_events(
        &self,
        location: &Location,
        newest: &Snapshot,
        before: &TableMetadata,
    ) -> Result<Option<TableMetadata>, StoreError> {
        let is_import = self.folded.is_empty();
        if !is_import {
            return Ok(None);
        }
        // The note is for good: a clock that is ahead must not make it while the right time is known.
        let trusted_ms = location.trusted_ms().await;
        if !self.has_older_than_default(trusted_ms.unwrap_or_else(|| location.latest_ms())) {
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
        Ok(Some(settings::write(&noted, before)))
    }

    fn has_older_than_default(&self, now_ms: i64) -> bool {
        let now = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        let kept_from = Retention::DEFAULT.kept_from(now);
        self.files.iter().any(|file| file.day < kept_from)
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
impl CommitPlanner for Write<'_> {
    type Value = ();
    type Error = StoreError;

    async fn plan(&mut self, newest: &Snapshot, _: u64) -> Result<CommitPlan<()>, StoreError> {
        self.staging.plan(self.location, newest).await
    }
}

impl StagedFile {
    /// Deletes the file, which no version names. If that fails it takes space, but no reader uses it.
    pub(crate) async fn delete(&self, location: &Location) {
        let path = &self.path;
        if let Err(error) = location.objects.delete(path).await {
            tracing::warn!(%path, %error, "a file that no table names could not be deleted");
        }
    }

    pub(crate) fn file_ref(&self) -> FileRef {
        FileRef {
            path: self.path.clone(),
            size_bytes: self.size_bytes,
            digest: Some(self.digest),
            tail: Some(self.tail),
            decoded: Some(self.decoded),
            delivery: self.delivery.clone(),
        }
    }
}

impl DataFile {
    pub(crate) fn file_ref(&self) -> FileRef {
        FileRef {
            path: self.path.clone(),
            size_bytes: self.size_bytes,
            digest: self.digest,
            tail: self.tail,
            decoded: self.decoded,
            delivery: self.delivery.clone(),
        }
    }
}
