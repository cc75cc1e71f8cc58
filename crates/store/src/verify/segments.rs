//! All segments read in full.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Fault, FaultKind};
use crate::error::StoreError;
use crate::paths;
use crate::segment::Segment;
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
        let mut listing = objects.list(Some(&paths::segments()));
        let mut verification = SegmentVerification::default();
        while let Some(object) = listing.try_next().await? {
            let Some(key) = paths::segment_key(&object.location) else {
                continue;
            };
            let bytes = match objects.get(&object.location).await {
                Ok(found) => found.bytes().await?,
                // It was folded after it was listed.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            verification.segments += 1;
            verification.size_bytes += bytes.len() as u64;
            match Segment::decode(key, &bytes) {
                Ok(segment) => {
                    let batches = segment.batches.iter();
                    let rows = batches.map(|(_, batch)| batch.num_rows() as u64);
                    verification.events += rows.sum::<u64>();
                }
                Err(reason) => verification.faults.push(Fault {
                    path: object.location.to_string(),
                    kind: FaultKind::Unreadable(reason),
                }),
            }
        }
        Ok(verification)
    }
}
