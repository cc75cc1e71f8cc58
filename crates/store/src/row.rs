//! One event in as little memory as possible, while it waits to be written.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use events::fields::{DATE, EVENT_ID};
use events::{Event, FIELDS, FieldType, ValueRef};

/// The values of one event, packed one after the other.
///
/// First the date and the id, by which rows are sorted, then the other columns in their order. A
/// number is the byte 0 for null, or 1 and eight bytes; a text is its length plus one, or 0 for
/// null, in groups of seven bits, and its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row(Box<[u8]>);

impl Row {
    /// Packs the values of `event`.
    pub(crate) fn new(event: &Event) -> Self {
        Self::pack(event.size_bytes(), |column| event.value(column))
    }

    /// Packs the values in one row of a batch of the [`events::schema`].
    pub(crate) fn of_batch(batch: &RecordBatch, row: usize) -> Self {
        Self::pack(0, |column| {
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
        })
    }

    /// Packs the values that each column, by position in [`FIELDS`], has.
    fn pack<'a>(size_bytes: usize, value: impl Fn(usize) -> Option<ValueRef<'a>>) -> Self {
        let mut bytes = Vec::with_capacity(size_bytes + FIELDS.len());
        let of_name = |name| events::fields::column(name).and_then(&value);
        let date_ms = match of_name(DATE) {
            Some(ValueRef::Int(date_ms)) => date_ms,
            _ => 0,
        };
        bytes.extend(date_ms.to_le_bytes());
        match of_name(EVENT_ID) {
            Some(ValueRef::Text(id)) => pack_text(&mut bytes, Some(id)),
            _ => pack_text(&mut bytes, Some("")),
        }
        for (index, field) in FIELDS.iter().enumerate() {
            if matches!(field.name, DATE | EVENT_ID) {
                continue;
            }
            match (field.field_type, value(index)) {
                (FieldType::Int, Some(ValueRef::Int(number))) => {
                    bytes.push(1);
                    bytes.extend(number.to_le_bytes());
                }
                (FieldType::Int, _) => bytes.push(0),
                (_, Some(ValueRef::Text(text))) => pack_text(&mut bytes, Some(text)),
                (_, _) => pack_text(&mut bytes, None),
            }
        }
        Self(bytes.into_boxed_slice())
    }

    /// Adds the values, and where they end, to a digest.
    pub(crate) fn digest_into(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.0.len() as u64).to_le_bytes());
        hasher.update(&self.0);
    }

    /// About how many bytes of memory the row takes, its place in a list included.
    pub(crate) fn size_bytes(&self) -> usize {
        const ALLOCATION_BYTES: usize = 16;
        size_of::<Self>() + ALLOCATION_BYTES + self.0.len()
    }

    /// The event's date and its id.
    pub(crate) fn key(&self) -> (i64, &str) {
        let mut values = Values(&self.0);
        let date_ms = values.number().unwrap_or_default();
        (date_ms, values.text().unwrap_or_default())
    }
}

/// Rows into columns.
#[derive(Debug)]
pub(crate) struct RowBatchBuilder {
    columns: Vec<Column>,
}

#[derive(Debug)]
enum Column {
    Date(Int64Builder),
    Id(StringBuilder),
    Number(Int64Builder),
    Text(StringBuilder),
}

impl RowBatchBuilder {
    pub(crate) fn new() -> Self {
        let columns = FIELDS
            .iter()
            .map(|field| match (field.name, field.field_type) {
                (DATE, _) => Column::Date(Int64Builder::new()),
                (EVENT_ID, _) => Column::Id(StringBuilder::new()),
                (_, FieldType::Int) => Column::Number(Int64Builder::new()),
                (_, FieldType::String | FieldType::Json) => Column::Text(StringBuilder::new()),
            })
            .collect();
        Self { columns }
    }

    /// Adds `row` behind the others.
    pub(crate) fn append(&mut self, row: &Row) {
        let mut values = Values(&row.0);
        let date_ms = values.number();
        let id = values.text();
        for column in &mut self.columns {
            match column {
                Column::Date(builder) => builder.append_option(date_ms),
                Column::Id(builder) => builder.append_option(id),
                Column::Number(builder) => builder.append_option(values.optional_number()),
                Column::Text(builder) => builder.append_option(values.text()),
            }
        }
    }

    /// The rows so far; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self
            .columns
            .iter_mut()
            .map(|column| match column {
                Column::Date(builder) | Column::Number(builder) => {
                    Arc::new(builder.finish()) as ArrayRef
                }
                Column::Id(builder) | Column::Text(builder) => Arc::new(builder.finish()),
            })
            .collect();
        RecordBatch::try_new(events::schema(), columns)
    }
}

fn pack_text(bytes: &mut Vec<u8>, text: Option<&str>) {
    let mut length = text.map_or(0, |text| text.len() as u64 + 1);
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(text.unwrap_or_default().as_bytes());
}

/// What is left to unpack of a row.
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

    fn text(&mut self) -> Option<&'a str> {
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
        std::str::from_utf8(text).ok()
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use events::{Defaults, EventBatchBuilder};
    use serde_json::{Value, json};

    use super::*;

    fn event(record: Value) -> Event {
        let Value::Object(record) = record else {
            panic!("{record} is no object");
        };
        Event::from_json(record, &Defaults::default(), || Ok("derived".to_owned())).unwrap()
    }

    #[test]
    fn rows_hold_what_the_events_held() {
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
        let mut by_rows = RowBatchBuilder::new();
        for event in &events {
            direct.append(event);
            let row = Row::new(event);
            assert_eq!(row.key(), (event.date_ms(), event.id()));
            assert!(row.size_bytes() > event.size_bytes());
            by_rows.append(&row);
        }
        let direct = direct.finish().unwrap();
        assert_eq!(by_rows.finish().unwrap(), direct);
        for (index, event) in events.iter().enumerate() {
            assert_eq!(Row::of_batch(&direct, index), Row::new(event));
        }
        assert_eq!(by_rows.finish().unwrap().num_rows(), 0);
    }
}
