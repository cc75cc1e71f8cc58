//! NDJSON: one JSON value a line, in pieces of many lines.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr};
use serde_json::Value;

use super::MAX_RECORD_BYTES;
use super::error::ReadError;
use super::input::Input;
use super::unique::{NotUnique, parse_unique};
use crate::rejection::{Rejection, RejectionCode};

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// About how many bytes a piece has.
const PIECE_BYTES: usize = 512 * 1024;

/// Whole lines that stand one behind the other in an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The number of the line before the first one.
    lines_before: u64,
    text: Vec<u8>,
    /// Whether the text is the end of a line whose begin was left out.
    is_too_long: bool,
}

/// One line of a piece.
#[derive(Debug)]
pub(super) struct Line<'c> {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its text without blanks around it, or why it cannot be taken.
    pub(super) text: Result<&'c [u8], Rejection>,
}

/// The lines of an NDJSON input.
pub(super) struct Pieces {
    name: String,
    stream: Box<dyn Read + Send>,
    /// The begin of a line whose end is not read yet.
    begun: Vec<u8>,
    lines: u64,
    outcome: Outcome,
}

/// How reading goes on.
enum Outcome {
    More,
    Failed(io::Error),
    Ended,
}

impl Pieces {
    pub(super) fn open(input: &Input) -> Result<Self, ReadError> {
        Ok(Self {
            name: input.name().to_owned(),
            stream: input.decompressed_counted()?,
            begun: Vec::new(),
            lines: 0,
            outcome: Outcome::More,
        })
    }

    /// Reads on behind `text`.
    fn read_on(&mut self, text: &mut Vec<u8>) {
        let before = text.len();
        let mut stream = (&mut self.stream).take(PIECE_BYTES as u64);
        match stream.read_to_end(text) {
            Err(error) => self.outcome = Outcome::Failed(error),
            Ok(_) if text.len() - before < PIECE_BYTES => self.outcome = Outcome::Ended,
            Ok(_) => {}
        }
    }

    /// Makes a piece of the whole lines in `text`, unless there are none; its first `begun` bytes are
    /// the begin of a line. At the end of the input the last line is whole; what was read of a line
    /// before an error is lost: half a record is none.
    fn piece(&mut self, mut text: Vec<u8>, begun: usize, is_too_long: bool) -> Option<Piece> {
        let end = memrchr(b'\n', &text[begun..]).map(|last| begun + last + 1);
        let whole = match (&self.outcome, end) {
            (Outcome::Ended, _) => text.len(),
            (_, Some(end)) => end,
            (Outcome::Failed(_), None) => 0,
            (Outcome::More, None) => {
                self.begun = text;
                return None;
            }
        };
        self.begun = text.split_off(whole);
        if matches!(self.outcome, Outcome::Failed(_)) {
            self.begun.clear();
        }
        if text.is_empty() && !is_too_long {
            return None;
        }
        let lines_before = self.lines;
        let is_open = text.last() != Some(&b'\n');
        self.lines += memchr_iter(b'\n', &text).count() as u64 + u64::from(is_open);
        Some(Piece {
            lines_before,
            text,
            is_too_long,
        })
    }

    /// The piece that begins with the end of a line that is too long to be kept.
    fn piece_behind_long_line(&mut self) -> Option<Piece> {
        let mut text = Vec::new();
        while matches!(self.outcome, Outcome::More) {
            text.clear();
            self.read_on(&mut text);
            if memchr(b'\n', &text).is_some() {
                return self.piece(text, 0, true);
            }
        }
        match self.outcome {
            Outcome::Failed(_) => None,
            Outcome::More | Outcome::Ended => self.piece(Vec::new(), 0, true),
        }
    }
}

impl Iterator for Pieces {
    type Item = Result<Piece, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while matches!(self.outcome, Outcome::More) {
            let mut text = std::mem::take(&mut self.begun);
            let begun = text.len();
            text.reserve(PIECE_BYTES);
            self.read_on(&mut text);
            let piece = self.piece(text, begun, false);
            if piece.is_some() {
                return piece.map(Ok);
            }
            if self.begun.len() > MAX_RECORD_BYTES {
                self.begun = Vec::new();
                if let Some(piece) = self.piece_behind_long_line() {
                    return Some(Ok(piece));
                }
            }
        }
        match std::mem::replace(&mut self.outcome, Outcome::Ended) {
            Outcome::Failed(source) => {
                Some(Err(ReadError::from_io(&self.name, self.lines, source)))
            }
            Outcome::More | Outcome::Ended => None,
        }
    }
}

impl Piece {
    /// The lines that are not empty.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut rest = self.text.as_slice();
        let mut number = self.lines_before;
        let mut is_too_long = self.is_too_long;
        std::iter::from_fn(move || {
            loop {
                if rest.is_empty() && !is_too_long {
                    return None;
                }
                let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                let (mut text, behind) = rest.split_at(end);
                rest = behind;
                number += 1;
                if std::mem::take(&mut is_too_long) || text.len() > MAX_RECORD_BYTES {
                    let text = Err(too_long());
                    return Some(Line { number, text });
                }
                if number == 1 {
                    text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
                }
                let text = text.trim_ascii();
                if !text.is_empty() {
                    let text = Ok(text);
                    return Some(Line { number, text });
                }
            }
        })
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
/// A [`Rejection`] when the line is not UTF-8 or not JSON, or an object in it has a key twice.
pub fn parse_record(text: &[u8]) -> Result<Value, Rejection> {
    let not_utf8 = std::str::from_utf8(text).err();
    parse_unique(text).map_err(|error| match (not_utf8, error) {
        (Some(error), _) => Rejection::new(
            RejectionCode::InvalidUtf8,
            format!("the line is not UTF-8 at byte {}", error.valid_up_to() + 1),
        ),
        (None, NotUnique::Duplicate(rejection)) => rejection,
        (None, NotUnique::Malformed(error)) => Rejection::new(
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
