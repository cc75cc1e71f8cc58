//! What the footer of a file tells about its row groups.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use parquet::file::statistics::Statistics;

use super::column::Column;
use crate::file_reader::{FilePlace, FileReader, reader_options};
use crate::location::Location;

/// The footer of a file, with the places of its pages.
#[derive(Debug)]
pub(super) struct Footer {
    metadata: Arc<ParquetMetaData>,
    /// The types to read each row group in.
    groups: Vec<ArrowReaderMetadata>,
}

impl Footer {
    /// Reads the footer of a file.
    pub(super) async fn read(location: &Location, file: &FilePlace) -> Result<Self> {
        let options = reader_options().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = FileReader::new(location, file)
            .get_metadata(Some(&options))
            .await?;
        let schema = ArrowReaderMetadata::try_new(Arc::clone(&metadata), reader_options())?;
        let groups = 0..metadata.num_row_groups();
        let groups = groups.map(|group| typed(&metadata, schema.schema(), group));
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
            metadata,
        })
    }

    /// How many row groups the file has.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many rows a row group has.
    pub(super) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or_default()
    }

    /// What to read each row group with: text that is stored as a dictionary stays one.
    pub(super) fn readers(&self) -> &[ArrowReaderMetadata] {
        &self.groups
    }

    /// How many bytes the bloom filters of a column have together.
    pub(super) fn bloom_filter_bytes(&self, place: usize) -> u64 {
        let groups = self.metadata.row_groups().iter();
        let sizes = groups.filter_map(|group| group.column(place).bloom_filter_length());
        sizes.filter_map(|bytes| u64::try_from(bytes).ok()).sum()
    }

    /// The place of a column in the file.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        let schema = self.metadata.file_metadata().schema_descr();
        (0..schema.num_columns()).find(|leaf| schema.column(*leaf).name() == column)
    }

    /// A column of a row group that has one value or none, which the file says without being read further.
    pub(super) fn constant(&self, group: usize, field: &Field) -> Option<Column> {
        let rows = self.rows(group);
        let Some(place) = self.place(field.name()) else {
            return Some(Column::constant(None, field.data_type(), rows));
        };
        let statistics = self.chunk(group, place).statistics()?;
        if statistics.null_count_opt() == Some(rows as u64) {
            return Some(Column::constant(None, field.data_type(), rows));
        }
        match statistics {
            Statistics::ByteArray(values)
                if values.null_count_opt() == Some(0)
                    && values.min_is_exact()
                    && values.max_is_exact()
                    && values.min_opt() == values.max_opt() =>
            {
                let text = values.min_opt()?.as_utf8().ok()?;
                Some(Column::constant(Some(text), field.data_type(), rows))
            }
            _ => None,
        }
    }

    /// Whether a column is text that is stored in full length for each row.
    pub(super) fn is_long_text(&self, group: usize, field: &Field) -> bool {
        let column = self
            .place(field.name())
            .map(|place| self.chunk(group, place));
        column.is_some_and(|column| {
            column.column_type() == PhysicalType::BYTE_ARRAY && !is_dictionary(column)
        })
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.metadata.memory_size()
    }

    fn chunk(&self, group: usize, place: usize) -> &ColumnChunkMetaData {
        self.metadata.row_group(group).column(place)
    }
}

fn typed(
    metadata: &Arc<ParquetMetaData>,
    schema: &Schema,
    group: usize,
) -> Result<ArrowReaderMetadata> {
    let columns = metadata.row_group(group).columns();
    let fields = schema.fields().iter().zip(columns).map(|(field, column)| {
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
