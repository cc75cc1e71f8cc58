//! Files into records, and records into events.
//!
//! [`Input`] is a named stream that can be read more than once, decompressed; [`Format`] is what is
//! in it. [`EventReader`] reads it in portions, in bounded memory, and makes events of them on several
//! threads: directly where that can be, else record by record with a [`RecordDecoder`].

mod answer;
mod arrow_stream;
mod decoder;
mod delimited;
mod error;
mod events;
mod format;
mod input;
mod lines;
mod parquet;
mod record;
mod unique;
mod work;

use serde_json::Value;

use crate::rejection::Rejection;

pub use decoder::{Decoded, Refused};
pub use error::ReadError;
pub use events::EventReader;
pub use format::Format;
pub use input::Input;
pub use lines::parse_record;
pub use record::RecordDecoder;
pub use unique::{NotUnique, insert_unique, parse_unique};

/// The most bytes that one line or one CSV row may have.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// One record of an input.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    /// Where it stands: the line on which it begins, or the row of a Parquet file, from 1.
    line: u64,
    /// The record, or why it cannot be read; later records can be.
    value: Result<Value, Rejection>,
}

#[cfg(test)]
mod tests;
