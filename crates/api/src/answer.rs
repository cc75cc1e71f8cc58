//! Answers: series, or batches of a stream.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use dql::Diagnostic;
use events::TimeRange;
use serde_json::Value;

/// The answer to one statement.
#[derive(Debug, Clone)]
pub struct Answer {
    /// One series per group; one in all without `BY`; none without a row.
    pub series: Vec<Series>,
    /// The properties of the whole answer.
    pub summary: Summary,
    /// The reservation of its memory.
    _reservation: Option<Arc<dyn Any + Send + Sync>>,
}

impl Answer {
    /// An answer without a reservation of memory.
    pub fn new(series: Vec<Series>, summary: Summary) -> Self {
        Self {
            series,
            summary,
            _reservation: None,
        }
    }

    /// The same answer. It keeps `reservation` until its last clone is dropped, so an engine can count the memory of
    /// answers that are still being sent.
    pub fn with_reservation(self, reservation: impl Any + Send + Sync) -> Self {
        Self {
            _reservation: Some(Arc::new(reservation)),
            ..self
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

/// The properties of a whole answer.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The time it took.
    pub cost: Duration,
    /// The events that matched the conditions; on a later page, those after the previous page.
    pub total_hits: TotalHits,
    /// The names of the `BY` keys.
    pub group_by: Vec<String>,
    /// The window that was read.
    pub window: TimeRange,
    /// The width of a point in milliseconds, when the answer has points.
    pub step_ms: Option<i64>,
    /// The rows returned.
    pub rows: u64,
    /// The cursor of the next page: that of the last event, or, where rows or groups that are not single events were
    /// cut off, of the last of these. Absent where nothing can follow, and when the answer is empty.
    pub search_after: Option<Cursor>,
    /// The end of the next page by time, in Unix milliseconds; absent when nothing follows, and without `cursor_time`
    /// in the request.
    pub next_cursor_time: Option<i64>,
    /// The answer has every matching event with a smaller `vouch_received`, in Unix milliseconds. Absent where no events
    /// were read, and where the store's time is not known.
    pub watermark_ms: Option<i64>,
    /// Whether rows or groups follow the last ones.
    pub has_more: bool,
    /// The warnings: what was assumed, cut off or missing.
    pub warnings: Vec<Diagnostic>,
    /// The canonical text of the statement that was run, when the request wants it.
    pub raw_query: Option<String>,
    /// The names in the statement, when the request wants them.
    pub query_parse: Option<Box<QueryParse>>,
}

impl Summary {
    /// The summary of an answer over a window, without rows, hits or warnings.
    pub fn new(window: TimeRange) -> Self {
        Self {
            cost: Duration::ZERO,
            total_hits: TotalHits {
                value: 0,
                exact: true,
            },
            group_by: Vec::new(),
            window,
            step_ms: None,
            rows: 0,
            search_after: None,
            next_cursor_time: None,
            watermark_ms: None,
            has_more: false,
            warnings: Vec::new(),
            raw_query: None,
            query_parse: None,
        }
    }
}

/// The names in a statement (Guance documentation, DataKit API, raw query: `query_parse`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryParse {
    /// The namespace as written; empty when none is.
    pub namespace: String,
    /// Each source with its kind: `exact`, `regex` or `all`.
    pub sources: BTreeMap<String, String>,
    /// Each field with the functions that it is an argument of.
    pub fields: BTreeMap<String, BTreeSet<String>>,
    /// Each function with its fields.
    pub funcs: BTreeMap<String, BTreeSet<String>>,
}

/// The end of a page, for keyset pagination.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cursor {
    /// One value for each key of the order.
    pub values: Vec<Value>,
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

/// The result of `explain`.
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
