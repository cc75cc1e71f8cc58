//! Events put together directly from lines and columns, without a JSON tree in between.
//!
//! This is the quick way for what nearly every record is. Whatever is out of the ordinary — an escape in
//! a key, a key given twice, a wrong type — is [`Unusual`], and the record goes the careful way, through
//! [`crate::Event::from_json`], which decides and gives the reason of a refusal. So the quick way never
//! refuses, and where it gives an event, it is the event that the careful way would give.

use crate::conflict::may_be_made;
use crate::event::{ValueRef, integer_in};
use crate::fields::{
    ATTRIBUTES_COLUMN, Absence, DATE_COLUMN, EVENT_ID_COLUMN, FIELDS, FieldType, WORKSPACE_COLUMN,
};
use crate::packed::pack;
use crate::time::{check_date, parse_timestamp};

mod compact;
mod days;
mod line;
mod row;
mod scan;
#[cfg(test)]
mod tests;

pub use days::DayEvents;
pub(crate) use days::Days;
pub(crate) use line::LineDecoder;
pub(crate) use row::RowDecoder;

/// The record has to go the careful way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unusual;

/// A value of a column.
#[derive(Debug, Clone, Copy)]
enum Cell<'c> {
    Absent,
    /// Given, as null.
    Null,
    Int(i64),
    Text(&'c str),
    /// A text in the scratch memory, from the one byte to the other.
    Scratch(usize, usize),
}

/// The values of one event, most of them borrowed from the record. Used for one event after another.
#[derive(Debug)]
struct Parts<'c> {
    cells: [Cell<'c>; FIELDS.len()],
    /// The texts that do not stand in the record as they are.
    scratch: String,
    /// The event, packed. It is made here and not where it goes, so that memory there grows by events.
    packed: Vec<u8>,
    /// The members of the record's `attributes` as JSON text, with commas between them.
    given: String,
    given_keys: Vec<&'c str>,
    has_attributes: bool,
    /// The members of the record that are no columns, in the same form.
    unlisted: String,
    unlisted_keys: Vec<&'c str>,
}

impl<'c> Parts<'c> {
    fn new() -> Self {
        Self {
            cells: [Cell::Absent; FIELDS.len()],
            scratch: String::new(),
            packed: Vec::new(),
            given: String::new(),
            given_keys: Vec::new(),
            has_attributes: false,
            unlisted: String::new(),
            unlisted_keys: Vec::new(),
        }
    }

    /// Forgets the event before.
    fn clear(&mut self) {
        self.cells = [Cell::Absent; FIELDS.len()];
        self.scratch.clear();
        self.given.clear();
        self.given_keys.clear();
        self.has_attributes = false;
        self.unlisted.clear();
        self.unlisted_keys.clear();
    }

    fn set(&mut self, column: usize, cell: Cell<'c>) -> Result<(), Unusual> {
        match self.cells.get_mut(column) {
            Some(slot @ Cell::Absent) => {
                *slot = cell;
                Ok(())
            }
            _ => Err(Unusual),
        }
    }

    /// A text for any column but the attributes.
    fn set_text(&mut self, column: usize, text: &'c str) -> Result<(), Unusual> {
        let cell = match FIELDS[column].field_type {
            FieldType::String => Cell::Text(text),
            FieldType::Int => Cell::Int(number_in(column, text)?),
            FieldType::Json => return Err(Unusual),
        };
        self.set(column, cell)
    }

    /// A whole number for any column but the attributes, and its plain decimal form.
    fn set_integer(&mut self, column: usize, number: i64, text: &'c str) -> Result<(), Unusual> {
        let cell = match FIELDS[column].field_type {
            FieldType::String => Cell::Text(text),
            FieldType::Int if column == DATE_COLUMN => {
                Cell::Int(check_date(number).map_err(|_| Unusual)?)
            }
            FieldType::Int => Cell::Int(number),
            FieldType::Json => return Err(Unusual),
        };
        self.set(column, cell)
    }

    /// What was written into the scratch memory from `start` on, for any column but the attributes.
    fn set_scratch(&mut self, column: usize, start: usize) -> Result<(), Unusual> {
        let end = self.scratch.len();
        let cell = match FIELDS[column].field_type {
            FieldType::String => Cell::Scratch(start, end),
            FieldType::Int => Cell::Int(number_in(column, &self.scratch[start..end])?),
            FieldType::Json => return Err(Unusual),
        };
        self.set(column, cell)
    }

    /// Notes a key that is no column.
    fn add_unlisted_key(&mut self, key: &'c str) -> Result<(), Unusual> {
        compact::add_key(&mut self.unlisted_keys, 0, key)
    }

    /// Adds the event to those of its workspace and day. An event that names no workspace is of the
    /// one given; one without an id gets the one that `derive_id` gives.
    fn finish(
        &mut self,
        workspace: Option<&str>,
        derive_id: impl FnOnce() -> Option<String>,
        days: &mut Days,
    ) -> Result<(), Unusual> {
        self.join_attributes()?;
        for (cell, field) in self.cells.iter_mut().zip(&FIELDS) {
            if let (Cell::Absent | Cell::Null, Absence::Default(text)) = (&cell, field.absence) {
                *cell = Cell::Text(text);
            }
        }
        let Cell::Int(date_ms) = self.cells[DATE_COLUMN] else {
            return Err(Unusual);
        };
        let text_of = |column: usize| {
            let text = text(self.cells[column], &self.scratch);
            text.filter(|text| !text.is_empty())
        };
        let workspace = match (text_of(WORKSPACE_COLUMN), workspace) {
            (Some(named), Some(given)) if named != given => return Err(Unusual),
            (Some(named), _) => named,
            (None, given) => given.ok_or(Unusual)?,
        };
        let derived = match text_of(EVENT_ID_COLUMN) {
            Some(id) if may_be_made(id) => return Err(Unusual),
            Some(_) => None,
            None => Some(derive_id().ok_or(Unusual)?),
        };
        let (cells, scratch) = (&self.cells, &self.scratch);
        self.packed.clear();
        pack(&mut self.packed, |column| match (column, cells[column]) {
            (WORKSPACE_COLUMN, _) => Some(ValueRef::Text(workspace)),
            (EVENT_ID_COLUMN, cell) => match &derived {
                Some(id) => Some(ValueRef::Text(id)),
                None => text(cell, scratch).map(ValueRef::Text),
            },
            (_, Cell::Int(number)) => Some(ValueRef::Int(number)),
            (_, cell) => text(cell, scratch).map(ValueRef::Text),
        });
        let events = days.events_of(workspace, date_ms).map_err(|_| Unusual)?;
        events.push_packed(&self.packed);
        Ok(())
    }

    /// One object of the attributes that were given and of what is no column.
    fn join_attributes(&mut self) -> Result<(), Unusual> {
        if self.given.is_empty() && self.unlisted.is_empty() {
            return Ok(());
        }
        // Whether both give it the same value is for the careful way to find out.
        let is_in_both = |key: &&str| self.given_keys.contains(key);
        if self.unlisted_keys.iter().any(is_in_both) {
            return Err(Unusual);
        }
        let start = self.scratch.len();
        self.scratch.push('{');
        self.scratch.push_str(&self.given);
        if !self.given.is_empty() && !self.unlisted.is_empty() {
            self.scratch.push(',');
        }
        self.scratch.push_str(&self.unlisted);
        self.scratch.push('}');
        let attributes = Cell::Scratch(start, self.scratch.len());
        self.set(ATTRIBUTES_COLUMN, attributes)
    }
}

fn text<'t>(cell: Cell<'t>, scratch: &'t str) -> Option<&'t str> {
    match cell {
        Cell::Text(text) => Some(text),
        Cell::Scratch(start, end) => scratch.get(start..end),
        Cell::Absent | Cell::Null | Cell::Int(_) => None,
    }
}

/// The number that a text gives to a column of numbers.
fn number_in(column: usize, text: &str) -> Result<i64, Unusual> {
    let number = integer_in(text);
    if column != DATE_COLUMN {
        return number.ok_or(Unusual);
    }
    match number {
        Some(date_ms) => check_date(date_ms),
        None => parse_timestamp(text),
    }
    .map_err(|_| Unusual)
}
