//! Why an input cannot be read on.

use std::io;

/// An error that ends the reading of an input.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input cannot be opened.
    #[error("cannot open {name}: {source}")]
    Open {
        /// The input's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The input has no content.
    #[error("{name} is empty")]
    Empty {
        /// The input's name.
        name: String,
    },
    /// The input is not in a format that can be read.
    #[error("{name} {looks_like}; {advice}")]
    NotRecognised {
        /// The input's name.
        name: String,
        /// What its content looks like, as the predicate of a sentence.
        looks_like: String,
        /// What to do.
        advice: String,
    },
    /// A compressed input ends before its content does.
    #[error(
        "{name} is cut off: its compressed data ends early, after line {after_line}; what came before was read, so fetch the whole file and read it again"
    )]
    Truncated {
        /// The input's name.
        name: String,
        /// The last line that was read whole.
        after_line: u64,
    },
    /// The input cannot be read on.
    #[error("cannot read {name} after line {after_line}: {source}")]
    Read {
        /// The input's name.
        name: String,
        /// The last line or row that was read.
        after_line: u64,
        /// Why.
        source: io::Error,
    },
    /// The header of a CSV file cannot be used.
    #[error("the header of {name} cannot be used: {reason}")]
    Header {
        /// The input's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The input was read to its end, and there is no record in it.
    #[error("{name} holds no records, so nothing was read")]
    NoRecords {
        /// The input's name.
        name: String,
    },
    /// A mapping made no event of any row of a CSV file.
    #[error(
        "no line of {name} became an event; its first line was taken for the names of the columns: {header}; if it is none, put one before it"
    )]
    HeaderUnused {
        /// The input's name.
        name: String,
        /// The beginning of the first line, as names of columns.
        header: String,
    },
    /// A Parquet file or an Arrow stream is damaged, or uses something that cannot be read.
    #[error("cannot read {name} as {format} after row {after_row}: {reason}")]
    Columns {
        /// The input's name.
        name: String,
        /// What it was read as: `Parquet` or `an Arrow IPC stream`.
        format: &'static str,
        /// The last row that was read.
        after_row: u64,
        /// What its reader says.
        reason: String,
    },
}

impl ReadError {
    /// The error for a failed read of a (decompressed) stream.
    pub(super) fn from_io(name: &str, after_line: u64, source: io::Error) -> Self {
        let name = name.to_owned();
        if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated { name, after_line }
        } else {
            Self::Read {
                name,
                after_line,
                source,
            }
        }
    }
}
