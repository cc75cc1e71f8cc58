//! A row group, or a whole file, while a question looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::memory_pool::MemoryReservation;
use store::{Column, ColumnCache, DataFile, LoadedColumn, RowGroupRef, RowSelection, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::ascending;
use super::expression::{ColumnExpr, Values};

/// Of a column that is not in memory, only the pages with the wanted rows are read when these are fewer
/// than one in so many.
const FEW: usize = 16;

/// A row group with the columns of it that were needed so far.
#[derive(Debug)]
pub(super) struct Chunk {
    columns: Arc<ColumnCache>,
    table: SchemaRef,
    /// `None` of a file of which nothing is read.
    group: Option<RowGroupRef>,
    rows: usize,
    loaded: BTreeMap<usize, Arc<Column>>,
    few: Option<Few>,
    /// For the columns that were read for this chunk. Those that were in memory before are bounded there.
    memory: MemoryReservation,
    /// Its part of what may be ready at the same time.
    _part: Option<OwnedSemaphorePermit>,
}

/// Values of a few rows, of columns that were not read as a whole.
#[derive(Debug)]
struct Few {
    rows: RowSelection,
    values: BTreeMap<usize, ArrayRef>,
}

impl Chunk {
    /// A row group of so many rows; what is read of it is charged to a reservation like `memory`.
    pub(super) fn new(
        columns: &Arc<ColumnCache>,
        table: &SchemaRef,
        group: RowGroupRef,
        rows: usize,
        memory: &MemoryReservation,
    ) -> Self {
        Self {
            memory: memory.new_empty(),
            _part: None,
            columns: Arc::clone(columns),
            table: Arc::clone(table),
            group: Some(group),
            rows,
            loaded: BTreeMap::new(),
            few: None,
        }
    }

    /// A file with some columns, if the log has their only values: nothing else is known of the chunk.
    pub(super) fn of_log(
        columns: &Arc<ColumnCache>,
        table: &SchemaRef,
        file: &DataFile,
        needed: &BTreeSet<usize>,
        memory: &MemoryReservation,
    ) -> Option<Self> {
        let constant = |column: &usize| {
            let constant = file.constant(&table.fields()[*column])?;
            Some((*column, Arc::new(constant)))
        };
        Some(Self {
            memory: memory.new_empty(),
            _part: None,
            columns: Arc::clone(columns),
            table: Arc::clone(table),
            group: None,
            rows: usize::try_from(file.rows).ok()?,
            loaded: needed.iter().map(constant).collect::<Option<_>>()?,
            few: None,
        })
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The same chunk, which has its part of what may be ready.
    pub(super) fn with_part(mut self, part: OwnedSemaphorePermit) -> Self {
        self._part = Some(part);
        self
    }

    /// About how many bytes of memory it takes to load columns.
    pub(super) async fn bytes_to_load(&self, columns: &BTreeSet<usize>) -> Result<usize> {
        let Some(group) = &self.group else {
            return Ok(0);
        };
        let mut bytes = 0;
        for column in columns
            .iter()
            .filter(|column| !self.loaded.contains_key(column))
        {
            let field = &self.table.fields()[*column];
            let of_column = self.columns.bytes_to_load(group, field).await;
            bytes += of_column.map_err(external)?;
        }
        Ok(bytes)
    }

    /// Brings columns into memory.
    pub(super) async fn load(&mut self, columns: impl Iterator<Item = usize>) -> Result<()> {
        let missing: BTreeSet<usize> = columns
            .filter(|column| !self.loaded.contains_key(column))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.memory.try_grow(self.bytes_to_load(&missing).await?)?;
        let missing: Vec<usize> = missing.into_iter().collect();
        let fields = self.fields(&missing);
        let read = self.columns.load(self.group()?, &fields).await;
        let read = read.map_err(external)?;
        self.loaded.extend(missing.into_iter().zip(read));
        Ok(())
    }

    /// The numbers of all rows in a loaded column, when every row has one that is no less than those
    /// before it.
    pub(super) fn ascending(&self, column: usize) -> Option<&[i64]> {
        self.loaded.get(&column)?.ascending()
    }

    /// Makes ready to evaluate expressions for some rows, of which there is at least one.
    pub(super) async fn prepare(
        &mut self,
        exprs: impl IntoIterator<Item = &ColumnExpr>,
        rows: &RowSelection,
    ) -> Result<()> {
        let columns = exprs
            .into_iter()
            .flat_map(|expr| expr.columns.iter().copied());
        if rows.len().saturating_mul(FEW) >= self.rows {
            return self.load(columns).await;
        }
        if self.few.as_ref().is_none_or(|few| few.rows != *rows) {
            self.few = Some(Few {
                rows: rows.clone(),
                values: BTreeMap::new(),
            });
        }
        let is_there = |column: &usize| {
            let few = self.few.as_ref().map(|few| &few.values);
            self.loaded.contains_key(column) || few.is_some_and(|few| few.contains_key(column))
        };
        let missing: BTreeSet<usize> = columns.filter(|column| !is_there(column)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<usize> = missing.into_iter().collect();
        let fields = self.fields(&missing);
        let mut bytes = Vec::with_capacity(missing.len());
        for column in &missing {
            bytes.push(self.bytes_to_load(&BTreeSet::from([*column])).await?);
        }
        let parts = self.columns.read_rows(self.group()?, &fields, rows).await;
        let parts = parts.map_err(external)?.into_iter().zip(bytes);
        for (column, (part, bytes)) in missing.into_iter().zip(parts) {
            self.memory.try_grow(match &part {
                LoadedColumn::Full(_) => bytes,
                LoadedColumn::Selected(values) => values.get_array_memory_size(),
            })?;
            match (part, &mut self.few) {
                (LoadedColumn::Full(whole), _) => drop(self.loaded.insert(column, whole)),
                (LoadedColumn::Selected(values), Some(few)) => {
                    drop(few.values.insert(column, values))
                }
                (LoadedColumn::Selected(_), None) => {}
            }
        }
        Ok(())
    }

    /// What an expression gives for some rows, of which there is at least one.
    pub(super) async fn evaluate(
        &mut self,
        expr: &ColumnExpr,
        rows: &RowSelection,
    ) -> Result<Values> {
        self.prepare([expr], rows).await?;
        if let Some(only) = expr.only_column()
            && let Some(Column::Dictionary(coded)) = self.loaded.get(&only).map(AsRef::as_ref)
        {
            if let Some(value) = coded.only_value() {
                return Ok(Values::Same(expr.of_rows(vec![value], 1)?));
            }
            let codes = coded.keys(rows);
            let dictionary = expr.of_dictionary(coded.dictionary(), &codes)?;
            return Ok(Values::Coded { codes, dictionary });
        }
        if let Some(column) = expr.ascends_with()
            && let Some(numbers) = self.ascending(column)
            && let Some(values) = ascending::evaluate(expr, numbers, rows)?
        {
            return Ok(values);
        }
        let values = expr.columns.iter().map(|column| self.values(*column, rows));
        let values: Vec<ArrayRef> = values.collect::<Result<_>>()?;
        // Texts of some rows are copies.
        let copies = self.memory.new_empty();
        if rows.len() < self.rows {
            let is_text = |values: &&ArrayRef| values.as_string_view_opt().is_some();
            let texts = values.iter().filter(is_text);
            copies.try_grow(texts.map(|texts| texts.get_array_memory_size()).sum())?;
        }
        expr.of_rows(values, rows.len()).map(Values::Plain)
    }

    /// The values of a column that is ready for some rows.
    fn values(&self, column: usize, rows: &RowSelection) -> Result<ArrayRef> {
        if let Some(column) = self.loaded.get(&column) {
            return Ok(column.values(rows)?);
        }
        let few = self.few.as_ref().filter(|few| few.rows == *rows);
        let values = few.and_then(|few| few.values.get(&column));
        values
            .map(Arc::clone)
            .ok_or_else(|| internal_datafusion_err!("column {column} of a row group was not read"))
    }

    fn group(&self) -> Result<&RowGroupRef> {
        let group = self.group.as_ref();
        group.ok_or_else(|| {
            internal_datafusion_err!("a column is needed of a file that is not read")
        })
    }

    fn fields(&self, columns: &[usize]) -> Vec<Arc<Field>> {
        let fields = columns.iter().map(|column| &self.table.fields()[*column]);
        fields.map(Arc::clone).collect()
    }
}

pub(super) fn external(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
