//! Limits of groups as a step of a logical plan.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, SortExpr, UserDefinedLogicalNodeCore,
};

use super::{GROUP_CUT, GROUP_RANK, GROUP_ROW, Wanted};

/// The rows of groups inside the limits, in an order, with their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupLimit {
    input: Arc<LogicalPlan>,
    group_by: Vec<Expr>,
    sort: Vec<SortExpr>,
    wanted: Wanted,
    schema: DFSchemaRef,
}

impl GroupLimit {
    /// Limits groups of rows with equal columns `group_by`. The rows are in the order of the columns `sort`, in which those
    /// of a group are consecutive.
    ///
    /// # Errors
    /// When the input has a column with the name of an added one.
    pub(crate) fn plan(
        input: LogicalPlan,
        group_by: Vec<Expr>,
        sort: Vec<SortExpr>,
        wanted: Wanted,
    ) -> Result<LogicalPlan> {
        let node = Self::new(Arc::new(input), group_by, sort, wanted)?;
        Ok(LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        }))
    }

    fn new(
        input: Arc<LogicalPlan>,
        group_by: Vec<Expr>,
        sort: Vec<SortExpr>,
        wanted: Wanted,
    ) -> Result<Self> {
        let added = added(&wanted)
            .into_iter()
            .map(|field| (None, Arc::new(field)));
        let fields = input.schema().iter();
        let fields = fields.map(|(table, field)| (table.cloned(), Arc::clone(field)));
        let metadata = input.schema().metadata().clone();
        let schema = DFSchema::new_with_metadata(fields.chain(added).collect(), metadata)?;
        Ok(Self {
            input,
            group_by,
            sort,
            wanted,
            schema: Arc::new(schema),
        })
    }

    /// What the rows of a group have in common.
    pub(super) fn group_by(&self) -> &[Expr] {
        &self.group_by
    }

    /// The order of the rows.
    pub(super) fn sort(&self) -> &[SortExpr] {
        &self.sort
    }

    /// Which rows and groups pass.
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }
}

/// The columns besides those of the input.
pub(super) fn added(wanted: &Wanted) -> Vec<Field> {
    let mut fields = Vec::new();
    if wanted.rows.is_some() {
        fields.push(Field::new(GROUP_ROW, DataType::UInt64, false));
        fields.push(Field::new(GROUP_CUT, DataType::Boolean, false));
    }
    if wanted.groups.is_some() {
        fields.push(Field::new(GROUP_RANK, DataType::UInt64, false));
    }
    fields
}

impl PartialOrd for GroupLimit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for GroupLimit {
    fn name(&self) -> &str {
        "GroupLimit"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let sort = self.sort.iter().map(|key| key.expr.clone());
        self.group_by.iter().cloned().chain(sort).collect()
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let texts = |texts: Vec<String>| texts.join(", ");
        let keys = texts(self.group_by.iter().map(ToString::to_string).collect());
        let sort = texts(self.sort.iter().map(ToString::to_string).collect());
        write!(formatter, "GroupLimit: groupBy=[{keys}], sort=[{sort}]")?;
        write!(formatter, "{}", self.wanted)
    }

    fn with_exprs_and_inputs(
        &self,
        mut exprs: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("limits of groups have one input");
        };
        if exprs.len() != self.group_by.len() + self.sort.len() {
            return internal_err!("limits of groups keep their keys and their order");
        }
        let sort = exprs.split_off(self.group_by.len()).into_iter();
        let sort = sort.zip(&self.sort).map(|(expr, key)| key.with_expr(expr));
        Self::new(Arc::new(input), exprs, sort.collect(), self.wanted.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let mut needed: BTreeSet<usize> = output_columns.iter().copied().collect();
        needed.retain(|column| *column < input.fields().len());
        for column in self.expressions().iter().flat_map(Expr::column_refs) {
            needed.insert(input.maybe_index_of_column(column)?);
        }
        Some(vec![needed.into_iter().collect()])
    }
}
