//! Separated values with a header row.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, ErrorKind, Reader};
use serde_json::{Map, Value};

use super::error::ReadError;
use super::format::CONVERT;
use super::input::Input;
use super::{MAX_RECORD_BYTES, Record};
use crate::fields::{self, DATE_COLUMN};
use crate::rejection::{Rejection, RejectionCode, excerpt};

/// The rows of a CSV input, as objects under the names of the header. An empty cell is a missing
/// value, every other a text.
pub(super) struct Rows {
    name: String,
    header: Vec<String>,
    reader: Reader<Bounded<Box<dyn Read + Send>>>,
    row: ByteRecord,
    /// Bytes read since the current row began.
    row_bytes: Arc<AtomicUsize>,
    last_line: u64,
    is_done: bool,
}

impl Rows {
    /// The rows of an input whose values `delimiter` separates. Without a mapping the header has to
    /// name the date, or its first line is no header of events.
    pub(super) fn open(input: &Input, delimiter: u8, has_mapping: bool) -> Result<Self, ReadError> {
        let name = input.name().to_owned();
        let row_bytes = Arc::new(AtomicUsize::new(0));
        let stream = Bounded {
            stream: input.decompressed_counted()?,
            row_bytes: Arc::clone(&row_bytes),
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(stream);
        let header = match reader.byte_headers() {
            Ok(header) if has_mapping => header_names(header),
            Ok(header) => check_fields(header).and_then(|()| header_names(header)),
            Err(error) => match error.into_kind() {
                ErrorKind::Io(source) => return Err(ReadError::from_io(&name, 0, source)),
                other => Err(format!("{other:?}")),
            },
        };
        let header = header.map_err(|reason| ReadError::Header {
            name: name.clone(),
            reason,
        })?;
        Ok(Self {
            name,
            header,
            reader,
            row: ByteRecord::new(),
            row_bytes,
            last_line: 1,
            is_done: false,
        })
    }

    /// The beginning of the names of the columns.
    pub(super) fn header_excerpt(&self) -> String {
        listed(self.header.iter().map(String::as_str))
    }

    fn value(&self) -> Result<Value, Rejection> {
        let mut object = Map::new();
        for (name, cell) in self.header.iter().zip(&self.row) {
            if cell.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(cell).map_err(|_| {
                let message = format!("the cell under `{name}` is not UTF-8");
                Rejection::new(RejectionCode::InvalidUtf8, message)
            })?;
            object.insert(name.clone(), Value::from(text));
        }
        Ok(Value::Object(object))
    }

    fn refused(&self, line: u64, columns: u64) -> Record {
        let message = format!(
            "the row has {columns} cells, the header {}",
            self.header.len()
        );
        Record {
            line,
            value: Err(Rejection::new(RejectionCode::MalformedCsv, message)),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        self.row_bytes.store(0, Ordering::Relaxed);
        match self.reader.read_byte_record(&mut self.row) {
            Ok(true) => {
                let line = self.row.position().map_or(0, csv::Position::line);
                self.last_line = line;
                let value = self.value();
                Some(Ok(Record { line, value }))
            }
            Ok(false) => {
                self.is_done = true;
                None
            }
            Err(error) => match error.into_kind() {
                ErrorKind::UnequalLengths { pos, len, .. } => {
                    let line = pos.map_or(0, |position| position.line());
                    self.last_line = line;
                    Some(Ok(self.refused(line, len)))
                }
                ErrorKind::Io(source) => {
                    self.is_done = true;
                    Some(Err(ReadError::from_io(&self.name, self.last_line, source)))
                }
                other => {
                    self.is_done = true;
                    let source = io::Error::other(format!("{other:?}"));
                    Some(Err(ReadError::from_io(&self.name, self.last_line, source)))
                }
            },
        }
    }
}

/// Refuses a first line that cannot be the header of events: every row would be refused, and the
/// first line would not be read at all.
fn check_fields(header: &ByteRecord) -> Result<(), String> {
    let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
    let columns = names.iter().map(|name| fields::column(name.trim()));
    let known: Vec<usize> = columns.flatten().collect();
    if known.contains(&DATE_COLUMN) {
        return Ok(());
    }
    let names = listed(names.iter().map(AsRef::as_ref));
    Err(match known.is_empty() {
        true => format!(
            "its first line has to name the columns, but none of {names} is a field of an event; {CONVERT}, or give a mapping when the columns are those of another product"
        ),
        false => format!(
            "none of {names} is `date` or `time`, and every event needs its date; name that column so, or give a mapping"
        ),
    })
}

/// The first few of the names, for a message.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 4;
    let mut names = names.map(|name| format!("`{}`", excerpt(name.trim())));
    let mut shown: Vec<String> = names.by_ref().take(SHOWN).collect();
    if names.next().is_some() {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

fn header_names(header: &ByteRecord) -> Result<Vec<String>, String> {
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(header.len());
    for (index, cell) in header.iter().enumerate() {
        let column = index + 1;
        let name = std::str::from_utf8(cell)
            .map_err(|_| format!("the name of column {column} is not UTF-8"))?
            .trim();
        if name.is_empty() {
            return Err(format!("column {column} has no name"));
        }
        if !seen.insert(name.to_owned()) {
            return Err(format!("two columns are called `{name}`"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Ends a stream when one row grows beyond all measure, as behind a quote that is never closed the
/// rest of the file is one cell.
struct Bounded<R> {
    stream: R,
    row_bytes: Arc<AtomicUsize>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if self.row_bytes.fetch_add(count, Ordering::Relaxed) > MAX_RECORD_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "a row is longer than {} MiB; is a quote left open?",
                    MAX_RECORD_BYTES / (1024 * 1024)
                ),
            ));
        }
        Ok(count)
    }
}
