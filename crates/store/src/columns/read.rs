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
use tokio::task::JoinSet;

use super::RowGroup;
use super::column::{Column, Rows};
use super::footer::Footer;
use crate::file_reader::FileReader;

/// It is not worth it to wake another processor for fewer columns.
const COLUMNS_AT_ONCE: usize = 4;

/// Whole columns, which the file has, by name and in the types wanted. They are decoded in a task of their own, so
/// that whoever reads several row groups at once has them decoded on several processors.
pub(super) async fn columns(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Arc<Footer>,
    wanted: &[Arc<Field>],
) -> Result<Vec<Column>> {
    let (objects, group, footer) = (Arc::clone(objects), group.clone(), Arc::clone(footer));
    let wanted = wanted.to_vec();
    let reading = tokio::spawn(async move {
        let read = read(&objects, &group, &footer, &wanted, None).await?;
        let columns = read.into_iter().zip(&wanted);
        let columns = columns.map(|(array, field)| Ok(Column::new(&array, field.data_type())?));
        columns.collect()
    });
    reading
        .await
        .map_err(|error| ParquetError::External(Box::new(error)))?
}

/// The values of a few rows of columns, which the file has. Whoever wants a few rows waits for them mostly, so
/// many columns are read on several processors.
pub(super) async fn values(
    objects: &Arc<dyn ObjectStore>,
    group: &RowGroup,
    footer: &Arc<Footer>,
    wanted: &[Arc<Field>],
    rows: &Rows,
) -> Result<Vec<ArrayRef>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let selection = selection(rows);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = wanted.len().div_ceil(COLUMNS_AT_ONCE).clamp(1, threads);
    let mut reading: JoinSet<Result<Vec<(usize, ArrayRef)>>> = JoinSet::new();
    for part in 0..parts {
        // Neighbours are often similar, so they are dealt out.
        let places = (part..wanted.len()).step_by(parts);
        let fields: Vec<Arc<Field>> = places.clone().map(|at| Arc::clone(&wanted[at])).collect();
        let (objects, group, footer) = (Arc::clone(objects), group.clone(), Arc::clone(footer));
        let selection = selection.clone();
        reading.spawn(async move {
            let values = read(&objects, &group, &footer, &fields, Some(selection)).await?;
            let values = places.zip(values).zip(&fields);
            let values =
                values.map(|((place, array), field)| Ok((place, cast(&array, field.data_type())?)));
            values.collect()
        });
    }
    let mut values = Vec::with_capacity(wanted.len());
    while let Some(part) = reading.join_next().await {
        values.extend(part.map_err(|error| ParquetError::External(Box::new(error)))??);
    }
    values.sort_unstable_by_key(|(place, _)| *place);
    Ok(values.into_iter().map(|(_, values)| values).collect())
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
