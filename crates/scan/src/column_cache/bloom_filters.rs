//! The Bloom filters of a column of a data file.

use datafusion::parquet::arrow::ParquetRecordBatchStreamBuilder;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::physical_plan::metrics::Count;
use store::{DataFile, Store, StoreError};

use crate::metered_reader::MeteredReader;

/// The Bloom filters of one column of a file.
#[derive(Debug)]
pub(super) struct BloomFilters {
    /// One for each row group, where there is one.
    row_groups: Vec<Option<Sbbf>>,
    pub(super) size_bytes: u64,
}

impl BloomFilters {
    /// Reads the filters of a column.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub(super) async fn read(
        store: &Store,
        file: &DataFile,
        column: &str,
        bytes_scanned: &Count,
    ) -> Result<Self, StoreError> {
        let footer = store.footer(file).await?;
        let Some(column) = footer.column_index(column) else {
            return Ok(Self {
                row_groups: (0..footer.groups()).map(|_| None).collect(),
                size_bytes: 0,
            });
        };
        let reader = MeteredReader {
            reader: store.file_reader(file),
            bytes_scanned: bytes_scanned.clone(),
        };
        let metadata = footer.reader().clone();
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata);
        let mut row_groups = Vec::with_capacity(footer.groups());
        for group in 0..footer.groups() {
            let filter = builder.get_row_group_column_bloom_filter(group, column);
            let filter = filter.await;
            row_groups.push(filter.map_err(|error| StoreError::parquet(&file.path, error))?);
        }
        Ok(Self {
            row_groups,
            size_bytes: footer.bloom_filter_bytes(column),
        })
    }

    /// For each row group whether it may contain a text.
    pub(super) fn may_contain(&self, text: &str) -> Vec<bool> {
        let groups = self.row_groups.iter();
        let may_contain = groups.map(|filter| {
            let filter = filter.as_ref();
            filter.is_none_or(|filter| filter.check(&text))
        });
        may_contain.collect()
    }
}
