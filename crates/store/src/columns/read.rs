//! Columns of a row group out of a Parquet file.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::Field;
use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::{ParquetError, Result};

use super::RowGroup;
use super::column::{Column, Rows};
use super::footer::Footer;
use crate::file_reader::FileReader;

/// Whole columns, which the file has, by name and in the types wanted.
pub(super) async fn columns(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Footer,
    wanted: &[Arc<Field>],
) -> Result<Vec<Column>> {
    let read = read(objects, group, footer, wanted, None).await?;
    let columns = read.into_iter().zip(wanted);
    let columns = columns.map(|(array, field)| Ok(Column::new(&array, field.data_type())?));
    columns.collect()
}

/// The values of a few rows of columns, which the file has.
pub(super) async fn values(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Footer,
    wanted: &[Arc<Field>],
    rows: &Rows,
) -> Result<Vec<ArrayRef>> {
    let read = read(objects, group, footer, wanted, Some(selection(rows))).await?;
    let values = read.into_iter().zip(wanted);
    let values = values.map(|(array, field)| Ok(cast(&array, field.data_type())?));
    values.collect()
}

async fn read(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Footer,
    wanted: &[Arc<Field>],
    selection: Option<RowSelection>,
) -> Result<Vec<ArrayRef>> {
    let places = wanted.iter().filter_map(|field| footer.place(field.name()));
    let metadata = footer.reader(group.index).clone();
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), places);
    let reader = FileReader::new(objects, &group.path, group.size_bytes);
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
        .with_row_groups(vec![group.index])
        .with_projection(mask)
        .with_batch_size(footer.rows(group.index));
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
            Some([only]) => Ok(Arc::clone(only)),
            Some(parts) if !parts.is_empty() => {
                let parts: Vec<_> = parts.iter().map(|part| part.as_ref()).collect();
                Ok(concat(&parts)?)
            }
            _ => Err(ParquetError::General(format!(
                "column `{}` was not read",
                field.name()
            ))),
        }
    });
    found.collect()
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
