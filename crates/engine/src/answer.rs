//! What is answered: series, or batches of a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use dql::Diagnostic;
use events::TimeRange;
use plan::Position;
use serde_json::Value;

use crate::charge::Charge;

/// The answer to one statement.
#[derive(Debug, Clone)]
pub struct Answer {
    /// One series a group; one in all without `BY`; none without a row.
    pub series: Vec<Series>,
    /// What is known about the answer as a whole.
    pub summary: Summary,
    /// What the series are charged to, as long as the answer exists.
    pub(crate) _charge: Option<Arc<Charge>>,
}

impl Answer {
    /// An answer that was not computed here.
    pub fn new(series: Vec<Series>, summary: Summary) -> Self {
        Self {
            series,
            summary,
            _charge: None,
        }
    }

    /// An answer with what its series are charged to.
    pub(crate) fn charged(
        series: Vec<Series>,
        summary: Summary,
        charge: Option<Arc<Charge>>,
    ) -> Self {
        Self {
            series,
            summary,
            _charge: charge,
        }
    }
}

/// The rows of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The source's name; absent for `*`, patterns and sub-queries.
    pub name: Option<String>,
    /// The group's keys in the order of `BY`; null for a key the rows lack.
    pub tags: Vec<(String, Value)>,
    /// The column names; the first is `time`.
    pub columns: Vec<String>,
    /// The rows, one value a column.
    pub values: Vec<Vec<Value>>,
}

/// What is known about an answer as a whole.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The time it took.
    pub cost: Duration,
    /// The events that matched the conditions; on a page behind another, those that follow that one.
    pub total_hits: TotalHits,
    /// The names of the `BY` keys.
    pub group_by: Vec<String>,
    /// The window that was read.
    pub window: TimeRange,
    /// The width of a point in milliseconds, when the answer has points.
    pub step_ms: Option<i64>,
    /// The rows returned.
    pub rows: u64,
    /// Where the answer ended, to ask for what follows: the place of its last event, or, where rows or
    /// groups that are no single events were cut off, of the last of these. Absent where nothing can
    /// follow, or nothing came.
    pub search_after: Option<Position>,
    /// The time that the next page stands before, Unix milliseconds; absent when nothing follows, and
    /// when no `cursor_time` was asked for.
    pub next_cursor_time: Option<i64>,
    /// Up to here it is certain that nothing comes any more: every event with a smaller `vouch_received`, Unix ms, that
    /// the answer could have is in it. Absent where no events were read, and where the store's time is not known.
    pub watermark_ms: Option<i64>,
    /// Whether rows or groups follow behind the last ones.
    pub has_more: bool,
    /// Everything the reader of the answer should know: what was assumed, cut off or missing.
    pub warnings: Vec<Diagnostic>,
    /// The canonical text of the statement as it was run, when the request wants it.
    pub raw_query: Option<String>,
    /// What the statement asks for, when the request wants it.
    pub query_parse: Option<Box<QueryParse>>,
}

/// The names in a statement (Guance documentation, DataKit API, raw query: `query_parse`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryParse {
    /// The namespace as written; empty when none is.
    pub namespace: String,
    /// Each source with its kind: `exact`, `regex` or `all`.
    pub sources: BTreeMap<String, String>,
    /// Each field with the functions it is given to.
    pub fields: BTreeMap<String, BTreeSet<String>>,
    /// Each function with the fields it is given.
    pub funcs: BTreeMap<String, BTreeSet<String>>,
}

/// A number of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalHits {
    /// The number.
    pub value: u64,
    /// Whether it is exact; otherwise there are at least that many.
    pub exact: bool,
}

/// One message of a streamed answer: the schema, then batches, then the end.
#[derive(Debug)]
pub enum StreamItem {
    /// The columns: the `BY` keys, then `time`, then the values. A field's metadata has `vouch.role`
    /// (`tag`, `time`, `value`) and, for text that holds JSON, `vouch.type` = `json`.
    Schema(SchemaRef),
    /// Rows.
    Batch(RecordBatch),
    /// The last message; a stream without it is incomplete.
    End(Summary),
}

/// What `explain` shows.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The stage as text.
    pub text: String,
    /// The data files the query would read; absent before the physical stage.
    pub files: Option<u64>,
    /// Their bytes, an upper bound of what is read; absent before the physical stage.
    pub bytes: Option<u64>,
    /// Warnings known before running.
    pub warnings: Vec<Diagnostic>,
}
