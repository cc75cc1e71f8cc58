//! The bytes of a segment.
//!
//! ```text
//! segment:     "VOUCHSG2" · header · a block for each workspace
//! block:       "VOUCHBT2" · description · Arrow IPC stream
//! header, description:  length (4, little endian) · JSON · BLAKE3 of the JSON (32)
//! ```
//!
//! The header and the description of a block both have the digest of the block's stream. So each workspace's
//! batch can be read without the others, and the blocks are found without the header too: each says which
//! of how many it is.

use std::collections::BTreeSet;

use arrow::error::ArrowError;
use events::WorkspaceId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Batch, BatchSequence, Damage, Header, LostBatch, columns};

const MAGIC: &[u8; 8] = b"VOUCHSG2";
const BLOCK_MAGIC: &[u8; 8] = b"VOUCHBT2";
const LENGTH_BYTES: usize = 4;
const DIGEST_BYTES: usize = 32;

/// The header as it is written.
#[derive(Serialize, Deserialize)]
struct WrittenHeader {
    #[serde(flatten)]
    header: Header,
    batches: Vec<Entry>,
}

/// A block as the header has it.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// The offset of the block's stream after the end of the header.
    offset: u64,
    #[serde(flatten)]
    description: Description,
}

/// What is said about the stream of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Description {
    workspace: WorkspaceId,
    /// Which of the blocks it is, counted from 0.
    index: u64,
    /// How many blocks there are.
    count: u64,
    numbers: Vec<BatchSequence>,
    rows: u64,
    /// The bytes of the stream.
    length: u64,
    /// The BLAKE3 digest of the stream in hexadecimal digits.
    digest: String,
}

pub(super) fn encode(header: &Header, batches: &[Batch]) -> Result<Vec<u8>, ArrowError> {
    let mut blocks = Vec::new();
    let mut entries = Vec::with_capacity(batches.len());
    for (index, batch) in batches.iter().enumerate() {
        let stream = match &batch.events {
            Some(events) => columns::encode(events)?,
            None => Vec::new(),
        };
        let description = Description {
            workspace: batch.workspace.clone(),
            index: index as u64,
            count: batches.len() as u64,
            numbers: batch.numbers.clone(),
            rows: batch
                .events
                .as_ref()
                .map_or(0, |events| events.num_rows() as u64),
            length: stream.len() as u64,
            digest: blake3::hash(&stream).to_hex().to_string(),
        };
        blocks.extend(BLOCK_MAGIC);
        blocks.extend(framed(&description)?);
        entries.push(Entry {
            offset: blocks.len() as u64,
            description,
        });
        blocks.extend(stream);
    }
    let header = WrittenHeader {
        header: header.clone(),
        batches: entries,
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(framed(&header)?);
    bytes.extend(blocks);
    Ok(bytes)
}

fn framed(value: &impl Serialize) -> Result<Vec<u8>, ArrowError> {
    let json =
        serde_json::to_vec(value).map_err(|error| ArrowError::from_external_error(error.into()))?;
    let length =
        u32::try_from(json.len()).map_err(|error| ArrowError::from_external_error(error.into()))?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(&json);
    bytes.extend(blake3::hash(&json).as_bytes());
    Ok(bytes)
}

/// A framed value at the beginning of `bytes`, and what follows it.
fn read_framed<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), String> {
    let short = || "it is cut off".to_owned();
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| short())?;
    let (json, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    let (digest, rest) = rest.split_first_chunk::<DIGEST_BYTES>().ok_or_else(short)?;
    if blake3::hash(json).as_bytes() != digest {
        return Err("its header is not what was written".to_owned());
    }
    let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    Ok((value, rest))
}

/// What is whole of a segment, and what is wrong with the rest.
pub(super) fn decode(bytes: &[u8]) -> (Header, Vec<Batch>, Damage) {
    let header = match bytes.strip_prefix(MAGIC) {
        Some(rest) => read_framed::<WrittenHeader>(rest),
        None if bytes.len() < MAGIC.len() => Err("it is cut off".to_owned()),
        None => Err("it is no segment that this version of vouch can read".to_owned()),
    };
    match header {
        Ok((written, blocks)) => {
            let (batches, damage) = listed(&written.batches, blocks);
            (written.header, batches, damage)
        }
        Err(reason) => {
            let (batches, damage) = found(bytes, reason);
            (Header::default(), batches, damage)
        }
    }
}

/// The batches that a header lists.
fn listed(entries: &[Entry], blocks: &[u8]) -> (Vec<Batch>, Damage) {
    let mut batches = Vec::with_capacity(entries.len());
    let mut damage = Damage::default();
    for Entry {
        offset,
        description,
    } in entries
    {
        match read(description, part(blocks, *offset, description.length)) {
            Ok(batch) => batches.push(batch),
            Err(reason) => damage.lost.push(LostBatch {
                workspace: description.workspace.clone(),
                numbers: description.numbers.clone(),
                events: description.rows,
                reason,
            }),
        }
    }
    if !damage.loses_events() && !has_blocks_of(entries, blocks) {
        damage.harmless = Some(
            "bytes around its events are not what was written; all events in it are whole"
                .to_owned(),
        );
    }
    (batches, damage)
}

fn part(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

/// Whether the blocks are described as the header has them, and nothing else is there.
fn has_blocks_of(entries: &[Entry], blocks: &[u8]) -> bool {
    let mut rest = blocks;
    for entry in entries {
        let Some(block) = rest.strip_prefix(BLOCK_MAGIC) else {
            return false;
        };
        let Ok((description, stream)) = read_framed::<Description>(block) else {
            return false;
        };
        let length = usize::try_from(description.length).unwrap_or(usize::MAX);
        let (true, Some((_, next))) = (
            description == entry.description,
            stream.split_at_checked(length),
        ) else {
            return false;
        };
        rest = next;
    }
    rest.is_empty()
}

/// The batch that a stream holds; the error is what is wrong with it.
fn read(description: &Description, stream: Option<&[u8]>) -> Result<Batch, String> {
    let stream = stream.ok_or("it is cut off")?;
    if blake3::hash(stream).to_hex().as_str() != description.digest {
        return Err("its content is not what was written".to_owned());
    }
    let events = match description.rows {
        0 => None,
        rows => {
            let events = columns::decode_one(stream, &description.workspace)?;
            if events.num_rows() as u64 != rows {
                return Err(format!("it has not the {rows} events that it says"));
            }
            Some(events)
        }
    };
    Ok(Batch {
        workspace: description.workspace.clone(),
        numbers: description.numbers.clone(),
        events,
    })
}

/// The batches that are found without a header; `reason` is what is wrong with that.
fn found(bytes: &[u8], reason: String) -> (Vec<Batch>, Damage) {
    let mut batches: Vec<Batch> = Vec::new();
    let mut damage = Damage::default();
    let mut found = BTreeSet::new();
    let mut count = None;
    let mut rest = bytes;
    while let Some(start) = position(rest) {
        let block = &rest[start + BLOCK_MAGIC.len()..];
        rest = block;
        let Ok((description, after)) = read_framed::<Description>(block) else {
            continue;
        };
        if !found.insert(description.index) {
            continue;
        }
        count = Some(description.count);
        let stream = part(after, 0, description.length);
        rest = match stream {
            Some(stream) => &after[stream.len()..],
            None => after,
        };
        match read(&description, stream) {
            Ok(batch) => batches.push(batch),
            Err(reason) => damage.lost.push(LostBatch {
                workspace: description.workspace,
                numbers: description.numbers,
                events: description.rows,
                reason,
            }),
        }
    }
    if count == Some(found.len() as u64) {
        damage.harmless = Some(format!("{reason}; all batches were found without it"));
    } else {
        damage.unlisted = Some(reason);
    }
    (batches, damage)
}

/// The offset of the next block.
fn position(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(BLOCK_MAGIC.len())
        .position(|window| window == BLOCK_MAGIC)
}
