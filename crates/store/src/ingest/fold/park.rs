//! Events whose table cannot be written, out of the way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use events::WorkspaceId;

use crate::error::StoreError;
use crate::root::segment_key::SegmentKey;
use crate::segment::{self, Batch, BatchSequence, Header, Segment};
use crate::store::Store;

/// The size of the events from which they are parked in another segment, in bytes of memory.
const PARKED_BYTES: usize = 16 * 1024 * 1024;

/// Whether an error of a table is likely to come again until the table is repaired.
pub(super) fn is_lasting(error: &StoreError) -> bool {
    error.is_missing_object()
        || matches!(
            error,
            StoreError::Corrupt { .. }
                | StoreError::Delta { .. }
                | StoreError::Parquet { .. }
                | StoreError::Unsupported { .. }
                | StoreError::OtherStore { .. }
        )
}

impl Store {
    /// Copies what `segments` hold of the `stuck` workspaces into segments of their own; returns the keys of
    /// those of which all is copied. A reader that sees the events twice leaves the second ones out.
    pub(super) async fn park(
        &self,
        segments: &[Arc<Segment>],
        stuck: &BTreeSet<&WorkspaceId>,
    ) -> Vec<SegmentKey> {
        let mut parts: BTreeMap<&WorkspaceId, Vec<(SegmentKey, &Batch)>> = BTreeMap::new();
        for segment in segments {
            for batch in &segment.batches {
                if stuck.contains(&batch.workspace) {
                    let of_workspace = parts.entry(&batch.workspace).or_default();
                    of_workspace.push((segment.key, batch));
                }
            }
        }
        let mut kept: BTreeSet<SegmentKey> = BTreeSet::new();
        for (workspace, parts) in parts {
            match self.park_workspace(workspace, &parts).await {
                Ok(()) => {
                    let segments = parts.len();
                    tracing::warn!(%workspace, segments, "events were parked, as their table cannot be written");
                }
                Err(error) => {
                    tracing::warn!(%workspace, %error, "events could not be parked");
                    kept.extend(parts.iter().map(|(key, _)| *key));
                }
            }
        }
        let copied = segments.iter().map(|segment| segment.key);
        copied.filter(|key| !kept.contains(key)).collect()
    }

    async fn park_workspace(
        &self,
        workspace: &WorkspaceId,
        parts: &[(SegmentKey, &Batch)],
    ) -> Result<(), StoreError> {
        let mut group: Vec<&Batch> = Vec::new();
        let mut from: Vec<SegmentKey> = Vec::new();
        let mut size_bytes = 0;
        let mut written_ms = 0;
        for (index, (key, batch)) in parts.iter().enumerate() {
            if group.is_empty() {
                written_ms = key.written_ms;
            }
            group.push(batch);
            from.push(*key);
            let events = batch.events.as_ref();
            size_bytes += events.map_or(0, RecordBatch::get_array_memory_size);
            if size_bytes >= PARKED_BYTES || index + 1 == parts.len() {
                let key = SegmentKey::parked(written_ms);
                let from = std::mem::take(&mut from);
                self.put_parked(key, from, workspace, &group).await?;
                group.clear();
                size_bytes = 0;
            }
        }
        Ok(())
    }

    async fn put_parked(
        &self,
        key: SegmentKey,
        parked_from: Vec<SegmentKey>,
        workspace: &WorkspaceId,
        group: &[&Batch],
    ) -> Result<(), StoreError> {
        let numbers = group.iter().flat_map(|batch| &batch.numbers);
        let numbers: Vec<BatchSequence> = numbers.cloned().collect();
        let events = group.iter().filter_map(|batch| batch.events.as_ref());
        let events: Vec<&RecordBatch> = events.collect();
        let batch = Batch {
            workspace: workspace.clone(),
            numbers,
            events: match events.is_empty() {
                true => None,
                false => Some(concat_batches(&events::schema(), events)?),
            },
        };
        let marker = self.location().check_writable().await?;
        let header = Header {
            parked_from,
            ..Header::of(marker.as_ref())
        };
        let segment = Segment::new(key, header, vec![batch]);
        let bytes = segment.encode()?;
        segment::put(self.location(), key, bytes).await?;
        self.known_segments().add(Arc::new(segment));
        Ok(())
    }
}
