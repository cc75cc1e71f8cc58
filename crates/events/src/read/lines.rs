//! NDJSON: one JSON value a line.

use std::io::{self, BufRead, BufReader, Read};

use serde_json::Value;

use super::error::ReadError;
use super::input::Input;
use super::{MAX_RECORD_BYTES, Record};
use crate::rejection::{Rejection, RejectionCode};

const BUFFER_BYTES: usize = 64 * 1024;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// The records of an NDJSON input.
pub(super) struct Lines {
    name: String,
    stream: BufReader<Box<dyn Read + Send>>,
    text: Vec<u8>,
    line: u64,
    is_done: bool,
}

/// What one line of the stream is.
enum Line {
    /// It is in the buffer.
    Whole,
    TooLong,
    /// The stream has ended.
    None,
}

impl Lines {
    pub(super) fn open(input: &Input) -> Result<Self, ReadError> {
        Ok(Self {
            name: input.name().to_owned(),
            stream: BufReader::with_capacity(BUFFER_BYTES, input.decompressed_counted()?),
            text: Vec::new(),
            line: 0,
            is_done: false,
        })
    }

    /// Reads up to and with the next line break. What was read of a line before an error is lost:
    /// half a record is none.
    fn read_line(&mut self) -> io::Result<Line> {
        self.text.clear();
        let mut length = 0;
        loop {
            let buffer = match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() {
                return Ok(match length {
                    0 => Line::None,
                    length if length > MAX_RECORD_BYTES => Line::TooLong,
                    _ => Line::Whole,
                });
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            length += taken;
            if length <= MAX_RECORD_BYTES {
                self.text.extend_from_slice(&buffer[..taken]);
            }
            self.stream.consume(taken);
            if end.is_some() {
                return Ok(if length > MAX_RECORD_BYTES {
                    Line::TooLong
                } else {
                    Line::Whole
                });
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_done {
            let line = match self.read_line() {
                Ok(line) => line,
                Err(source) => {
                    self.is_done = true;
                    return Some(Err(ReadError::from_io(&self.name, self.line, source)));
                }
            };
            let value = match line {
                Line::None => {
                    self.is_done = true;
                    return None;
                }
                Line::TooLong => Err(too_long()),
                Line::Whole => {
                    let mut text = self.text.as_slice();
                    if self.line == 0 {
                        text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
                    }
                    let text = text.trim_ascii();
                    if text.is_empty() {
                        self.line += 1;
                        continue;
                    }
                    parse_record(text)
                }
            };
            self.line += 1;
            let line = self.line;
            return Some(Ok(Record { line, value }));
        }
        None
    }
}

fn too_long() -> Rejection {
    let message = format!(
        "the line is longer than {} MiB; split it into smaller records",
        MAX_RECORD_BYTES / (1024 * 1024)
    );
    Rejection::new(RejectionCode::LineTooLong, message)
}

/// The record that a line of NDJSON holds.
///
/// # Errors
/// A [`Rejection`] when the line is not UTF-8 or not JSON.
pub fn parse_record(text: &[u8]) -> Result<Value, Rejection> {
    serde_json::from_slice(text).map_err(|error| match std::str::from_utf8(text) {
        Err(error) => Rejection::new(
            RejectionCode::InvalidUtf8,
            format!("the line is not UTF-8 at byte {}", error.valid_up_to() + 1),
        ),
        Ok(_) => Rejection::new(
            RejectionCode::MalformedJson,
            format!("the line is not JSON: {}", json_problem(&error)),
        ),
    })
}

/// What serde_json says, with the place within the line only.
fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(problem) => format!("{problem} at column {}", error.column()),
        None => text,
    }
}
