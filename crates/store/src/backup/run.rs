//! Making a backup: what to copy, and in which order.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::compute::max;
use arrow::datatypes::Int64Type;
use events::{WorkspaceId, fields};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::copies::{Copies, Source, Taken};
use super::manifest::{BackupFault, BackupSummary, CopiedWorkspace, Manifest, Object};
use super::{Backup, CONCURRENCY};
use crate::delta::diagnose;
use crate::delta::log;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::root::marker::Marker;
use crate::root::paths;
use crate::segment::Segment;
use crate::store::Store;

/// How often a table is begun again because files of its version were deleted meanwhile.
const ATTEMPTS: usize = 10;

/// A backup that is being made.
pub(super) struct Run<'a> {
    store: &'a Store,
    copies: Copies<'a>,
    /// What belongs to it, by paths in the store.
    objects: BTreeMap<String, Object>,
    new_objects: u64,
    new_bytes: u64,
    workspaces: Vec<CopiedWorkspace>,
    segments: u64,
    segment_events: u64,
    newest_received_ms: Option<i64>,
    faults: Vec<BackupFault>,
}

/// The content of a segment, for the summary.
struct TakenSegment {
    taken: Taken,
    events: u64,
    newest_received_ms: Option<i64>,
}

/// What became of an object that was to be copied.
enum Outcome<T> {
    Taken(T),
    Unreadable(BackupFault),
    Gone,
}

impl<T> Outcome<T> {
    /// What `taken` says about this object; an error is about everything.
    fn of(taken: Result<T, StoreError>) -> Result<Self, StoreError> {
        match taken {
            Ok(taken) => Ok(Self::Taken(taken)),
            Err(StoreError::NotFound { .. }) => Ok(Self::Gone),
            Err(StoreError::Corrupt { path, reason }) => {
                Ok(Self::Unreadable(BackupFault { path, reason }))
            }
            Err(error) => Err(error),
        }
    }
}

/// The entries of a log as far as they were copied, by their versions: the digest of each, and that of the entry
/// before as it states it.
type Entries = BTreeMap<u64, (String, Option<String>)>;

impl<'a> Run<'a> {
    pub(super) fn new(store: &'a Store, copies: Copies<'a>) -> Self {
        Self {
            store,
            copies,
            objects: BTreeMap::new(),
            new_objects: 0,
            new_bytes: 0,
            workspaces: Vec::new(),
            segments: 0,
            segment_events: 0,
            newest_received_ms: None,
            faults: Vec::new(),
        }
    }

    /// Copies the segments, then the parked ones: events move in this order. One that is gone when it is read was
    /// folded or parked, and its events are where this looks later.
    pub(super) async fn segments(&mut self) -> Result<(), StoreError> {
        let location = self.store.location();
        let mut is_empty = true;
        for directory in paths::segments() {
            let listed: Vec<ObjectMeta> = location
                .objects
                .list(Some(&directory))
                .try_collect()
                .await?;
            is_empty &= listed.is_empty();
            let (store, copies) = (self.store, &self.copies);
            let taken: Vec<Outcome<TakenSegment>> = stream::iter(listed)
                .map(|object| async move { Outcome::of(take_segment(store, copies, object).await) })
                .buffered(CONCURRENCY)
                .try_collect()
                .await?;
            for outcome in taken {
                let segment = match outcome {
                    Outcome::Taken(segment) => segment,
                    Outcome::Unreadable(fault) => {
                        self.faults.push(fault);
                        continue;
                    }
                    Outcome::Gone => continue,
                };
                self.segments += 1;
                self.segment_events += segment.events;
                self.newest_received_ms = self.newest_received_ms.max(segment.newest_received_ms);
                self.add(segment.taken);
            }
        }
        match is_empty {
            true => location.check_present().await,
            false => Ok(()),
        }
    }

    /// Copies a version of each table.
    pub(super) async fn tables(&mut self) -> Result<(), StoreError> {
        let location = self.store.location();
        let root = location.objects.list_with_delimiter(None).await?;
        let prefixes = root.common_prefixes.iter();
        let workspaces: Vec<WorkspaceId> = prefixes.filter_map(paths::workspace_of_table).collect();
        if workspaces.is_empty() {
            location.check_present().await?;
        }
        for workspace in workspaces {
            self.table(&workspace).await?;
        }
        Ok(())
    }

    /// Copies everything that was moved out of the way.
    pub(super) async fn set_aside(&mut self) -> Result<(), StoreError> {
        self.below(&paths::all_set_aside()).await.map(drop)
    }

    /// The backup with the given number.
    pub(super) fn finish(
        self,
        number: u64,
        marker: &Marker,
        begun_ms: i64,
    ) -> Result<(Manifest, Backup), StoreError> {
        let objects: Vec<Object> = self.objects.into_values().collect();
        let summary = BackupSummary {
            newest_received_ms: self.newest_received_ms,
            workspaces: self.workspaces,
            segments: self.segments,
            segment_events: self.segment_events,
            objects: objects.len() as u64,
            size_bytes: objects.iter().map(|object| object.size).sum(),
            faults: self.faults,
            ..BackupSummary::new(number, marker.id(), marker.incarnation(), begun_ms)
        };
        let backup = Backup {
            summary: summary.clone(),
            new_objects: self.new_objects,
            new_bytes: self.new_bytes,
            replaced: self.copies.into_damaged(),
        };
        Ok((Manifest { summary, objects }, backup))
    }

    async fn table(&mut self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let log = || paths::log(workspace).to_string();
        let mut tried = None;
        for _ in 0..ATTEMPTS {
            let snapshot = match self.store.snapshot(workspace).await {
                Ok(Some(snapshot)) => snapshot,
                Ok(None) => {
                    let has_objects = self.below(&paths::table(workspace)).await?;
                    if has_objects {
                        self.fault(log(), "it is missing, and there are data files");
                    }
                    return Ok(());
                }
                // Whatever can be saved of it is there, but not known.
                Err(error) if error.may_be_damage() => {
                    self.below(&paths::table(workspace)).await?;
                    self.fault(log(), &error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            // Files go after the next version was made; without one they are lost.
            let may_change = tried != Some(snapshot.version);
            tried = Some(snapshot.version);
            if self.version(&snapshot, may_change).await? {
                return Ok(());
            }
        }
        Err(StoreError::NotBackedUp {
            reason: format!(
                "the table of workspace `{workspace}` changes faster than it is copied; do it again"
            ),
        })
    }

    /// Copies a version of a table; `false` when something of it is gone, so that it has to be looked for again.
    async fn version(&mut self, snapshot: &Snapshot, may_change: bool) -> Result<bool, StoreError> {
        let Some((log, entries)) = self.log(snapshot).await? else {
            return Ok(false);
        };
        let Some(files) = self.files(snapshot, may_change).await? else {
            return Ok(false);
        };
        let is_told = |path: &str| {
            let mut outcomes = log.iter();
            outcomes
                .any(|outcome| matches!(outcome, Outcome::Unreadable(told) if told.path == path))
        };
        let fault = fault_of_log(snapshot, &entries);
        if let Some(fault) = fault.filter(|fault| !is_told(&fault.path)) {
            if may_change {
                return Ok(false);
            }
            self.faults.push(fault);
        }
        for outcome in log {
            self.add_outcome(outcome);
        }
        for (path, outcome) in files {
            match outcome {
                Outcome::Gone => self.fault(path.to_string(), "it is missing"),
                outcome => self.add_outcome(outcome),
            }
        }
        let ranges = snapshot.files().filter_map(|file| file.received_range_ms);
        let newest = ranges.map(|(_, newest)| newest).max();
        self.newest_received_ms = self.newest_received_ms.max(newest);
        self.workspaces.push(CopiedWorkspace {
            workspace: snapshot.workspace.clone(),
            version: snapshot.version,
            files: snapshot.files.len() as u64,
            events: snapshot.rows(),
        });
        Ok(true)
    }

    /// Copies the log up to the version; `None` when something of it was deleted meanwhile.
    async fn log(
        &mut self,
        snapshot: &Snapshot,
    ) -> Result<Option<(Vec<Outcome<Taken>>, Entries)>, StoreError> {
        let location = self.store.location();
        let log = paths::log(&snapshot.workspace);
        let mut listed: Vec<ObjectMeta> = location.objects.list(Some(&log)).try_collect().await?;
        listed.sort_unstable_by(|one, other| one.location.cmp(&other.location));
        let is_wanted = |object: &ObjectMeta| {
            paths::version_of(&object.location).is_some_and(|version| version <= snapshot.version)
        };
        // Entries that readers leave out would look like damage in the copy.
        let wanted = diagnose::without_strays(&listed).iter().cloned();
        let copies = &self.copies;
        let taken: Vec<Outcome<_>> = stream::iter(wanted.filter(is_wanted))
            .map(|object| async move {
                let source = Source::from(object);
                let taken = copies.take_small(location, &source).await;
                Outcome::of(taken.map(|(taken, bytes)| (source.path, taken, bytes)))
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut entries = Entries::new();
        let mut outcomes = Vec::with_capacity(taken.len());
        for outcome in taken {
            outcomes.push(match outcome {
                Outcome::Gone => return Ok(None),
                Outcome::Unreadable(fault) => Outcome::Unreadable(fault),
                Outcome::Taken((path, taken, bytes)) => {
                    if let (true, Some(version)) =
                        (paths::is_commit(&path), paths::version_of(&path))
                    {
                        let stated = bytes.as_deref().and_then(log::stated_by);
                        let previous = stated.and_then(|stated| stated.previous);
                        entries.insert(version, (taken.object.blake3.clone(), previous));
                    }
                    self.copies.note(&taken);
                    Outcome::Taken(taken)
                }
            });
        }
        Ok(Some((outcomes, entries)))
    }

    /// Copies the data files of the version. Of those that are gone there is nothing; `None` when there are some,
    /// although a newer version may do without them.
    async fn files(
        &mut self,
        snapshot: &Snapshot,
        may_change: bool,
    ) -> Result<Option<Vec<(Path, Outcome<Taken>)>>, StoreError> {
        let (store, copies) = (self.store, &self.copies);
        let files: Vec<(Path, Outcome<Taken>)> = stream::iter(snapshot.files.to_vec())
            .map(|file| async move {
                let outcome = Outcome::of(take_file(store, copies, &file).await)?;
                Ok::<_, StoreError>((file.path.clone(), outcome))
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut is_any_gone = false;
        for (_, outcome) in &files {
            match outcome {
                Outcome::Taken(taken) => self.copies.note(taken),
                Outcome::Gone => is_any_gone = true,
                Outcome::Unreadable(_) => {}
            }
        }
        Ok((!may_change || !is_any_gone).then_some(files))
    }

    /// Copies all objects below a directory as they are; whether there are any.
    async fn below(&mut self, directory: &Path) -> Result<bool, StoreError> {
        let location = self.store.location();
        let listed: Vec<ObjectMeta> = location.objects.list(Some(directory)).try_collect().await?;
        let has_objects = !listed.is_empty();
        let copies = &self.copies;
        let taken: Vec<Outcome<Taken>> =
            stream::iter(listed)
                .map(|object| async move {
                    Outcome::of(copies.take(location, &Source::from(object)).await)
                })
                .buffered(CONCURRENCY)
                .try_collect()
                .await?;
        for outcome in taken {
            self.add_outcome(outcome);
        }
        Ok(has_objects)
    }

    /// Takes what was copied, or what is wrong. What is gone was cleaned up.
    fn add_outcome(&mut self, outcome: Outcome<Taken>) {
        match outcome {
            Outcome::Taken(taken) => self.add(taken),
            Outcome::Unreadable(fault) => self.faults.push(fault),
            Outcome::Gone => {}
        }
    }

    fn add(&mut self, taken: Taken) {
        if taken.is_new {
            self.new_objects += 1;
            self.new_bytes += taken.object.size;
        }
        if let Some(reason) = taken.fault {
            self.fault(taken.object.path.clone(), &reason);
        }
        let path = taken.object.path.clone();
        self.objects.insert(path, taken.object);
    }

    fn fault(&mut self, path: String, reason: &str) {
        self.faults.push(BackupFault {
            path,
            reason: reason.to_owned(),
        });
    }
}

/// Copies a data file and compares it with its digest in the log.
async fn take_file(
    store: &Store,
    copies: &Copies<'_>,
    file: &DataFile,
) -> Result<Taken, StoreError> {
    let location = store.location();
    let source = match file.digest {
        Some(_) => Source {
            path: file.path.clone(),
            size: file.size_bytes,
            modified_ms: None,
            digest: file.digest,
        },
        None => match location.objects.head(&file.path).await {
            Ok(object) => Source {
                path: file.path.clone(),
                ..Source::from(object)
            },
            Err(error) => return Err(error.into()),
        },
    };
    let mut taken = copies.take(location, &source).await?;
    if taken.fault.is_some() {
        // It is to be compared again when it was replaced by what was committed.
        taken.object.modified_ms = Some(0);
    } else if taken.object.size != file.size_bytes {
        taken.fault = Some(format!(
            "it has {} bytes, and the log says {} bytes",
            taken.object.size, file.size_bytes
        ));
    }
    Ok(taken)
}

/// Copies a segment and looks whether it is whole.
async fn take_segment(
    store: &Store,
    copies: &Copies<'_>,
    object: ObjectMeta,
) -> Result<TakenSegment, StoreError> {
    let location = store.location();
    let source = Source::from(object);
    let (mut taken, bytes) = copies.take_small(location, &source).await?;
    let bytes = match bytes {
        Some(bytes) => bytes,
        None => match location.bytes_of(&source.path).await {
            Ok(bytes) => bytes,
            // An earlier backup has a copy of it.
            Err(StoreError::Corrupt { reason, .. }) => {
                taken.fault = Some(reason);
                return Ok(TakenSegment {
                    taken,
                    events: 0,
                    newest_received_ms: None,
                });
            }
            Err(error) => return Err(error),
        },
    };
    let mut events = 0;
    let mut newest_received_ms = None;
    if let Some(key) = paths::segment_key(&source.path) {
        let segment = Segment::decode(key, &bytes);
        let owner = segment.header.store.as_deref();
        let path = || source.path.to_string();
        location.check_owner(path, owner).await?;
        for batch in segment
            .batches
            .iter()
            .filter_map(|batch| batch.events.as_ref())
        {
            events += batch.num_rows() as u64;
            let received = batch.column_by_name(fields::RECEIVED);
            let received = received.and_then(|column| column.as_primitive_opt::<Int64Type>());
            newest_received_ms = newest_received_ms.max(received.and_then(max));
        }
        if segment.damage.loses_events() {
            taken.fault = Some(segment.damage.to_string());
        }
    }
    Ok(TakenSegment {
        taken,
        events,
        newest_received_ms,
    })
}

/// What is wrong with the entries of a log that was copied: one is missing, or not the one that the next one
/// follows.
fn fault_of_log(snapshot: &Snapshot, entries: &Entries) -> Option<BackupFault> {
    let fault = |version: u64, reason: &str| BackupFault {
        path: paths::commit(&snapshot.workspace, version).to_string(),
        reason: reason.to_owned(),
    };
    let (first, _) = entries.first_key_value()?;
    let last = snapshot.version;
    if let Some(missing) = (*first..=last).find(|version| !entries.contains_key(version)) {
        return Some(fault(missing, "it is missing"));
    }
    entries.iter().find_map(|(version, (_, previous))| {
        let before = version.checked_sub(1)?;
        let (digest, _) = entries.get(&before)?;
        let is_other = previous.as_ref().is_some_and(|previous| previous != digest);
        is_other.then(|| fault(before, "it is not the entry that the next one follows"))
    })
}
