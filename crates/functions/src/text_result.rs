//! Texts that a function makes of others: bounded for each batch, and charged while they are made. After that
//! they are charged as those of all functions are.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringViewArray, make_view};
use arrow::buffer::{Buffer, ScalarBuffer};
use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::ScalarFunctionArgs;

use crate::options::reservation;

/// The bytes that a text function may make of one batch of rows.
pub(crate) const TEXT_RESULT_BYTES: usize = 64 << 20;

/// Memory is charged in steps of this many bytes.
const CHARGE_BYTES: usize = 1 << 20;

/// Builds texts.
#[derive(Debug)]
pub(crate) struct TextResult {
    function: &'static str,
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    /// The texts that are complete, then the one that is written.
    bytes: Vec<u8>,
    start: usize,
    reservation: MemoryReservation,
}

impl TextResult {
    /// For the texts that a call of a function makes.
    pub(crate) fn new(function: &'static str, args: &ScalarFunctionArgs) -> Self {
        let rows = args.number_rows;
        Self {
            function,
            views: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
            bytes: Vec::new(),
            start: 0,
            reservation: reservation(&args.config_options, "texts of functions"),
        }
    }

    /// Checks that so many bytes may come.
    ///
    /// # Errors
    /// They would pass the bound of a batch, or the memory pool has no room.
    pub(crate) fn reserve(&mut self, more_bytes: usize) -> Result<()> {
        let bytes = self.bytes.len().saturating_add(more_bytes);
        if bytes > TEXT_RESULT_BYTES {
            let function = self.function;
            return Err(resources_datafusion_err!(
                "`{function}` makes more than {TEXT_RESULT_BYTES} bytes of text of one batch of rows"
            ));
        }
        if bytes > self.bytes.capacity() {
            // What a growing vector takes is charged before it grows.
            let capacity = (2 * self.bytes.capacity())
                .max(bytes)
                .next_multiple_of(CHARGE_BYTES);
            let capacity = capacity.min(TEXT_RESULT_BYTES);
            self.reservation
                .try_resize(self.bytes.capacity() + capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
            self.reservation.try_resize(self.bytes.capacity())?;
        }
        Ok(())
    }

    /// Adds to the text that is written.
    ///
    /// # Errors
    /// As [`TextResult::reserve`].
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        self.reserve(text.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Ends the text that is written.
    pub(crate) fn end(&mut self) {
        // Fewer bytes than 2³², as the bound tells.
        let view = make_view(&self.bytes[self.start..], 0, self.start as u32);
        self.views.push(view);
        self.nulls.append_non_null();
        self.start = self.bytes.len();
    }

    /// Adds a missing text.
    pub(crate) fn append_null(&mut self) {
        self.views.push(0);
        self.nulls.append_null();
    }

    /// Adds a text, or a missing one.
    ///
    /// # Errors
    /// As [`TextResult::reserve`].
    pub(crate) fn append(&mut self, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) => {
                self.write(text)?;
                self.end();
            }
            None => self.append_null(),
        }
        Ok(())
    }

    /// All texts.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn finish(mut self) -> Result<ArrayRef> {
        let buffer = Buffer::from_vec(self.bytes);
        let views = ScalarBuffer::from(self.views);
        let texts = StringViewArray::try_new(views, vec![buffer], self.nulls.finish())?;
        Ok(Arc::new(texts))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, Field};
    use datafusion::common::config::ConfigOptions;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

    use super::*;
    use crate::notes::NoteMetrics;
    use crate::options::FunctionOptions;

    /// The arguments of a call over some rows.
    fn call(rows: usize, pool: Option<&Arc<dyn MemoryPool>>) -> ScalarFunctionArgs {
        let mut config = ConfigOptions::default();
        if let Some(pool) = pool {
            config.extensions.insert(FunctionOptions {
                pool: Arc::clone(pool),
                notes: NoteMetrics::default(),
            });
        }
        ScalarFunctionArgs {
            args: Vec::new(),
            arg_fields: Vec::new(),
            number_rows: rows,
            return_field: Arc::new(Field::new("text", DataType::Utf8View, true)),
            config_options: Arc::new(config),
        }
    }

    /// The result of a call that is charged to no pool.
    pub(crate) fn result_of(function: &'static str, rows: usize) -> TextResult {
        TextResult::new(function, &call(rows, None))
    }

    /// Texts are charged while they are made.
    #[test]
    fn texts_are_charged_while_they_are_made() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(16 << 20));
        let args = call(3, Some(&pool));
        let mut texts = TextResult::new("concat", &args);
        let long = "x".repeat(3 << 20);
        for text in [Some("short"), None, Some(long.as_str())] {
            texts.append(text).unwrap();
        }
        assert!(pool.reserved() >= 3 << 20);
        let array = texts.finish().unwrap();
        assert_eq!(array.as_string_view().value(0), "short");
        assert!(array.is_null(1));
        assert_eq!(array.as_string_view().value(2), long);
        assert_eq!(pool.reserved(), 0);
        let mut texts = TextResult::new("concat", &args);
        assert!((0..100).try_for_each(|_| texts.write(&long)).is_err());
    }

    /// No batch makes more than the bound, however much memory there is.
    #[test]
    fn a_batch_is_bounded() {
        let mut texts = result_of("concat", 1);
        let text = "x".repeat(1 << 20);
        assert!((0..64).try_for_each(|_| texts.write(&text)).is_ok());
        assert!(texts.write("x").is_err());
        assert!(texts.reserve(usize::MAX).is_err());
    }
}
