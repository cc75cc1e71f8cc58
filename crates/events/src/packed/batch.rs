//! Packed events into columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBufferBuilder, Int64Array, RecordBatch, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
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

#[derive(Debug, Default)]
struct Numbers {
    values: Vec<i64>,
    nulls: Nulls,
}

/// The texts of a column in one piece, which is found to be UTF-8 as a whole: that costs a fraction of
/// looking at each.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: Nulls,
    is_too_large: bool,
}

/// The rows without a value.
#[derive(Debug, Default)]
struct Nulls(Vec<usize>);

impl PackedBatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        let columns =
            FIELDS
                .iter()
                .enumerate()
                .map(|(column, field)| match (column, field.field_type) {
                    (DATE_COLUMN, _) => Column::Date(Numbers::default()),
                    (EVENT_ID_COLUMN, _) => Column::Id(Texts::default()),
                    (_, FieldType::Int) => Column::Number(Numbers::default()),
                    (_, FieldType::String | FieldType::Json) => Column::Text(Texts::default()),
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
    fn append(&mut self, number: Option<i64>) {
        if number.is_none() {
            self.nulls.0.push(self.values.len());
        }
        self.values.push(number.unwrap_or_default());
    }

    fn finish(&mut self) -> ArrayRef {
        let present = self.nulls.finish(self.values.len());
        let values = with_same_capacity(&mut self.values);
        Arc::new(Int64Array::new(values.into(), present))
    }
}

impl Texts {
    fn append(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.bytes.extend_from_slice(text),
            None => self.nulls.0.push(self.ends.len()),
        }
        let end = i32::try_from(self.bytes.len());
        self.is_too_large |= end.is_err();
        self.ends.push(end.unwrap_or(i32::MAX));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let present = self.nulls.finish(self.ends.len());
        let bytes = with_same_capacity(&mut self.bytes);
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        if std::mem::take(&mut self.is_too_large) {
            return Err(ArrowError::OffsetOverflowError(bytes.len()));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let texts = StringArray::try_new(offsets, Buffer::from_vec(bytes), present)?;
        Ok(Arc::new(texts))
    }
}

impl Nulls {
    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.0.is_empty() {
            return None;
        }
        let mut present = BooleanBufferBuilder::new(rows);
        present.append_n(rows, true);
        for row in self.0.drain(..) {
            present.set_bit(row, false);
        }
        Some(NullBuffer::new(present.finish()))
    }
}

/// What was gathered; the next batch is likely about as large.
fn with_same_capacity<T>(gathered: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(gathered.len());
    std::mem::replace(gathered, next)
}
