//! How events lie in a data file. Everything that a measurement may change is here.

use events::fields;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// The columns by which the rows of a file are sorted, ascending.
pub(crate) const SORT_COLUMNS: [&str; 2] = [fields::DATE, fields::EVENT_ID];

/// Rows that are written at a time while a file grows.
pub(crate) const WRITE_ROWS: usize = 8 * 1024;

const ROW_GROUP_ROWS: usize = 128 * 1024;
/// What the events of a row group take at most when they are decoded, unless a single one is larger. A column of a row
/// group is read as a whole by many questions.
pub(crate) const ROW_GROUP_BYTES: u64 = 128 * 1024 * 1024;
/// Pages are small, so that a few rows cost little to read.
pub const PAGE_ROWS: usize = 2 * 1024;
const PAGE_BYTES: usize = 32 * 1024;

/// Texts that rarely come again: the dictionaries of such columns would be large, and each has to be read
/// for any of their rows. They get one only as long as it is small.
const RARE_TEXTS: [&str; 6] = [
    "df_message",
    "df_operation_id",
    "df_operation_name",
    "df_query",
    "comments",
    fields::ATTRIBUTES,
];
const RARE_TEXT_DICTIONARY_BYTES: usize = 32 * 1024;

/// Columns with few short values: their pages are codes of a few bits, which compression makes no smaller. It would
/// only take time, most of all where a few rows of many columns are read.
const FEW_VALUES: [&str; 15] = [
    "df_date_range",
    fields::SOURCE,
    fields::STATUS,
    "df_origin",
    "df_user_team",
    "df_query_typeDQL",
    "df_query_range",
    fields::WORKSPACE,
    "action",
    "category",
    "product",
    "project",
    "result",
    "country",
    "city",
];

const ZSTD_LEVEL: i32 = 1;

/// How often the bloom filter of the event ids says "perhaps" to an id that is not there.
const EVENT_ID_FALSE_POSITIVES: f64 = 0.001;

/// Above this number of ids the bloom filter of a row group nearly always says "perhaps" to one of
/// them, so that asking it saves nothing.
pub(crate) const BLOOM_FILTER_IDS: usize = 1000;

/// How a data file is encoded.
#[must_use]
pub fn writer_properties() -> WriterProperties {
    let date = ColumnPath::from(fields::DATE);
    let event_id = ColumnPath::from(fields::EVENT_ID);
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let builder = WriterProperties::builder();
    let builder = RARE_TEXTS.into_iter().fold(builder, |builder, text| {
        let limit = RARE_TEXT_DICTIONARY_BYTES;
        builder.set_column_dictionary_page_size_limit(ColumnPath::from(text), limit)
    });
    let builder = FEW_VALUES.into_iter().fold(builder, |builder, column| {
        builder.set_column_compression(ColumnPath::from(column), Compression::UNCOMPRESSED)
    });
    builder
        .set_created_by(concat!("vouch ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(date.clone(), EnabledStatistics::Page)
        .set_column_dictionary_enabled(date.clone(), false)
        .set_column_encoding(date, Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(event_id.clone(), false)
        .set_column_bloom_filter_fpp(event_id.clone(), EVENT_ID_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(event_id, ROW_GROUP_ROWS as u64)
        .set_sorting_columns(sorting_columns())
        .build()
}

/// The sort order in the form that the file's metadata has; it names columns by position.
fn sorting_columns() -> Option<Vec<SortingColumn>> {
    let schema = events::schema();
    SORT_COLUMNS
        .iter()
        .map(|name| {
            let position = schema.index_of(name).ok()?;
            Some(SortingColumn {
                column_idx: i32::try_from(position).ok()?,
                descending: false,
                nulls_first: false,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

    use super::*;

    #[test]
    fn a_few_rows_of_long_texts_are_a_small_part_of_the_file() {
        const ROWS: usize = 5_000;
        let texts = (0..ROWS).map(|row| Some(format!("{row:0>200}")));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        let batch = RecordBatch::try_from_iter([("df_message", texts)]).unwrap();
        let mut file = Vec::new();
        let properties = Some(writer_properties());
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), properties).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut reader =
            ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
        reader.try_parse(&Bytes::from(file)).unwrap();
        let metadata = reader.finish().unwrap();
        let pages = metadata.offset_index().unwrap()[0][0].page_locations();
        let mut starts: Vec<i64> = pages.iter().map(|page| page.first_row_index).collect();
        starts.push(ROWS as i64);
        let most_rows = starts.windows(2).map(|page| page[1] - page[0]).max();
        assert!(most_rows.unwrap() < 512, "{starts:?}");
        let column = metadata.row_group(0).column(0);
        let dictionary = column.dictionary_page_offset().unwrap();
        let share = (pages[0].offset - dictionary) * 10;
        assert!(share < column.compressed_size(), "{share}");
    }

    #[test]
    fn columns_of_the_schema_are_named() {
        let schema = events::schema();
        for name in RARE_TEXTS.into_iter().chain(FEW_VALUES) {
            schema.field_with_name(name).unwrap();
        }
    }

    #[test]
    fn the_sort_order_names_columns_of_the_schema() {
        let schema = events::schema();
        let names: Vec<String> = sorting_columns()
            .unwrap()
            .iter()
            .map(|column| {
                let position = usize::try_from(column.column_idx).unwrap();
                schema.field(position).name().clone()
            })
            .collect();
        assert_eq!(names, SORT_COLUMNS);
    }
}
