//! The condition of a scan.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterTracking, Literal};
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use events::fields::{DATE, EVENT_ID};
use store::DataFile;

use super::column_expr::{ColumnExpr, Values};
use super::filter_mask::FilterMask;
use super::row_group_reader::RowGroupReader;
use crate::column_cache::RowSelection;
use crate::date_range::{Comparison, DateRange};
use crate::filter_stages::FilterStages;
use crate::metrics::ScanMetrics;

/// The condition of a scan, as a conjunction of tests.
#[derive(Debug)]
pub(super) struct Predicate {
    tests: Vec<Test>,
    /// The dates that the static tests accept.
    static_dates: DateRange,
    /// The index of the date in the table.
    date: usize,
}

#[derive(Debug)]
struct Test {
    expr: Arc<dyn PhysicalExpr>,
    column_expr: ColumnExpr,
    /// Whether it is equivalent to a range of dates.
    is_date_range: bool,
    /// Whether it contains a dynamic filter, which changes while the query runs.
    is_dynamic: bool,
    text: Option<TextTest>,
}

/// Whether a column equals a text; or, without `is_equal`, whether it has another text or none.
#[derive(Debug)]
pub(super) struct TextTest {
    pub(super) column: String,
    pub(super) text: String,
    is_equal: bool,
}

impl Predicate {
    /// The condition of a scan over a table.
    pub(super) fn new(filters: &FilterStages, table: &SchemaRef) -> Result<Self> {
        let date = table.index_of(DATE)?;
        let mut tests = Vec::new();
        for (stage, conditions) in filters.iter().enumerate() {
            for condition in conditions {
                tests.push((stage, Test::new(condition, date, table)?));
            }
        }
        // Inside a stage, conditions on one column come first, because a dictionary may decide them. Those that count
        // notes keep their order.
        tests.sort_by_key(|(stage, test)| {
            let columns = match test.column_expr.has_notes {
                true => 0,
                false => test.column_expr.columns.len(),
            };
            (test.is_dynamic, *stage, columns)
        });
        let tests: Vec<Test> = tests.into_iter().map(|(_, test)| test).collect();
        let static_tests = tests.iter().filter(|test| !test.is_dynamic);
        let static_dates = static_tests.map(|test| DateRange::accepted(&test.expr, date));
        Ok(Self {
            static_dates: static_dates.fold(DateRange::ALL, DateRange::intersection),
            tests,
            date,
        })
    }

    /// All columns that it may read.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let tests = self.tests.iter();
        let columns = tests.flat_map(|test| test.column_expr.columns.iter().copied());
        columns.chain([self.date])
    }

    /// The dates that the condition accepts, with the present state of dynamic filters.
    pub(super) fn dates(&self) -> Result<DateRange> {
        Ok(self.static_dates.intersection(self.dynamic_dates()?))
    }

    /// The texts that columns with Bloom filters have to equal.
    pub(super) fn bloom_filter_texts(&self) -> impl Iterator<Item = &TextTest> {
        let texts = self.tests.iter().filter_map(|test| test.text.as_ref());
        texts.filter(|text| text.is_equal && text.column == EVENT_ID)
    }

    /// Whether rows of a file may match, by the constant columns in the log.
    pub(super) fn may_hold(&self, file: &DataFile) -> bool {
        let mut tests = self.tests.iter();
        tests.all(|test| test.evaluate_constant(file) != Some(false))
    }

    /// Whether all rows of a file match, by the dates and the constant columns in the log.
    pub(super) fn holds_for_all(&self, file: &DataFile) -> bool {
        let dates = DateRange::of_file(file);
        let is_in_range = dates.is_some_and(|dates| self.static_dates.contains(dates));
        let mut tests = self.tests.iter();
        tests.all(|test| test.is_known(file, is_in_range))
    }

    /// The rows of a row group of a file for which the condition holds.
    pub(super) async fn filter(
        &self,
        row_group: &mut RowGroupReader,
        file: &DataFile,
        metrics: &ScanMetrics,
    ) -> Result<RowSelection> {
        let range = self.dates()?;
        let mut rows = RowSelection::Range(0..row_group.rows());
        let dates = DateRange::of_file(file);
        let mut is_in_range = dates.map_or(range == DateRange::ALL, |dates| range.contains(dates));
        if !is_in_range && let Some(in_range) = self.rows_in_range(row_group, range).await? {
            rows = RowSelection::Range(in_range);
            is_in_range = true;
        }
        for test in &self.tests {
            if rows.is_empty() {
                break;
            }
            if !test.is_known(file, is_in_range) {
                rows = test.filter(row_group, rows, metrics).await?;
            }
        }
        Ok(rows)
    }

    /// Those of the rows whose dates the dynamic filters still accept.
    pub(super) async fn still_in_range(
        &self,
        row_group: &mut RowGroupReader,
        rows: RowSelection,
    ) -> Result<RowSelection> {
        let range = self.dynamic_dates()?;
        if range == DateRange::ALL {
            return Ok(rows);
        }
        let Some(in_range) = self.rows_in_range(row_group, range).await? else {
            return Ok(rows);
        };
        let from = rows.count_before(in_range.start);
        let to = rows.count_before(in_range.end);
        Ok(rows.slice(from, to - from))
    }

    /// Those of the rows that the dynamic filters still accept.
    pub(super) async fn filter_dynamic(
        &self,
        row_group: &mut RowGroupReader,
        mut rows: RowSelection,
        metrics: &ScanMetrics,
    ) -> Result<RowSelection> {
        for test in self.tests.iter().filter(|test| test.is_dynamic) {
            // A filter without a state accepts all rows, and its columns need not be read.
            if !rows.is_empty() && !is_true(&snapshot_physical_expr(Arc::clone(&test.expr))?) {
                rows = test.filter(row_group, rows, metrics).await?;
            }
        }
        Ok(rows)
    }

    /// The dates that the dynamic filters accept now.
    fn dynamic_dates(&self) -> Result<DateRange> {
        let mut range = DateRange::ALL;
        for test in self.tests.iter().filter(|test| test.is_dynamic) {
            let known = snapshot_physical_expr(Arc::clone(&test.expr))?;
            range = range.intersection(DateRange::accepted(&known, self.date));
        }
        Ok(range)
    }

    /// The rows of a row group whose dates lie in a range; `None` when its dates do not ascend.
    async fn rows_in_range(
        &self,
        row_group: &mut RowGroupReader,
        range: DateRange,
    ) -> Result<Option<Range<usize>>> {
        row_group.load(std::iter::once(self.date)).await?;
        Ok(row_group.ascending(self.date).map(|dates| {
            let from = dates.partition_point(|date| *date < range.first);
            let to = dates.partition_point(|date| *date <= range.last);
            from..to.max(from)
        }))
    }
}

impl Test {
    fn new(expr: &Arc<dyn PhysicalExpr>, date: usize, table: &SchemaRef) -> Result<Self> {
        Ok(Self {
            expr: Arc::clone(expr),
            column_expr: ColumnExpr::new(expr, table)?,
            is_date_range: DateRange::equivalent(expr, date).is_some(),
            is_dynamic: DynamicFilterTracking::classify(expr).contains_dynamic_filter(),
            text: TextTest::new(expr, table),
        })
    }

    /// Whether it holds for all remaining rows of a file; `is_in_range` says that their dates match.
    fn is_known(&self, file: &DataFile, is_in_range: bool) -> bool {
        (is_in_range && self.is_date_range) || self.evaluate_constant(file) == Some(true)
    }

    /// Whether it holds for all rows of a file or for none; `None` when the log has no constant for its column.
    fn evaluate_constant(&self, file: &DataFile) -> Option<bool> {
        let test = self.text.as_ref()?;
        let mut constants = file.constants.iter();
        let constant = constants.find(|constant| constant.column == test.column)?;
        let text = constant.text.as_deref();
        let is_equal = text.is_some_and(|text| text == test.text);
        Some(is_equal == test.is_equal)
    }

    /// Those of the rows for which it holds.
    async fn filter(
        &self,
        row_group: &mut RowGroupReader,
        rows: RowSelection,
        metrics: &ScanMetrics,
    ) -> Result<RowSelection> {
        let values = row_group.evaluate(&self.column_expr, &rows).await?;
        let is_constant = matches!(values, Values::Scalar(_));
        match values.into_mask() {
            FilterMask::All => Ok(rows),
            FilterMask::None => {
                metrics.row_groups_pruned_constant.add(is_constant.into());
                Ok(RowSelection::Range(0..0))
            }
            FilterMask::Some(mask) => {
                // A row group has less than 2³² rows.
                let selected = mask.set_indices().map(|index| rows.get(index) as u32);
                Ok(RowSelection::List(selected.collect()))
            }
        }
    }
}

impl TextTest {
    fn new(expr: &Arc<dyn PhysicalExpr>, table: &SchemaRef) -> Option<Self> {
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        // The `!=` of DQL, which holds where there is no value.
        let is_distinct = *binary.op() == Operator::IsDistinctFrom && is_true(binary.right());
        let equality = Comparison::new(if is_distinct { binary.left() } else { expr })?;
        let text = equality.value.try_as_str().flatten()?;
        (equality.operator == Operator::Eq).then(|| Self {
            column: table.field(equality.column).name().clone(),
            text: text.to_owned(),
            is_equal: !is_distinct,
        })
    }
}

fn is_true(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let literal = expr.downcast_ref::<Literal>();
    literal.is_some_and(|literal| *literal.value() == ScalarValue::Boolean(Some(true)))
}
