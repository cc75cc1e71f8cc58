//! Expressions over the columns of events, prepared for row groups of which some columns are codes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array, new_empty_array,
};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;

/// An expression over some columns of the table.
#[derive(Debug, Clone)]
pub(super) struct ColumnExpr {
    /// The expression over the columns below, in their order.
    expr: Arc<dyn PhysicalExpr>,
    /// The places in the table of the columns that it needs, ascending.
    pub(super) columns: Vec<usize>,
    schema: SchemaRef,
    /// Whether equal values may give different results.
    is_volatile: bool,
    /// Whether it notes which values it has seen, as functions of Vouch do to warn about them.
    is_observing: bool,
}

/// The values of an expression for some rows.
#[derive(Debug)]
pub(super) enum Values {
    /// A number for each row that is a place among the different values.
    Coded {
        /// The place of each row's value.
        codes: Vec<u32>,
        /// The values.
        dictionary: ArrayRef,
    },
    /// A value for each row.
    Plain(ArrayRef),
}

impl Values {
    /// A value for each row.
    pub(super) fn into_array(self) -> Result<ArrayRef> {
        match self {
            Self::Plain(array) => Ok(array),
            Self::Coded { codes, dictionary } => {
                Ok(take(&dictionary, &UInt32Array::from(codes), None)?)
            }
        }
    }

    /// For each row whether a condition is true.
    pub(super) fn into_truth(self) -> Vec<bool> {
        match self {
            Self::Plain(array) => truth(&array),
            Self::Coded { codes, dictionary } => {
                let truth = truth(&dictionary);
                codes.into_iter().map(|code| truth[code as usize]).collect()
            }
        }
    }

    /// For each row whether there is a value; `None` when there is one in every row.
    pub(super) fn presence(&self) -> Option<Vec<bool>> {
        match self {
            Self::Plain(array) => {
                let nulls = array
                    .logical_nulls()
                    .filter(|nulls| nulls.null_count() > 0)?;
                Some(nulls.iter().collect())
            }
            Self::Coded { codes, dictionary } => {
                let nulls = dictionary.logical_nulls()?;
                let is_present = |code: &u32| nulls.is_valid(*code as usize);
                Some(codes.iter().map(is_present).collect())
            }
        }
    }
}

/// For each value whether it is true and not null.
fn truth(conditions: &ArrayRef) -> Vec<bool> {
    match conditions.as_boolean_opt() {
        Some(conditions) => conditions
            .iter()
            .map(|condition| condition == Some(true))
            .collect(),
        None => vec![false; conditions.len()],
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
        let is_observing = expr.exists(|part| Ok(part.is::<ScalarFunctionExpr>()))?;
        Ok(Self {
            expr: reassign_expr_columns(Arc::clone(expr), &schema)?,
            columns,
            schema,
            is_volatile: is_volatile(expr),
            is_observing,
        })
    }

    /// The only column that the expression depends on, when equal values give equal results.
    pub(super) fn only_column(&self) -> Option<usize> {
        match self.columns.as_slice() {
            [column] if !self.is_volatile => Some(*column),
            _ => None,
        }
    }

    /// The value of each row of the columns.
    pub(super) fn of_rows(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.expr.evaluate(&batch)?.into_array(rows)
    }

    /// The results for no rows, which tell the type.
    pub(super) fn of_no_row(&self) -> Result<ArrayRef> {
        let fields = self.schema.fields().iter();
        let columns = fields
            .map(|field| new_empty_array(field.data_type()))
            .collect();
        self.of_rows(columns, 0)
    }

    /// The result for each of some different values; of those that no row has it is not defined.
    pub(super) fn of_dictionary(&self, dictionary: &ArrayRef, codes: &[u32]) -> Result<ArrayRef> {
        if !self.is_observing {
            return self.of_rows(vec![Arc::clone(dictionary)], dictionary.len());
        }
        let mut is_used = vec![false; dictionary.len()];
        for code in codes {
            is_used[*code as usize] = true;
        }
        let places = 0_u32..;
        let used: UInt32Array = places
            .zip(&is_used)
            .filter_map(|(place, is_used)| is_used.then_some(place))
            .collect();
        let results = self.of_rows(vec![take(dictionary, &used, None)?], used.len())?;
        let mut next = 0;
        let spread: UInt32Array = is_used
            .into_iter()
            .map(|is_used| {
                let place = is_used.then_some(next);
                next += u32::from(is_used);
                place
            })
            .collect();
        Ok(take(&results, &spread, None)?)
    }
}
