//! What a query means: names resolved, types known, window and limits settled.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::scalar::ScalarValue;
use dql::Diagnostic;
use events::TimeRange;

use crate::bind::sort_keys;
use crate::functions::json::Observation;
use crate::functions::percentile::Estimate;
use crate::types::Type;

/// A query without open questions; [`crate::lower`] makes a plan of it.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// The name of its series; absent for `*`, patterns and sub-queries.
    pub name: Option<String>,
    /// The window of the query, in which its steps lie.
    pub range: TimeRange,
    /// The window of the rows; all of time where only a sub-query's rows are read.
    pub window: TimeRange,
    /// The width of a point in milliseconds.
    pub step_ms: Option<i64>,
    /// The zone whose clock steps follow.
    pub time_zone: Tz,
    /// Where the rows come from.
    pub source: BoundSource,
    /// The condition on a row of the source; null counts as false.
    pub filter: Option<Expr>,
    /// The sub-queries behind `IN` that the filter asks.
    pub memberships: Vec<Membership>,
    /// The keys of `BY`, over the rows of the source.
    pub keys: Vec<Key>,
    /// What becomes of the rows of a group.
    pub shape: Shape,
    /// The condition on a shaped row; null counts as false.
    pub having: Option<Expr>,
    /// The columns after `time`, over the shaped rows.
    pub columns: Vec<Column>,
    /// The `time` of a shaped row.
    pub time: Expr,
    /// The order inside a group, over the shaped rows; complete, so that no two rows tie.
    pub order: Vec<SortKey>,
    /// The order between groups before their keys decide.
    pub series_order: Option<SeriesOrder>,
    /// How much of it is wanted.
    pub limits: Limits,
    /// How the answer is continued; absent where it cannot be.
    pub page: Option<Page>,
    /// What is known already and what running the query will tell.
    pub notes: Notes,
}

impl BoundQuery {
    /// The window of the events that are read: that of the innermost query.
    pub fn events_window(&self) -> TimeRange {
        match &self.source {
            BoundSource::Events => self.window,
            BoundSource::Query(inner) => inner.events_window(),
        }
    }

    /// The windows of all events that the query and the queries inside it read.
    pub fn windows(&self) -> Vec<TimeRange> {
        let mut windows = match &self.source {
            BoundSource::Events => vec![self.window],
            BoundSource::Query(inner) => inner.windows(),
        };
        let members = self.memberships.iter();
        windows.extend(members.flat_map(|membership| membership.members.windows()));
        windows
    }
}

/// A key of an order.
#[derive(Debug, Clone)]
pub struct SortKey {
    /// The value.
    pub expr: Expr,
    /// Its type.
    pub value_type: Type,
    /// Whether the smallest value comes first.
    pub ascending: bool,
    /// Whether a missing value comes first.
    pub missing_first: bool,
}

/// The keys as DataFusion sorts by them; an attribute gives several.
pub(crate) fn sort_exprs(keys: &[SortKey]) -> Vec<SortExpr> {
    let exprs = keys.iter().map(|key| {
        sort_keys(
            key.expr.clone(),
            key.value_type,
            key.ascending,
            key.missing_first,
        )
    });
    exprs.flatten().collect()
}

/// How an answer is continued.
#[derive(Debug, Clone)]
pub struct Page {
    /// What a page counts.
    pub unit: PageUnit,
    /// Whether more may come behind the last row at any time, because the rows are single events.
    pub is_endless: bool,
    /// Whether a page ends between two milliseconds, so that the next one is the events before the time
    /// of its last row.
    pub by_time: bool,
    /// The place that the shaped rows of this page stand behind, one value for each key of the order.
    /// A place among events is part of the filter instead.
    pub behind: Option<Vec<ScalarValue>>,
}

/// What a page counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageUnit {
    /// Rows, which stand in the order inside a group.
    Rows,
    /// Groups, which stand in the order between groups.
    Groups,
}

/// A SHOW statement without open questions.
#[derive(Debug, Clone)]
pub enum BoundShow {
    /// The workspaces of the store.
    Workspaces,
    /// The rows of a query.
    Rows(BoundQuery),
    /// The fields that events have.
    Fields {
        /// A query of one row: for each field of the catalogue the number of events that have it, then
        /// a JSON object of the attributes' paths and types.
        query: BoundQuery,
        /// The most fields wanted.
        limit: Option<u64>,
        /// The fields to skip.
        offset: u64,
    },
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum BoundSource {
    /// The events of the store.
    Events,
    /// The rows of another query.
    Query(Box<BoundQuery>),
}

/// `value IN (query)`.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The tested value, over the rows of the source.
    pub value: Expr,
    /// The query whose rows are the members.
    pub members: Box<BoundQuery>,
    /// The member of a row, over the columns that the lowered query has.
    pub member: Expr,
}

/// A key of `BY`.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name in `tags`.
    pub name: String,
    /// Its value, over the rows of the source.
    pub expr: Expr,
    /// Its type.
    pub value_type: Type,
}

/// A column of the answer.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its value, over the shaped rows; a filled column is the column `f` with its index.
    pub expr: Expr,
    /// Its type.
    pub value_type: Type,
    /// How steps without a value are filled.
    pub fill: Option<Fill>,
}

/// `fill`: a value for every step.
#[derive(Debug, Clone)]
pub struct Fill {
    /// The value where there is one, over the grouped rows.
    pub value: Expr,
    /// The type of the filled column.
    pub value_type: Type,
    /// What stands where there is none.
    pub mode: FillMode,
}

/// What stands in a step without a value.
#[derive(Debug, Clone, PartialEq)]
pub enum FillMode {
    /// This value; null makes a row and leaves it missing.
    Value(ScalarValue),
    /// The value of the nearest earlier step; missing before the first.
    Previous,
    /// The value on the straight line between the nearest earlier and later steps; missing outside.
    Linear,
}

/// What becomes of the rows of a group. The shaped rows have the columns that the source has, or those
/// named here, and with keys also `k0`, `k1`, ….
#[derive(Debug, Clone)]
pub enum Shape {
    /// Every row stays.
    Rows,
    /// The newest row stays: `BY` without an aggregate.
    Newest,
    /// One row a group, or one a group and step: columns `a0`, `a1`, … and, with a step, `time`.
    Aggregate {
        /// The aggregate functions.
        aggregates: Vec<Expr>,
    },
    /// One row a value: column `value`.
    Distinct {
        /// The value.
        value: Expr,
        /// Its type.
        value_type: Type,
    },
    /// The `count` rows with the largest or smallest value stay.
    Extreme {
        /// The order that puts those rows first; complete.
        order: Vec<SortKey>,
        /// Only rows that have a value take part.
        present: Expr,
        /// How many rows stay.
        count: u64,
    },
}

impl Shape {
    /// Whether a group can have several shaped rows.
    pub fn is_many_rows(&self, step_ms: Option<i64>) -> bool {
        match self {
            Self::Rows | Self::Distinct { .. } | Self::Extreme { .. } => true,
            Self::Aggregate { .. } => step_ms.is_some(),
            Self::Newest => false,
        }
    }
}

/// `SORDER BY`.
#[derive(Debug, Clone)]
pub struct SeriesOrder {
    /// The value of a shaped row.
    pub expr: Expr,
    /// The type of the value of a group.
    pub value_type: Type,
    /// How the values of a group become one.
    pub reducer: Reducer,
    /// The direction.
    pub ascending: bool,
}

/// How the values of a group become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reducer {
    /// The newest.
    Last,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Avg,
    /// The sum.
    Sum,
    /// How many there are.
    Count,
    /// A percentile, 0 to 100.
    Percentile(f64),
}

/// How many rows and groups are wanted; `None` is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a group.
    pub limit: Limit,
    /// Rows of a group to skip.
    pub offset: u64,
    /// Groups.
    pub slimit: Limit,
    /// Groups to skip.
    pub soffset: u64,
}

/// One limit and who set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// None.
    Unlimited,
    /// Ours, because the query has none.
    Default(u64),
    /// The query's.
    Asked(u64),
}

impl Limit {
    /// The number, if there is one.
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Default(count) | Self::Asked(count) => Some(count),
        }
    }
}

/// What an answer has to say besides its rows.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Known before running.
    pub warnings: Vec<Diagnostic>,
    /// What running finds out about attributes.
    pub observations: Vec<Arc<Observation>>,
    /// Whether running had to estimate a percentile.
    pub estimate: Arc<Estimate>,
}

/// A plan and how to read its rows.
///
/// The plan's columns are: `k0`, `k1`, … (the keys), `time`, `v0`, `v1`, … (the columns), then those that
/// are not part of the answer: `hits` when [`Lowered::has_hits`], `group_rows` and `group_rank` when
/// [`Lowered::is_ranked`], `p0`, `p1`, … as [`Lowered::place`] tells.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The plan. Where a limit applies it gives one row or group more, so that a cut is noticed.
    pub plan: LogicalPlan,
    /// Names and types of the keys.
    pub keys: Vec<(String, Type)>,
    /// Names and types of the columns.
    pub columns: Vec<(String, Type)>,
    /// Whether `hits`, the events behind a row, is there.
    pub has_hits: bool,
    /// Whether the rows of several groups of several rows are ranked: `group_rows` is the number of
    /// rows of the group before its limit, `group_rank` counts the groups from 1 without the skipped.
    pub is_ranked: bool,
    /// Whether every row is a group of its own.
    pub row_is_group: bool,
    /// The types of the last columns, `p0`, `p1`, …, which tell the place of a row or group in its order.
    pub place: Vec<Type>,
}

impl fmt::Display for BoundQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |formatter: &mut fmt::Formatter<'_>, name: &str, text: String| {
            writeln!(formatter, "{name:<8} {text}")
        };
        match &self.source {
            BoundSource::Events => line(formatter, "source", "events".to_owned())?,
            BoundSource::Query(inner) => {
                line(formatter, "source", "query".to_owned())?;
                for inner_line in inner.to_string().lines() {
                    writeln!(formatter, "    {inner_line}")?;
                }
            }
        }
        line(
            formatter,
            "window",
            format!("[{}, {}) ms", self.window.from_ms, self.window.to_ms),
        )?;
        if let Some(step_ms) = self.step_ms {
            line(formatter, "step", format!("{step_ms} ms"))?;
        }
        if let Some(filter) = &self.filter {
            line(formatter, "where", filter.to_string())?;
        }
        for (index, membership) in self.memberships.iter().enumerate() {
            line(
                formatter,
                &format!("in{index}"),
                membership.value.to_string(),
            )?;
            for inner_line in membership.members.to_string().lines() {
                writeln!(formatter, "    {inner_line}")?;
            }
        }
        for key in &self.keys {
            line(
                formatter,
                "by",
                format!("{} = {} ({:?})", key.name, key.expr, key.value_type),
            )?;
        }
        line(formatter, "shape", self.shape.to_string())?;
        if let Some(having) = &self.having {
            line(formatter, "having", having.to_string())?;
        }
        line(formatter, "time", self.time.to_string())?;
        for column in &self.columns {
            let text = format!(
                "{} = {} ({:?})",
                column.name, column.expr, column.value_type
            );
            line(formatter, "column", text)?;
        }
        for key in sort_exprs(&self.order) {
            line(formatter, "order", key.to_string())?;
        }
        if let Some(order) = &self.series_order {
            let direction = if order.ascending {
                "ascending"
            } else {
                "descending"
            };
            line(
                formatter,
                "sorder",
                format!("{:?}({}) {direction}", order.reducer, order.expr),
            )?;
        }
        line(formatter, "limits", format!("{:?}", self.limits))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows => formatter.write_str("every row"),
            Self::Newest => formatter.write_str("the newest row of a group"),
            Self::Aggregate { aggregates } => {
                let texts: Vec<String> = aggregates.iter().map(ToString::to_string).collect();
                write!(formatter, "aggregate {}", texts.join(", "))
            }
            Self::Distinct { value, .. } => write!(formatter, "one row a value of {value}"),
            Self::Extreme { count, .. } => write!(formatter, "the first {count} rows of a group"),
        }
    }
}

/// The Arrow type in which a value of a type is answered.
pub(crate) fn arrow_type(value_type: Type) -> DataType {
    match value_type {
        Type::Null => DataType::Null,
        Type::Bool => DataType::Boolean,
        Type::Int => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::String | Type::Json => DataType::Utf8View,
    }
}
