//! Files into records, and records into events.
//!
//! [`Input`] is a named stream that can be read more than once, decompressed; [`Format`] is what is
//! in it; [`records`] walks it record by record in bounded memory; [`EventReader`] makes events of
//! the records with a [`RecordDecoder`].

mod delimited;
mod error;
mod events;
mod format;
mod input;
mod lines;
mod parquet;
mod record;

use serde_json::Value;

use crate::rejection::Rejection;

pub use error::ReadError;
pub use events::{Decoded, EventReader};
pub use format::Format;
pub use input::Input;
pub use lines::parse_record;
pub use record::RecordDecoder;

/// The most bytes that one line or one CSV row may have.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// One record of an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it stands: the line on which it begins, or the row of a Parquet file, from 1.
    pub line: u64,
    /// The record, or why it cannot be read; later records can be.
    pub value: Result<Value, Rejection>,
}

/// The records of an input, first to last. After an error nothing follows.
pub type Records = Box<dyn Iterator<Item = Result<Record, ReadError>> + Send>;

/// The records of an input.
///
/// # Errors
/// A [`ReadError`] when the input cannot be opened or has no header that its format needs. Errors
/// farther on come out of the iterator.
pub fn records(input: &Input, format: Format) -> Result<Records, ReadError> {
    match format {
        Format::Ndjson => Ok(Box::new(lines::Lines::open(input)?)),
        Format::Csv => Ok(Box::new(delimited::Rows::open(input)?)),
        Format::Parquet => Ok(Box::new(parquet::Rows::open(input)?)),
    }
}

#[cfg(test)]
mod tests;
