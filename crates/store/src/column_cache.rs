//! Columns of data files in memory, for repeated queries.
//!
//! | module | holds |
//! |---|---|
//! | `column` | one column of a row group: keys of a dictionary where the file has one |
//! | `read` | columns out of a Parquet file |
//!
//! Data files never change, so cached columns stay valid until they are evicted to free memory.

mod column;
mod read;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use events::ValueRef;
use object_store::path::Path;
use parquet::bloom_filter::Sbbf;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

pub use self::column::{Column, DictionaryColumn, PlainColumn, RowSelection};
use crate::delta::snapshot::DataFile;
use crate::error::StoreError;
use crate::file::footer::Footer;
use crate::file::layout::PAGE_ROWS;
use crate::file::reader::{FileRef, bloom_filters};
use crate::root::location::Location;
use crate::store::Store;

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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowGroupRef {
    /// The file.
    pub(crate) file: FileRef,
    /// The index of the row group in the file.
    pub index: usize,
}

/// Reads columns of data files and keeps those that are asked for often.
#[derive(Debug)]
pub struct ColumnCache {
    location: Location,
    filters: Cache<ColumnKey, Arc<Filters>, FilterSize>,
    columns: Cache<ColumnKey, Arc<Column>, ColumnSize>,
    /// How often a few rows of a column were asked for.
    asked: Cache<ColumnKey, u8>,
}

/// A column, or values of it.
#[derive(Debug)]
pub enum LoadedColumn {
    /// The whole column.
    Full(Arc<Column>),
    /// The values of the rows that were asked for.
    Selected(ArrayRef),
}

/// The Bloom filters of one column, one for each row group.
#[derive(Debug)]
struct Filters {
    /// One for each row group, where there is one.
    of_groups: Vec<Option<Sbbf>>,
    size_bytes: u64,
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

impl Weighter<ColumnKey, Arc<Filters>> for FilterSize {
    fn weight(&self, key: &ColumnKey, filters: &Arc<Filters>) -> u64 {
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
            location: store.location().clone(),
            filters: Cache::with_weighter(filters, FILTER_BYTES, FilterSize),
            asked: Cache::new(ASKED_COLUMNS),
            columns: Cache::with_weighter(
                memory_bytes / TYPICAL_COLUMN_BYTES + 1,
                bytes,
                ColumnSize,
            ),
        }
    }

    /// The row groups of a file, each with how many rows it has.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub async fn row_groups(
        &self,
        file: &DataFile,
    ) -> Result<Vec<(RowGroupRef, usize)>, StoreError> {
        let file = file.file_ref();
        let footer = self.footer(&file).await?;
        let group = |index| RowGroupRef {
            file: file.clone(),
            index,
        };
        let groups = (0..footer.groups()).map(|index| (group(index), footer.rows(index)));
        Ok(groups.collect())
    }

    /// Whole columns of a row group, in the types wanted: those of [`events::view_schema`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn load(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
    ) -> Result<Vec<Arc<Column>>, StoreError> {
        let known = self.known(group, wanted).await?;
        let mut read = self
            .read(group, &unknown(&known, wanted))
            .await?
            .into_iter();
        let columns = known
            .into_iter()
            .filter_map(|known| known.or_else(|| read.next()));
        Ok(columns.collect())
    }

    /// About how many bytes of memory it takes to load a column: none for one that is in memory already.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn bytes_to_load(
        &self,
        group: &RowGroupRef,
        wanted: &Field,
    ) -> Result<usize, StoreError> {
        let column = Lookup::of_group(group, wanted.name());
        if self.columns.contains_key(&column) {
            return Ok(0);
        }
        let footer = self.footer(&group.file).await?;
        Ok(footer.memory_bytes(group.index, wanted))
    }

    /// Reads the values of selected rows, in the types wanted. For columns that are not in memory, long texts are
    /// read for these rows only the first time, and always when the rows are very few; other columns only when the
    /// rows are very few, until that happened too often. The cache keeps no values that were read for selected rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read_rows(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
        rows: &RowSelection,
    ) -> Result<Vec<LoadedColumn>, StoreError> {
        let known = self.known(group, wanted).await?;
        let missing = unknown(&known, wanted);
        if missing.is_empty() {
            return Ok(known
                .into_iter()
                .flatten()
                .map(LoadedColumn::Full)
                .collect());
        }
        let footer = self.footer(&group.file).await?;
        let pages = footer.rows(group.index).div_ceil(PAGE_ROWS);
        let is_very_few = rows.pages(PAGE_ROWS).saturating_mul(VERY_FEW) <= pages;
        let is_better_in_part = |field: &Arc<Field>| {
            let asked = self.count_asked(group, field);
            match footer.is_long_text(group.index, field) {
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
        let mut whole = self.read(group, &of_kind(false)).await?.into_iter();
        let few = match of_kind(true) {
            none if none.is_empty() => Vec::new(),
            some => read::values(&self.location, group, &footer, &some, rows)
                .await
                .map_err(|error| StoreError::parquet(&group.file.path, error))?,
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
    ) -> Result<Vec<Arc<Column>>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let footer = self.footer(&group.file).await?;
        let read = read::columns(&self.location, group, &footer, wanted).await;
        let read = read.map_err(|error| StoreError::parquet(&group.file.path, error))?;
        let read = wanted.iter().zip(read);
        Ok(read
            .map(|(field, column)| self.keep(group, field, column))
            .collect())
    }

    /// How often a few rows of a column were asked for before, as far as that is remembered.
    fn count_asked(&self, group: &RowGroupRef, field: &Field) -> u8 {
        let column = Lookup::of_group(group, field.name());
        let asked = self.asked.get(&column).unwrap_or_default();
        self.asked.insert(column.to_key(), asked.saturating_add(1));
        asked
    }

    /// The row groups of a file that may contain `text` in a column, by the Bloom filters.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub async fn row_groups_that_may_hold(
        &self,
        file: &DataFile,
        column: &str,
        text: &str,
    ) -> Result<Vec<usize>, StoreError> {
        let column = Lookup {
            path: &file.path,
            row_group: None,
            column,
        };
        let filters = match self.filters.get(&column) {
            Some(filters) => filters,
            None => {
                let filters = Arc::new(self.filters(&file.file_ref(), column.column).await?);
                self.filters.insert(column.to_key(), Arc::clone(&filters));
                filters
            }
        };
        let groups = filters.of_groups.iter().enumerate();
        let groups = groups.filter(|(_, filter)| {
            let filter = filter.as_ref();
            filter.is_none_or(|filter| filter.check(&text))
        });
        Ok(groups.map(|(group, _)| group).collect())
    }

    async fn filters(&self, file: &FileRef, column: &str) -> Result<Filters, StoreError> {
        let footer = self.footer(file).await?;
        let place = footer.column_index(column);
        let Some(place) = place else {
            return Ok(Filters {
                of_groups: (0..footer.groups()).map(|_| None).collect(),
                size_bytes: 0,
            });
        };
        let mut builder = file.builder(&self.location, &footer);
        let of_groups = bloom_filters(&mut builder, place).await;
        Ok(Filters {
            of_groups: of_groups.map_err(|error| StoreError::parquet(&file.path, error))?,
            size_bytes: footer.bloom_filter_bytes(place),
        })
    }

    async fn footer(&self, file: &FileRef) -> Result<Arc<Footer>, StoreError> {
        self.location.caches.footers.of(&self.location, file).await
    }

    /// The columns that are in memory, or that the footer of the file determines.
    async fn known(
        &self,
        group: &RowGroupRef,
        wanted: &[Arc<Field>],
    ) -> Result<Vec<Option<Arc<Column>>>, StoreError> {
        let columns = wanted
            .iter()
            .map(|field| Lookup::of_group(group, field.name()));
        let known = columns.map(|column| self.columns.get(&column));
        let mut known: Vec<Option<Arc<Column>>> = known.collect();
        if known.iter().any(Option::is_none) {
            let footer = self.footer(&group.file).await?;
            for (place, field) in known.iter_mut().zip(wanted) {
                if place.is_none() {
                    let constant = delivered(group, field, footer.rows(group.index));
                    let constant = constant.or_else(|| of_footer(&footer, group.index, field));
                    *place = constant.map(|column| self.keep(group, field, column));
                }
            }
        }
        Ok(known)
    }

    fn keep(&self, group: &RowGroupRef, field: &Field, column: Column) -> Arc<Column> {
        let column = Arc::new(column);
        let key = Lookup::of_group(group, field.name()).to_key();
        self.columns.insert(key, Arc::clone(&column));
        column
    }
}

impl DataFile {
    /// A text column that has the same value in all rows, as far as the log says.
    #[must_use]
    pub fn constant(&self, field: &Field) -> Option<Column> {
        let mut constants = self.constants.iter();
        let constant = constants.find(|constant| constant.column == field.name())?;
        let rows = usize::try_from(self.rows).ok()?;
        let text = constant.text.as_deref();
        Some(Column::constant(text, field.data_type(), rows))
    }
}

/// A column of a row group that has one value or none, as the footer says.
fn of_footer(footer: &Footer, group: usize, field: &Field) -> Option<Column> {
    let rows = footer.rows(group);
    let index = footer.column_index(field.name());
    let Some(index) = index.filter(|index| !footer.is_empty(group, *index)) else {
        return Some(Column::constant(None, field.data_type(), rows));
    };
    let text = footer.only_text(group, index)?;
    Some(Column::constant(Some(text), field.data_type(), rows))
}

/// A column that the delivery of the file's events sets.
fn delivered(group: &RowGroupRef, field: &Field, rows: usize) -> Option<Column> {
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
