//! Segments and versions that were removed, found by what other objects say about them.

use std::collections::{BTreeMap, BTreeSet};

use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore};

use crate::delta::heads::{FoundHead, KnownVersion};
use crate::delta::log;
use crate::delta::snapshot::Snapshot;
use crate::delta::table::{self, Table};
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::root::paths;
use crate::root::segment_key::SegmentKey;
use crate::segment::{Listed, Segment, listed};
use crate::store::Store;

/// How many of the newest entries of each log are looked through for folded segments, then how many more, then all.
const DEPTHS: [usize; 3] = [64, 4_096, usize::MAX];

/// What heads and segment headers say was there.
#[derive(Debug, Default)]
pub(super) struct Witnessed {
    /// Segments, each with the path of an object that names it.
    pub(super) segments: BTreeMap<SegmentKey, String>,
    /// The newest committed version of each table, with the path of an object that names it.
    versions: BTreeMap<WorkspaceId, (u64, String)>,
    /// Versions whose table and entry are known.
    known: Vec<(WorkspaceId, KnownVersion, String)>,
}

impl Witnessed {
    /// Takes what the header of the segment at `path` says.
    pub(super) fn add_header(&mut self, segment: &Segment, path: &str) {
        for key in &segment.header.unfolded {
            self.segments.insert(*key, path.to_owned());
        }
        for (workspace, version) in &segment.header.committed {
            let newest = self.versions.entry(workspace.clone()).or_default();
            if *version >= newest.0 {
                *newest = (*version, path.to_owned());
            }
        }
    }

    /// Takes what heads say; returns what is wrong with them.
    pub(super) fn add_heads(&mut self, heads: Vec<FoundHead>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for FoundHead { path, head, .. } in heads {
            let path = path.to_string();
            match head {
                Ok(head) => {
                    let unfolded = head.unfolded.into_iter();
                    self.segments
                        .extend(unfolded.map(|key| (key, path.clone())));
                    let tables = head.tables.into_iter();
                    self.known
                        .extend(tables.map(|(workspace, known)| (workspace, known, path.clone())));
                }
                Err(reason) => faults.push(Fault::unreadable(path, reason)),
            }
        }
        faults
    }
}

impl Store {
    /// What is gone of what was witnessed.
    pub(super) async fn removed(&self, witnessed: Witnessed) -> Result<Vec<Fault>, StoreError> {
        let Witnessed {
            segments,
            versions,
            known,
        } = witnessed;
        let mut faults = Vec::new();
        let missing = self.not_accounted_for(segments.keys().copied().collect());
        match missing.await {
            Ok(missing) => faults.extend(missing.into_iter().map(|key| Fault {
                path: paths::segment(&key).to_string(),
                kind: FaultKind::RemovedSegment {
                    witness: segments[&key].clone(),
                },
            })),
            // It may name segments, so that none of them can be said to be gone.
            Err(StoreError::Corrupt { path, reason }) => {
                faults.push(Fault::unreadable(path, reason));
            }
            Err(error) => return Err(error),
        }
        for (workspace, (version, witness)) in versions {
            let table = self.table_and_version(&workspace).await?;
            let found = table.as_ref().map(|(_, version)| *version);
            faults.extend(lost_version(&workspace, found, version, &witness));
        }
        for (workspace, known, witness) in known {
            let Some((table, found)) = self.table_and_version(&workspace).await? else {
                faults.extend(lost_version(&workspace, None, known.version, &witness));
                continue;
            };
            if table != known.table {
                continue;
            }
            faults.extend(lost_version(
                &workspace,
                Some(found),
                known.version,
                &witness,
            ));
            let entry = log::entry_digest_of(self.location(), &workspace, known.version);
            let entry = match entry.await {
                Ok(entry) => entry,
                Err(StoreError::Corrupt { path, reason }) => {
                    faults.push(Fault::unreadable(path, reason));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let is_other = |(stated, entry): (String, crate::Digest)| stated != entry.to_string();
            if known.entry.zip(entry).is_some_and(is_other) {
                let path = paths::commit(&workspace, known.version).to_string();
                let kind = FaultKind::Replaced { witness };
                faults.push(Fault { path, kind });
            }
        }
        faults.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        faults.dedup_by(|one, other| one.path == other.path);
        Ok(faults)
    }

    /// Everything that heads and segment headers say.
    async fn witnessed(&self) -> Result<Witnessed, StoreError> {
        let mut witnessed = Witnessed::default();
        witnessed.add_heads(self.heads().await?);
        for Listed { key, object } in listed(self.location()).await? {
            match self.location().bytes_of(&object.location).await {
                Ok(bytes) => {
                    let segment = Segment::decode(key, &bytes);
                    witnessed.add_header(&segment, object.location.as_ref());
                }
                Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(witnessed)
    }

    /// The newest version of the table of `workspace` that anything says was committed.
    pub(crate) async fn witnessed_version(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<Option<u64>, StoreError> {
        let witnessed = self.witnessed().await?;
        let named = witnessed
            .versions
            .get(workspace)
            .map(|(version, _)| *version);
        let known = witnessed.known.iter();
        let known = known.filter(|(other, _, _)| other == workspace);
        Ok(known.map(|(_, known, _)| known.version).chain(named).max())
    }

    /// The segments that were removed before they were folded, each with what names it.
    pub(crate) async fn removed_segments(
        &self,
    ) -> Result<BTreeMap<SegmentKey, String>, StoreError> {
        let mut segments = self.witnessed().await?.segments;
        let missing = self.not_accounted_for(segments.keys().copied().collect());
        let missing = missing.await?;
        segments.retain(|key, _| missing.contains(key));
        Ok(segments)
    }

    /// That the newest entries of the log of `workspace` were removed, or replaced, as an error.
    pub(crate) async fn witnessed_loss(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<Option<StoreError>, StoreError> {
        let witnessed = self.witnessed().await?;
        self.loss_in(witnessed, workspace).await
    }

    /// Refuses to go on, by the heads of nodes, when the newest entries of the log of `workspace` were removed, or
    /// replaced: files that the log does not name, and events that it does not hold, may be named and held by them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] with the missing or replaced entry; else when something cannot be read.
    pub(crate) async fn refuse_lost_versions(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<(), StoreError> {
        let mut witnessed = Witnessed::default();
        // What is wrong with heads is for `verify` to say.
        witnessed.add_heads(self.heads().await?);
        match self.loss_in(witnessed, workspace).await? {
            Some(lost) => Err(lost),
            None => Ok(()),
        }
    }

    async fn loss_in(
        &self,
        mut witnessed: Witnessed,
        workspace: &WorkspaceId,
    ) -> Result<Option<StoreError>, StoreError> {
        witnessed.segments.clear();
        witnessed.versions.retain(|other, _| other == workspace);
        witnessed.known.retain(|(other, _, _)| other == workspace);
        let faults = self.removed(witnessed).await?;
        Ok(faults.into_iter().next().map(|fault| StoreError::Corrupt {
            path: fault.path,
            reason: fault.kind.to_string(),
        }))
    }

    /// The id and the newest version of a table that the log has; `None` when it is gone. Of a log that cannot be read
    /// the versions of its objects count: [`Store::verify_log`] finds what is wrong with it.
    async fn table_and_version(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<Option<(String, u64)>, StoreError> {
        let id_and_version = |found: &Snapshot| (found.table_id().to_owned(), found.version);
        match self.snapshot(workspace).await {
            Ok(snapshot) => return Ok(snapshot.as_ref().map(id_and_version)),
            Err(StoreError::ObjectStore(error)) => return Err(error.into()),
            Err(_) => {}
        }
        // What a log without its newest entries is without what heads name.
        if let Ok(Some(table)) = Table::load(self.location(), workspace).await {
            return Ok(Some(id_and_version(table.snapshot())));
        }
        let log = table::list_from(self.location(), workspace, 0).await?;
        let versions = log.iter();
        let newest = versions.filter_map(|object| paths::version_of(&object.location));
        Ok(newest.max().map(|version| (String::new(), version)))
    }

    /// Those of `keys` that are neither there, nor set aside, nor named by a fold.
    pub(crate) async fn not_accounted_for(
        &self,
        keys: BTreeSet<SegmentKey>,
    ) -> Result<BTreeSet<SegmentKey>, StoreError> {
        let mut missing = keys;
        if missing.is_empty() {
            return Ok(missing);
        }
        let objects = &self.location().objects;
        for listed in listed(self.location()).await? {
            missing.remove(&listed.key);
            if listed.key.is_parked() && !missing.is_empty() {
                match self.location().bytes_of(&listed.object.location).await {
                    Ok(bytes) => {
                        let segment = Segment::decode(listed.key, &bytes);
                        let from = segment.header.parked_from.iter();
                        from.for_each(|key| _ = missing.remove(key));
                    }
                    Err(StoreError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let aside: Vec<ObjectMeta> = objects
            .list(Some(&paths::set_aside_directory()))
            .try_collect()
            .await?;
        for object in aside {
            let key = object
                .location
                .filename()
                .and_then(|name| name.parse().ok());
            key.map(|key: SegmentKey| missing.remove(&key));
        }
        self.without_folded(missing).await
    }

    /// Looks through the logs of all tables, the newest entries of each first.
    pub(crate) async fn without_folded(
        &self,
        mut missing: BTreeSet<SegmentKey>,
    ) -> Result<BTreeSet<SegmentKey>, StoreError> {
        if missing.is_empty() {
            return Ok(missing);
        }
        let workspaces = self.workspaces_with_table().await?;
        let mut seen = 0;
        for depth in DEPTHS {
            for workspace in &workspaces {
                let log = table::list_from(self.location(), workspace, 0).await?;
                let entries = log.iter().rev().map(|object| &object.location);
                let entries = entries.filter(|path| paths::is_commit(path));
                for path in entries.skip(seen).take(depth.saturating_sub(seen)) {
                    if missing.is_empty() {
                        return Ok(missing);
                    }
                    if let Some(entry) = log::entry_at(self.location(), path).await? {
                        let folded = log::folded_in(&entry);
                        missing.retain(|key| !folded.contains(key));
                    }
                }
            }
            seen = depth;
        }
        Ok(missing)
    }
}

fn lost_version(
    workspace: &WorkspaceId,
    found: Option<u64>,
    committed: u64,
    witness: &str,
) -> Option<Fault> {
    (found < Some(committed)).then(|| Fault {
        path: paths::log(workspace).to_string(),
        kind: FaultKind::LostVersion {
            found,
            committed,
            witness: witness.to_owned(),
        },
    })
}
