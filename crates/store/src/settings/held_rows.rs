//! The rows of data files that holds cover.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::or;
use events::fields;
use events::settings::Hold;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;

use crate::error::StoreError;
use crate::file::reader::FileRef;
use crate::root::location::Location;
use crate::settings::hold::{self, USER_COLUMNS};

/// The held rows of a file.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) rows: u64,
    pub(crate) by_hold: BTreeMap<String, u64>,
}

/// Counts the rows that any of `holds` covers. Reads only the columns that decide it.
pub(crate) async fn held_in(
    location: &Location,
    file: &FileRef,
    holds: &[Arc<Hold>],
) -> Result<Held, StoreError> {
    let failed = |error| StoreError::parquet(&file.path, error);
    let builder = file.open(location).await?;
    let columns = builder.parquet_schema().columns().iter().enumerate();
    let decide = columns.filter(|(_, column)| {
        let name = column.path().string();
        name == fields::DATE || USER_COLUMNS.contains(&name.as_str())
    });
    let decide: Vec<usize> = decide.map(|(index, _)| index).collect();
    let mask = ProjectionMask::leaves(builder.parquet_schema(), decide);
    let mut batches = builder.with_projection(mask).build().map_err(failed)?;
    let mut held = Held::default();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        held.rows += held_rows(file, &batch, holds)?.true_count() as u64;
        for hold in holds {
            let rows = rows_of(file, &batch, hold)?.true_count() as u64;
            *held.by_hold.entry(hold.name.clone()).or_default() += rows;
        }
    }
    Ok(held)
}

/// Which rows any of `holds` covers.
pub(crate) fn held_rows(
    file: &FileRef,
    batch: &RecordBatch,
    holds: &[Arc<Hold>],
) -> Result<BooleanArray, StoreError> {
    let mut held = BooleanArray::from(vec![false; batch.num_rows()]);
    for hold in holds {
        held = or(&held, &rows_of(file, batch, hold)?)?;
    }
    Ok(held)
}

fn rows_of(file: &FileRef, batch: &RecordBatch, hold: &Hold) -> Result<BooleanArray, StoreError> {
    hold::rows_of(&hold.events, batch).map_err(|column| StoreError::Corrupt {
        path: file.path.to_string(),
        reason: format!("its column `{column}` has another type than events have"),
    })
}

/// How many rows of a file `hold` covers.
pub(crate) async fn rows_held(
    location: &Location,
    file: &FileRef,
    hold: &Arc<Hold>,
) -> Result<u64, StoreError> {
    let held = held_in(location, file, std::slice::from_ref(hold)).await?;
    Ok(held.rows)
}
