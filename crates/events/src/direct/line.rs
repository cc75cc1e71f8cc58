//! Lines of NDJSON.

use super::compact::{self, write_key};
use super::scan::{Scanner, plain_integer};
use super::{Cell, Days, Parts, Unusual};
use crate::fields::{self, ATTRIBUTES_COLUMN, is_of_vouch};

/// Makes events of the lines of one text.
#[derive(Debug)]
pub(crate) struct LineDecoder<'c> {
    parts: Parts<'c>,
    order: KeyOrder<'c>,
    keys: Vec<&'c str>,
}

/// The keys of the lines before, in their order: the next line nearly always has the same.
#[derive(Debug, Default)]
struct KeyOrder<'c> {
    keys: Vec<(&'c str, Option<usize>)>,
    /// The position behind the key found last.
    next: usize,
}

impl<'c> LineDecoder<'c> {
    pub(crate) fn new() -> Self {
        Self {
            parts: Parts::new(),
            order: KeyOrder::default(),
            keys: Vec::new(),
        }
    }

    /// Adds the event in `line` to those of its workspace and day. An event that names no workspace
    /// is of the one given; one without an id gets the one that `derive_id` gives.
    pub(crate) fn decode(
        &mut self,
        line: &'c [u8],
        workspace: Option<&str>,
        derive_id: impl FnOnce() -> Option<String>,
        days: &mut Days,
    ) -> Result<(), Unusual> {
        let text = std::str::from_utf8(line).map_err(|_| Unusual)?;
        let mut scanner = Scanner::new(text)?;
        self.parts.clear();
        self.order.next = 0;
        scanner.take(b'{')?;
        loop {
            let key = scanner.key()?;
            self.member(key, &mut scanner)?;
            match scanner.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(Unusual),
            }
        }
        if scanner.peek().is_some() {
            return Err(Unusual);
        }
        self.parts.finish(workspace, derive_id, days)
    }

    fn member(&mut self, key: &'c str, scanner: &mut Scanner<'c>) -> Result<(), Unusual> {
        let parts = &mut self.parts;
        match self.order.column(key) {
            // It goes among the attributes' recorded values.
            _ if is_of_vouch(key) => Err(Unusual),
            None => {
                parts.add_unlisted_key(key)?;
                if !parts.unlisted.is_empty() {
                    parts.unlisted.push(',');
                }
                write_key(key, &mut parts.unlisted);
                compact::value(scanner, &mut parts.unlisted, &mut self.keys, 1)
            }
            Some(ATTRIBUTES_COLUMN) => parts.attributes(scanner),
            Some(column) => {
                let keys = &mut self.keys;
                parts.value(column, scanner, keys)
            }
        }
        .inspect_err(|_| self.keys.clear())
    }
}

impl<'c> Parts<'c> {
    /// Takes the object that is next as the record's `attributes`.
    pub(super) fn attributes(&mut self, scanner: &mut Scanner<'c>) -> Result<(), Unusual> {
        match scanner.peek() {
            _ if std::mem::replace(&mut self.has_attributes, true) => Err(Unusual),
            Some(b'{') => compact::members(scanner, &mut self.given, &mut self.given_keys, 1),
            Some(b'n') if scanner.plain()? == "null" => Ok(()),
            _ => Err(Unusual),
        }
    }

    /// Takes the value that is next for a column that is not the attributes.
    fn value(
        &mut self,
        column: usize,
        scanner: &mut Scanner<'c>,
        keys: &mut Vec<&'c str>,
    ) -> Result<(), Unusual> {
        let start = self.scratch.len();
        match scanner.peek().ok_or(Unusual)? {
            b'"' => {
                let quoted = scanner.quoted()?;
                if !quoted.is_escaped {
                    return self.set_text(column, quoted.text);
                }
                quoted.unescape_into(&mut self.scratch)?;
            }
            b'{' | b'[' => compact::value(scanner, &mut self.scratch, keys, 1)?,
            _ => {
                let plain = scanner.plain()?;
                match plain_integer(plain) {
                    Some(number) => return self.set_integer(column, number, plain),
                    None if plain == "null" => return self.set(column, Cell::Null),
                    None => compact::scalar(plain, &mut self.scratch)?,
                }
            }
        }
        self.set_scratch(column, start)
    }
}

impl<'c> KeyOrder<'c> {
    /// How many keys that a line leaves out are passed over.
    const LOOK_AHEAD: usize = 16;
    const MAX_KEYS: usize = 256;

    /// The column of the key, if it is one.
    fn column(&mut self, key: &'c str) -> Option<usize> {
        let ahead = self.keys.iter().skip(self.next).take(Self::LOOK_AHEAD);
        for (passed, (known, column)) in ahead.enumerate() {
            if *known == key {
                self.next += passed + 1;
                return *column;
            }
        }
        let column = fields::column(key);
        if self.keys.len() < Self::MAX_KEYS {
            self.keys.insert(self.next, (key, column));
            self.next += 1;
        }
        column
    }
}
