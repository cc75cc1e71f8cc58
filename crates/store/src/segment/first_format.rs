//! Segments as version 0.1.0 wrote them; only read.
//!
//! ```text
//! magic (8 bytes) · length of the header (4, little endian) · header (JSON) · Arrow IPC stream · digest (32)
//! ```
//!
//! The stream has a batch for each workspace. The digest is BLAKE3 over everything before it, so that of
//! a damaged one nothing is known to be whole.

use std::collections::BTreeMap;

use events::WorkspaceId;
use serde::Deserialize;

use super::{Batch, BatchSequence, columns};

const MAGIC: &[u8; 8] = b"VOUCHSG1";
const LENGTH_BYTES: usize = 4;
const DIGEST_BYTES: usize = 32;

#[derive(Deserialize)]
struct Header {
    numbers: Vec<BatchSequence>,
}

/// Whether the bytes begin as such a segment.
pub(super) fn is_of_it(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The batches of a segment; the error is what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Batch>, String> {
    let short = || "it is cut off".to_owned();
    let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or_else(short)?;
    let (content, digest) = bytes.split_at(end);
    let rest = content.strip_prefix(MAGIC).ok_or_else(short)?;
    if blake3::hash(content).as_bytes() != digest {
        return Err("its content is not what was written".to_owned());
    }
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| short())?;
    let (header, stream) = rest.split_at_checked(length).ok_or_else(short)?;
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let mut batches: BTreeMap<WorkspaceId, Batch> = BTreeMap::new();
    for events in columns::decode(stream).map_err(|error| error.to_string())? {
        if let Some(workspace) = columns::of_one_workspace(&events)? {
            of_workspace(&mut batches, workspace).events = Some(events);
        }
    }
    for number in header.numbers {
        let batch = of_workspace(&mut batches, number.workspace.clone());
        batch.numbers.push(number);
    }
    Ok(batches.into_values().collect())
}

fn of_workspace(batches: &mut BTreeMap<WorkspaceId, Batch>, workspace: WorkspaceId) -> &mut Batch {
    let new = || Batch::new(workspace.clone(), None);
    batches.entry(workspace.clone()).or_insert_with(new)
}
