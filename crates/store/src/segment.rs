//! Segments: the events of the last minutes, before they are in their tables.
//!
//! A segment holds the events of all workspaces that reached a node within a moment. It is one
//! immutable object, `segments/<key>`, and the put of it acknowledges everything in it. Its bytes:
//!
//! ```text
//! magic (8 bytes) · length of the header (4, little endian) · header (JSON) · Arrow IPC stream · digest (32)
//! ```
//!
//! The stream has a batch for each workspace, with the events in the order in which they arrived. The
//! digest is BLAKE3 over everything before it.

mod key;
mod known;
mod recent;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use events::{WorkspaceId, fields};
use serde::{Deserialize, Serialize};

pub(crate) use key::SegmentKey;
pub use key::{InvalidToken, WriteToken};
pub(crate) use known::KnownSegments;
pub(crate) use recent::RecentEvents;

const MAGIC: &[u8; 8] = b"VOUCHSG1";
const LENGTH_BYTES: usize = 4;
const DIGEST_BYTES: usize = 32;

/// What a segment says about itself besides its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The numbered batches in it.
    pub(crate) numbers: Vec<Number>,
}

/// A batch that its producer has given a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Number {
    /// The workspace of its events.
    pub(crate) workspace: WorkspaceId,
    /// The name that the producer calls itself.
    pub(crate) producer: String,
    /// Counted from 1 for each producer and workspace.
    pub(crate) number: u64,
    /// What tells a batch from another one with the same number.
    pub(crate) digest: String,
}

/// A segment in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) key: SegmentKey,
    pub(crate) header: Header,
    /// The events by workspace, in the columns of [`events::schema`].
    pub(crate) batches: Vec<(WorkspaceId, RecordBatch)>,
    /// About how many bytes of memory the events take.
    pub(crate) memory_bytes: usize,
}

impl Segment {
    /// A segment of some batches, which must be in the order of their workspaces, each with events of
    /// one workspace only.
    pub(crate) fn new(
        key: SegmentKey,
        header: Header,
        batches: Vec<(WorkspaceId, RecordBatch)>,
    ) -> Self {
        let sizes = batches
            .iter()
            .map(|(_, batch)| batch.get_array_memory_size());
        Self {
            key,
            header,
            memory_bytes: sizes.sum(),
            batches,
        }
    }

    /// The events of one workspace.
    pub(crate) fn batch(&self, workspace: &WorkspaceId) -> Option<&RecordBatch> {
        let place = self
            .batches
            .binary_search_by(|(other, _)| other.cmp(workspace))
            .ok()?;
        Some(&self.batches[place].1)
    }

    /// The workspaces whose events or numbers it holds, some of them perhaps twice.
    pub(crate) fn workspaces(&self) -> impl Iterator<Item = &WorkspaceId> {
        let of_numbers = self.header.numbers.iter().map(|number| &number.workspace);
        let of_events = self.batches.iter().map(|(workspace, _)| workspace);
        of_events.chain(of_numbers)
    }

    /// The bytes of the object.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ArrowError> {
        let header = serde_json::to_vec(&self.header)
            .map_err(|error| ArrowError::from_external_error(error.into()))?;
        let length = u32::try_from(header.len())
            .map_err(|error| ArrowError::from_external_error(error.into()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(header);
        let options =
            IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
        let mut writer =
            StreamWriter::try_new_with_options(&mut bytes, &events::schema(), options)?;
        for (_, batch) in &self.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        drop(writer);
        let digest = blake3::hash(&bytes);
        bytes.extend(digest.as_bytes());
        Ok(bytes)
    }

    /// Reads the bytes of the object; the error is what is wrong with them.
    pub(crate) fn decode(key: SegmentKey, bytes: &[u8]) -> Result<Self, String> {
        let short = || "it is cut off".to_owned();
        let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or_else(short)?;
        let (content, digest) = bytes.split_at(end);
        let rest = content
            .strip_prefix(MAGIC)
            .ok_or("it is no segment that this version of vouch can read")?;
        if blake3::hash(content).as_bytes() != digest {
            return Err("its content is not what was written".to_owned());
        }
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| short())?;
        let (header, stream) = rest.split_at_checked(length).ok_or_else(short)?;
        let header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
        let batches = batches(stream).map_err(|error| error.to_string())?;
        let mut by_workspace = Vec::with_capacity(batches.len());
        for batch in batches {
            if let Some(workspace) = workspace(&batch)? {
                by_workspace.push((workspace, batch));
            }
        }
        Ok(Self::new(key, header, by_workspace))
    }
}

fn batches(stream: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    let reader = StreamReader::try_new(stream, None)?;
    let columns = events::schema();
    let unknown = reader
        .schema()
        .fields()
        .iter()
        .find(|field| columns.index_of(field.name()).is_err())
        .map(|field| field.name().clone());
    if let Some(name) = unknown {
        let message =
            format!("it has a column `{name}`, so a newer version of vouch has written it");
        return Err(ArrowError::SchemaError(message));
    }
    reader.map(|batch| with_all_columns(&batch?)).collect()
}

/// The batch with the columns that an older version did not have.
fn with_all_columns(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = events::schema();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new(schema, columns)
}

/// The workspace of a batch's events; `None` when it has no events.
fn workspace(batch: &RecordBatch) -> Result<Option<WorkspaceId>, String> {
    let names = batch
        .column_by_name(fields::WORKSPACE)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or("its events have no workspace")?;
    let Some(name) = names.iter().next() else {
        return Ok(None);
    };
    let name = name.ok_or("an event in it has no workspace")?;
    if names.iter().any(|other| other != Some(name)) {
        return Err("it mixes the events of workspaces".to_owned());
    }
    let workspace = name
        .parse()
        .map_err(|error: <WorkspaceId as std::str::FromStr>::Err| error.to_string())?;
    Ok(Some(workspace))
}
