//! Aggregates fed with no more of a row group than they need.

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
use store::RowSelection;

use super::chunk::Chunk;
use super::expression::{ColumnExpr, Truth, Values};
use super::groups::{LocalGroups, Seen};

/// An aggregate of a scan while it runs.
pub(super) struct Reduction {
    accumulator: Box<dyn GroupsAccumulator>,
    arguments: Vec<ColumnExpr>,
    filter: Option<ColumnExpr>,
    need: Need,
}

/// What of a row group decides an aggregate.
#[derive(Debug)]
enum Need {
    /// How many rows each group has, with a value where there is an argument.
    Count,
    /// The different values of each group.
    Distinct,
    /// The newest rows of each group. Of each group so far, the newest date that was given on.
    Newest {
        /// The place of the date in the table.
        date: usize,
        newest: Vec<i64>,
    },
    /// All rows.
    All,
}

/// Some rows of a row group and the groups that they belong to.
pub(super) struct GroupedRows<'g> {
    /// The rows.
    pub(super) rows: &'g RowSelection,
    /// Their groups inside the row group.
    pub(super) local: &'g LocalGroups,
    /// The number of each of these groups in the whole scan, of those that have rows.
    pub(super) numbers: &'g [usize],
    /// How many groups the whole scan has so far.
    pub(super) total: usize,
}

impl Reduction {
    /// An aggregate over the columns of a table; `expand` puts the columns into expressions.
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
        let need = Need::of(aggregate, &arguments, table)?;
        let is_value = |argument: &Arc<dyn PhysicalExpr>| {
            let literal = argument.downcast_ref::<Literal>();
            literal.is_some_and(|literal| !literal.value().is_null())
        };
        let arguments: Vec<ColumnExpr> = match need {
            // Every row has the constant.
            Need::Count if arguments.iter().all(is_value) => Vec::new(),
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
            need,
        })
    }

    /// What it evaluates for all rows that it takes.
    pub(super) fn first_needed(&self) -> impl Iterator<Item = &ColumnExpr> {
        let arguments = match self.need {
            Need::Newest { .. } => [].as_slice(),
            _ => self.arguments.as_slice(),
        };
        self.filter.iter().chain(arguments)
    }

    /// All columns that it looks at.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let date = match self.need {
            Need::Newest { date, .. } => Some(date),
            _ => None,
        };
        let exprs = self.filter.iter().chain(&self.arguments);
        exprs
            .flat_map(|expr| expr.columns.iter().copied())
            .chain(date)
    }

    /// Takes the rows of a row group, of which there is at least one.
    pub(super) async fn add(&mut self, chunk: &mut Chunk, grouped: &GroupedRows<'_>) -> Result<()> {
        let wanted = match &self.filter {
            Some(filter) => chunk.evaluate(filter, grouped.rows).await?.into_truth(),
            None => Truth::Always,
        };
        match self.need {
            Need::Count => self.count(chunk, grouped, wanted).await,
            Need::Distinct => self.distinct(chunk, grouped, wanted).await,
            Need::Newest { .. } => self.newest(chunk, grouped, wanted).await,
            Need::All => self.all(chunk, grouped, wanted).await,
        }
    }

    /// The states of all groups.
    pub(super) fn finish(&mut self, groups: usize) -> Result<Vec<ArrayRef>> {
        // An aggregate that has seen no row may not know of any group yet.
        let nothing: Vec<ArrayRef> = self.no_arguments()?;
        self.accumulator.update_batch(&nothing, &[], None, groups)?;
        self.accumulator.state(EmitTo::All)
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        let newest = match &self.need {
            Need::Newest { newest, .. } => size_of_val(newest.as_slice()),
            _ => 0,
        };
        self.accumulator.size() + newest
    }

    fn no_arguments(&self) -> Result<Vec<ArrayRef>> {
        if self.arguments.is_empty() {
            return Ok(vec![Arc::new(Int64Array::from(Vec::<i64>::new()))]);
        }
        let empty = self.arguments.iter().map(ColumnExpr::of_no_row);
        empty.collect()
    }

    async fn count(
        &mut self,
        chunk: &mut Chunk,
        grouped: &GroupedRows<'_>,
        mut wanted: Truth,
    ) -> Result<()> {
        for argument in &self.arguments {
            let present = chunk.evaluate(argument, grouped.rows).await?.presence();
            wanted = wanted.and(present);
        }
        let counts = match wanted {
            Truth::Always => grouped.local.sizes.clone(),
            Truth::Never => vec![0; grouped.local.sizes.len()],
            Truth::Of(wanted) => {
                let mut counts = vec![0; grouped.local.sizes.len()];
                for place in wanted.set_indices() {
                    counts[grouped.local.of(place)] += 1;
                }
                counts
            }
        };
        let used = grouped.local.used();
        let (counts, numbers): (Vec<i64>, Vec<usize>) = used
            .map(|group| (i64::from(counts[group]), grouped.numbers[group]))
            .unzip();
        let counts: ArrayRef = Arc::new(Int64Array::from(counts));
        self.accumulator
            .merge_batch(&[counts], &numbers, grouped.total)
    }

    async fn distinct(
        &mut self,
        chunk: &mut Chunk,
        grouped: &GroupedRows<'_>,
        wanted: Truth,
    ) -> Result<()> {
        let [argument] = self.arguments.as_slice() else {
            return self.all(chunk, grouped, wanted).await;
        };
        let (codes, dictionary) = match chunk.evaluate(argument, grouped.rows).await? {
            Values::Coded { codes, dictionary } => (codes, dictionary),
            Values::Same(value) => (vec![0; grouped.rows.len()], value),
            Values::Plain(array) => {
                let numbers = numbers(grouped);
                let filter = wanted.into_filter(grouped.rows.len());
                return self.accumulator.update_batch(
                    &[array],
                    &numbers,
                    filter.as_ref(),
                    grouped.total,
                );
            }
        };
        let mut seen = Seen::new(grouped.local.sizes.len(), dictionary.len());
        let mut values = Vec::new();
        let mut groups = Vec::new();
        for (place, code) in codes.into_iter().enumerate() {
            let group = grouped.local.of(place);
            if wanted.holds(place) && seen.insert(group, code) {
                values.push(code);
                groups.push(grouped.numbers[group]);
            }
        }
        let values = take(&dictionary, &UInt32Array::from(values), None)?;
        self.accumulator
            .update_batch(&[values], &groups, None, grouped.total)
    }

    async fn newest(
        &mut self,
        chunk: &mut Chunk,
        grouped: &GroupedRows<'_>,
        wanted: Truth,
    ) -> Result<()> {
        let Need::Newest { date, newest } = &mut self.need else {
            return Ok(());
        };
        newest.resize(grouped.total, i64::MIN);
        chunk.load(std::iter::once(*date)).await?;
        let Some(dates) = chunk.ascending(*date) else {
            return self.all(chunk, grouped, wanted).await;
        };
        let (rows, numbers) = newest_rows(dates, grouped, &wanted, newest);
        if rows.is_empty() {
            return Ok(());
        }
        let arguments = values(chunk, &self.arguments, &RowSelection::List(rows)).await?;
        self.accumulator
            .update_batch(&arguments, &numbers, None, grouped.total)
    }

    async fn all(
        &mut self,
        chunk: &mut Chunk,
        grouped: &GroupedRows<'_>,
        wanted: Truth,
    ) -> Result<()> {
        let arguments = values(chunk, &self.arguments, grouped.rows).await?;
        let filter = wanted.into_filter(grouped.rows.len());
        let numbers = numbers(grouped);
        self.accumulator
            .update_batch(&arguments, &numbers, filter.as_ref(), grouped.total)
    }
}

/// The arguments of an aggregate for some rows.
async fn values(
    chunk: &mut Chunk,
    arguments: &[ColumnExpr],
    rows: &RowSelection,
) -> Result<Vec<ArrayRef>> {
    chunk.prepare(arguments, rows).await?;
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(
            chunk
                .evaluate(argument, rows)
                .await?
                .into_array(rows.len())?,
        );
    }
    Ok(values)
}

impl Need {
    fn of(
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

/// The number of each row's group in the whole scan.
fn numbers(grouped: &GroupedRows<'_>) -> Vec<usize> {
    let places = 0..grouped.rows.len();
    let numbers = places.map(|place| grouped.numbers[grouped.local.of(place)]);
    numbers.collect()
}

/// The wanted rows that are no older than the newest date that is known of their group, and the number of each
/// one's group. Then their dates are known.
fn newest_rows(
    dates: &[i64],
    grouped: &GroupedRows<'_>,
    wanted: &Truth,
    newest: &mut [i64],
) -> (Vec<u32>, Vec<usize>) {
    let local = grouped.local;
    let last_date = dates[grouped.rows.get(grouped.rows.len() - 1)];
    // How many rows of each group may still be new enough.
    let mut left = vec![0; local.sizes.len()];
    for group in local.used() {
        if newest[grouped.numbers[group]] <= last_date {
            left[group] = local.sizes[group];
        }
    }
    let mut open = left.iter().filter(|left| **left > 0).count();
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for place in (0..grouped.rows.len()).rev() {
        if open == 0 {
            break;
        }
        let group = local.of(place);
        if left[group] == 0 {
            continue;
        }
        let row = grouped.rows.get(place);
        let number = grouped.numbers[group];
        left[group] -= 1;
        if dates[row] < newest[number] {
            left[group] = 0;
        } else if wanted.holds(place) {
            newest[number] = dates[row];
            // A place in a row group is far below 2³².
            rows.push(row as u32);
            numbers.push(number);
        }
        open -= usize::from(left[group] == 0);
    }
    rows.reverse();
    numbers.reverse();
    (rows, numbers)
}
