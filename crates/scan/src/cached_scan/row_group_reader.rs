//! Reads the columns of one row group, and evaluates expressions over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::memory_pool::MemoryReservation;
use store::{DataFile, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::column_expr::{ColumnExpr, Values};
use super::monotonic;
use crate::column_cache::{
    Column, ColumnCache, LoadedColumn, RowGroupRef, RowSelection, logged_constant,
};
use crate::metrics::CacheMetrics;

/// With fewer selected rows than one in this number, a column that is not cached is read in part: only the pages with
/// these rows.
const PARTIAL_READ_RATIO: usize = 16;

/// A row group, or a whole file whose values are in the log, with the columns that were loaded so far.
#[derive(Debug)]
pub(super) struct RowGroupReader {
    cache: Arc<ColumnCache>,
    table: SchemaRef,
    /// `None` for a file of which nothing is read.
    group: Option<RowGroupRef>,
    rows: usize,
    loaded: BTreeMap<usize, Arc<Column>>,
    selected: Option<SelectedRows>,
    metrics: CacheMetrics,
    /// Charges the columns that were loaded for this reader. The cache bounds the others.
    memory: MemoryReservation,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Values of selected rows, of columns that were read in part.
#[derive(Debug)]
struct SelectedRows {
    rows: RowSelection,
    values: BTreeMap<usize, ArrayRef>,
}

impl RowGroupReader {
    /// A reader of a row group. `memory` is the template of its reservation.
    pub(super) fn new(
        cache: &Arc<ColumnCache>,
        table: &SchemaRef,
        group: RowGroupRef,
        memory: &MemoryReservation,
        metrics: &CacheMetrics,
    ) -> Self {
        Self {
            memory: memory.new_empty(),
            _permit: None,
            cache: Arc::clone(cache),
            table: Arc::clone(table),
            rows: group.rows(),
            group: Some(group),
            metrics: metrics.clone(),
            loaded: BTreeMap::new(),
            selected: None,
        }
    }

    /// A reader of a whole file that has no other columns than `needed`; `None` when the log has not the one value of
    /// each of them.
    pub(super) fn from_log(
        cache: &Arc<ColumnCache>,
        table: &SchemaRef,
        file: &DataFile,
        needed: &BTreeSet<usize>,
        memory: &MemoryReservation,
        metrics: &CacheMetrics,
    ) -> Option<Self> {
        let constant = |column: &usize| {
            let constant = logged_constant(file, &table.fields()[*column])?;
            Some((*column, Arc::new(constant)))
        };
        Some(Self {
            memory: memory.new_empty(),
            _permit: None,
            cache: Arc::clone(cache),
            table: Arc::clone(table),
            group: None,
            metrics: metrics.clone(),
            rows: usize::try_from(file.rows).ok()?,
            loaded: needed.iter().map(constant).collect::<Option<_>>()?,
            selected: None,
        })
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The same reader, which holds a permit until it is dropped.
    pub(super) fn with_permit(mut self, permit: OwnedSemaphorePermit) -> Self {
        self._permit = Some(permit);
        self
    }

    /// The estimated bytes of memory that loading columns takes.
    pub(super) fn bytes_to_load(&self, columns: &BTreeSet<usize>) -> usize {
        let Some(group) = &self.group else {
            return 0;
        };
        let missing = columns
            .iter()
            .filter(|column| !self.loaded.contains_key(column));
        let bytes = missing.map(|column| {
            let field = &self.table.fields()[*column];
            self.cache.bytes_to_load(group, field)
        });
        bytes.sum()
    }

    /// Loads whole columns.
    pub(super) async fn load(&mut self, columns: impl Iterator<Item = usize>) -> Result<()> {
        let missing: BTreeSet<usize> = columns
            .filter(|column| !self.loaded.contains_key(column))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.memory.try_grow(self.bytes_to_load(&missing))?;
        let missing: Vec<usize> = missing.into_iter().collect();
        let fields = self.fields(&missing);
        let read = self.cache.load(self.group()?, &fields, &self.metrics).await;
        let read = read.map_err(external)?;
        self.loaded.extend(missing.into_iter().zip(read));
        Ok(())
    }

    /// The numbers of all rows in a loaded column, when they ascend and no row lacks one.
    pub(super) fn ascending(&self, column: usize) -> Option<&[i64]> {
        self.loaded.get(&column)?.ascending()
    }

    /// Loads what the evaluation of expressions for at least one row needs.
    pub(super) async fn prepare(
        &mut self,
        exprs: impl IntoIterator<Item = &ColumnExpr>,
        rows: &RowSelection,
    ) -> Result<()> {
        let columns = exprs
            .into_iter()
            .flat_map(|expr| expr.columns.iter().copied());
        if rows.len().saturating_mul(PARTIAL_READ_RATIO) >= self.rows {
            return self.load(columns).await;
        }
        let selected = self.selected.as_ref();
        if selected.is_none_or(|selected| selected.rows != *rows) {
            self.selected = Some(SelectedRows {
                rows: rows.clone(),
                values: BTreeMap::new(),
            });
        }
        let is_loaded = |column: &usize| {
            let selected = self.selected.as_ref();
            self.loaded.contains_key(column)
                || selected.is_some_and(|selected| selected.values.contains_key(column))
        };
        let missing: BTreeSet<usize> = columns.filter(|column| !is_loaded(column)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<usize> = missing.into_iter().collect();
        let fields = self.fields(&missing);
        let group = self.group()?;
        let bytes = fields
            .iter()
            .map(|field| self.cache.bytes_to_load(group, field));
        let bytes: Vec<usize> = bytes.collect();
        let read = self.cache.read_rows(group, &fields, rows, &self.metrics);
        let read = read.await.map_err(external)?.into_iter().zip(bytes);
        for (index, (column, bytes)) in missing.into_iter().zip(read) {
            self.memory.try_grow(match &column {
                LoadedColumn::Full(_) => bytes,
                LoadedColumn::Selected(values) => values.get_array_memory_size(),
            })?;
            match (column, &mut self.selected) {
                (LoadedColumn::Full(column), _) => drop(self.loaded.insert(index, column)),
                (LoadedColumn::Selected(values), Some(selected)) => {
                    selected.values.insert(index, values);
                }
                (LoadedColumn::Selected(_), None) => {}
            }
        }
        Ok(())
    }

    /// The values of an expression for at least one row.
    pub(super) async fn evaluate(
        &mut self,
        expr: &ColumnExpr,
        rows: &RowSelection,
    ) -> Result<Values> {
        self.prepare([expr], rows).await?;
        if let Some(only) = expr.only_column()
            && let Some(Column::Dictionary(column)) = self.loaded.get(&only).map(AsRef::as_ref)
        {
            if let Some(value) = column.only_value() {
                return Ok(Values::Scalar(expr.evaluate_rows(vec![value], 1)?));
            }
            let keys = column.keys(rows);
            let dictionary = expr.evaluate_dictionary(column.dictionary(), &keys)?;
            return Ok(Values::Dictionary { keys, dictionary });
        }
        if let Some(column) = expr.monotonic_in()
            && let Some(numbers) = self.ascending(column)
            && let Some(values) = monotonic::evaluate(expr, numbers, rows)?
        {
            return Ok(values);
        }
        let values = expr.columns.iter().map(|column| self.values(*column, rows));
        let values: Vec<ArrayRef> = values.collect::<Result<_>>()?;
        // Texts of selected rows are copies.
        let copies = self.memory.new_empty();
        if rows.len() < self.rows {
            let is_text = |values: &&ArrayRef| values.as_string_view_opt().is_some();
            let texts = values.iter().filter(is_text);
            copies.try_grow(texts.map(|texts| texts.get_array_memory_size()).sum())?;
        }
        expr.evaluate_rows(values, rows.len()).map(Values::Array)
    }

    /// The values of a column that is loaded for some rows.
    fn values(&self, column: usize, rows: &RowSelection) -> Result<ArrayRef> {
        if let Some(column) = self.loaded.get(&column) {
            return Ok(column.values(rows)?);
        }
        let selected = self.selected.as_ref();
        let selected = selected.filter(|selected| selected.rows == *rows);
        let values = selected.and_then(|selected| selected.values.get(&column));
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
