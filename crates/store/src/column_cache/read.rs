//! Columns of a row group out of a Parquet file.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{RowSelection as ParquetSelection, RowSelector};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::{ParquetError, Result};
use tokio::task::JoinSet;

use super::RowGroupRef;
use super::column::{Column, RowSelection};
use crate::file::footer::Footer;
use crate::file::reader::FileReader;
use crate::root::location::Location;

/// It is not worth it to wake another processor for fewer columns of a few rows.
const COLUMNS_AT_ONCE: usize = 4;

/// Nor for fewer rows of a long text.
const ROWS_AT_ONCE: usize = 16 * 1024;

/// Whole columns, which the file has, by name and in the types wanted.
pub(super) async fn columns(
    location: &Location,
    group: &RowGroupRef,
    footer: &Arc<Footer>,
    wanted: &[Arc<Field>],
) -> Result<Vec<Column>> {
    let rows = footer.rows(group.index);
    let parts = match wanted {
        [only] if footer.is_long_text(group.index, only) => parts(rows, ROWS_AT_ONCE),
        _ => 1,
    };
    let part = |part: usize| Piece {
        fields: wanted.to_vec(),
        rows: match parts {
            1 => None,
            _ => {
                let places = rows * part / parts..rows * (part + 1) / parts;
                Some(ParquetSelection::from_consecutive_ranges(
                    std::iter::once(places),
                    rows,
                ))
            }
        },
    };
    let read = read_parts(location, group, footer, (0..parts).map(part)).await?;
    let columns = wanted.iter().enumerate().map(|(place, field)| {
        let arrays: Vec<&ArrayRef> = read.iter().map(|part| &part[place]).collect();
        Ok(Column::new(&one_array(&arrays)?, field.data_type())?)
    });
    columns.collect()
}

/// The values of a few rows of columns, which the file has. A reader of a few rows mostly waits for them, so
/// many columns are read on several processors.
pub(super) async fn values(
    location: &Location,
    group: &RowGroupRef,
    footer: &Arc<Footer>,
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
    let read = read_parts(location, group, footer, (0..parts).map(part)).await?;
    let values = wanted.iter().enumerate().map(|(place, field)| {
        let values = &read[place % parts][place / parts];
        Ok(cast(values, field.data_type())?)
    });
    values.collect()
}

/// The number of parallel tasks for `size` items, with at least `min_per_task` each.
fn parts(size: usize, least: usize) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    size.div_ceil(least).clamp(1, threads)
}

/// Something to read of a row group in one go.
struct Piece {
    fields: Vec<Arc<Field>>,
    /// All rows when there is no choice.
    rows: Option<ParquetSelection>,
}

/// The arrays of each part, in its order. Each is decoded in a task of its own, also when there is only one: a
/// reader that
/// reads several row groups at once has them decoded on several processors.
async fn read_parts(
    location: &Location,
    group: &RowGroupRef,
    footer: &Arc<Footer>,
    parts: impl Iterator<Item = Piece>,
) -> Result<Vec<Vec<ArrayRef>>> {
    let mut reading: JoinSet<Result<(usize, Vec<ArrayRef>)>> = JoinSet::new();
    for (place, part) in parts.enumerate() {
        let (location, group, footer) = (location.clone(), group.clone(), Arc::clone(footer));
        reading.spawn(async move {
            let arrays = read(&location, &group, &footer, &part.fields, part.rows).await?;
            Ok((place, arrays))
        });
    }
    let mut read = Vec::with_capacity(reading.len());
    while let Some(part) = reading.join_next().await {
        read.push(part.map_err(|error| ParquetError::External(Box::new(error)))??);
    }
    read.sort_unstable_by_key(|(place, _)| *place);
    Ok(read.into_iter().map(|(_, arrays)| arrays).collect())
}

async fn read(
    location: &Location,
    group: &RowGroupRef,
    footer: &Footer,
    wanted: &[Arc<Field>],
    selection: Option<ParquetSelection>,
) -> Result<Vec<ArrayRef>> {
    let places = wanted
        .iter()
        .filter_map(|field| footer.column_index(field.name()));
    let metadata = footer.reader_as_stored(group.index)?;
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), places);
    let reader = FileReader::new(location, &group.file);
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
