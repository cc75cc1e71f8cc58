//! What a producer said, as a digest: two events with one id are the same event when it is the same.
//!
//! The digest leaves out what Vouch filled in, so that it does not change when Vouch fills in more: the id
//! and the workspace, defaults, fields that Vouch sets, and, of an event that a mapping made, all that the
//! mapping derived from the record. Fields without a value are left out too, and the others are told apart
//! by their numbers, so that fields which are added later change no digest of an event without them.

use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use serde_json::Value;

use crate::event::{Event, ValueRef};
use crate::fields::{
    Absence, EVENT_ID, FIELDS, Field, FieldType, RECORDED, RECORDED_WORKSPACE, SetBy, WORKSPACE,
};
use crate::identity::canonical_json;
use crate::json::text;

/// What stands first in every digest, so that none is the digest of something else.
const DOMAIN: &[u8] = b"vouch event content";

/// The form in which a producer sent an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// As an object in Vouch's field names: all of its fields are the producer's.
    Fields,
    /// As a record of another product, which a mapping made the event of. What was sent is kept in
    /// `attributes`; other versions of the mapping may derive other fields from it.
    Record,
}

/// A BLAKE3 digest of what a producer said.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// The digest of an event.
    pub fn of_event(event: &Event, sent: Sent) -> Self {
        let values = FIELDS.iter().enumerate();
        Self::of(
            sent,
            values.map(|(column, field)| (field, event.value(column))),
        )
    }

    /// The digest of the event in one row of a batch, whose columns have the names of the fields. A
    /// column that is missing, or of another type than its field, has no value.
    pub fn of_row(batch: &RecordBatch, row: usize, sent: Sent) -> Self {
        let values = FIELDS.iter().map(|field| {
            let column = batch.column_by_name(field.name);
            (field, column.and_then(|column| cell(column, row, field)))
        });
        Self::of(sent, values)
    }

    /// The digest of the values, which come in the order of the numbers of their fields.
    fn of<'v>(
        sent: Sent,
        values: impl Iterator<Item = (&'v Field, Option<ValueRef<'v>>)> + Clone,
    ) -> Self {
        let has_record = |(field, value): &(&Field, Option<ValueRef<'_>>)| {
            field.field_type == FieldType::Json && value.is_some()
        };
        // Without attributes a mapping has kept nothing of the record, so that its fields have to do.
        let sent = match sent {
            Sent::Record if values.clone().any(|value| has_record(&value)) => Sent::Record,
            _ => Sent::Fields,
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        for (field, value) in values {
            if let Some(value) = value
                && counts(field, value, sent)
            {
                hasher.update(&field.number.to_le_bytes());
                update(&mut hasher, field, value, sent);
            }
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The lower-case hexadecimal form.
impl fmt::Display for ContentDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ContentDigest({self})")
    }
}

/// How much of a content digest an id carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suffix {
    /// The first 16 hexadecimal digits.
    Short,
    /// All 64 of them, for the event whose short id belongs to yet another event.
    Full,
}

/// The id under which an event is kept whose own id belongs to another event: `<id>~<digits>`. The same
/// event gets the same id whenever and wherever it comes again.
pub fn conflict_id(id: &str, digest: &ContentDigest, suffix: Suffix) -> String {
    const SHORT: usize = 16;
    let digits = digest.to_string();
    let digits = match suffix {
        Suffix::Short => digits.get(..SHORT).unwrap_or_default(),
        Suffix::Full => &digits,
    };
    format!("{id}~{digits}")
}

/// Whether the producer sent the value, rather than Vouch filled it in.
fn counts(field: &Field, value: ValueRef<'_>, sent: Sent) -> bool {
    if sent == Sent::Record {
        return field.field_type == FieldType::Json;
    }
    let is_default = match (field.absence, value) {
        (Absence::Default(default), ValueRef::Text(text)) => default == text,
        _ => false,
    };
    field.set_by == SetBy::Producer && !is_default && !matches!(field.name, EVENT_ID | WORKSPACE)
}

fn update(hasher: &mut blake3::Hasher, field: &Field, value: ValueRef<'_>, sent: Sent) {
    match value {
        ValueRef::Int(number) => {
            hasher.update(&[1]);
            hasher.update(&number.to_le_bytes());
        }
        ValueRef::Text(text) if field.field_type == FieldType::Json => {
            update_text(hasher, 3, &canonical_attributes(text, sent));
        }
        ValueRef::Text(text) => update_text(hasher, 2, text),
    }
}

fn update_text(hasher: &mut blake3::Hasher, kind: u8, text: &str) {
    hasher.update(&[kind]);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// The attributes in one form whatever the order of their keys. The workspace that a mapping found is
/// not the producer's.
fn canonical_attributes(text: &str, sent: Sent) -> String {
    let Ok(mut attributes) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    if sent == Sent::Record
        && let Some(Value::Object(recorded)) = attributes.get_mut(RECORDED)
        && recorded.shift_remove(RECORDED_WORKSPACE).is_some()
        && recorded.is_empty()
        && let Value::Object(attributes) = &mut attributes
    {
        attributes.shift_remove(RECORDED);
    }
    canonical_json(&attributes)
}

fn cell<'b>(column: &'b dyn Array, row: usize, field: &Field) -> Option<ValueRef<'b>> {
    if column.is_null(row) {
        return None;
    }
    match field.field_type {
        FieldType::Int => {
            let numbers = column.as_primitive_opt::<Int64Type>()?;
            Some(ValueRef::Int(numbers.value(row)))
        }
        FieldType::String | FieldType::Json => text(column, row).map(ValueRef::Text),
    }
}

#[cfg(test)]
mod tests;
