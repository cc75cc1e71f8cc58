//! An input in portions that can be decoded one beside the other.

use super::error::ReadError;
use super::format::Format;
use super::input::Input;
use super::{Record, arrow_stream, delimited, lines, parquet};

/// How many rows of a CSV file are a portion.
const PORTION_RECORDS: usize = 1024;

/// A portion of an input.
pub(super) enum Portion {
    Lines(lines::Piece),
    Records(Vec<Record>),
    Rows(parquet::Rows),
}

/// The portions of an input, first to last. After an error nothing follows.
pub(super) enum Portions {
    Lines(lines::Pieces),
    Records {
        rows: delimited::Rows,
        failure: Option<ReadError>,
    },
    Rows(parquet::Batches),
    Stream(Box<arrow_stream::Batches>),
}

impl Portions {
    pub(super) fn open(
        input: &Input,
        format: Format,
        has_mapping: bool,
    ) -> Result<Self, ReadError> {
        Ok(match format {
            Format::Ndjson => Self::Lines(lines::Pieces::open(input)?),
            Format::Csv { delimiter } => Self::Records {
                rows: delimited::Rows::open(input, delimiter, has_mapping)?,
                failure: None,
            },
            Format::Parquet => Self::Rows(parquet::Batches::open(input)?),
            Format::ArrowStream => Self::Stream(Box::new(arrow_stream::Batches::open(input)?)),
        })
    }

    /// The beginning of the header, of formats whose header is a line that may be none.
    pub(super) fn header_excerpt(&self) -> Option<String> {
        match self {
            Self::Records { rows, .. } => Some(rows.header_excerpt()),
            Self::Lines(_) | Self::Rows(_) | Self::Stream(_) => None,
        }
    }
}

impl Iterator for Portions {
    type Item = Result<Portion, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lines(pieces) => Some(pieces.next()?.map(Portion::Lines)),
            Self::Rows(batches) => Some(batches.next()?.map(Portion::Rows)),
            Self::Stream(batches) => Some(batches.next()?.map(Portion::Rows)),
            Self::Records { rows, failure } => {
                if let Some(error) = failure.take() {
                    return Some(Err(error));
                }
                let mut records = Vec::new();
                for record in rows.by_ref().take(PORTION_RECORDS) {
                    match record {
                        Ok(record) => records.push(record),
                        Err(error) if records.is_empty() => return Some(Err(error)),
                        Err(error) => *failure = Some(error),
                    }
                }
                (!records.is_empty()).then_some(Ok(Portion::Records(records)))
            }
        }
    }
}
