//! What is asked.

use chrono_tz::Tz;
use events::{TimeRange, WorkspaceId};
use plan::Position;

/// A question: a DQL text, whose events it is about, and how to read it.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// The DQL text; several statements separated by `;` give several answers.
    pub query: String,
    /// The workspaces the question may see.
    pub scope: Scope,
    /// How to read and answer it.
    pub options: QueryOptions,
}

/// The workspaces a question may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every workspace of the store.
    All,
    /// These; each must exist.
    Workspaces(Vec<WorkspaceId>),
}

/// How to read and answer a question; the default adds nothing to the text.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// The window; it overrides the one in the text.
    pub time_range: Option<TimeRange>,
    /// The time zone of presets, dates and steps; UTC when absent.
    pub time_zone: Option<Tz>,
    /// Unix milliseconds that count as now; the clock when absent.
    pub now_ms: Option<i64>,
    /// The end of the page before the wanted one, as [`crate::Summary::search_after`] told it.
    pub search_after: Option<Position>,
    /// Only events before this Unix time, newest first, in a page that ends between two milliseconds: the
    /// end of the window on the first page, then [`crate::Summary::next_cursor_time`]. Seconds,
    /// milliseconds, microseconds or nanoseconds, by its size.
    pub cursor_time: Option<i64>,
    /// Count every matching event, also where that means reading more than the answer needs.
    pub exact_total_hits: bool,
}

/// A step on the way from text to answer, as `explain` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What was written: the syntax tree.
    Ast,
    /// What it means: names, types, window and limits settled.
    Bound,
    /// The DataFusion plan, optimised.
    Logical,
    /// The operators that would run, and the files and bytes they would read.
    Physical,
}
