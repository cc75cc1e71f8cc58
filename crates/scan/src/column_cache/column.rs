//! One column of a row group in memory.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int64Array, StringViewArray, UInt8Array,
    UInt16Array, UInt32Array, new_null_array,
};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;

/// Rows of a row group, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowSelection {
    /// A range of rows.
    Range(Range<usize>),
    /// Single rows.
    List(Vec<u32>),
}

impl RowSelection {
    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of each row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let (range, list) = match self {
            Self::Range(range) => (range.clone(), [].as_slice()),
            Self::List(rows) => (0..0, rows.as_slice()),
        };
        range.chain(list.iter().map(|row| *row as usize))
    }

    /// The row at an index of the selection, which has to be less than [`Self::len`].
    pub(crate) fn get(&self, index: usize) -> usize {
        match self {
            Self::Range(range) => range.start + index,
            Self::List(rows) => rows[index] as usize,
        }
    }

    /// The number of selected rows before an index of the row group.
    pub(crate) fn count_before(&self, index: usize) -> usize {
        match self {
            Self::Range(range) => {
                index.clamp(range.start, range.end.max(range.start)) - range.start
            }
            Self::List(rows) => rows.partition_point(|row| (*row as usize) < index),
        }
    }

    /// The number of pages of `page_rows` rows that contain them.
    pub(super) fn pages(&self, page_rows: usize) -> usize {
        match self {
            Self::Range(range) if range.is_empty() => 0,
            Self::Range(range) => (range.end - 1) / page_rows - range.start / page_rows + 1,
            Self::List(rows) => rows
                .chunk_by(|row, next| *row as usize / page_rows == *next as usize / page_rows)
                .count(),
        }
    }

    /// Some of these rows: those from the `from`-th on, at most `count`.
    pub(crate) fn slice(&self, from: usize, count: usize) -> Self {
        let from = from.min(self.len());
        let to = (from + count).min(self.len());
        match self {
            Self::Range(range) => Self::Range(range.start + from..range.start + to),
            Self::List(rows) => Self::List(rows[from..to].to_vec()),
        }
    }

    fn select(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Range(range) => Ok(array.slice(range.start, range.len())),
            Self::List(rows) => take(array, &UInt32Array::from(rows.clone()), None),
        }
    }
}

/// One column of a row group, in the type of the table: numbers, or text as views.
#[derive(Debug)]
pub(crate) enum Column {
    /// Text with few distinct values.
    Dictionary(DictionaryColumn),
    /// Anything else.
    Plain(PlainColumn),
}

/// A value for each row.
#[derive(Debug)]
pub(crate) struct PlainColumn {
    values: ArrayRef,
    is_ascending: bool,
}

/// Text as keys of a dictionary of the distinct values.
#[derive(Debug)]
pub(crate) struct DictionaryColumn {
    keys: Keys,
    /// The value of each code; the last is null.
    values: ArrayRef,
    has_nulls: bool,
}

#[derive(Debug)]
enum Keys {
    /// All rows have the first value.
    Same,
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

impl Column {
    /// A column that has the same number in all rows.
    pub(super) fn constant_number(number: i64, rows: usize) -> Self {
        Self::Plain(PlainColumn::new(Arc::new(Int64Array::from_value(
            number, rows,
        ))))
    }

    /// A column that has the same text in all rows, or nothing.
    pub(crate) fn constant(text: Option<&str>, data_type: &DataType, rows: usize) -> Self {
        if *data_type != DataType::Utf8View {
            return Self::Plain(PlainColumn::new(new_null_array(data_type, rows)));
        }
        let values = text.map(Some).into_iter().chain([None]);
        Self::Dictionary(DictionaryColumn {
            keys: Keys::Same,
            values: Arc::new(values.collect::<StringViewArray>()),
            has_nulls: text.is_none(),
        })
    }

    /// The column of what was read, in the type `wanted`.
    pub(super) fn new(array: &ArrayRef, wanted: &DataType) -> Result<Self, ArrowError> {
        if let Some(dictionary) = array.as_any_dictionary_opt()
            && dictionary.values().len() <= usize::from(u16::MAX)
            && let Some(dictionary) = array.as_dictionary_opt::<Int32Type>()
        {
            return Ok(Self::Dictionary(DictionaryColumn::new(dictionary, wanted)?));
        }
        Ok(Self::Plain(PlainColumn::new(cast(array, wanted)?)))
    }

    /// The values of some rows. Text of a few rows does not keep the text of all others in memory.
    ///
    /// # Errors
    /// When Arrow cannot pick the values, which it always can.
    pub(crate) fn values(&self, rows: &RowSelection) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Dictionary(coded) => coded.values_of(rows),
            Self::Plain(plain) => {
                let picked = rows.select(&plain.values)?;
                match picked.as_string_view_opt() {
                    Some(texts) if rows.len() < plain.values.len() => Ok(Arc::new(texts.gc())),
                    _ => Ok(picked),
                }
            }
        }
    }

    /// The numbers of all rows, when every row has one that is no less than those before it.
    pub(crate) fn ascending(&self) -> Option<&[i64]> {
        match self {
            Self::Plain(plain) if plain.is_ascending => {
                Some(plain.values.as_primitive_opt::<Int64Type>()?.values())
            }
            _ => None,
        }
    }

    /// About how many bytes of memory the column takes.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Dictionary(coded) => {
                coded.keys.size_bytes() + coded.values.get_array_memory_size()
            }
            Self::Plain(plain) => plain.values.get_array_memory_size(),
        }
    }
}

impl PlainColumn {
    fn new(values: ArrayRef) -> Self {
        let numbers = values.as_primitive_opt::<Int64Type>();
        let is_ascending = numbers
            .is_some_and(|numbers| numbers.null_count() == 0 && numbers.values().is_sorted());
        Self {
            values,
            is_ascending,
        }
    }
}

impl DictionaryColumn {
    fn new(dictionary: &DictionaryArray<Int32Type>, wanted: &DataType) -> Result<Self, ArrowError> {
        let values = cast(dictionary.values(), wanted)?;
        let null = values.len();
        let stored = dictionary.keys();
        let code = |row: usize| match stored.is_null(row) {
            true => null,
            // A key that is not null is an index of the dictionary.
            false => stored.value(row) as usize,
        };
        let rows = 0..stored.len();
        let keys = match u8::try_from(null) {
            Ok(_) => Keys::Bytes(rows.map(|row| code(row) as u8).collect()),
            Err(_) => Keys::Words(rows.map(|row| code(row) as u16).collect()),
        };
        let missing = new_null_array(wanted, 1);
        Ok(Self {
            keys,
            values: concat(&[&values, &missing])?,
            has_nulls: stored.null_count() > 0,
        })
    }

    /// The value of each code; the last is null.
    pub(crate) fn dictionary(&self) -> &ArrayRef {
        &self.values
    }

    /// The value that all rows have, when they have the same.
    pub(crate) fn only_value(&self) -> Option<ArrayRef> {
        match (&self.keys, self.values.len(), self.has_nulls) {
            (Keys::Same, ..) | (_, 1, _) | (_, 2, false) => Some(self.values.slice(0, 1)),
            _ => None,
        }
    }

    /// The codes of some rows.
    pub(crate) fn keys(&self, rows: &RowSelection) -> Vec<u32> {
        fn picked<T: Copy + Into<u32>>(keys: &[T], rows: &RowSelection) -> Vec<u32> {
            match rows {
                RowSelection::Range(range) => {
                    keys[range.clone()].iter().map(|c| (*c).into()).collect()
                }
                RowSelection::List(rows) => {
                    rows.iter().map(|row| keys[*row as usize].into()).collect()
                }
            }
        }
        match &self.keys {
            Keys::Same => vec![0; rows.len()],
            Keys::Bytes(keys) => picked(keys, rows),
            Keys::Words(keys) => picked(keys, rows),
        }
    }

    fn values_of(&self, rows: &RowSelection) -> Result<ArrayRef, ArrowError> {
        let keys: ArrayRef = match (&self.keys, rows) {
            (Keys::Bytes(keys), RowSelection::Range(range)) => {
                Arc::new(UInt8Array::from(keys[range.clone()].to_vec()))
            }
            (Keys::Words(keys), RowSelection::Range(range)) => {
                Arc::new(UInt16Array::from(keys[range.clone()].to_vec()))
            }
            (Keys::Same, _) | (_, RowSelection::List(_)) => {
                Arc::new(UInt32Array::from(self.keys(rows)))
            }
        };
        take(&self.values, &keys, None)
    }
}

impl Keys {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Same => 0,
            Self::Bytes(keys) => keys.len(),
            Self::Words(keys) => keys.len() * size_of::<u16>(),
        }
    }
}
