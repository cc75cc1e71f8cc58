//! Expressions over the columns of a row group, evaluated once per distinct value of a dictionary where possible.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_empty_array,
};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use functions::innermost_note;

use super::filter_mask::{FilterMask, true_values};
use super::monotonic::is_monotonic;

/// An expression over some columns of the table.
#[derive(Debug, Clone)]
pub(super) struct ColumnExpr {
    /// The expression over the columns below, in their order.
    expr: Arc<dyn PhysicalExpr>,
    /// The indices of its columns in the table, ascending.
    pub(super) columns: Vec<usize>,
    schema: SchemaRef,
    /// Whether it is non-decreasing where its one column is.
    is_monotonic: bool,
    /// Whether equal values may have different results.
    is_volatile: bool,
    /// Whether it calls functions. They may fail for values that no row has, or count notes for them.
    has_calls: bool,
    /// Whether functions in it count notes.
    pub(super) has_notes: bool,
}

/// The values of an expression for some rows.
#[derive(Debug)]
pub(super) enum Values {
    /// The value of all rows.
    Scalar(ArrayRef),
    /// A key for each row, which is an index into the distinct values.
    Dictionary {
        /// The key of each row.
        keys: Vec<u32>,
        /// The distinct values.
        dictionary: ArrayRef,
    },
    /// A value for each row.
    Array(ArrayRef),
}

impl Values {
    /// A value for each of `rows` rows.
    pub(super) fn into_array(self, rows: usize) -> Result<ArrayRef> {
        match self {
            Self::Array(array) => Ok(array),
            Self::Scalar(value) => Ok(take(&value, &UInt32Array::from(vec![0; rows]), None)?),
            Self::Dictionary { keys, dictionary } => {
                Ok(take(&dictionary, &UInt32Array::from(keys), None)?)
            }
        }
    }

    /// The rows for which a condition is true.
    pub(super) fn into_mask(self) -> FilterMask {
        match self {
            Self::Array(array) => FilterMask::new(true_values(&array)),
            Self::Scalar(value) => match true_values(&value).value(0) {
                true => FilterMask::All,
                false => FilterMask::None,
            },
            Self::Dictionary { keys, dictionary } => {
                match FilterMask::new(true_values(&dictionary)) {
                    FilterMask::Some(mask) => FilterMask::from_keys(&keys, &mask),
                    all_or_none => all_or_none,
                }
            }
        }
    }

    /// The rows that have a value.
    pub(super) fn validity(&self) -> FilterMask {
        match self {
            Self::Scalar(value) if value.is_null(0) => FilterMask::None,
            Self::Scalar(_) => FilterMask::All,
            Self::Array(array) => match array.logical_nulls() {
                Some(nulls) => FilterMask::new(nulls.into_inner()),
                None => FilterMask::All,
            },
            Self::Dictionary { keys, dictionary } => match dictionary.logical_nulls() {
                Some(nulls) => FilterMask::from_keys(keys, nulls.inner()),
                None => FilterMask::All,
            },
        }
    }
}

impl ColumnExpr {
    /// Prepares an expression over a table.
    pub(super) fn new(expr: &Arc<dyn PhysicalExpr>, table: &SchemaRef) -> Result<Self> {
        let mut columns: Vec<usize> = collect_columns(expr)
            .into_iter()
            .map(|column| column.index())
            .collect();
        columns.sort_unstable();
        columns.dedup();
        let fields: Vec<Arc<Field>> = columns
            .iter()
            .map(|column| Arc::clone(&table.fields()[*column]))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Self {
            expr: reassign_expr_columns(Arc::clone(expr), &schema)?,
            is_monotonic: is_monotonic(expr)?,
            columns,
            schema,
            is_volatile: is_volatile(expr),
            has_calls: expr.exists(|part| Ok(part.is::<ScalarFunctionExpr>()))?,
            has_notes: innermost_note(expr)?.is_some(),
        })
    }

    /// The only column that the expression depends on, when equal values have equal results.
    pub(super) fn only_column(&self) -> Option<usize> {
        match self.columns.as_slice() {
            [column] if !self.is_volatile => Some(*column),
            _ => None,
        }
    }

    /// The column in which it is monotonic.
    pub(super) fn monotonic_in(&self) -> Option<usize> {
        self.only_column().filter(|_| self.is_monotonic)
    }

    /// The value of each row of the columns.
    pub(super) fn evaluate_rows(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.expr.evaluate(&batch)?.into_array(rows)
    }

    /// An empty array of the type of the results.
    pub(super) fn empty_result(&self) -> Result<ArrayRef> {
        let fields = self.schema.fields().iter();
        let columns = fields
            .map(|field| new_empty_array(field.data_type()))
            .collect();
        self.evaluate_rows(columns, 0)
    }

    /// The result for each distinct value; it is undefined for values that no key refers to.
    pub(super) fn evaluate_dictionary(
        &self,
        dictionary: &ArrayRef,
        keys: &[u32],
    ) -> Result<ArrayRef> {
        if !self.has_calls {
            return self.evaluate_rows(vec![Arc::clone(dictionary)], dictionary.len());
        }
        let mut is_used = vec![false; dictionary.len()];
        for key in keys {
            is_used[*key as usize] = true;
        }
        let all_keys = 0_u32..;
        let used: UInt32Array = all_keys
            .zip(&is_used)
            .filter_map(|(key, is_used)| is_used.then_some(key))
            .collect();
        let results = self.evaluate_rows(vec![take(dictionary, &used, None)?], used.len())?;
        let mut next = 0;
        let spread: UInt32Array = is_used
            .into_iter()
            .map(|is_used| {
                let index = is_used.then_some(next);
                next += u32::from(is_used);
                index
            })
            .collect();
        Ok(take(&results, &spread, None)?)
    }
}
