//! Which rows of a row group a question is about.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column as ColumnRef, DynamicFilterTracking, Literal,
};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use events::fields::{DATE, EVENT_ID};
use store::{DataFile, RowSelection};

use super::chunk::Chunk;
use super::expression::{ColumnExpr, Truth};

/// All dates.
const EVER: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// The condition of a scan, as conditions that all have to hold.
#[derive(Debug)]
pub(super) struct Predicate {
    tests: Vec<Test>,
    /// A range outside which no date fits, whatever becomes known.
    fixed_dates: RangeInclusive<i64>,
    /// The place of the date in the table.
    date: usize,
}

#[derive(Debug)]
struct Test {
    expr: Arc<dyn PhysicalExpr>,
    prepared: ColumnExpr,
    /// Whether it says no more than a range of dates.
    is_date_range: bool,
    /// Whether it changes while the question runs.
    is_dynamic: bool,
    text: Option<TextTest>,
}

/// Whether a text column has a certain text, or whether it has another one or none.
#[derive(Debug)]
pub(super) struct TextTest {
    pub(super) column: String,
    pub(super) text: String,
    is_equal: bool,
}

impl Predicate {
    /// The condition of a scan over a table.
    pub(super) fn new(
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        table: &SchemaRef,
    ) -> Result<Self> {
        let date = table.index_of(DATE)?;
        let tests = predicate.map(split_conjunction).unwrap_or_default();
        let tests: Result<Vec<Test>> = tests
            .into_iter()
            .map(|expr| Test::new(expr, date, table))
            .collect();
        let mut tests = tests?;
        // The order of conditions that leave a trace is that of the scan. Among the others, what needs one column may be
        // decided by the values of a dictionary.
        tests.sort_by_key(|test| {
            let columns = test.prepared.columns.len();
            let is_observing = test.prepared.is_observing;
            (
                test.is_dynamic,
                is_observing,
                if is_observing { 0 } else { columns },
            )
        });
        let fixed = tests.iter().filter(|test| !test.is_dynamic);
        let fixed = fixed.map(|test| dates(&test.expr, date));
        Ok(Self {
            fixed_dates: fixed.fold(EVER, |range, other| both(&range, &other)),
            tests,
            date,
        })
    }

    /// All columns that it may look at.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let tests = self.tests.iter();
        let columns = tests.flat_map(|test| test.prepared.columns.iter().copied());
        columns.chain([self.date])
    }

    /// A range outside which no date fits, as far as is known now.
    pub(super) fn dates(&self) -> Result<RangeInclusive<i64>> {
        Ok(both(&self.fixed_dates, &self.dynamic_dates()?))
    }

    /// Columns that have bloom filters, and the texts they have to have.
    pub(super) fn wanted_texts(&self) -> impl Iterator<Item = &TextTest> {
        let texts = self.tests.iter().filter_map(|test| test.text.as_ref());
        texts.filter(|text| text.is_equal && text.column == EVENT_ID)
    }

    /// Whether the condition may hold for rows of a file, as far as the log has its texts.
    pub(super) fn may_hold(&self, file: &DataFile) -> bool {
        let mut tests = self.tests.iter();
        tests.all(|test| test.of_log(file) != Some(false))
    }

    /// Whether the condition holds for all rows of a file, as far as the log has its dates and texts.
    pub(super) fn holds_for_all(&self, file: &DataFile) -> bool {
        let is_in_range = file_dates(file).is_some_and(|span| is_inside(&span, &self.fixed_dates));
        let mut tests = self.tests.iter();
        tests.all(|test| test.is_known(file, is_in_range))
    }

    /// The rows of a row group of a file for which the condition holds.
    pub(super) async fn rows(&self, chunk: &mut Chunk, file: &DataFile) -> Result<RowSelection> {
        let range = self.dates()?;
        let mut rows = RowSelection::Range(0..chunk.rows());
        let mut is_in_range = file_dates(file).is_some_and(|span| is_inside(&span, &range));
        if !is_in_range && let Some(places) = self.places(chunk, &range).await? {
            rows = RowSelection::Range(places);
            is_in_range = true;
        }
        for test in &self.tests {
            if rows.is_empty() {
                break;
            }
            if !test.is_known(file, is_in_range) {
                rows = test.rows(chunk, rows).await?;
            }
        }
        Ok(rows)
    }

    /// Of rows that the condition held for when it was last asked, those for which it still may, as far as
    /// their dates tell.
    pub(super) async fn still(
        &self,
        chunk: &mut Chunk,
        rows: RowSelection,
    ) -> Result<RowSelection> {
        let range = self.dynamic_dates()?;
        if range == EVER {
            return Ok(rows);
        }
        let Some(places) = self.places(chunk, &range).await? else {
            return Ok(rows);
        };
        let from = rows.count_before(places.start);
        let to = rows.count_before(places.end);
        Ok(rows.slice(from, to - from))
    }

    /// Of rows that the condition held for when it was last asked, those for which it still does.
    pub(super) async fn dynamic_rows(
        &self,
        chunk: &mut Chunk,
        mut rows: RowSelection,
    ) -> Result<RowSelection> {
        for test in self.tests.iter().filter(|test| test.is_dynamic) {
            // Before anything is known, there is no need to read what would be compared with it.
            if !rows.is_empty() && !is_true(&snapshot_physical_expr(Arc::clone(&test.expr))?) {
                rows = test.rows(chunk, rows).await?;
            }
        }
        Ok(rows)
    }

    /// A range outside which no date fits any more, as far as is known now.
    fn dynamic_dates(&self) -> Result<RangeInclusive<i64>> {
        let mut range = EVER;
        for test in self.tests.iter().filter(|test| test.is_dynamic) {
            let known = snapshot_physical_expr(Arc::clone(&test.expr))?;
            range = both(&range, &dates(&known, self.date));
        }
        Ok(range)
    }

    /// The places of a row group whose dates lie in a range; `None` when its dates do not ascend.
    async fn places(
        &self,
        chunk: &mut Chunk,
        range: &RangeInclusive<i64>,
    ) -> Result<Option<Range<usize>>> {
        chunk.load(std::iter::once(self.date)).await?;
        Ok(chunk.ascending(self.date).map(|dates| {
            let from = dates.partition_point(|date| date < range.start());
            let to = dates.partition_point(|date| date <= range.end());
            from..to.max(from)
        }))
    }
}

impl Test {
    fn new(expr: &Arc<dyn PhysicalExpr>, date: usize, table: &SchemaRef) -> Result<Self> {
        let dates = Comparison::of(expr).and_then(|comparison| comparison.dates(date));
        Ok(Self {
            expr: Arc::clone(expr),
            prepared: ColumnExpr::new(expr, table)?,
            is_date_range: dates.is_some(),
            is_dynamic: DynamicFilterTracking::classify(expr).contains_dynamic_filter(),
            text: TextTest::of(expr, table),
        })
    }

    /// Whether it holds for all rows of a file that are looked at; `is_in_range` says that their dates do.
    fn is_known(&self, file: &DataFile, is_in_range: bool) -> bool {
        (is_in_range && self.is_date_range) || self.of_log(file) == Some(true)
    }

    /// Whether it holds for all rows of a file or for none; `None` when the log has no such text.
    fn of_log(&self, file: &DataFile) -> Option<bool> {
        let test = self.text.as_ref()?;
        let mut constants = file.constants.iter();
        let constant = constants.find(|constant| constant.column == test.column)?;
        let text = constant.text.as_deref();
        let is_equal = text.is_some_and(|text| text == test.text);
        Some(is_equal == test.is_equal)
    }

    async fn rows(&self, chunk: &mut Chunk, rows: RowSelection) -> Result<RowSelection> {
        match chunk.evaluate(&self.prepared, &rows).await?.into_truth() {
            Truth::Always => Ok(rows),
            Truth::Never => Ok(RowSelection::Range(0..0)),
            Truth::Of(fits) => {
                // A place in a row group is far below 2³².
                let fitting = fits.set_indices().map(|place| rows.get(place) as u32);
                Ok(RowSelection::List(fitting.collect()))
            }
        }
    }
}

impl TextTest {
    fn of(expr: &Arc<dyn PhysicalExpr>, table: &SchemaRef) -> Option<Self> {
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        // What DQL's `!=` is: it holds where there is no value.
        let is_distinct = *binary.op() == Operator::IsDistinctFrom && is_true(binary.right());
        let equality = Comparison::of(if is_distinct { binary.left() } else { expr })?;
        let text = equality.value.try_as_str().flatten()?;
        (equality.operator == Operator::Eq).then(|| Self {
            column: table.field(equality.column).name().clone(),
            text: text.to_owned(),
            is_equal: !is_distinct,
        })
    }
}

/// A comparison of a column with a value.
struct Comparison<'e> {
    column: usize,
    operator: Operator,
    value: &'e ScalarValue,
}

impl<'e> Comparison<'e> {
    fn of(expr: &'e Arc<dyn PhysicalExpr>) -> Option<Self> {
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        let (left, right) = (binary.left(), binary.right());
        if let Some(column) = left.downcast_ref::<ColumnRef>() {
            return Some(Self {
                column: column.index(),
                operator: *binary.op(),
                value: right.downcast_ref::<Literal>()?.value(),
            });
        }
        Some(Self {
            column: right.downcast_ref::<ColumnRef>()?.index(),
            operator: binary.op().swap()?,
            value: left.downcast_ref::<Literal>()?.value(),
        })
    }

    /// The dates for which it holds, if it says no more than that.
    fn dates(&self, date: usize) -> Option<RangeInclusive<i64>> {
        let ScalarValue::Int64(Some(value)) = *self.value else {
            return None;
        };
        if self.column != date {
            return None;
        }
        match self.operator {
            Operator::Eq => Some(value..=value),
            Operator::Lt => Some(i64::MIN..=value.checked_sub(1)?),
            Operator::LtEq => Some(i64::MIN..=value),
            Operator::Gt => Some(value.checked_add(1)?..=i64::MAX),
            Operator::GtEq => Some(value..=i64::MAX),
            _ => None,
        }
    }
}

/// A range outside which a condition does not hold for any date.
fn dates(expr: &Arc<dyn PhysicalExpr>, date: usize) -> RangeInclusive<i64> {
    if let Some(range) = Comparison::of(expr).and_then(|comparison| comparison.dates(date)) {
        return range;
    }
    let Some(binary) = expr.downcast_ref::<BinaryExpr>() else {
        return EVER;
    };
    let sides = || (dates(binary.left(), date), dates(binary.right(), date));
    match binary.op() {
        Operator::And => {
            let (left, right) = sides();
            both(&left, &right)
        }
        Operator::Or => {
            let (left, right) = sides();
            either(&left, &right)
        }
        _ => EVER,
    }
}

/// The range that the dates of a file are known to lie in.
pub(super) fn file_dates(file: &DataFile) -> Option<RangeInclusive<i64>> {
    file.date_range_ms.map(|(first, last)| first..=last)
}

fn is_true(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let literal = expr.downcast_ref::<Literal>();
    literal.is_some_and(|literal| *literal.value() == ScalarValue::Boolean(Some(true)))
}

fn both(left: &RangeInclusive<i64>, right: &RangeInclusive<i64>) -> RangeInclusive<i64> {
    *left.start().max(right.start())..=*left.end().min(right.end())
}

fn either(left: &RangeInclusive<i64>, right: &RangeInclusive<i64>) -> RangeInclusive<i64> {
    match (left.is_empty(), right.is_empty()) {
        (true, _) => right.clone(),
        (_, true) => left.clone(),
        _ => *left.start().min(right.start())..=*left.end().max(right.end()),
    }
}

fn is_inside(inner: &RangeInclusive<i64>, outer: &RangeInclusive<i64>) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}
