//! All segments read in full.

use super::removed::Witnessed;
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::segment::{Damage, Listed, Segment, listed};
use crate::store::Store;

/// The result of reading all segments: the events that are in no table yet.
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
    /// Reads every segment under the root and compares it with its digest, and finds what is gone of what segments and
    /// heads say was there.
    ///
    /// # Errors
    ///
    /// When the object store fails. Faults of single segments are not an error; they are in
    /// [`SegmentVerification::faults`].
    pub async fn verify_segments(&self) -> Result<SegmentVerification, StoreError> {
        let mut verification = SegmentVerification::default();
        let mut witnessed = Witnessed::default();
        // Before the listing, so that no head names a segment that came after it.
        let heads = self.heads().await?;
        verification.faults.extend(witnessed.add_heads(heads));
        for Listed { key, object } in listed(self.location()).await? {
            let bytes = match self.location().bytes_of(&object.location).await {
                Ok(bytes) => bytes,
                // It was folded after it was listed.
                Err(StoreError::NotFound { .. }) => continue,
                Err(StoreError::Corrupt { path, reason }) => {
                    verification.segments += 1;
                    verification.faults.push(Fault::unreadable(path, reason));
                    continue;
                }
                Err(error) => return Err(error),
            };
            verification.segments += 1;
            verification.size_bytes += bytes.len() as u64;
            let segment = Segment::decode(key, &bytes);
            let path = object.location.to_string();
            let owner = segment.header.store.as_deref();
            match self.location().check_owner(|| path.clone(), owner).await {
                Ok(()) => {}
                Err(error @ StoreError::OtherStore { .. }) => {
                    let fault = Fault::unreadable(path, error.to_string());
                    verification.faults.push(fault);
                    continue;
                }
                Err(error) => return Err(error),
            }
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
            witnessed.add_header(&segment, &path);
        }
        let removed = self.removed(witnessed).await?;
        verification.faults.extend(removed);
        Ok(verification)
    }
}
