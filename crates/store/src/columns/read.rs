//! Columns of a row group out of a Parquet file.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector,
};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};

use super::RowGroup;
use super::column::{Column, Rows};
use crate::file_reader::FileReader;

/// The footer of a file, with the places of its pages.
pub(super) async fn footer(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
) -> Result<Arc<ParquetMetaData>> {
    let options = ArrowReaderOptions::new()
        .with_skip_arrow_metadata(true)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    FileReader::new(objects, &group.path, group.size_bytes)
        .get_metadata(Some(&options))
        .await
}

/// Whole columns, by name and in the types wanted. `None` is a column that the file does not have.
pub(super) async fn columns(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Arc<ParquetMetaData>,
    wanted: &[Arc<Field>],
) -> Result<Vec<Option<Column>>> {
    let read = read(objects, group, footer, wanted, None).await?;
    let columns = read.into_iter().zip(wanted).map(|(array, field)| {
        let column = array.map(|array| Column::new(&array, field.data_type()));
        Ok(column.transpose()?)
    });
    columns.collect()
}

/// The values of a few rows of columns; `None` is a column that the file does not have.
pub(super) async fn values(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Arc<ParquetMetaData>,
    wanted: &[Arc<Field>],
    rows: &Rows,
) -> Result<Vec<Option<ArrayRef>>> {
    let read = read(objects, group, footer, wanted, Some(selection(rows))).await?;
    let values = read.into_iter().zip(wanted).map(|(array, field)| {
        let values = array.map(|array| cast(&array, field.data_type()));
        Ok(values.transpose()?)
    });
    values.collect()
}

async fn read(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Arc<ParquetMetaData>,
    wanted: &[Arc<Field>],
    selection: Option<RowSelection>,
) -> Result<Vec<Option<ArrayRef>>> {
    let schema = footer.file_metadata().schema_descr();
    let is_wanted = |name: &str| wanted.iter().any(|field| field.name() == name);
    let leaves = (0..schema.num_columns()).filter(|leaf| is_wanted(schema.column(*leaf).name()));
    let mask = ProjectionMask::leaves(schema, leaves);
    let reader = FileReader::new(objects, &group.path, group.size_bytes);
    let metadata = arrow_metadata(footer, group.index)?;
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
        .with_row_groups(vec![group.index])
        .with_projection(mask)
        .with_batch_size(group.rows(footer));
    if let Some(selection) = selection {
        builder = builder.with_row_selection(selection);
    }
    let batches: Vec<RecordBatch> = builder.build()?.try_collect().await?;
    let found = wanted.iter().map(|field| {
        let parts = batches
            .iter()
            .map(|batch| batch.column_by_name(field.name()));
        let parts: Option<Vec<&ArrayRef>> = parts.collect();
        match parts.as_deref() {
            None | Some([]) => Ok(None),
            Some([only]) => Ok(Some(Arc::clone(only))),
            Some(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| part.as_ref()).collect();
                Ok(Some(concat(&parts)?))
            }
        }
    });
    found.collect()
}

/// The types to read a row group in: text that is stored as a dictionary stays one.
fn arrow_metadata(footer: &Arc<ParquetMetaData>, group: usize) -> Result<ArrowReaderMetadata> {
    let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(footer), plain.clone())?;
    let fields = metadata.schema().fields().iter().enumerate();
    let fields: Vec<Field> = fields
        .map(|(place, field)| {
            let is_coded = *field.data_type() == DataType::Utf8
                && is_dictionary(footer.row_group(group).column(place));
            let data_type = match (field.data_type(), is_coded) {
                (DataType::Utf8, true) => {
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
                }
                (DataType::Utf8, false) => DataType::Utf8View,
                (other, _) => other.clone(),
            };
            field.as_ref().clone().with_data_type(data_type)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    ArrowReaderMetadata::try_new(Arc::clone(footer), plain.with_schema(schema))
}

/// Whether a column is text that is stored in full length for each row.
pub(super) fn is_long_text(footer: &ParquetMetaData, group: &RowGroup, field: &Field) -> bool {
    let schema = footer.file_metadata().schema_descr();
    let place = (0..schema.num_columns()).find(|leaf| schema.column(*leaf).name() == field.name());
    let column = place.map(|place| footer.row_group(group.index).column(place));
    column.is_some_and(|column| {
        column.column_type() == PhysicalType::BYTE_ARRAY && !is_dictionary(column)
    })
}

/// Whether all pages of a column are codes of its dictionary.
fn is_dictionary(column: &ColumnChunkMetaData) -> bool {
    column.dictionary_page_offset().is_some()
        && column
            .page_encoding_stats_mask()
            .is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY))
}

fn selection(rows: &Rows) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut next = 0;
    for row in rows.iter() {
        match selectors.last_mut() {
            Some(last) if next == row && !last.skip => last.row_count += 1,
            _ => {
                if row > next {
                    selectors.push(RowSelector::skip(row - next));
                }
                selectors.push(RowSelector::select(1));
            }
        }
        next = row + 1;
    }
    selectors.into()
}
