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

/// The rows of a row group that a question is about, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// All rows between two places.
    Range(Range<usize>),
    /// Single rows.
    List(Vec<u32>),
}

impl Rows {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of each row.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let (range, list) = match self {
            Self::Range(range) => (range.clone(), [].as_slice()),
            Self::List(rows) => (0..0, rows.as_slice()),
        };
        range.chain(list.iter().map(|row| *row as usize))
    }

    /// The row at a place among them, which has to be less than [`Self::len`].
    #[must_use]
    pub fn get(&self, place: usize) -> usize {
        match self {
            Self::Range(range) => range.start + place,
            Self::List(rows) => rows[place] as usize,
        }
    }

    /// How many of them are before a place in the row group.
    #[must_use]
    pub fn count_before(&self, place: usize) -> usize {
        match self {
            Self::Range(range) => {
                place.clamp(range.start, range.end.max(range.start)) - range.start
            }
            Self::List(rows) => rows.partition_point(|row| (*row as usize) < place),
        }
    }

    /// How many pages of `page_rows` rows they lie in.
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
    #[must_use]
    pub fn slice(&self, from: usize, count: usize) -> Self {
        let from = from.min(self.len());
        let to = (from + count).min(self.len());
        match self {
            Self::Range(range) => Self::Range(range.start + from..range.start + to),
            Self::List(rows) => Self::List(rows[from..to].to_vec()),
        }
    }

    fn picked(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Range(range) => Ok(array.slice(range.start, range.len())),
            Self::List(rows) => take(array, &UInt32Array::from(rows.clone()), None),
        }
    }
}

/// One column of a row group, in the type that questions read it in: numbers, or text as views.
#[derive(Debug)]
pub enum Column {
    /// Text with few different values.
    Coded(CodedColumn),
    /// Anything else.
    Plain(PlainColumn),
}

/// A value for each row.
#[derive(Debug)]
pub struct PlainColumn {
    values: ArrayRef,
    is_ascending: bool,
}

/// Text as numbers that stand for the different values.
#[derive(Debug)]
pub struct CodedColumn {
    codes: Codes,
    /// The value of each code; the last is null.
    values: ArrayRef,
    has_nulls: bool,
}

#[derive(Debug)]
enum Codes {
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
        Self::Coded(CodedColumn {
            codes: Codes::Same,
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
            return Ok(Self::Coded(CodedColumn::new(dictionary, wanted)?));
        }
        Ok(Self::Plain(PlainColumn::new(cast(array, wanted)?)))
    }

    /// The values of some rows. Text of a few rows does not keep the text of all others in memory.
    ///
    /// # Errors
    /// When Arrow cannot pick the values, which it always can.
    pub fn values(&self, rows: &Rows) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Coded(coded) => coded.values_of(rows),
            Self::Plain(plain) => {
                let picked = rows.picked(&plain.values)?;
                match picked.as_string_view_opt() {
                    Some(texts) if rows.len() < plain.values.len() => Ok(Arc::new(texts.gc())),
                    _ => Ok(picked),
                }
            }
        }
    }

    /// The numbers of all rows, when every row has one that is no less than those before it.
    #[must_use]
    pub fn ascending(&self) -> Option<&[i64]> {
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
            Self::Coded(coded) => coded.codes.size_bytes() + coded.values.get_array_memory_size(),
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

impl CodedColumn {
    fn new(dictionary: &DictionaryArray<Int32Type>, wanted: &DataType) -> Result<Self, ArrowError> {
        let values = cast(dictionary.values(), wanted)?;
        let null = values.len();
        let keys = dictionary.keys();
        let code = |row: usize| match keys.is_null(row) {
            true => null,
            // A key that is not null is a place in the dictionary.
            false => keys.value(row) as usize,
        };
        let rows = 0..keys.len();
        let codes = match u8::try_from(null) {
            Ok(_) => Codes::Bytes(rows.map(|row| code(row) as u8).collect()),
            Err(_) => Codes::Words(rows.map(|row| code(row) as u16).collect()),
        };
        let missing = new_null_array(wanted, 1);
        Ok(Self {
            codes,
            values: concat(&[&values, &missing])?,
            has_nulls: keys.null_count() > 0,
        })
    }

    /// The value of each code; the last is null.
    #[must_use]
    pub fn dictionary(&self) -> &ArrayRef {
        &self.values
    }

    /// The value that all rows have, when they have the same.
    #[must_use]
    pub fn only_value(&self) -> Option<ArrayRef> {
        match (&self.codes, self.values.len(), self.has_nulls) {
            (Codes::Same, ..) | (_, 1, _) | (_, 2, false) => Some(self.values.slice(0, 1)),
            _ => None,
        }
    }

    /// The codes of some rows.
    #[must_use]
    pub fn codes(&self, rows: &Rows) -> Vec<u32> {
        fn picked<T: Copy + Into<u32>>(codes: &[T], rows: &Rows) -> Vec<u32> {
            match rows {
                Rows::Range(range) => codes[range.clone()].iter().map(|c| (*c).into()).collect(),
                Rows::List(rows) => rows.iter().map(|row| codes[*row as usize].into()).collect(),
            }
        }
        match &self.codes {
            Codes::Same => vec![0; rows.len()],
            Codes::Bytes(codes) => picked(codes, rows),
            Codes::Words(codes) => picked(codes, rows),
        }
    }

    fn values_of(&self, rows: &Rows) -> Result<ArrayRef, ArrowError> {
        let codes: ArrayRef = match (&self.codes, rows) {
            (Codes::Bytes(codes), Rows::Range(range)) => {
                Arc::new(UInt8Array::from(codes[range.clone()].to_vec()))
            }
            (Codes::Words(codes), Rows::Range(range)) => {
                Arc::new(UInt16Array::from(codes[range.clone()].to_vec()))
            }
            (Codes::Same, _) | (_, Rows::List(_)) => Arc::new(UInt32Array::from(self.codes(rows))),
        };
        take(&self.values, &codes, None)
    }
}

impl Codes {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Same => 0,
            Self::Bytes(codes) => codes.len(),
            Self::Words(codes) => codes.len() * size_of::<u16>(),
        }
    }
}
