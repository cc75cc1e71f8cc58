//! All segments read in full.

use std::collections::BTreeMap;

use events::WorkspaceId;
use object_store::ObjectStoreExt;

use super::{Fault, FaultKind};
use crate::error::StoreError;
use crate::paths;
use crate::segment::{Damage, Listed, Segment, listed};
use crate::store::Store;

/// What reading all segments has shown: the events that are in no table yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentVerification {
    /// How many segments there are.
    pub segments: usize,
    /// How many events those hold that can be read, repeated ones included.
    pub events: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// What is wrong, by segment.
    pub faults: Vec<Fault>,
}

impl Store {
    /// Reads every segment under the root and compares it with its digest.
    ///
    /// # Errors
    ///
    /// When the object store fails. What is wrong with single segments is no error but in
    /// [`SegmentVerification::faults`].
    pub async fn verify_segments(&self) -> Result<SegmentVerification, StoreError> {
        let objects = &self.location().objects;
        let mut verification = SegmentVerification::default();
        let mut committed: BTreeMap<WorkspaceId, (u64, String)> = BTreeMap::new();
        for Listed { key, object } in listed(self.location()).await? {
            let bytes = match objects.get(&object.location).await {
                Ok(found) => found.bytes().await?,
                // It was folded after it was listed.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            verification.segments += 1;
            verification.size_bytes += bytes.len() as u64;
            let segment = Segment::decode(key, &bytes);
            let path = object.location.to_string();
            let owner = segment.header.store.as_deref();
            self.location().check_owner(|| path.clone(), owner).await?;
            let events = segment.batches.iter();
            let events = events.filter_map(|batch| batch.events.as_ref());
            verification.events += events.map(|events| events.num_rows() as u64).sum::<u64>();
            if segment.damage != Damage::default() {
                let kind = match segment.damage.loses_events() {
                    true => FaultKind::Unreadable(segment.damage.to_string()),
                    false => FaultKind::Changed,
                };
                let path = path.clone();
                verification.faults.push(Fault { path, kind });
            }
            for (workspace, version) in segment.header.committed {
                let newest = committed.entry(workspace).or_default();
                if version >= newest.0 {
                    *newest = (version, path.clone());
                }
            }
        }
        for (workspace, (version, segment)) in committed {
            let kind = self.lost_version(&workspace, version, &segment).await?;
            let path = paths::log(&workspace).to_string();
            let faults = kind.map(|kind| Fault { path, kind });
            verification.faults.extend(faults);
        }
        Ok(verification)
    }

    /// That a version is gone which a segment says was committed; a table that cannot be read is for
    /// [`Store::verify`] to find.
    async fn lost_version(
        &self,
        workspace: &WorkspaceId,
        committed: u64,
        segment: &str,
    ) -> Result<Option<FaultKind>, StoreError> {
        let found = match self.snapshot(workspace).await {
            Ok(snapshot) => snapshot.map(|snapshot| snapshot.version),
            Err(StoreError::ObjectStore(error)) => return Err(error.into()),
            Err(_) => return Ok(None),
        };
        Ok((found < Some(committed)).then(|| FaultKind::LostVersion {
            found,
            committed,
            segment: segment.to_owned(),
        }))
    }
}
