//! The footers of data files, each of which is read once.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema};
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use parquet::file::statistics::Statistics;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::error::StoreError;
use crate::file::reader::{FileReader, FileRef};
use crate::root::location::Location;

/// What all footers in memory may take together.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// About what one takes, from which follows how many the cache expects.
const TYPICAL_BYTES: u64 = 32 * 1024;

/// The footers that this process has read last.
#[derive(Debug, Clone)]
pub(crate) struct Footers(Arc<Cache<Path, Arc<Footer>, FooterSize>>);

#[derive(Debug, Clone)]
struct FooterSize;

impl Weighter<Path, Arc<Footer>> for FooterSize {
    fn weight(&self, _: &Path, footer: &Arc<Footer>) -> u64 {
        footer.metadata().memory_size() as u64
    }
}

impl Default for Footers {
    fn default() -> Self {
        let typical = usize::try_from(MEMORY_BYTES / TYPICAL_BYTES).unwrap_or(1);
        Self(Arc::new(Cache::with_weighter(
            typical,
            MEMORY_BYTES,
            FooterSize,
        )))
    }
}

impl Footers {
    /// The footer of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub(crate) async fn of(
        &self,
        location: &Location,
        file: &FileRef,
    ) -> std::result::Result<Arc<Footer>, StoreError> {
        if let Some(footer) = self.0.get(&file.path) {
            return Ok(footer);
        }
        let footer = Footer::read(location, file).await;
        let footer = Arc::new(footer.map_err(|error| StoreError::parquet(&file.path, error))?);
        if file.is_data_file() {
            self.0.insert(file.path.clone(), Arc::clone(&footer));
        }
        Ok(footer)
    }
}

/// The footer of a file, with the offsets of its pages.
#[derive(Debug)]
pub struct Footer {
    reader: ArrowReaderMetadata,
    /// The same for each row group: text that is stored as a dictionary stays one.
    readers_as_stored: OnceLock<Vec<ArrowReaderMetadata>>,
}

/// The types are those of the Parquet schema, whatever Arrow types the writer of a file had.
pub(crate) fn reader_options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

impl Footer {
    async fn read(location: &Location, file: &FileRef) -> Result<Self> {
        let options = reader_options().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = FileReader::new(location, file)
            .get_metadata(Some(&options))
            .await?;
        Ok(Self {
            reader: ArrowReaderMetadata::try_new(metadata, reader_options())?,
            readers_as_stored: OnceLock::new(),
        })
    }

    /// What to read the file with, in the types of its Parquet schema.
    #[must_use]
    pub fn reader(&self) -> &ArrowReaderMetadata {
        &self.reader
    }

    /// What to read a row group with: text that is stored as a dictionary stays one.
    ///
    /// # Errors
    /// When the schema of the file has no Arrow types, which it had when the footer was read.
    pub fn reader_as_stored(&self, group: usize) -> Result<ArrowReaderMetadata> {
        let readers = match self.readers_as_stored.get() {
            Some(readers) => readers,
            None => {
                let groups = 0..self.groups();
                let readers = groups.map(|group| as_stored(&self.reader, group));
                let readers = readers.collect::<Result<_>>()?;
                self.readers_as_stored.get_or_init(|| readers)
            }
        };
        Ok(readers[group].clone())
    }

    /// What the Parquet format says of the file.
    #[must_use]
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.reader.metadata()
    }

    /// How many row groups the file has.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.metadata().num_row_groups()
    }

    /// How many rows a row group has.
    #[must_use]
    pub fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata().row_group(group).num_rows()).unwrap_or_default()
    }

    /// How many bytes the bloom filters of a column have together.
    #[must_use]
    pub fn bloom_filter_bytes(&self, place: usize) -> u64 {
        let groups = self.metadata().row_groups().iter();
        let sizes = groups.filter_map(|group| group.column(place).bloom_filter_length());
        sizes.filter_map(|bytes| u64::try_from(bytes).ok()).sum()
    }

    /// The index of a column in the file.
    #[must_use]
    pub fn column_index(&self, column: &str) -> Option<usize> {
        let schema = self.metadata().file_metadata().schema_descr();
        let mut leaves = schema.columns().iter();
        leaves.position(|leaf| matches!(leaf.path().parts(), [only] if only == column))
    }

    /// Whether no row of a row group has a value in a column; `false` also when the file does not say it.
    #[must_use]
    pub fn is_empty(&self, group: usize, place: usize) -> bool {
        let statistics = self.chunk(group, place).statistics();
        let nulls = statistics.and_then(Statistics::null_count_opt);
        nulls == Some(self.rows(group) as u64)
    }

    /// The text that a column of a row group has in all rows, which the file says without being read further.
    #[must_use]
    pub fn only_text(&self, group: usize, place: usize) -> Option<&str> {
        match self.chunk(group, place).statistics()? {
            Statistics::ByteArray(values)
                if values.null_count_opt() == Some(0)
                    && values.min_is_exact()
                    && values.max_is_exact()
                    && values.min_opt() == values.max_opt() =>
            {
                values.min_opt()?.as_utf8().ok()
            }
            _ => None,
        }
    }

    /// Whether a column is text that is stored in full length for each row.
    #[must_use]
    pub fn is_long_text(&self, group: usize, field: &Field) -> bool {
        let column = self
            .column_index(field.name())
            .map(|place| self.chunk(group, place));
        column.is_some_and(|column| {
            column.column_type() == PhysicalType::BYTE_ARRAY && !is_dictionary(column)
        })
    }

    /// About how many bytes of memory a column of a row group takes.
    #[must_use]
    pub fn memory_bytes(&self, group: usize, field: &Field) -> usize {
        let place = self.column_index(field.name());
        let Some(place) = place.filter(|place| !self.is_empty(group, *place)) else {
            return 0;
        };
        let column = self.chunk(group, place);
        let values = usize::try_from(column.uncompressed_size()).unwrap_or_default();
        let rows = self.rows(group);
        match (column.column_type(), is_dictionary(column)) {
            (PhysicalType::BYTE_ARRAY, true) => values + rows * size_of::<u16>(),
            (PhysicalType::BYTE_ARRAY, false) => values + rows * size_of::<u128>(),
            _ => rows * size_of::<i64>(),
        }
    }

    fn chunk(&self, group: usize, place: usize) -> &ColumnChunkMetaData {
        self.metadata().row_group(group).column(place)
    }
}

fn as_stored(reader: &ArrowReaderMetadata, group: usize) -> Result<ArrowReaderMetadata> {
    let metadata = reader.metadata();
    let columns = metadata.row_group(group).columns();
    let fields = reader.schema().fields().iter().zip(columns);
    let fields = fields.map(|(field, column)| {
        let data_type = match (field.data_type(), is_dictionary(column)) {
            (DataType::Utf8, true) => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            (DataType::Utf8, false) => DataType::Utf8View,
            (other, _) => other.clone(),
        };
        field.as_ref().clone().with_data_type(data_type)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    ArrowReaderMetadata::try_new(Arc::clone(metadata), reader_options().with_schema(schema))
}

/// Whether all pages of a column are codes of its dictionary.
fn is_dictionary(column: &ColumnChunkMetaData) -> bool {
    column.dictionary_page_offset().is_some()
        && column
            .page_encoding_stats_mask()
            .is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY))
}
