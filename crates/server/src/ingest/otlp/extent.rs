//! The number of records of a request and its memory when decoded, computed before decoding.

use api::proto::otlp::{AnyValue, KeyValue, LogRecord, ResourceLogs, ScopeLogs};
use bytes::Bytes;
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use service::write::memory::{ALLOCATION_BYTES, json_bytes, next_item_bytes};
use service::write::{IngestLimits, Reservation, WriteError};

/// The deepest nesting of messages that the decoder accepts.
const MAX_DEPTH: usize = 100;

/// The form of a request.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) enum Form {
    Protobuf,
    Json,
}

/// The size of a decoded request.
#[derive(Debug, Default)]
struct Extent {
    /// Its records. Those of JSON are counted when they are decoded.
    records: usize,
    /// An upper bound of its memory.
    bytes: usize,
}

/// Takes the memory of a request before it is decoded.
///
/// # Errors
/// [`WriteError::TooManyEvents`] and [`WriteError::EventsTooLarge`] beyond the limits, [`WriteError::Body`] when the
/// request is damaged, or no memory.
pub(in crate::ingest) async fn admit(
    form: Form,
    request: Bytes,
    limits: &IngestLimits,
    held: &mut Reservation,
) -> Result<(), WriteError> {
    let turn = held.turn().await;
    let measured = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        Extent::of(form, &request)
    });
    let extent = measured
        .await
        .map_err(|error| WriteError::Defect(error.to_string()))??;
    if extent.records > limits.events {
        return Err(WriteError::TooManyEvents {
            limit: limits.events,
        });
    }
    let limit = limits.decoded_bytes();
    if extent.bytes > limit {
        return Err(WriteError::EventsTooLarge { limit });
    }
    held.grow_to(extent.bytes).await
}

impl Extent {
    fn of(form: Form, request: &[u8]) -> Result<Self, WriteError> {
        let mut extent = Self::default();
        match form {
            Form::Json => extent.bytes = json_bytes(request),
            Form::Protobuf => extent
                .add(Kind::Request, request, 0)
                .map_err(|error| WriteError::Body(error.to_string()))?,
        }
        Ok(extent)
    }

    /// Adds the memory of the fields of a message beyond its struct.
    ///
    /// Each message has to end within its parent. The decoder notices a violation only after it has decoded
    /// everything that the inner message announces.
    fn add(&mut self, kind: Kind, mut message: &[u8], depth: usize) -> Result<(), Damage> {
        if depth > MAX_DEPTH {
            return Err(Damage::TooDeep);
        }
        let mut items = 0;
        while !message.is_empty() {
            let (tag, wire_type) = decode_key(&mut message)?;
            if wire_type != WireType::LengthDelimited {
                skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut message)?).unwrap_or(usize::MAX);
            let content = message.split_off(..length).ok_or(Damage::TooLong)?;
            match kind.field(tag) {
                Field::Value => self.bytes += ALLOCATION_BYTES + content.len(),
                Field::One(kind) => self.add(kind, content, depth + 1)?,
                Field::List(kind, item_bytes) => {
                    self.records += usize::from(kind == Kind::Record);
                    self.bytes += next_item_bytes(items, item_bytes);
                    items += 1;
                    self.add(kind, content, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// Why a message cannot be decoded.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("a message or text of it is longer than what has it")]
    TooLong,
    #[error("its messages are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// The messages of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    ResourceLogs,
    Resource,
    ScopeLogs,
    Scope,
    Record,
    KeyValue,
    Value,
    Array,
    Members,
}

/// The content of a length-delimited field.
#[derive(Debug, Clone, Copy)]
enum Field {
    /// A text, bytes, or an unknown field.
    Value,
    /// A message within the struct of its parent.
    One(Kind),
    /// A message of a list, with the bytes of its struct.
    List(Kind, usize),
}

impl Kind {
    /// The field under a number of `logs.proto`.
    fn field(self, tag: u32) -> Field {
        match (self, tag) {
            (Self::Request, 1) => Field::List(Self::ResourceLogs, size_of::<ResourceLogs>()),
            (Self::ResourceLogs, 1) => Field::One(Self::Resource),
            (Self::ResourceLogs, 2) => Field::List(Self::ScopeLogs, size_of::<ScopeLogs>()),
            (Self::ScopeLogs, 1) => Field::One(Self::Scope),
            (Self::ScopeLogs, 2) => Field::List(Self::Record, size_of::<LogRecord>()),
            (Self::Record, 5) | (Self::KeyValue, 2) => Field::One(Self::Value),
            (Self::Value, 5) => Field::One(Self::Array),
            (Self::Value, 6) => Field::One(Self::Members),
            (Self::Array, 1) => Field::List(Self::Value, size_of::<AnyValue>()),
            (Self::Resource | Self::Members, 1) | (Self::Scope, 3) | (Self::Record, 6) => {
                Field::List(Self::KeyValue, size_of::<KeyValue>())
            }
            _ => Field::Value,
        }
    }
}

#[cfg(test)]
mod tests;
