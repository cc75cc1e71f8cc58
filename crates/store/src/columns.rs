//! Columns of data files in memory, for questions that come again and again.
//!
//! | module | holds |
//! |---|---|
//! | `column` | one column of a row group: codes of a dictionary where the file has one |
//! | `footer` | what the footer of a file tells about its row groups |
//! | `read` | columns out of a Parquet file |
//!
//! Data files never change, so what was read stays true until it is thrown out for lack of room.

mod column;
mod footer;
mod read;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

pub use self::column::{CodedColumn, Column, PlainColumn, Rows};
use self::footer::Footer;
use crate::error::StoreError;
use crate::file_reader::FileReader;
use crate::layout::PAGE_ROWS;
use crate::store::Store;

/// What a column takes about, to tell the cache how many to expect.
const TYPICAL_COLUMN_BYTES: usize = 64 * 1024;

/// Rows are very few when they lie in at most one in so many pages.
const VERY_FEW: usize = 4;

/// How many columns are remembered of which a few rows were asked for.
const ASKED_COLUMNS: usize = 16 * 1024;

/// After so many questions for very few rows of a column, reading their pages may have cost as much as
/// reading the column.
const WORTH_KEEPING: u8 = 8;

/// What footers and bloom filters may take, beside the columns.
const FOOTER_BYTES: u64 = 64 * 1024 * 1024;
const TYPICAL_FOOTER_BYTES: usize = 32 * 1024;

/// One row group of a data file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowGroup {
    /// The file, under the root of the store.
    pub path: Path,
    /// The size of the file.
    pub size_bytes: u64,
    /// The place of the row group in the file.
    pub index: usize,
}

/// Reads columns of data files and keeps those that are asked for often.
#[derive(Debug)]
pub struct Columns {
    objects: Arc<dyn ObjectStore>,
    footers: Cache<Path, Arc<Footer>, FooterSize>,
    filters: Cache<ColumnKey, Arc<Filter>, FilterSize>,
    columns: Cache<ColumnKey, Arc<Column>, ColumnSize>,
    /// How often a few rows of a column were asked for.
    asked: Cache<ColumnKey, u8>,
}

/// A column, or values of it.
#[derive(Debug)]
pub enum Part {
    /// The whole column.
    Whole(Arc<Column>),
    /// The values of the rows that were asked for.
    Few(ArrayRef),
}

/// What a file has to tell which texts a column does not have.
#[derive(Debug)]
struct Filter {
    filter: Option<Sbbf>,
    size_bytes: u64,
}

/// A column of a row group, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ColumnKey {
    path: Path,
    row_group: usize,
    column: String,
}

impl ColumnKey {
    fn new(group: &RowGroup, column: &str) -> Self {
        Self {
            path: group.path.clone(),
            row_group: group.index,
            column: column.to_owned(),
        }
    }
}

#[derive(Debug, Clone)]
struct FooterSize;

#[derive(Debug, Clone)]
struct FilterSize;

#[derive(Debug, Clone)]
struct ColumnSize;

impl Weighter<Path, Arc<Footer>> for FooterSize {
    fn weight(&self, _: &Path, footer: &Arc<Footer>) -> u64 {
        footer.size_bytes() as u64
    }
}

impl Weighter<ColumnKey, Arc<Filter>> for FilterSize {
    fn weight(&self, key: &ColumnKey, filter: &Arc<Filter>) -> u64 {
        size_of_val(key) as u64 + filter.size_bytes
    }
}

impl Weighter<ColumnKey, Arc<Column>> for ColumnSize {
    fn weight(&self, key: &ColumnKey, column: &Arc<Column>) -> u64 {
        (size_of_val(key) + column.size_bytes()) as u64
    }
}

impl Columns {
    /// Reads the files of `store` and keeps at most about `memory_bytes` of their columns.
    #[must_use]
    pub fn new(store: &Store, memory_bytes: usize) -> Self {
        let bytes = memory_bytes as u64;
        let footers = FOOTER_BYTES as usize / TYPICAL_FOOTER_BYTES;
        Self {
            objects: store.object_store(),
            footers: Cache::with_weighter(footers, FOOTER_BYTES, FooterSize),
            filters: Cache::with_weighter(footers, FOOTER_BYTES, FilterSize),
            asked: Cache::new(ASKED_COLUMNS),
            columns: Cache::with_weighter(
                memory_bytes / TYPICAL_COLUMN_BYTES + 1,
                bytes,
                ColumnSize,
            ),
        }
    }

    /// The row groups of a file of `size_bytes` bytes, each with how many rows it has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn row_groups(
        &self,
        path: &Path,
        size_bytes: u64,
    ) -> Result<Vec<(RowGroup, usize)>, StoreError> {
        let group = |index| RowGroup {
            path: path.clone(),
            size_bytes,
            index,
        };
        let footer = self.footer(path, size_bytes).await?;
        let groups = (0..footer.groups()).map(|index| (group(index), footer.rows(index)));
        Ok(groups.collect())
    }

    /// Whole columns of a row group, in the types wanted: those of [`events::view_schema`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn load(
        &self,
        group: &RowGroup,
        wanted: &[Arc<Field>],
    ) -> Result<Vec<Arc<Column>>, StoreError> {
        let mut known = self.known(group, wanted).await?;
        let missing = unknown(&known, wanted);
        if !missing.is_empty() {
            let footer = self.footer(&group.path, group.size_bytes).await?;
            let read = read::columns(&self.objects, group, &footer, &missing).await;
            let read = read.map_err(|error| StoreError::parquet(&group.path, error))?;
            let read = missing.iter().zip(read);
            let mut read = read.map(|(field, column)| self.keep(group, field, column));
            for place in known.iter_mut().filter(|place| place.is_none()) {
                *place = read.next();
            }
        }
        Ok(known.into_iter().flatten().collect())
    }

    /// Columns for the sake of a few rows, in the types wanted. Of columns that are not in memory, long
    /// texts are read for these rows alone the first time, and always when the rows are very few; other
    /// columns only when the rows are very few, until that happened too often. Nothing is kept of what was
    /// read for a few rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn load_few(
        &self,
        group: &RowGroup,
        wanted: &[Arc<Field>],
        rows: &Rows,
    ) -> Result<Vec<Part>, StoreError> {
        let missing = unknown(&self.known(group, wanted).await?, wanted);
        let mut few: Vec<Arc<Field>> = Vec::new();
        if !missing.is_empty() {
            let footer = self.footer(&group.path, group.size_bytes).await?;
            let pages = footer.rows(group.index).div_ceil(PAGE_ROWS);
            let is_very_few = rows.pages(PAGE_ROWS).saturating_mul(VERY_FEW) <= pages;
            let is_better_in_part = |field: &&Arc<Field>| {
                let asked = self.count_asked(group, field);
                match footer.is_long_text(group.index, field) {
                    true => is_very_few || asked == 0,
                    false => is_very_few && asked < WORTH_KEEPING,
                }
            };
            few = missing.iter().filter(is_better_in_part).cloned().collect();
        }
        let is_few = |field: &Arc<Field>| few.iter().any(|few| few.name() == field.name());
        let whole: Vec<Arc<Field>> = wanted
            .iter()
            .filter(|field| !is_few(field))
            .cloned()
            .collect();
        let mut whole = self.load(group, &whole).await?.into_iter();
        let mut values = match few.is_empty() {
            true => Vec::new().into_iter(),
            false => {
                let footer = self.footer(&group.path, group.size_bytes).await?;
                let values = read::values(&self.objects, group, &footer, &few, rows).await;
                let failed = |error| StoreError::parquet(&group.path, error);
                values.map_err(failed)?.into_iter()
            }
        };
        let parts = wanted.iter().filter_map(|field| match is_few(field) {
            false => whole.next().map(Part::Whole),
            true => values.next().map(Part::Few),
        });
        Ok(parts.collect())
    }

    /// How often a few rows of a column were asked for before, as far as that is remembered.
    fn count_asked(&self, group: &RowGroup, field: &Field) -> u8 {
        let key = ColumnKey::new(group, field.name());
        let asked = self.asked.get(&key).unwrap_or_default();
        self.asked.insert(key, asked.saturating_add(1));
        asked
    }

    /// Whether some row of a row group may have `text` in a column, as far as a bloom filter of the file
    /// tells.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn may_hold(
        &self,
        group: &RowGroup,
        column: &str,
        text: &str,
    ) -> Result<bool, StoreError> {
        let key = ColumnKey::new(group, column);
        let filter = match self.filters.get(&key) {
            Some(filter) => filter,
            None => {
                let filter = Arc::new(self.filter(group, column).await?);
                self.filters.insert(key, Arc::clone(&filter));
                filter
            }
        };
        Ok(filter
            .filter
            .as_ref()
            .is_none_or(|filter| filter.check(&text)))
    }

    async fn filter(&self, group: &RowGroup, column: &str) -> Result<Filter, StoreError> {
        let failed = |error: ParquetError| StoreError::parquet(&group.path, error);
        let footer = self.footer(&group.path, group.size_bytes).await?;
        let Some(place) = footer.place(column) else {
            return Ok(Filter {
                filter: None,
                size_bytes: 0,
            });
        };
        let metadata = footer.reader(group.index).clone();
        let chunk = metadata.metadata().row_group(group.index).column(place);
        let size_bytes = chunk.bloom_filter_length();
        let reader = FileReader::new(&self.objects, &group.path, group.size_bytes);
        let filter = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
            .get_row_group_column_bloom_filter(group.index, place)
            .await
            .map_err(failed)?;
        let size_bytes = size_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        Ok(Filter {
            filter,
            size_bytes: size_bytes.unwrap_or_default(),
        })
    }

    async fn footer(&self, path: &Path, size_bytes: u64) -> Result<Arc<Footer>, StoreError> {
        if let Some(footer) = self.footers.get(path) {
            return Ok(footer);
        }
        let footer = Footer::read(&self.objects, path, size_bytes).await;
        let footer = Arc::new(footer.map_err(|error| StoreError::parquet(path, error))?);
        self.footers.insert(path.clone(), Arc::clone(&footer));
        Ok(footer)
    }

    /// The columns that are in memory, or of which the footer of the file tells all.
    async fn known(
        &self,
        group: &RowGroup,
        wanted: &[Arc<Field>],
    ) -> Result<Vec<Option<Arc<Column>>>, StoreError> {
        let keys = wanted
            .iter()
            .map(|field| ColumnKey::new(group, field.name()));
        let mut known: Vec<Option<Arc<Column>>> = keys.map(|key| self.columns.get(&key)).collect();
        if known.iter().any(Option::is_none) {
            let footer = self.footer(&group.path, group.size_bytes).await?;
            for (place, field) in known.iter_mut().zip(wanted) {
                if place.is_none() {
                    let constant = footer.constant(group.index, field);
                    *place = constant.map(|column| self.keep(group, field, column));
                }
            }
        }
        Ok(known)
    }

    fn keep(&self, group: &RowGroup, field: &Field, column: Column) -> Arc<Column> {
        let column = Arc::new(column);
        let key = ColumnKey::new(group, field.name());
        self.columns.insert(key, Arc::clone(&column));
        column
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
