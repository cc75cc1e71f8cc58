//! Columns of a row group out of a Parquet file.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use datafusion::parquet::arrow::arrow_reader::{RowSelection as ParquetSelection, RowSelector};
use datafusion::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::physical_plan::metrics::Count;
use futures::TryStreamExt;
use store::Store;
use tokio::task::JoinSet;

use super::RowGroupRef;
use super::column::{Column, RowSelection};
use crate::metered_reader::MeteredReader;

/// It is not worth it to wake another processor for fewer columns of a few rows.
const COLUMNS_AT_ONCE: usize = 4;

/// Nor for fewer rows of a long text.
const ROWS_AT_ONCE: usize = 16 * 1024;

/// Reads columns of one row group.
#[derive(Debug, Clone)]
pub(super) struct ColumnReader {
    pub(super) store: Store,
    pub(super) group: RowGroupRef,
    pub(super) bytes_scanned: Count,
}

/// Whole columns, which the file has, by name and in the types wanted.
pub(super) async fn columns(reader: &ColumnReader, wanted: &[Arc<Field>]) -> Result<Vec<Column>> {
    let (footer, group) = (&reader.group.footer, reader.group.index);
    let rows = footer.rows(group);
    let parts = match wanted {
        [only] if footer.is_long_text(group, only) => parts(rows, ROWS_AT_ONCE),
        _ => 1,
    };
    let part = |part: usize| Piece {
        fields: wanted.to_vec(),
        rows: match parts {
            1 => None,
            _ => {
                let range = rows * part / parts..rows * (part + 1) / parts;
                Some(ParquetSelection::from_consecutive_ranges(
                    std::iter::once(range),
                    rows,
                ))
            }
        },
    };
    let read = read_parts(reader, (0..parts).map(part)).await?;
    let columns = wanted.iter().enumerate().map(|(index, field)| {
        let arrays: Vec<&ArrayRef> = read.iter().map(|part| &part[index]).collect();
        Ok(Column::new(&one_array(&arrays)?, field.data_type())?)
    });
    columns.collect()
}

/// The values of a few rows of columns, which the file has. A reader of a few rows mostly waits for them, so
/// many columns are read on several processors.
pub(super) async fn values(
    reader: &ColumnReader,
    wanted: &[Arc<Field>],
    rows: &RowSelection,
) -> Result<Vec<ArrayRef>> {
    let selection = selection(rows);
    let parts = parts(wanted.len(), COLUMNS_AT_ONCE);
    let part = |part| Piece {
        // Neighbours are often similar, so they are dealt out.
        fields: wanted.iter().skip(part).step_by(parts).cloned().collect(),
        rows: Some(selection.clone()),
    };
    let read = read_parts(reader, (0..parts).map(part)).await?;
    let values = wanted.iter().enumerate().map(|(index, field)| {
        let values = &read[index % parts][index / parts];
        Ok(cast(values, field.data_type())?)
    });
    values.collect()
}

/// The number of parallel tasks for `size` items, with at least `min_per_task` each.
fn parts(size: usize, min_per_task: usize) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    size.div_ceil(min_per_task).clamp(1, threads)
}

/// Something to read of a row group in one go.
struct Piece {
    fields: Vec<Arc<Field>>,
    /// All rows when there is no choice.
    rows: Option<ParquetSelection>,
}

/// The arrays of each part, in its order. Each part is decoded in a task of its own, even when there is only one, so that
/// several row groups are decoded on several processors.
async fn read_parts(
    reader: &ColumnReader,
    parts: impl Iterator<Item = Piece>,
) -> Result<Vec<Vec<ArrayRef>>> {
    let mut reading: JoinSet<Result<(usize, Vec<ArrayRef>)>> = JoinSet::new();
    for (index, part) in parts.enumerate() {
        let reader = reader.clone();
        reading.spawn(async move {
            let arrays = read(&reader, &part.fields, part.rows).await?;
            Ok((index, arrays))
        });
    }
    let mut read = Vec::with_capacity(reading.len());
    while let Some(part) = reading.join_next().await {
        read.push(part.map_err(|error| ParquetError::External(Box::new(error)))??);
    }
    read.sort_unstable_by_key(|(index, _)| *index);
    Ok(read.into_iter().map(|(_, arrays)| arrays).collect())
}

async fn read(
    reader: &ColumnReader,
    wanted: &[Arc<Field>],
    selection: Option<ParquetSelection>,
) -> Result<Vec<ArrayRef>> {
    let (footer, group) = (&reader.group.footer, reader.group.index);
    let indices = wanted
        .iter()
        .filter_map(|field| footer.column_index(field.name()));
    let metadata = footer.reader_as_stored(group)?;
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), indices);
    let reader = MeteredReader {
        reader: reader.store.file_reader(&reader.group.file),
        bytes_scanned: reader.bytes_scanned.clone(),
    };
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(footer.rows(group));
    if let Some(selection) = selection {
        builder = builder.with_row_selection(selection);
    }
    let batches: Vec<RecordBatch> = builder.build()?.try_collect().await?;
    let found = wanted.iter().map(|field| {
        let parts = batches
            .iter()
            .map(|batch| batch.column_by_name(field.name()));
        let parts: Option<Vec<&ArrayRef>> = parts.collect();
        one_array(&parts.unwrap_or_default()).map_err(|error| {
            let name = field.name();
            ParquetError::General(format!("column `{name}` was not read: {error}"))
        })
    });
    found.collect()
}

/// Concatenates arrays; there has to be one.
fn one_array(arrays: &[&ArrayRef]) -> std::result::Result<ArrayRef, ArrowError> {
    match arrays {
        [only] => Ok(Arc::clone(only)),
        several => concat(
            &several
                .iter()
                .map(|array| array.as_ref())
                .collect::<Vec<_>>(),
        ),
    }
}

fn selection(rows: &RowSelection) -> ParquetSelection {
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
