//! Segments: the events of the last minutes, before they are in their tables.
//!
//! A segment holds the events of all workspaces that reached a node within a moment. It is one
//! immutable object, `segments/<key>`, and the put of it acknowledges everything in it. Its bytes have
//! the form of [`format`](mod@format); segments of version 0.1.0 have that of [`first_format`].
//!
//! A workspace whose table cannot be written has segments of its own, `parked/<key>`, so that its events
//! do not keep those of others.

mod columns;
mod first_format;
mod format;
mod known;
mod put;
mod recent;
pub(crate) mod sequence;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use events::{WorkspaceId, fields};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::root::marker::Marker;
use crate::root::paths;
use crate::root::segment_key::SegmentKey;

pub(crate) use known::{KnownSegments, Listed, fetch, listed};
pub(crate) use put::put;
pub(crate) use recent::RecentEvents;

/// The put of a segment that takes longer is not acknowledged.
pub(crate) const MAX_PUT_TIME: Duration = Duration::from_secs(30);

/// How many keys of unfolded segments, and how many versions of tables, a header names at most.
pub(crate) const MAX_WITNESSED: usize = 256;

/// The statements of a segment about the store at the time of its writing.
///
/// A key that a newer version of Vouch writes is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The key of the segment, so that the content of another one is noticed; set and compared with its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<SegmentKey>,
    /// The id of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<String>,
    /// The incarnation of the store, new after each restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<String>,
    /// Segments of the same node that it had not folded, the newest [`MAX_WITNESSED`].
    #[serde(default)]
    pub(crate) unfolded: Vec<SegmentKey>,
    /// The newest versions of tables that the node has committed, at most [`MAX_WITNESSED`].
    #[serde(default)]
    pub(crate) committed: BTreeMap<WorkspaceId, u64>,
    /// The segments that the events of a parked one were copied from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parked_from: Vec<SegmentKey>,
}

impl Header {
    /// The header of a segment of this store.
    pub(crate) fn of(marker: Option<&Marker>) -> Self {
        Self {
            store: marker.map(|marker| marker.id().to_string()),
            incarnation: marker.map(|marker| marker.incarnation().to_string()),
            ..Self::default()
        }
    }
}

/// A batch that its producer has given a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchSequence {
    /// The workspace of its events.
    pub(crate) workspace: WorkspaceId,
    /// The name that the producer calls itself.
    pub(crate) producer: String,
    /// Counted from 1 for each producer and workspace.
    pub(crate) number: u64,
    /// Distinguishes the batch from another one with the same number.
    pub(crate) digest: String,
}

/// The part of a segment that belongs to one workspace.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Whose part it is.
    pub(crate) workspace: WorkspaceId,
    /// The numbered batches in it.
    pub(crate) numbers: Vec<BatchSequence>,
    /// The events in the order of arrival, in the columns of [`events::schema`]; `None` when the numbered
    /// batches have none.
    pub(crate) events: Option<RecordBatch>,
}

impl Batch {
    /// A part without numbered batches.
    pub(crate) fn new(workspace: WorkspaceId, events: Option<RecordBatch>) -> Self {
        Self {
            workspace,
            numbers: Vec::new(),
            events,
        }
    }
}

/// The part of a segment that belongs to one workspace and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostBatch {
    /// Whose part it is.
    pub(crate) workspace: WorkspaceId,
    /// The numbered batches in it.
    pub(crate) numbers: Vec<BatchSequence>,
    /// How many events it had.
    pub(crate) events: u64,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// What is wrong with the bytes of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The batches that cannot be read, in the order of their workspaces.
    pub(crate) lost: Vec<LostBatch>,
    /// Why there may be batches of which not even the workspace is known.
    pub(crate) unlisted: Option<String>,
    /// What is wrong with bytes that no event needs.
    pub(crate) harmless: Option<String>,
}

impl Damage {
    /// Whether events are lost.
    pub(crate) fn loses_events(&self) -> bool {
        !self.lost.is_empty() || self.unlisted.is_some()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost.iter().map(|lost| {
            let LostBatch {
                workspace,
                events,
                reason,
                ..
            } = lost;
            format!("the {events} events of workspace `{workspace}` are lost: {reason}")
        });
        let unlisted = self
            .unlisted
            .iter()
            .map(|reason| format!("events of unknown workspaces may be lost: {reason}"));
        let harmless = self.harmless.iter().cloned();
        let all: Vec<String> = unlisted.chain(lost).chain(harmless).collect();
        formatter.write_str(&all.join("; "))
    }
}

/// A segment in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) key: SegmentKey,
    pub(crate) header: Header,
    /// The whole batches in the order of their workspaces.
    pub(crate) batches: Vec<Batch>,
    pub(crate) damage: Damage,
    /// About how many bytes of memory the events take.
    pub(crate) memory_bytes: usize,
}

impl Segment {
    /// A segment of some batches, at most one of each workspace.
    pub(crate) fn new(key: SegmentKey, header: Header, mut batches: Vec<Batch>) -> Self {
        batches.sort_unstable_by(|one, other| one.workspace.cmp(&other.workspace));
        let events = batches.iter().filter_map(|batch| batch.events.as_ref());
        Self {
            key,
            header,
            memory_bytes: events.map(RecordBatch::get_array_memory_size).sum(),
            batches,
            damage: Damage::default(),
        }
    }

    /// A segment of which nothing is known.
    pub(crate) fn lost(key: SegmentKey, reason: String) -> Self {
        let damage = Damage {
            unlisted: Some(reason),
            ..Damage::default()
        };
        Self {
            damage,
            ..Self::new(key, Header::default(), Vec::new())
        }
    }

    /// The part of one workspace; `None` when it has none that is whole.
    pub(crate) fn part(&self, workspace: &WorkspaceId) -> Option<&Batch> {
        let index = self
            .batches
            .binary_search_by(|batch| batch.workspace.cmp(workspace))
            .ok()?;
        Some(&self.batches[index])
    }

    /// The events of one workspace.
    pub(crate) fn events(&self, workspace: &WorkspaceId) -> Option<&RecordBatch> {
        self.part(workspace)?.events.as_ref()
    }

    /// The numbered batches that it is known to have held.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = &BatchSequence> {
        let whole = self.batches.iter().flat_map(|batch| &batch.numbers);
        let lost = self.damage.lost.iter().flat_map(|lost| &lost.numbers);
        whole.chain(lost)
    }

    /// Makes sure that no event of the workspace is lost.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], which names the segment, when one is, or may be.
    pub(crate) fn check(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let lost = self.damage.lost.iter();
        let mut lost = lost.filter(|lost| lost.workspace == *workspace);
        let reason = match (lost.next(), &self.damage.unlisted) {
            (Some(lost), _) => &lost.reason,
            (None, Some(reason)) if self.part(workspace).is_none() => reason,
            _ => return Ok(()),
        };
        Err(self.corrupt(reason))
    }

    /// Makes sure that the workspaces of all its events are known.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], which names the segment.
    pub(crate) fn check_workspaces(&self) -> Result<(), StoreError> {
        match &self.damage.unlisted {
            Some(reason) => Err(self.corrupt(reason)),
            None => Ok(()),
        }
    }

    fn corrupt(&self, reason: &str) -> StoreError {
        StoreError::Corrupt {
            path: paths::segment(&self.key).to_string(),
            reason: reason.to_owned(),
        }
    }

    /// Takes the time at which the store got the object into account: events of a segment whose put took too long
    /// are received then.
    pub(crate) fn stored_at(&mut self, stored_ms: i64) -> Result<(), ArrowError> {
        let most = i64::try_from(MAX_PUT_TIME.as_millis()).unwrap_or(i64::MAX);
        let written_ms = i64::try_from(self.key.written_ms).unwrap_or(i64::MAX);
        if self.key.is_parked() || stored_ms.saturating_sub(written_ms) <= most {
            return Ok(());
        }
        for batch in &mut self.batches {
            if let Some(events) = &mut batch.events {
                *events = received_at(events, stored_ms)?;
            }
        }
        Ok(())
    }

    /// The bytes of the object.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ArrowError> {
        let header = Header {
            key: Some(self.key),
            ..self.header.clone()
        };
        format::encode(&header, &self.batches)
    }

    /// What was decoded, unless it is the content of another segment.
    fn own(key: SegmentKey, decoded: (Header, Vec<Batch>, Damage)) -> (Header, Vec<Batch>, Damage) {
        let (mut header, batches, damage) = decoded;
        match header.key.take() {
            Some(other) if other != key => {
                let damage = Damage {
                    unlisted: Some(format!("its content is that of the segment {other}")),
                    ..Damage::default()
                };
                (Header::default(), Vec::new(), damage)
            }
            _ => (header, batches, damage),
        }
    }

    /// Reads the bytes of the object, as far as they are whole.
    pub(crate) fn decode(key: SegmentKey, bytes: &[u8]) -> Self {
        let (header, batches, damage) = match first_format::is_of_it(bytes) {
            true => match first_format::decode(bytes) {
                Ok(batches) => (Header::default(), batches, Damage::default()),
                Err(reason) => {
                    let damage = Damage {
                        unlisted: Some(reason),
                        ..Damage::default()
                    };
                    (Header::default(), Vec::new(), damage)
                }
            },
            false => Self::own(key, format::decode(bytes)),
        };
        Self {
            damage,
            ..Self::new(key, header, batches)
        }
    }
}

/// The events with a later time of receipt, as far as they have one.
fn received_at(events: &RecordBatch, received_ms: i64) -> Result<RecordBatch, ArrowError> {
    let column = events.schema_ref().index_of(fields::RECEIVED)?;
    let received = events.column(column).as_primitive::<Int64Type>();
    let received: Int64Array = received.unary(|before| before.max(received_ms));
    let mut columns = events.columns().to_vec();
    columns[column] = Arc::new(received);
    RecordBatch::try_new(events.schema(), columns)
}
