//! Reading a data file from the object store.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::bloom_filter::Sbbf;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::StoreError;
use crate::location::Location;

/// What is fetched of the end of a file at first. The footer of a file with its page index is mostly smaller,
/// and then nothing else has to be fetched for it.
const END_BYTES: usize = 64 * 1024;

/// Fetches parts of one data file.
#[derive(Debug)]
pub(crate) struct FileReader {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
}

/// Begins to read the file of `size_bytes` bytes at `path`.
///
/// The types are those of the Parquet schema, whatever Arrow types its writer had.
pub(crate) async fn open(
    location: &Location,
    path: &Path,
    size_bytes: u64,
) -> std::result::Result<ParquetRecordBatchStreamBuilder<FileReader>, StoreError> {
    let reader = FileReader::new(&location.objects, path, size_bytes);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(|error| StoreError::parquet(path, error))
}

/// The bloom filters of a column, one for each row group, where there is one.
pub(crate) async fn bloom_filters(
    builder: &mut ParquetRecordBatchStreamBuilder<FileReader>,
    column: usize,
) -> Result<Vec<Option<Sbbf>>> {
    let mut filters = Vec::new();
    for row_group in 0..builder.metadata().num_row_groups() {
        let filter = builder.get_row_group_column_bloom_filter(row_group, column);
        filters.push(filter.await?);
    }
    Ok(filters)
}

impl FileReader {
    /// Reads parts of the file of `size_bytes` bytes at `path`.
    pub(crate) fn new(objects: &Arc<dyn ObjectStore>, path: &Path, size_bytes: u64) -> Self {
        Self {
            objects: Arc::clone(objects),
            path: path.clone(),
            size_bytes,
        }
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            self.objects
                .get_range(&self.path, range)
                .await
                .map_err(external)
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            self.objects
                .get_ranges(&self.path, &ranges)
                .await
                .map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size_bytes = self.size_bytes;
            let metadata = ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .with_prefetch_hint(Some(END_BYTES))
                .load_and_finish(self, size_bytes)
                .await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
