//! Columns of data files in memory, for repeated queries.
//!
//! Data files never change, so cached columns stay valid until they are evicted to free memory.

mod bloom_filters;
mod column;
mod read;
mod row_group_statistics;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use datafusion::physical_plan::metrics::Count;
use events::ValueRef;
use object_store::path::Path;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use store::{DataFile, Footer, PAGE_ROWS, Store, StoreError};

pub(crate) use self::column::{Column, RowSelection};
pub(crate) use self::row_group_statistics::RowGroupStatistics;

use self::bloom_filters::BloomFilters;
use self::read::ColumnReader;
use crate::metrics::CacheMetrics;

/// What a column takes about, from which follows how many the cache expects.
const TYPICAL_COLUMN_BYTES: usize = 64 * 1024;

/// Rows are very few when they are in at most one of this many pages.
const VERY_FEW: usize = 4;

/// How many columns are remembered of which a few rows were asked for.
const ASKED_COLUMNS: usize = 16 * 1024;

/// After this many reads of very few rows of a column, reading their pages may have cost as much as
/// reading the column.
const WORTH_KEEPING: u8 = 8;

/// The memory limit of Bloom filters, in addition to the columns.
const FILTER_BYTES: u64 = 64 * 1024 * 1024;
const TYPICAL_FILTER_BYTES: usize = 32 * 1024;

/// One row group of a data file.
#[derive(Debug, Clone)]
pub(crate) struct RowGroupRef {
    /// The file.
    pub(crate) file: Arc<DataFile>,
    pub(crate) footer: Arc<Footer>,
    /// The index of the row group in the file.
    pub(crate) index: usize,
}

impl RowGroupRef {
    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.footer.rows(self.index)
    }
}

/// Reads columns of data files and keeps those that are asked for often.
#[derive(Debug)]
pub struct ColumnCache {
    store: Store,
    filters: Cache<ColumnKey, Arc<BloomFilters>, FilterSize>,
    columns: Cache<ColumnKey, Arc<Column>, ColumnSize>,
    /// How often a few rows of a column were asked for.
    asked: Cache<ColumnKey, u8>,
}

/// A column, or values of it.
#[derive(Debug)]
pub(crate) enum LoadedColumn {
    /// The whole column.
    Full(Arc<Column>),
    /// The values of the rows that were asked for.
    Selected(ArrayRef),
}

/// A column of a row group, or of all row groups of a file, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ColumnKey {
    path: Path,
    row_group: Option<usize>,
    column: String,
}

/// A [`ColumnKey`] to look for, which copies nothing.
#[derive(Debug, Clone, Copy, Hash)]
struct Lookup<'k> {
    path: &'k Path,
    row_group: Option<usize>,
    column: &'k str,
}

impl<'k> Lookup<'k> {
    fn of_group(group: &'k RowGroupRef, column: &'k str) -> Self {
        Self {
            path: &group.file.path,
            row_group: Some(group.index),
            column,
        }
    }

    fn to_key(self) -> ColumnKey {
        ColumnKey {
            path: self.path.clone(),
            row_group: self.row_group,
            column: self.column.to_owned(),
        }
    }
}

impl Equivalent<ColumnKey> for Lookup<'_> {
    fn equivalent(&self, key: &ColumnKey) -> bool {
        self.row_group == key.row_group && self.column == key.column && *self.path == key.path
    }
}

#[derive(Debug, Clone)]
struct FilterSize;

#[derive(Debug, Clone)]
struct ColumnSize;

impl Weighter<ColumnKey, Arc<BloomFilters>> for FilterSize {
    fn weight(&self, key: &ColumnKey, filters: &Arc<BloomFilters>) -> u64 {
        size_of_val(key) as u64 + filters.size_bytes
    }
}

impl Weighter<ColumnKey, Arc<Column>> for ColumnSize {
    fn weight(&self, key: &ColumnKey, column: &Arc<Column>) -> u64 {
        (size_of_val(key) + column.size_bytes()) as u64
    }
}

impl ColumnCache {
    /// Reads the files of `store` and keeps at most about `memory_bytes` of their columns.
    #[must_use]
    pub fn new(store: &Store, memory_bytes: usize) -> Self {
        let bytes = memory_bytes as u64;
        let filters = FILTER_BYTES as usize / TYPICAL_FILTER_BYTES;
        Self {
            store: store.clone(),
            filters: Cache::with_weighter(filters, FILTER_BYTES, FilterSize),
            asked: Cache::new(ASKED_COLUMNS),
            columns: Cache::with_weighter(
                memory_bytes / TYPICAL_COLUMN_BYTES + 1,
                bytes,
                ColumnSize,
            ),
        }
    }

    /// The row groups of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub(crate) async fn row_groups(
        &self,
        file: &Arc<DataFile>,
    ) -> Result<Vec<RowGroupRef>, StoreError> {
        let footer = self.store.footer(file).await?;
        let group = |index| RowGroupRef {
            file: Arc::clone(file),
            footer: Arc::clone(&footer),
            index,
        };
        Ok((0..footer.groups()).map(group).collect())
    }

    /// Whole columns of a row group, in the types wanted: those of [`events::view_schema`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn load(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
        metrics: &CacheMetrics,
    ) -> Result<Vec<Arc<Column>>, StoreError> {
        let known = self.known(group, wanted, &metrics.hits);
        let mut read = self
            .read(group, &unknown(&known, wanted), metrics)
            .await?
            .into_iter();
        let columns = known
            .into_iter()
            .filter_map(|known| known.or_else(|| read.next()));
        Ok(columns.collect())
    }

    /// The estimated bytes of memory that loading a column takes: none when it is in memory already.
    pub(crate) fn bytes_to_load(&self, group: &RowGroupRef, wanted: &Field) -> usize {
        let column = Lookup::of_group(group, wanted.name());
        if self.columns.contains_key(&column) {
            return 0;
        }
        group.footer.memory_bytes(group.index, wanted)
    }

    /// Reads the values of selected rows, in the types wanted. For columns that are not in memory, long texts are
    /// read for these rows only the first time, and always when the rows are very few; other columns only when the
    /// rows are very few, until that happened too often. The cache keeps no values that were read for selected rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn read_rows(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
        rows: &RowSelection,
        metrics: &CacheMetrics,
    ) -> Result<Vec<LoadedColumn>, StoreError> {
        let known = self.known(group, wanted, &metrics.hits);
        let missing = unknown(&known, wanted);
        if missing.is_empty() {
            return Ok(known
                .into_iter()
                .flatten()
                .map(LoadedColumn::Full)
                .collect());
        }
        let pages = group.rows().div_ceil(PAGE_ROWS);
        let is_very_few = rows.pages(PAGE_ROWS).saturating_mul(VERY_FEW) <= pages;
        let is_better_in_part = |field: &Arc<Field>| {
            let asked = self.count_asked(group, field);
            match group.footer.is_long_text(group.index, field) {
                true => is_very_few || asked == 0,
                false => is_very_few && asked < WORTH_KEEPING,
            }
        };
        let is_few: Vec<bool> = missing.iter().map(is_better_in_part).collect();
        let of_kind = |few: bool| {
            let missing = missing.iter().zip(&is_few);
            let missing = missing.filter(move |(_, is_few)| **is_few == few);
            missing
                .map(|(field, _)| Arc::clone(field))
                .collect::<Vec<_>>()
        };
        let mut whole = self
            .read(group, &of_kind(false), metrics)
            .await?
            .into_iter();
        let few = match of_kind(true) {
            none if none.is_empty() => Vec::new(),
            some => {
                metrics.misses.add(some.len());
                let reader = self.reader(group, metrics);
                let read = read::values(&reader, &some, rows).await;
                read.map_err(|error| StoreError::parquet(&group.file.path, error))?
            }
        };
        let (mut few, mut is_few) = (few.into_iter(), is_few.into_iter());
        let parts = known.into_iter().filter_map(|known| match known {
            Some(known) => Some(LoadedColumn::Full(known)),
            None if is_few.next()? => few.next().map(LoadedColumn::Selected),
            None => whole.next().map(LoadedColumn::Full),
        });
        Ok(parts.collect())
    }

    /// Reads whole columns, and keeps them.
    async fn read(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
        metrics: &CacheMetrics,
    ) -> Result<Vec<Arc<Column>>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        metrics.misses.add(wanted.len());
        let read = read::columns(&self.reader(group, metrics), wanted).await;
        let read = read.map_err(|error| StoreError::parquet(&group.file.path, error))?;
        let read = wanted.iter().zip(read);
        Ok(read
            .map(|(field, column)| self.keep(group, field, column))
            .collect())
    }

    fn reader(&self, group: &RowGroupRef, metrics: &CacheMetrics) -> ColumnReader {
        ColumnReader {
            store: self.store.clone(),
            group: group.clone(),
            bytes_scanned: metrics.bytes_scanned.clone(),
        }
    }

    /// How often a few rows of a column were asked for before, as far as that is remembered.
    fn count_asked(&self, group: &RowGroupRef, field: &Field) -> u8 {
        let column = Lookup::of_group(group, field.name());
        let asked = self.asked.get(&column).unwrap_or_default();
        self.asked.insert(column.to_key(), asked.saturating_add(1));
        asked
    }

    /// For each row group of a file whether it may contain `text` in a column, by the Bloom filters.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub(crate) async fn may_contain(
        &self,
        file: &DataFile,
        column: &str,
        text: &str,
        bytes_scanned: &Count,
    ) -> Result<Vec<bool>, StoreError> {
        let column = Lookup {
            path: &file.path,
            row_group: None,
            column,
        };
        let filters = match self.filters.get(&column) {
            Some(filters) => filters,
            None => {
                let filters =
                    BloomFilters::read(&self.store, file, column.column, bytes_scanned).await?;
                let filters = Arc::new(filters);
                self.filters.insert(column.to_key(), Arc::clone(&filters));
                filters
            }
        };
        Ok(filters.may_contain(text))
    }

    /// The columns that are in memory, or that the footer of the file determines.
    fn known(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
        hits: &Count,
    ) -> Vec<Option<Arc<Column>>> {
        let columns = wanted
            .iter()
            .map(|field| Lookup::of_group(group, field.name()));
        let known = columns.map(|column| self.columns.get(&column));
        let mut known: Vec<Option<Arc<Column>>> = known.collect();
        let found = known.iter().flatten().count();
        hits.add(found);
        if found < known.len() {
            for (place, field) in known.iter_mut().zip(wanted) {
                if place.is_none() {
                    let constant = delivered(group, field);
                    let constant = constant.or_else(|| footer_constant(group, field));
                    *place = constant.map(|column| self.keep(group, field, column));
                }
            }
        }
        known
    }

    fn keep(&self, group: &RowGroupRef, field: &Field, column: Column) -> Arc<Column> {
        let column = Arc::new(column);
        let key = Lookup::of_group(group, field.name()).to_key();
        self.columns.insert(key, Arc::clone(&column));
        column
    }
}

/// A text column of a file that has the same value in all rows, by the log.
pub(crate) fn logged_constant(file: &DataFile, field: &Field) -> Option<Column> {
    let mut constants = file.constants.iter();
    let constant = constants.find(|constant| constant.column == field.name())?;
    let rows = usize::try_from(file.rows).ok()?;
    let text = constant.text.as_deref();
    Some(Column::constant(text, field.data_type(), rows))
}

/// A column of a row group that has one value or none, by the footer.
fn footer_constant(group: &RowGroupRef, field: &Field) -> Option<Column> {
    let (footer, rows) = (&group.footer, group.rows());
    let index = footer.column_index(field.name());
    let Some(index) = index.filter(|index| !footer.is_empty(group.index, *index)) else {
        return Some(Column::constant(None, field.data_type(), rows));
    };
    let text = footer.only_text(group.index, index)?;
    Some(Column::constant(Some(text), field.data_type(), rows))
}

/// A column that the delivery of the file's events sets.
fn delivered(group: &RowGroupRef, field: &Field) -> Option<Column> {
    let rows = group.rows();
    match group.file.delivery.as_ref()?.value(field.name())? {
        ValueRef::Int(number) => Some(Column::constant_number(number, rows)),
        ValueRef::Text(text) => Some(Column::constant(Some(text), field.data_type(), rows)),
    }
}

/// The wanted columns that are not in memory.
fn unknown(known: &[Option<Arc<Column>>], wanted: &[Arc<Field>]) -> Vec<Arc<Field>> {
    let missing = known
        .iter()
        .zip(wanted)
        .filter(|(column, _)| column.is_none());
    missing.map(|(_, field)| Arc::clone(field)).collect()
}
