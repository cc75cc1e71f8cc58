//! What a query means: names resolved, types known, window and limits settled.

mod display;
mod notes;
mod series;

use chrono_tz::Tz;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::scalar::ScalarValue;
use events::TimeRange;
use functions::bucket::Buckets;
use functions::points::PointFunction;
use functions::{NoteId, Resources};

use crate::bind::sort_keys;
use crate::types::Type;

pub use notes::{Attribute, Notes, Observation, Occurrence};
pub use series::{
    BoundStatement, Eval, SeriesCall, SeriesFunction, SeriesPlan, SeriesSchema, Summary,
    number_column,
};

/// A query without open questions; [`crate::lower`] makes a plan of it.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// The name of its series; absent for `*`, patterns and sub-queries.
    pub name: Option<String>,
    /// The window of the query, in which its steps lie.
    pub range: TimeRange,
    /// The window of the rows: that of the query moved back by its SHIFT; all of time where only a
    /// sub-query's rows are read.
    pub window: TimeRange,
    /// By how much the SHIFT of the query moves its window back, and its points forward again, in
    /// milliseconds.
    pub shift_ms: i64,
    /// By how much the SHIFTs of columns do, each once; they count from the query's own, and include it.
    pub column_shifts_ms: Vec<i64>,
    /// The width of a point in milliseconds.
    pub step_ms: Option<i64>,
    /// The zone whose clock steps follow.
    pub time_zone: Tz,
    /// Where the rows come from.
    pub source: BoundSource,
    /// The condition on a row of the source; null counts as false.
    pub filter: Option<Expr>,
    /// The condition on a row of the page that is wanted; what is learnt from rows is learnt from all.
    pub behind: Option<Expr>,
    /// The sub-queries behind `IN` that the filter asks.
    pub memberships: Vec<Membership>,
    /// Aggregates over all rows that match, which are columns `d0`, `d1`, … of each of them: what `drain`
    /// learns.
    pub learning: Vec<Expr>,
    /// The keys of `BY`, over the rows of the source.
    pub keys: Vec<Key>,
    /// What becomes of the rows of a group.
    pub shape: Shape,
    /// The condition on a shaped row; null counts as false.
    pub having: Option<Expr>,
    /// What is computed along the rows of each group that HAVING left, each over the shaped rows and
    /// those before it: columns `c0`, `c1`, ….
    pub computed: Vec<Computed>,
    /// The columns after `time`, over the shaped and computed rows.
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
    /// What is known already, and what running the query will report.
    pub notes: Notes,
    /// What binding has charged, as long as the query exists.
    pub resources: Resources,
}

impl BoundQuery {
    /// The columns of the answer.
    pub fn schema(&self) -> SeriesSchema {
        let keys = self
            .keys
            .iter()
            .map(|key| (key.name.clone(), key.value_type));
        let columns = self.columns.iter();
        SeriesSchema {
            keys: keys.collect(),
            columns: columns
                .map(|column| (column.name.clone(), column.value_type))
                .collect(),
        }
    }

    /// The window of the events that are read: that of the innermost query.
    pub fn events_window(&self) -> TimeRange {
        match &self.source {
            BoundSource::Events => self.window,
            BoundSource::Query(inner) => inner.events_window(),
        }
    }

    /// The windows of the columns that are moved in time, each with the milliseconds that its rows are
    /// moved forward.
    pub fn shifted_windows(&self) -> impl Iterator<Item = (i64, TimeRange)> {
        let window = |shift_ms: &i64| (*shift_ms, moved_back(self.range, *shift_ms));
        self.column_shifts_ms.iter().map(window)
    }

    /// The windows of all events that the query and the queries inside it read.
    pub fn windows(&self) -> Vec<TimeRange> {
        let mut windows = match &self.source {
            BoundSource::Events => vec![self.window],
            BoundSource::Query(inner) => inner.windows(),
        };
        windows.extend(self.shifted_windows().map(|(_, window)| window));
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

/// A window some time before.
pub(crate) fn moved_back(window: TimeRange, shift_ms: i64) -> TimeRange {
    TimeRange {
        from_ms: window.from_ms.saturating_sub(shift_ms),
        to_ms: window.to_ms.saturating_sub(shift_ms),
    }
}

/// A SHOW statement without open questions.
#[derive(Debug, Clone)]
pub enum BoundShow {
    /// The workspaces of the store.
    Workspaces {
        /// The most workspaces wanted.
        limit: Option<u64>,
        /// The workspaces to skip.
        offset: u64,
    },
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

impl BoundShow {
    /// The query that it asks.
    pub fn query(&self) -> Option<&BoundQuery> {
        match self {
            Self::Workspaces { .. } => None,
            Self::Rows(query) | Self::Fields { query, .. } => Some(query),
        }
    }

    /// The same, to change it.
    pub fn query_mut(&mut self) -> Option<&mut BoundQuery> {
        match self {
            Self::Workspaces { .. } => None,
            Self::Rows(query) | Self::Fields { query, .. } => Some(query),
        }
    }

    /// The columns of the answer (Guance documentation, SHOW functions).
    pub fn schema(&self) -> SeriesSchema {
        let columns: &[&str] = match self {
            Self::Workspaces { .. } => &["wsuuid"],
            Self::Rows(query) => return query.schema(),
            Self::Fields { .. } => &["fieldKey", "fieldType"],
        };
        SeriesSchema {
            keys: Vec::new(),
            columns: columns
                .iter()
                .map(|name| ((*name).to_owned(), Type::String))
                .collect(),
        }
    }
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
    /// Whether each row holds a list of members, as `collect_distinct` gives it; the column `element`
    /// is one of them.
    pub is_list: bool,
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
    /// Its value, over the shaped and computed rows.
    pub expr: Expr,
    /// Its type.
    pub value_type: Type,
}

/// A column computed along the rows of each group.
#[derive(Debug, Clone, PartialEq)]
pub enum Computed {
    /// A value for every step.
    Fill(Fill),
    /// A function of the points.
    Point(Point),
}

/// A function of the points of each group.
#[derive(Debug, Clone)]
pub struct Point {
    /// The function.
    pub function: PointFunction,
    /// The value of a point: a whole number or a float; a missing one is no point.
    pub value: Expr,
    /// The time of a point.
    pub time: Expr,
    /// The order of the points, oldest first; complete, so that no two tie.
    pub order: Vec<SortExpr>,
    /// Whether the value and the result are whole numbers.
    pub is_whole: bool,
    /// The note of a whole number that does not fit into 64 bits and is missing.
    pub overflow: NoteId,
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
            && self.value == other.value
            && self.time == other.time
            && self.order == other.order
    }
}

/// `fill`: a value for every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// The value where there is one.
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
        /// Columns `n0`, `n1`, … of a row: aggregates that take values of its newest event.
        newest: Vec<Expr>,
    },
    /// One row for each interval of numbers: columns `time`, its left edge, and `hits`, how many rows
    /// lie in it.
    Histogram {
        /// The left edge of a row's interval; null for a row in none.
        bucket: Expr,
        /// The intervals.
        buckets: Buckets,
        /// Intervals with fewer rows are left out.
        least: u64,
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
            Self::Rows | Self::Distinct { .. } | Self::Histogram { .. } | Self::Extreme { .. } => {
                true
            }
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
    /// A percentile, 0 to 100, and the note that it is estimated.
    Percentile(f64, NoteId),
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

/// A plan and how to read its rows.
///
/// The plan's columns are: `k0`, `k1`, … (the keys), `time`, `v0`, `v1`, … (the columns), then those that
/// are not part of the answer: `hits` when [`Lowered::has_hits`], `group_cut` and `group_rank` when
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
    /// Whether the rows of several groups of several rows are ranked: `group_cut` tells at its last
    /// row that a group has more than its limit, `group_rank` counts the groups from 1 with the skipped.
    pub is_ranked: bool,
    /// Whether every row is a group of its own.
    pub row_is_group: bool,
    /// The types of the last columns, `p0`, `p1`, …, which tell the place of a row or group in its order.
    pub place: Vec<Type>,
}
