//! How many bytes events take when they are decoded, so that memory follows bytes and not the number of rows.

use std::fmt;
use std::str::FromStr;

use arrow::array::{Array, AsArray, RecordBatch};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::file::layout;

/// The key under which the log holds the decoded size of a file, among the tags of its entry.
pub(crate) const TAG: &str = "vouch.decoded";

/// What is decoded of a file at a time, about, unless a single row is larger.
pub(crate) const BATCH_BYTES: u64 = 64 * 1024 * 1024;

/// What a value takes beside its text: a number, or where its text begins.
const VALUE_BYTES: u64 = 8;

/// How many bytes the rows of a file take in columns of Arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Decoded {
    /// All of them.
    pub(crate) bytes: u64,
    /// The largest one.
    pub(crate) largest_row_bytes: u64,
}

impl Decoded {
    /// Takes rows of these sizes into account.
    pub(crate) fn add(&mut self, rows: &[u64]) {
        self.bytes += rows.iter().sum::<u64>();
        let largest = rows.iter().copied().max().unwrap_or_default();
        self.largest_row_bytes = self.largest_row_bytes.max(largest);
    }

    /// The size by the footer of a file whose writer has logged nothing: as if all rows of a row group were of
    /// the same size.
    pub(crate) fn of_footer(footer: &ParquetMetaData) -> Self {
        let mut decoded = Self::default();
        for group in footer.row_groups() {
            let bytes = decoded_bytes(group);
            let rows = u64::try_from(group.num_rows()).unwrap_or_default();
            decoded.bytes += bytes;
            decoded.largest_row_bytes = decoded.largest_row_bytes.max(bytes / rows.max(1));
        }
        decoded
    }

    /// How many rows to decode at a time, at most `most`, so that they take about `bytes` in the worst case.
    pub(crate) fn rows_at_a_time(self, bytes: u64, most: usize) -> usize {
        let rows = bytes / self.largest_row_bytes.max(1);
        usize::try_from(rows).unwrap_or(most).clamp(1, most.max(1))
    }
}

fn decoded_bytes(group: &RowGroupMetaData) -> u64 {
    let columns = group.columns().iter();
    let sizes = columns.map(|column| {
        let texts = column.unencoded_byte_array_data_bytes().unwrap_or_default();
        u64::try_from(texts.max(column.uncompressed_size())).unwrap_or_default()
    });
    sizes.sum()
}

/// The bytes of each row of a batch.
pub(crate) fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let fixed = batch.num_columns() as u64 * VALUE_BYTES;
    let mut sizes = vec![fixed; batch.num_rows()];
    for column in batch.columns() {
        if let Some(texts) = column.as_string_opt::<i32>()
            && texts.null_count() < texts.len()
        {
            let lengths = texts.value_offsets().windows(2);
            for (size, ends) in sizes.iter_mut().zip(lengths) {
                *size += u64::try_from(ends[1] - ends[0]).unwrap_or_default();
            }
        }
    }
    sizes
}

/// How many rows of a file to decode at a time when all columns are read one batch after the other.
pub(crate) fn batch_rows(logged: Option<Decoded>, footer: &ParquetMetaData) -> usize {
    let decoded = logged.unwrap_or_else(|| Decoded::of_footer(footer));
    decoded.rows_at_a_time(BATCH_BYTES, layout::WRITE_ROWS)
}

impl fmt::Display for Decoded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.bytes, self.largest_row_bytes)
    }
}

impl FromStr for Decoded {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (bytes, largest) = text.split_once(':').ok_or(())?;
        Ok(Self {
            bytes: bytes.parse().map_err(drop)?,
            largest_row_bytes: largest.parse().map_err(drop)?,
        })
    }
}
