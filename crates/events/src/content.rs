//! What a producer said, as a digest: two events with one id are the same event when it is the same.
//!
//! The digest leaves out what Vouch filled in, so that it does not change when Vouch fills in more: the id
//! and the workspace, defaults, fields that Vouch sets, and, of an event that a mapping made, all that the
//! mapping derived from the record. Fields without a value are left out too, and the others are told apart
//! by their numbers, so that fields which are added later change no digest of an event without them.

use std::collections::HashSet;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use serde_json::Value;

use crate::delivery::{Delivery, sent_through};
use crate::event::{Event, ValueRef};
use crate::fields::{
    Absence, DOOR, EVENT_ID, FIELDS, Field, FieldType, RECORDED, RECORDED_WORKSPACE, SetBy,
    WORKSPACE, is_of_vouch,
};
use crate::identity::canonical_json;
use crate::json::text;
use crate::packed::PackedEvent;

/// What is first in every digest, so that none is the digest of something else.
const DOMAIN: &[u8] = b"vouch event content";

/// The form in which a producer sent an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// As an object in Vouch's field names: all of its fields are the producer's.
    Fields,
    /// As a record of another product, which a mapping made the event of. What was sent is kept in
    /// `attributes`; other versions of the mapping may derive other fields from it.
    Record,
    /// Not at all: Vouch recorded it. Its id says what it is about, so it is the same event when it is recorded
    /// again.
    Itself,
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

/// What tells whether two events that have one id are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    fields: ContentDigest,
    record: ContentDigest,
    /// `None` of an event from before Vouch recorded it.
    sent: Option<Sent>,
}

impl Content {
    /// That of the event in one row of a batch, whose columns have the names of the fields. A row without
    /// `vouch_door` came by `delivery`.
    pub fn of_row(batch: &RecordBatch, row: usize, delivery: Option<&Delivery>) -> Self {
        let values = FIELDS.iter().map(|field| {
            let column = batch.column_by_name(field.name);
            (field, column.and_then(|column| cell(column, row, field)))
        });
        Self::of(&values.collect::<Vec<_>>(), delivery)
    }

    /// That of a packed event; as [`Content::of_row`].
    pub fn of_packed(event: PackedEvent<'_>, delivery: Option<&Delivery>) -> Self {
        let values = event.values();
        let values = FIELDS.iter().zip(values);
        Self::of(&values.collect::<Vec<_>>(), delivery)
    }

    fn of(values: &[(&Field, Option<ValueRef<'_>>)], delivery: Option<&Delivery>) -> Self {
        let door = values.iter().find(|(field, _)| field.name == DOOR);
        let sent = match door {
            Some((_, Some(ValueRef::Text(door)))) => Some(sent_through(door)),
            _ => delivery.and_then(Delivery::sent),
        };
        let digest = |sent| ContentDigest::of(sent, values.iter().copied());
        Self {
            fields: digest(Sent::Fields),
            record: digest(Sent::Record),
            sent,
        }
    }

    /// Whether a producer said the same with both. Of two events that a mapping made, of which one may be from before
    /// Vouch recorded that, it is enough that the records are the same: the mapping may have changed in between.
    pub fn is_same(&self, other: &Self) -> bool {
        if [self.sent, other.sent] == [Some(Sent::Itself); 2] {
            return true;
        }
        let are_records = matches!(
            (self.sent, other.sent),
            (Some(Sent::Record), Some(Sent::Record) | None) | (None, Some(Sent::Record))
        );
        self.fields == other.fields || (are_records && self.record == other.record)
    }

    /// The digests by which the event may have an id of its own, the one that it gets first: the program that stored
    /// it may not have known in which form it was sent, or it was sent in another form.
    pub fn digests(&self) -> [&ContentDigest; 2] {
        match self.sent {
            Some(Sent::Record) | None => [&self.record, &self.fields],
            Some(Sent::Fields | Sent::Itself) => [&self.fields, &self.record],
        }
    }
}

/// The contents of the events that have one id.
#[derive(Debug, Default)]
pub struct Contents {
    fields: HashSet<ContentDigest>,
    /// Of those that a mapping made.
    records: HashSet<ContentDigest>,
    /// Of those that a mapping may have made.
    possible_records: HashSet<ContentDigest>,
    has_itself: bool,
}

impl Contents {
    /// Adds a content; `false` when [the same](Content::is_same) is there.
    pub fn insert(&mut self, content: &Content) -> bool {
        let is_itself = content.sent == Some(Sent::Itself);
        let record = &content.record;
        let has_record = match content.sent {
            Some(Sent::Record) => {
                self.records.contains(record) || self.possible_records.contains(record)
            }
            None => self.records.contains(record),
            Some(Sent::Fields | Sent::Itself) => false,
        };
        if has_record || self.fields.contains(&content.fields) || (is_itself && self.has_itself) {
            return false;
        }
        self.fields.insert(content.fields);
        match content.sent {
            Some(Sent::Record) => _ = self.records.insert(*record),
            None => _ = self.possible_records.insert(*record),
            Some(Sent::Fields | Sent::Itself) => {}
        }
        self.has_itself |= is_itself;
        true
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
    let number = field.number.to_le_bytes();
    match value {
        ValueRef::Int(value) => {
            hasher.update(&number);
            hasher.update(&[1]);
            hasher.update(&value.to_le_bytes());
        }
        ValueRef::Text(text) if field.field_type == FieldType::Json => {
            if let Some(text) = canonical_attributes(text, sent) {
                hasher.update(&number);
                update_text(hasher, 3, &text);
            }
        }
        ValueRef::Text(text) => {
            hasher.update(&number);
            update_text(hasher, 2, text);
        }
    }
}

fn update_text(hasher: &mut blake3::Hasher, kind: u8, text: &str) {
    hasher.update(&[kind]);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// The attributes in one form whatever the order of their keys, without what is not the producer's: the workspace that
/// a mapping found, and fields of Vouch in what was exported before. `None` when that was all.
fn canonical_attributes(text: &str, sent: Sent) -> Option<String> {
    let Ok(mut attributes) = serde_json::from_str::<Value>(text) else {
        return Some(text.to_owned());
    };
    if let Value::Object(members) = &mut attributes
        && let Some(Value::Object(recorded)) = members.get_mut(RECORDED)
    {
        let before = recorded.len();
        recorded.retain(|key, _| match key.as_str() {
            RECORDED_WORKSPACE => sent == Sent::Fields,
            key => !is_of_vouch(key),
        });
        if recorded.len() < before && recorded.is_empty() {
            members.shift_remove(RECORDED);
            if members.is_empty() {
                return None;
            }
        }
    }
    Some(canonical_json(&attributes))
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
