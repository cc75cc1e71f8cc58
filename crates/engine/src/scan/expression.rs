//! Expressions over the columns of events, prepared for row groups of which some columns are codes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array,
    new_empty_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use functions::innermost_note;

use super::ascending::never_falls;

/// An expression over some columns of the table.
#[derive(Debug, Clone)]
pub(super) struct ColumnExpr {
    /// The expression over the columns below, in their order.
    expr: Arc<dyn PhysicalExpr>,
    /// The places in the table of the columns that it needs, ascending.
    pub(super) columns: Vec<usize>,
    schema: SchemaRef,
    /// Whether it never falls where its one column does not.
    never_falls: bool,
    /// Whether equal values may give different results.
    is_volatile: bool,
    /// Whether it calls functions. They may fail for values that no row has, or count what they meet in them.
    has_calls: bool,
    /// Whether functions in it count what they meet.
    pub(super) is_observing: bool,
}

/// The values of an expression for some rows.
#[derive(Debug)]
pub(super) enum Values {
    /// One value, which all rows have.
    Same(ArrayRef),
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
    /// A value for each of `rows` rows.
    pub(super) fn into_array(self, rows: usize) -> Result<ArrayRef> {
        match self {
            Self::Plain(array) => Ok(array),
            Self::Same(value) => Ok(take(&value, &UInt32Array::from(vec![0; rows]), None)?),
            Self::Coded { codes, dictionary } => {
                Ok(take(&dictionary, &UInt32Array::from(codes), None)?)
            }
        }
    }

    /// For which rows a condition is true.
    pub(super) fn into_truth(self) -> Truth {
        match self {
            Self::Plain(array) => Truth::new(truth(&array)),
            Self::Same(value) => match truth(&value).value(0) {
                true => Truth::Always,
                false => Truth::Never,
            },
            Self::Coded { codes, dictionary } => match Truth::new(truth(&dictionary)) {
                Truth::Of(truth) => Truth::of_codes(&codes, &truth),
                all => all,
            },
        }
    }

    /// For which rows there is a value.
    pub(super) fn presence(&self) -> Truth {
        match self {
            Self::Same(value) if value.is_null(0) => Truth::Never,
            Self::Same(_) => Truth::Always,
            Self::Plain(array) => match array.logical_nulls() {
                Some(nulls) => Truth::new(nulls.into_inner()),
                None => Truth::Always,
            },
            Self::Coded { codes, dictionary } => match dictionary.logical_nulls() {
                Some(nulls) => Truth::of_codes(codes, nulls.inner()),
                None => Truth::Always,
            },
        }
    }
}

/// For which rows something is true.
#[derive(Debug)]
pub(super) enum Truth {
    /// For all rows.
    Always,
    /// For no row.
    Never,
    /// For each row whether it is.
    Of(BooleanBuffer),
}

impl Truth {
    fn new(truth: BooleanBuffer) -> Self {
        match truth.count_set_bits() {
            0 => Self::Never,
            all if all == truth.len() => Self::Always,
            _ => Self::Of(truth),
        }
    }

    /// Of each row's value it is known whether it is.
    fn of_codes(codes: &[u32], truth: &BooleanBuffer) -> Self {
        let is_true = |row: usize| truth.value(codes[row] as usize);
        Self::new(BooleanBuffer::collect_bool(codes.len(), is_true))
    }

    /// Whether it is true for the row at a place.
    pub(super) fn holds(&self, place: usize) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Of(truth) => truth.value(place),
        }
    }

    /// Both of two things.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, other) | (other, Self::Always) => other,
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Of(left), Self::Of(right)) => Self::new(&left & &right),
        }
    }

    /// As a filter of `rows` rows; `None` when all pass.
    pub(super) fn into_filter(self, rows: usize) -> Option<BooleanArray> {
        match self {
            Self::Always => None,
            Self::Never => Some(BooleanArray::from(vec![false; rows])),
            Self::Of(truth) => Some(BooleanArray::from(truth)),
        }
    }
}

/// For each value whether it is true and not null.
fn truth(conditions: &ArrayRef) -> BooleanBuffer {
    let Some(conditions) = conditions.as_boolean_opt() else {
        return BooleanBuffer::new_unset(conditions.len());
    };
    match conditions.nulls() {
        Some(nulls) => conditions.values() & nulls.inner(),
        None => conditions.values().clone(),
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
            never_falls: never_falls(expr)?,
            columns,
            schema,
            is_volatile: is_volatile(expr),
            has_calls: expr.exists(|part| Ok(part.is::<ScalarFunctionExpr>()))?,
            is_observing: innermost_note(expr)?.is_some(),
        })
    }

    /// The only column that the expression depends on, when equal values give equal results.
    pub(super) fn only_column(&self) -> Option<usize> {
        match self.columns.as_slice() {
            [column] if !self.is_volatile => Some(*column),
            _ => None,
        }
    }

    /// The column in which it never falls.
    pub(super) fn ascends_with(&self) -> Option<usize> {
        self.only_column().filter(|_| self.never_falls)
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
        if !self.has_calls {
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
