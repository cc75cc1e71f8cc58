//! Accumulates aggregates from the smallest input that decides them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column as ColumnRef, Literal};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::GroupsAccumulatorAdapter;

use super::column_expr::{ColumnExpr, Values};
use super::filter_mask::FilterMask;
use super::row_group_groups::{DistinctFilter, RowGroupGroups};
use super::row_group_reader::RowGroupReader;
use crate::column_cache::RowSelection;

/// One aggregate of a scan.
pub(super) struct GroupAccumulator {
    accumulator: Box<dyn GroupsAccumulator>,
    arguments: Vec<ColumnExpr>,
    filter: Option<ColumnExpr>,
    requirement: InputRequirement,
}

/// The input that decides an aggregate.
#[derive(Debug)]
enum InputRequirement {
    /// The number of rows of each group, of those with a value where there is an argument.
    Count,
    /// The distinct values of each group.
    Distinct,
    /// The newest rows of each group.
    Newest {
        /// The index of the date in the table.
        date: usize,
        /// For each group the newest date that the aggregate has got.
        newest: Vec<i64>,
    },
    /// All rows.
    All,
}

/// Rows of a row group, and their groups.
pub(super) struct GroupedRows<'g> {
    /// The rows.
    pub(super) rows: &'g RowSelection,
    /// Their groups inside the row group.
    pub(super) local: &'g RowGroupGroups,
    /// The index of each of these groups in the whole scan; undefined for groups without rows.
    pub(super) indices: &'g [usize],
    /// The number of groups of the whole scan so far.
    pub(super) total: usize,
}

impl GroupAccumulator {
    /// An aggregate over a table; `expand` makes expressions over its columns of expressions over the scan.
    pub(super) fn new(
        aggregate: &Arc<AggregateFunctionExpr>,
        filter: Option<&Arc<dyn PhysicalExpr>>,
        expand: impl Fn(&Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>>,
        table: &SchemaRef,
        is_grouped: bool,
    ) -> Result<Self> {
        let orders = aggregate.order_bys().iter().map(|order| &order.expr);
        let arguments: Vec<Arc<dyn PhysicalExpr>> = aggregate
            .expressions()
            .iter()
            .chain(orders)
            .map(&expand)
            .collect::<Result<_>>()?;
        let prepare = |expr: &Arc<dyn PhysicalExpr>| ColumnExpr::new(expr, table);
        let filter = filter.map(|filter| prepare(&expand(filter)?)).transpose()?;
        let requirement = InputRequirement::new(aggregate, &arguments, table)?;
        let is_value = |argument: &Arc<dyn PhysicalExpr>| {
            let literal = argument.downcast_ref::<Literal>();
            literal.is_some_and(|literal| !literal.value().is_null())
        };
        let arguments: Vec<ColumnExpr> = match requirement {
            // Every row has the constant.
            InputRequirement::Count if arguments.iter().all(is_value) => Vec::new(),
            _ => arguments.iter().map(prepare).collect::<Result<_>>()?,
        };
        let accumulator = match is_grouped && aggregate.groups_accumulator_supported() {
            true => aggregate.create_groups_accumulator()?,
            false => {
                let aggregate = Arc::clone(aggregate);
                Box::new(GroupsAccumulatorAdapter::new(move || {
                    aggregate.create_accumulator()
                }))
            }
        };
        Ok(Self {
            accumulator,
            arguments,
            filter,
            requirement,
        })
    }

    /// The expressions that it evaluates for all rows.
    pub(super) fn exprs_of_all_rows(&self) -> impl Iterator<Item = &ColumnExpr> {
        let arguments = match self.requirement {
            InputRequirement::Newest { .. } => [].as_slice(),
            _ => self.arguments.as_slice(),
        };
        self.filter.iter().chain(arguments)
    }

    /// All columns that it may read.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let date = match self.requirement {
            InputRequirement::Newest { date, .. } => Some(date),
            _ => None,
        };
        let exprs = self.filter.iter().chain(&self.arguments);
        exprs
            .flat_map(|expr| expr.columns.iter().copied())
            .chain(date)
    }

    /// Adds at least one row of a row group.
    pub(super) async fn add(
        &mut self,
        row_group: &mut RowGroupReader,
        grouped: &GroupedRows<'_>,
    ) -> Result<()> {
        let wanted = match &self.filter {
            Some(filter) => row_group.evaluate(filter, grouped.rows).await?.into_mask(),
            None => FilterMask::All,
        };
        match self.requirement {
            InputRequirement::Count => self.count(row_group, grouped, wanted).await,
            InputRequirement::Distinct => self.distinct(row_group, grouped, wanted).await,
            InputRequirement::Newest { .. } => self.newest(row_group, grouped, wanted).await,
            InputRequirement::All => self.all(row_group, grouped, wanted).await,
        }
    }

    /// The states of all groups.
    pub(super) fn finish(&mut self, groups: usize) -> Result<Vec<ArrayRef>> {
        // An aggregate without any row may not know the number of groups yet.
        let empty: Vec<ArrayRef> = self.empty_arguments()?;
        self.accumulator.update_batch(&empty, &[], None, groups)?;
        self.accumulator.state(EmitTo::All)
    }

    /// The estimated bytes of its memory.
    pub(super) fn size_bytes(&self) -> usize {
        let newest = match &self.requirement {
            InputRequirement::Newest { newest, .. } => size_of_val(newest.as_slice()),
            _ => 0,
        };
        self.accumulator.size() + newest
    }

    fn empty_arguments(&self) -> Result<Vec<ArrayRef>> {
        if self.arguments.is_empty() {
            return Ok(vec![Arc::new(Int64Array::from(Vec::<i64>::new()))]);
        }
        let empty = self.arguments.iter().map(ColumnExpr::empty_result);
        empty.collect()
    }

    async fn count(
        &mut self,
        row_group: &mut RowGroupReader,
        grouped: &GroupedRows<'_>,
        mut wanted: FilterMask,
    ) -> Result<()> {
        for argument in &self.arguments {
            let validity = row_group.evaluate(argument, grouped.rows).await?.validity();
            wanted = wanted.and(validity);
        }
        let counts = match wanted {
            FilterMask::All => grouped.local.sizes.clone(),
            FilterMask::None => vec![0; grouped.local.sizes.len()],
            FilterMask::Some(wanted) => {
                let mut counts = vec![0; grouped.local.sizes.len()];
                for index in wanted.set_indices() {
                    counts[grouped.local.group(index)] += 1;
                }
                counts
            }
        };
        let used = grouped.local.used();
        let (counts, indices): (Vec<i64>, Vec<usize>) = used
            .map(|group| (i64::from(counts[group]), grouped.indices[group]))
            .unzip();
        let counts: ArrayRef = Arc::new(Int64Array::from(counts));
        self.accumulator
            .merge_batch(&[counts], &indices, grouped.total)
    }

    async fn distinct(
        &mut self,
        row_group: &mut RowGroupReader,
        grouped: &GroupedRows<'_>,
        wanted: FilterMask,
    ) -> Result<()> {
        let [argument] = self.arguments.as_slice() else {
            return self.all(row_group, grouped, wanted).await;
        };
        let (keys, dictionary) = match row_group.evaluate(argument, grouped.rows).await? {
            Values::Dictionary { keys, dictionary } => (keys, dictionary),
            Values::Scalar(value) => (vec![0; grouped.rows.len()], value),
            Values::Array(array) => {
                let indices = group_indices(grouped);
                let filter = wanted.into_filter(grouped.rows.len());
                return self.accumulator.update_batch(
                    &[array],
                    &indices,
                    filter.as_ref(),
                    grouped.total,
                );
            }
        };
        let mut seen = DistinctFilter::new(grouped.local.sizes.len(), dictionary.len());
        let mut values = Vec::new();
        let mut groups = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            let group = grouped.local.group(index);
            if wanted.contains(index) && seen.insert(group, key) {
                values.push(key);
                groups.push(grouped.indices[group]);
            }
        }
        let values = take(&dictionary, &UInt32Array::from(values), None)?;
        self.accumulator
            .update_batch(&[values], &groups, None, grouped.total)
    }

    async fn newest(
        &mut self,
        row_group: &mut RowGroupReader,
        grouped: &GroupedRows<'_>,
        wanted: FilterMask,
    ) -> Result<()> {
        let InputRequirement::Newest { date, newest } = &mut self.requirement else {
            return Ok(());
        };
        newest.resize(grouped.total, i64::MIN);
        row_group.load(std::iter::once(*date)).await?;
        let Some(dates) = row_group.ascending(*date) else {
            return self.all(row_group, grouped, wanted).await;
        };
        let (rows, indices) = newest_rows(dates, grouped, &wanted, newest);
        if rows.is_empty() {
            return Ok(());
        }
        let arguments = values(row_group, &self.arguments, &RowSelection::List(rows)).await?;
        self.accumulator
            .update_batch(&arguments, &indices, None, grouped.total)
    }

    async fn all(
        &mut self,
        row_group: &mut RowGroupReader,
        grouped: &GroupedRows<'_>,
        wanted: FilterMask,
    ) -> Result<()> {
        let arguments = values(row_group, &self.arguments, grouped.rows).await?;
        let filter = wanted.into_filter(grouped.rows.len());
        let indices = group_indices(grouped);
        self.accumulator
            .update_batch(&arguments, &indices, filter.as_ref(), grouped.total)
    }
}

/// The arguments of an aggregate for some rows.
async fn values(
    row_group: &mut RowGroupReader,
    arguments: &[ColumnExpr],
    rows: &RowSelection,
) -> Result<Vec<ArrayRef>> {
    row_group.prepare(arguments, rows).await?;
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(
            row_group
                .evaluate(argument, rows)
                .await?
                .into_array(rows.len())?,
        );
    }
    Ok(values)
}

impl InputRequirement {
    fn new(
        aggregate: &AggregateFunctionExpr,
        arguments: &[Arc<dyn PhysicalExpr>],
        table: &SchemaRef,
    ) -> Result<Self> {
        let date = table.index_of(events::fields::DATE)?;
        let is_date = |expr: &Arc<dyn PhysicalExpr>| {
            let column = expr.downcast_ref::<ColumnRef>();
            column.is_some_and(|column| column.index() == date)
        };
        let values = aggregate.expressions().len();
        let first_order = aggregate.order_bys().first();
        let is_newest_first = first_order.is_some_and(|order| order.options.descending)
            && arguments.get(values).is_some_and(is_date);
        Ok(match (aggregate.fun().name(), aggregate.is_distinct()) {
            (_, true) if first_order.is_none() => Self::Distinct,
            ("count", false) if values == 1 => Self::Count,
            ("first_value", false) if is_newest_first && !aggregate.ignore_nulls() => {
                Self::Newest {
                    date,
                    newest: Vec::new(),
                }
            }
            _ => Self::All,
        })
    }
}

/// For each row the index of its group in the whole scan.
fn group_indices(grouped: &GroupedRows<'_>) -> Vec<usize> {
    let rows = 0..grouped.rows.len();
    let indices = rows.map(|row| grouped.indices[grouped.local.group(row)]);
    indices.collect()
}

/// The wanted rows that are no older than the newest date of their group, and the index of the group of each. Updates
/// the newest dates.
fn newest_rows(
    dates: &[i64],
    grouped: &GroupedRows<'_>,
    wanted: &FilterMask,
    newest: &mut [i64],
) -> (Vec<u32>, Vec<usize>) {
    let local = grouped.local;
    let last_date = dates[grouped.rows.get(grouped.rows.len() - 1)];
    // For each group the number of rows that may still be new enough.
    let mut left = vec![0; local.sizes.len()];
    for group in local.used() {
        if newest[grouped.indices[group]] <= last_date {
            left[group] = local.sizes[group];
        }
    }
    let mut open = left.iter().filter(|left| **left > 0).count();
    let (mut rows, mut indices) = (Vec::new(), Vec::new());
    for index in (0..grouped.rows.len()).rev() {
        if open == 0 {
            break;
        }
        let group = local.group(index);
        if left[group] == 0 {
            continue;
        }
        let row = grouped.rows.get(index);
        let group_index = grouped.indices[group];
        left[group] -= 1;
        if dates[row] < newest[group_index] {
            left[group] = 0;
        } else if wanted.contains(index) {
            newest[group_index] = dates[row];
            // A row group has less than 2³² rows.
            rows.push(row as u32);
            indices.push(group_index);
        }
        open -= usize::from(left[group] == 0);
    }
    rows.reverse();
    indices.reverse();
    (rows, indices)
}
