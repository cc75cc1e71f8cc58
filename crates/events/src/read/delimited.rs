//! CSV with a header row.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, ErrorKind, Reader};
use serde_json::{Map, Value};

use super::error::ReadError;
use super::input::Input;
use super::{MAX_RECORD_BYTES, Record};
use crate::rejection::{Rejection, RejectionCode};

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
    pub(super) fn open(input: &Input) -> Result<Self, ReadError> {
        let name = input.name().to_owned();
        let row_bytes = Arc::new(AtomicUsize::new(0));
        let stream = Bounded {
            stream: input.decompressed_counted()?,
            row_bytes: Arc::clone(&row_bytes),
        };
        let mut reader = csv::ReaderBuilder::new().from_reader(stream);
        let header = match reader.byte_headers() {
            Ok(header) => header_names(header),
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
