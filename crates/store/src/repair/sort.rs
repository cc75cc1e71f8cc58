//! Which named and found files a new log has, day by day: each event once, and none that stays dropped.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use deltalake_core::kernel::Add;
use events::WorkspaceId;
use events::settings::Hold;

use super::RebuiltLog;
use super::found::{Candidate, Taken, caught, is_damage_of};
use super::kept::KeptEvents;
use super::readable::Readable;
use super::rebuild::NewLog;
use super::recorded::Drop;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::maintenance::retention_run::has_plain_path;
use crate::store::Store;

/// Named and found files on their way into a new log.
pub(super) struct Sorting<'a> {
    pub(super) store: &'a Store,
    /// The workspace of new files; `None` when none are written.
    pub(super) workspace: Option<&'a WorkspaceId>,
    pub(super) drops: &'a [Drop],
    pub(super) holds: &'a [Hold],
    /// The id of the audit event about this repair: an attempt that was interrupted may have left one.
    pub(super) record_id: &'a str,
    pub(super) new: &'a mut NewLog,
    pub(super) rebuilt: &'a mut RebuiltLog,
}

/// A file that the old log names.
struct Named {
    file: DataFile,
    add: Add,
    /// The number of gaps in the log before the entry that added it; none of a file of the base.
    gaps: usize,
    is_dropped: bool,
}

/// The files of a day.
#[derive(Default)]
struct OfDay {
    named: Vec<Named>,
    found: Vec<Candidate>,
}

impl Sorting<'_> {
    /// Takes the files of `readable`, which are those of `named`, and what only `found` files have.
    pub(super) async fn sort(
        &mut self,
        readable: Readable,
        named: &Snapshot,
        found: Vec<Candidate>,
    ) -> Result<(), StoreError> {
        let mut by_day: BTreeMap<NaiveDate, OfDay> = BTreeMap::new();
        for candidate in found {
            by_day
                .entry(candidate.day)
                .or_default()
                .found
                .push(candidate);
        }
        let mut adds = readable.files;
        for file in named.files() {
            let Some(add) = adds.remove(&file.relative_path) else {
                continue;
            };
            let added = readable.added.get(&file.relative_path);
            by_day.entry(file.day).or_default().named.push(Named {
                add,
                gaps: added.copied().unwrap_or_default(),
                is_dropped: added.is_none() && self.is_dropped(file),
                file: file.clone(),
            });
        }
        for of_day in by_day.into_values() {
            self.take_day(of_day).await?;
        }
        Ok(())
    }

    /// Whether a lost entry has dropped the file, and no hold covers all of its day.
    fn is_dropped(&self, file: &DataFile) -> bool {
        let day = file.day;
        let is_held = self.holds.iter().any(|hold| hold.events.holds_all_of(day));
        has_plain_path(file) && !is_held && self.drops.iter().any(|drop| drop.covers_file(file))
    }

    /// Files after the last gap come first: an entry that is lost may have put their events there from files of
    /// entries before it.
    async fn take_day(&mut self, of_day: OfDay) -> Result<(), StoreError> {
        let OfDay { mut named, found } = of_day;
        let most_gaps = named.iter().map(|named| named.gaps).max();
        let is_sure = |named: &Named| !named.is_dropped && Some(named.gaps) == most_gaps;
        if found.is_empty() && named.iter().all(is_sure) {
            named.into_iter().for_each(|named| self.name(named.add));
            return Ok(());
        }
        named.sort_by_key(|named| (named.is_dropped, Reverse(named.gaps)));
        let mut kept = KeptEvents::without(self.record_id);
        for named in named {
            let is_sure = is_sure(&named);
            self.take_named(named, is_sure, &mut kept).await?;
        }
        for candidate in found {
            match self.take(&candidate, self.drops, &mut kept).await {
                Ok(taken) => {
                    self.rebuilt.found_files += usize::from(taken.rows > 0);
                    self.rebuilt.found_events += taken.rows;
                    self.add(taken);
                }
                Err(error) if is_damage_of(&candidate.place.path, &error) => {
                    self.new.unreadable.push(candidate.place.path);
                    self.rebuilt.unreadable.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps a file in the log, or takes those of its events that are not kept yet and stay.
    async fn take_named(
        &mut self,
        named: Named,
        is_sure: bool,
        kept: &mut KeptEvents,
    ) -> Result<(), StoreError> {
        let location = self.store.location();
        let place = named.file.file_ref();
        let candidate = Candidate::named(&named.file);
        let taken = if named.is_dropped {
            self.take(&candidate, self.drops, kept).await.map(Some)
        } else if is_sure {
            kept.add(location, place).await.map(|()| None)
        } else {
            match kept.add_new(location, place).await {
                Ok(true) => Ok(None),
                Ok(false) => self.take(&candidate, &[], kept).await.map(Some),
                Err(error) => Err(error),
            }
        };
        match taken {
            Ok(Some(taken)) => {
                self.rebuilt.named_files += usize::from(taken.rows > 0);
                self.add(taken);
            }
            Ok(None) => self.name(named.add),
            // It is set aside afterwards, and what is whole of it is kept.
            Err(error) if is_damage_of(&named.file.path, &error) => self.name(named.add),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn name(&mut self, add: Add) {
        self.rebuilt.named_files += 1;
        self.new.files.push(add);
    }

    async fn take(
        &self,
        candidate: &Candidate,
        drops: &[Drop],
        kept: &mut KeptEvents,
    ) -> Result<Taken, StoreError> {
        let location = self.store.location();
        let taken = candidate.take(location, self.workspace, kept, drops, self.holds);
        caught(&candidate.place.path, taken).await
    }

    fn add(&mut self, taken: Taken) {
        self.rebuilt.dropped_events += taken.dropped;
        self.new.staged.extend(taken.files);
    }
}
