//! Events into Arrow record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use arrow::error::ArrowError;

use crate::delivery::Delivery;
use crate::event::{Event, ValueRef};
use crate::fields::{FIELDS, FieldType, SetBy, schema};

#[derive(Debug)]
enum Column {
    Int(Int64Builder),
    Text(StringBuilder),
}

/// Gathers events into a record batch of the [`schema`].
#[derive(Debug)]
pub struct EventBatchBuilder {
    columns: Vec<Column>,
    events: usize,
    size_bytes: usize,
    /// How large the batch would be with the events that did not fit any more.
    overflow_bytes: Option<usize>,
}

impl EventBatchBuilder {
    /// The most bytes of events that one batch holds: an Arrow text column counts its bytes in 31
    /// bits. Call [`Self::finish`] well before [`Self::size_bytes`] comes near.
    pub const MAX_SIZE_BYTES: usize = i32::MAX as usize;

    /// An empty batch.
    pub fn new() -> Self {
        let columns = FIELDS.iter().map(|field| match field.field_type {
            // Many batches hold one event, and what is reserved here stays reserved in them.
            FieldType::Int => Column::Int(Int64Builder::with_capacity(0)),
            FieldType::String | FieldType::Json => Column::Text(StringBuilder::with_capacity(0, 0)),
        });
        Self {
            columns: columns.collect(),
            events: 0,
            size_bytes: 0,
            overflow_bytes: None,
        }
    }

    /// Adds an event as the last row, without the fields that Vouch sets. An event beyond
    /// [`Self::MAX_SIZE_BYTES`] is not taken, and makes [`Self::finish`] fail.
    pub fn append(&mut self, event: &Event) {
        self.append_delivered(event, &Delivery::default());
    }

    /// Adds an event as the last row, with the fields that its delivery sets; as [`Self::append`].
    pub fn append_delivered(&mut self, event: &Event, delivery: &Delivery) {
        let size_bytes = self.size_bytes.saturating_add(event.size_bytes());
        if size_bytes > Self::MAX_SIZE_BYTES || self.overflow_bytes.is_some() {
            self.overflow_bytes = Some(size_bytes);
            return;
        }
        for (index, (column, field)) in self.columns.iter_mut().zip(&FIELDS).enumerate() {
            let value = match field.set_by {
                SetBy::Producer => event.value(index),
                SetBy::Vouch => delivery.value(field.name),
            };
            match (column, value) {
                (Column::Int(builder), Some(ValueRef::Int(number))) => builder.append_value(number),
                (Column::Int(builder), _) => builder.append_null(),
                (Column::Text(builder), Some(ValueRef::Text(text))) => builder.append_value(text),
                (Column::Text(builder), _) => builder.append_null(),
            }
        }
        self.events += 1;
        self.size_bytes = size_bytes;
    }

    /// How many events were taken.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Whether no event was taken.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// About how many bytes the events take.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The events as a batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// [`ArrowError::OffsetOverflowError`] when an event was appended beyond
    /// [`Self::MAX_SIZE_BYTES`].
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let built = std::mem::take(self);
        if let Some(size_bytes) = built.overflow_bytes {
            return Err(ArrowError::OffsetOverflowError(size_bytes));
        }
        let columns = built.columns.into_iter().map(|column| match column {
            Column::Int(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Column::Text(mut builder) => Arc::new(builder.finish()),
        });
        RecordBatch::try_new(schema(), columns.collect())
    }
}

impl Default for EventBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
