//! Packed events into columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, NullBufferBuilder, RecordBatch, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use super::{PackedEvent, Values};
use crate::fields::{DATE_COLUMN, EVENT_ID_COLUMN, FIELDS, FieldType, schema};

/// Gathers packed events into a record batch of the [`schema`].
#[derive(Debug)]
pub struct PackedBatchBuilder {
    columns: Vec<Column>,
}

#[derive(Debug)]
enum Column {
    Date(Numbers),
    Id(Texts),
    Number(Numbers),
    Text(Texts),
}

#[derive(Debug)]
struct Numbers {
    values: Vec<i64>,
    present: NullBufferBuilder,
}

/// The texts of a column in one piece, which is found to be UTF-8 as a whole: that costs a fraction of
/// looking at each.
#[derive(Debug)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    present: NullBufferBuilder,
    is_too_large: bool,
}

impl PackedBatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        let columns =
            FIELDS
                .iter()
                .enumerate()
                .map(|(column, field)| match (column, field.field_type) {
                    (DATE_COLUMN, _) => Column::Date(Numbers::new()),
                    (EVENT_ID_COLUMN, _) => Column::Id(Texts::new()),
                    (_, FieldType::Int) => Column::Number(Numbers::new()),
                    (_, FieldType::String | FieldType::Json) => Column::Text(Texts::new()),
                });
        Self {
            columns: columns.collect(),
        }
    }

    /// Adds an event as the last row.
    pub fn append(&mut self, event: PackedEvent<'_>) {
        let mut values = Values(event.0);
        let date_ms = values.number();
        let id = values.text();
        for column in &mut self.columns {
            match column {
                Column::Date(numbers) => numbers.append(date_ms),
                Column::Id(texts) => texts.append(id),
                Column::Number(numbers) => numbers.append(values.optional_number()),
                Column::Text(texts) => texts.append(values.text()),
            }
        }
    }

    /// The events as a batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// [`ArrowError::OffsetOverflowError`] when the texts of a column have more than 2 GiB.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter_mut().map(|column| match column {
            Column::Date(numbers) | Column::Number(numbers) => Ok(numbers.finish()),
            Column::Id(texts) | Column::Text(texts) => texts.finish(),
        });
        RecordBatch::try_new(schema(), columns.collect::<Result<_, _>>()?)
    }
}

impl Default for PackedBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Numbers {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            present: NullBufferBuilder::new(0),
        }
    }

    fn append(&mut self, number: Option<i64>) {
        self.values.push(number.unwrap_or_default());
        self.present.append(number.is_some());
    }

    fn finish(&mut self) -> ArrayRef {
        let built = std::mem::replace(self, Self::new());
        let mut present = built.present;
        Arc::new(Int64Array::new(built.values.into(), present.finish()))
    }
}

impl Texts {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            ends: vec![0],
            present: NullBufferBuilder::new(0),
            is_too_large: false,
        }
    }

    fn append(&mut self, text: Option<&[u8]>) {
        self.bytes.extend_from_slice(text.unwrap_or_default());
        self.present.append(text.is_some());
        let end = i32::try_from(self.bytes.len());
        self.is_too_large |= end.is_err();
        self.ends.push(end.unwrap_or(i32::MAX));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let built = std::mem::replace(self, Self::new());
        if built.is_too_large {
            return Err(ArrowError::OffsetOverflowError(built.bytes.len()));
        }
        let ends = OffsetBuffer::new(ScalarBuffer::from(built.ends));
        let mut present = built.present;
        let bytes = Buffer::from_vec(built.bytes);
        let texts = StringArray::try_new(ends, bytes, present.finish())?;
        Ok(Arc::new(texts))
    }
}
