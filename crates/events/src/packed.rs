//! Events in as little memory as possible, while they wait to be written.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};

use crate::event::{Event, ValueRef};
use crate::fields::{
    CONFLICT_COLUMN, DATE_COLUMN, EVENT_ID_COLUMN, FIELDS, FIRST_FIELDS, Field, FieldType, SetBy,
};

mod batch;

pub use batch::PackedBatchBuilder;

/// Events one after the other in one piece of memory.
///
/// Of each event, first the date and the id, by which events are sorted, then the other columns in
/// their order. A number is the byte 0 for null, or 1 and eight bytes; a text is its length plus one,
/// or 0 for null, in groups of seven bits, and its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedEvents {
    bytes: Vec<u8>,
    /// Where each event ends.
    ends: Vec<usize>,
}

/// One of [`PackedEvents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedEvent<'a>(&'a [u8]);

impl PackedEvents {
    /// How many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// About how many bytes of memory they take.
    pub fn size_bytes(&self) -> usize {
        const ALLOCATION_BYTES: usize = 16;
        size_of::<Self>()
            + 2 * ALLOCATION_BYTES
            + self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
    }

    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.push_values(|column| event.value(column));
    }

    /// Adds an event that [`pack`] has written.
    pub(crate) fn push_packed(&mut self, event: &[u8]) {
        self.bytes.extend_from_slice(event);
        self.ends.push(self.bytes.len());
    }

    /// Adds the event in one row of a batch of the [`crate::schema`].
    pub fn push_row(&mut self, batch: &RecordBatch, row: usize) {
        self.push_values(|column| {
            let values = batch.columns().get(column)?;
            if values.is_null(row) {
                return None;
            }
            match values.data_type() {
                DataType::Int64 => {
                    let numbers = values.as_primitive::<Int64Type>();
                    Some(ValueRef::Int(numbers.value(row)))
                }
                _ => Some(ValueRef::Text(values.as_string_opt::<i32>()?.value(row))),
            }
        });
    }

    /// Adds an event under another id, because another event has its own.
    pub fn push_under(&mut self, event: PackedEvent<'_>, id: &str) {
        let values = event.values();
        let own = match values.get(CONFLICT_COLUMN) {
            Some(Some(ValueRef::Text(own))) => own,
            _ => event.id(),
        };
        self.push_values(|column| match column {
            EVENT_ID_COLUMN => Some(ValueRef::Text(id)),
            CONFLICT_COLUMN => Some(ValueRef::Text(own)),
            column => values.get(column).copied().flatten(),
        });
    }

    fn push_values<'a>(&mut self, value: impl Fn(usize) -> Option<ValueRef<'a>>) {
        pack(&mut self.bytes, value);
        self.ends.push(self.bytes.len());
    }

    /// The events in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = PackedEvent<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let event = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            PackedEvent(event)
        })
    }

    /// Gives memory back that holds nothing.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl<'a> PackedEvent<'a> {
    /// When the event happened, Unix ms.
    pub fn date_ms(&self) -> i64 {
        Values(self.0).number().unwrap_or_default()
    }

    /// The event's `df_event_id`.
    pub fn id(&self) -> &'a str {
        let mut values = Values(self.0);
        let _ = values.number();
        let id = values.text().unwrap_or_default();
        std::str::from_utf8(id).unwrap_or_default()
    }

    /// Its values, one for each of [`FIELDS`].
    pub fn values(&self) -> Vec<Option<ValueRef<'a>>> {
        let mut values = Values(self.0);
        let date_ms = values.number();
        let id = values.text();
        let text = |text: Option<&'a [u8]>| {
            let text = text.and_then(|text| std::str::from_utf8(text).ok());
            text.map(ValueRef::Text)
        };
        let of_field = |(column, field): (usize, &Field)| match (column, field.field_type) {
            (DATE_COLUMN, _) => date_ms.map(ValueRef::Int),
            (EVENT_ID_COLUMN, _) => text(id),
            (_, FieldType::Int) => values.optional_number().map(ValueRef::Int),
            (_, FieldType::String | FieldType::Json) => text(values.text()),
        };
        FIELDS.iter().enumerate().map(of_field).collect()
    }

    /// Adds the values, and where they end, to a digest. The form never changes, since digests are
    /// kept: of fields that were added after the first, only those that the event has count, by number.
    pub fn digest_into(&self, hasher: &mut blake3::Hasher) {
        let added = FIELDS.iter().skip(FIRST_FIELDS);
        digest_into(self.0, added, hasher);
    }
}

/// Adds an event to a digest, whose fields after the first are `added`.
fn digest_into<'f>(
    event: &[u8],
    added: impl Iterator<Item = &'f Field>,
    hasher: &mut blake3::Hasher,
) {
    let mut values = Values(event);
    let _ = values.number();
    let _ = values.text();
    for (column, field) in FIELDS.iter().enumerate().take(FIRST_FIELDS) {
        if !matches!(column, DATE_COLUMN | EVENT_ID_COLUMN) {
            values.skip(field.field_type);
        }
    }
    let first = &event[..event.len() - values.0.len()];
    hasher.update(&(first.len() as u64).to_le_bytes());
    hasher.update(first);
    for field in added {
        let before = values.0;
        if values.skip(field.field_type) && field.set_by == SetBy::Producer {
            let value = &before[..before.len() - values.0.len()];
            hasher.update(&field.number.to_le_bytes());
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value);
        }
    }
}

/// Writes the event that has the value that `value` gives in each column, by position in [`FIELDS`],
/// behind `bytes`.
pub(crate) fn pack<'a>(bytes: &mut Vec<u8>, value: impl Fn(usize) -> Option<ValueRef<'a>>) {
    let date_ms = match value(DATE_COLUMN) {
        Some(ValueRef::Int(date_ms)) => date_ms,
        _ => 0,
    };
    bytes.extend_from_slice(&date_ms.to_le_bytes());
    match value(EVENT_ID_COLUMN) {
        Some(ValueRef::Text(id)) => pack_text(bytes, Some(id)),
        _ => pack_text(bytes, Some("")),
    }
    for (column, field) in FIELDS.iter().enumerate() {
        if matches!(column, DATE_COLUMN | EVENT_ID_COLUMN) {
            continue;
        }
        match (field.field_type, value(column)) {
            (FieldType::Int, Some(ValueRef::Int(number))) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            (FieldType::Int, _) => bytes.push(0),
            (_, Some(ValueRef::Text(text))) => pack_text(bytes, Some(text)),
            (_, _) => pack_text(bytes, None),
        }
    }
}

fn pack_text(bytes: &mut Vec<u8>, text: Option<&str>) {
    let mut length = text.map_or(0, |text| text.len() as u64 + 1);
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// What is left to unpack of an event.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn number(&mut self) -> Option<i64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i64::from_le_bytes(*bytes))
    }

    fn optional_number(&mut self) -> Option<i64> {
        match self.byte()? {
            0 => None,
            _ => self.number(),
        }
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let mut length = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (text, rest) = self.0.split_at_checked(length.checked_sub(1)?)?;
        self.0 = rest;
        Some(text)
    }

    /// Passes over the value of a field; whether there is one.
    fn skip(&mut self, field_type: FieldType) -> bool {
        match field_type {
            FieldType::Int => self.optional_number().is_some(),
            FieldType::String | FieldType::Json => self.text().is_some(),
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::batch::EventBatchBuilder;
    use crate::event::Defaults;

    fn event(record: Value) -> Event {
        let Value::Object(record) = record else {
            panic!("{record} is no object");
        };
        Event::from_json(record, &Defaults::default(), || Ok("derived".to_owned())).unwrap()
    }

    /// Fields after the first count by number, and only those that an event has.
    #[test]
    fn a_field_that_is_added_later_changes_no_digest_of_an_event_without_it() {
        let mut packed = PackedEvents::default();
        packed.push(&event(json!({"df_workspace": "w", "date": 1, "x": 1})));
        let event = packed.iter().next().unwrap().0;
        let added = |set_by| Field {
            number: 99,
            set_by,
            ..FIELDS[1]
        };
        let digest = |later: &[u8], fields: &[Field]| {
            let mut hasher = blake3::Hasher::new();
            let event = [event, later].concat();
            let added = FIELDS.iter().skip(FIRST_FIELDS).chain(fields);
            digest_into(&event, added, &mut hasher);
            hasher.finalize()
        };
        let [producer, vouch] = [SetBy::Producer, SetBy::Vouch].map(added);
        let other = Field {
            number: 100,
            ..producer
        };
        let five: &[u8] = &[1, 5, 0, 0, 0, 0, 0, 0, 0];
        let today = digest(&[], &[]);
        assert_eq!(digest(&[0], &[producer]), today);
        assert_eq!(digest(five, &[vouch]), today);
        assert_ne!(digest(five, &[producer]), today);
        assert_ne!(digest(five, &[producer]), digest(five, &[other]));
    }

    #[test]
    fn packed_events_hold_what_the_events_held() {
        let events = [
            event(json!({"df_workspace": "w", "date": -1})),
            event(json!({
                "df_workspace": "w",
                "date": i64::from(u32::MAX),
                "df_event_id": "é",
                "df_date_range": i64::MIN,
                "df_title": "",
                "df_message": "x".repeat(127),
                "df_query": "y".repeat(300_000),
                "other": {"nested": [1, null]},
            })),
        ];
        let mut direct = EventBatchBuilder::new();
        let mut packed = PackedEvents::default();
        for event in &events {
            direct.append(event);
            packed.push(event);
        }
        assert_eq!(packed.len(), 2);
        assert!(packed.size_bytes() > events.iter().map(Event::size_bytes).sum());
        let mut unpacked = PackedBatchBuilder::new();
        for (event, packed) in events.iter().zip(packed.iter()) {
            assert_eq!(
                (packed.date_ms(), packed.id()),
                (event.date_ms(), event.id())
            );
            unpacked.append(packed);
        }
        let direct = direct.finish().unwrap();
        assert_eq!(unpacked.finish().unwrap(), direct);
        let mut of_batch = PackedEvents::default();
        for row in 0..direct.num_rows() {
            of_batch.push_row(&direct, row);
        }
        of_batch.shrink();
        assert_eq!(of_batch, packed);
        assert_eq!(unpacked.finish().unwrap().num_rows(), 0);
    }
}
