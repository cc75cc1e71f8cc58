//! Requests.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use chrono_tz::Tz;
use events::{TimeRange, WorkspaceId, WriteToken};

use crate::answer::Cursor;

/// A query: a DQL text, the workspaces that it may read, and its options.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// The DQL text; several statements separated by `;` give several answers.
    pub query: String,
    /// The workspaces that the query may read.
    pub scope: Scope,
    /// The options.
    pub options: QueryOptions,
}

/// The workspaces that a query may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every workspace of the store.
    All,
    /// These; each must exist.
    Workspaces(Vec<WorkspaceId>),
}

/// The options of a query; the default adds nothing to the text.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// The window; it overrides the one in the text.
    pub time_range: Option<TimeRange>,
    /// The time zone of presets, dates and steps; UTC when absent.
    pub time_zone: Option<Tz>,
    /// Unix milliseconds that count as now; the clock when absent.
    pub now_ms: Option<i64>,
    /// The end of the page before the wanted one, from [`crate::Summary::search_after`].
    pub search_after: Option<Cursor>,
    /// Only events before this Unix time, newest first, in a page that ends between two milliseconds: the
    /// end of the window on the first page, then [`crate::Summary::next_cursor_time`]. Seconds,
    /// milliseconds, microseconds or nanoseconds, by its size.
    pub cursor_time: Option<i64>,
    /// Count every matching event, also where that means reading more than the answer needs.
    pub exact_total_hits: bool,
    /// Clauses that change those of the text.
    pub clauses: ClauseOptions,
    /// The widest window allowed, in milliseconds.
    pub longest_window_ms: Option<i64>,
    /// Return as many groups as one message may have for a query without SLIMIT, instead of fewer.
    pub every_group: bool,
    /// Refuse a query that shows more than one column besides the time.
    pub single_field: bool,
    /// The timeout of the search.
    pub timeout: Option<Duration>,
    /// Writes whose events the answer must have, whichever node has acknowledged them.
    pub after: Vec<WriteToken>,
    /// Return the text that was run with the answer.
    pub echo_query: bool,
    /// Return the names in the text with the answer: namespace, sources, fields, functions.
    pub describe_query: bool,
}

/// Clauses of a request: they change the query of each statement, or the queries inside its outer functions.
/// Sub-queries stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClauseOptions {
    /// Conditions in the syntax of `{…}`, in addition to those of the text.
    pub conditions: Option<String>,
    /// Replaces ORDER BY, unless it is empty.
    pub order_by: Vec<OrderOption>,
    /// Replaces SORDER BY.
    pub sorder_by: Option<OrderOption>,
    /// Replaces LIMIT.
    pub limit: Option<u64>,
    /// Replaces OFFSET.
    pub offset: Option<u64>,
    /// Replaces SLIMIT.
    pub slimit: Option<u64>,
    /// Replaces SOFFSET.
    pub soffset: Option<u64>,
    /// Replaces the step of the window.
    pub step: Option<StepOption>,
    /// The most points of a window. A smaller step is widened, with a warning.
    pub max_points: Option<NonZeroU32>,
}

/// A key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderOption {
    /// A column by its alias or text, any expression, or `#1` for the first column of the projection.
    pub column: String,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// The width of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOption {
    /// This many milliseconds.
    Every(NonZeroU64),
    /// A round width for at most this number of points.
    Density(Density),
}

/// The number of points of a window (Guance documentation, Open API, query data).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Density {
    /// 60 points.
    Lower,
    /// 180 points.
    Low,
    /// 360 points.
    Medium,
    /// 720 points.
    High,
}

impl Density {
    /// The number of points.
    pub fn points(self) -> u64 {
        match self {
            Self::Lower => 60,
            Self::Low => 180,
            Self::Medium => 360,
            Self::High => 720,
        }
    }
}

/// The time zone with this name: one of the IANA database, or an offset from UTC in whole hours such as
/// `+08:00`.
pub fn time_zone(name: &str) -> Option<Tz> {
    let Some(offset) = name.strip_prefix(['+', '-']) else {
        return name.parse().ok();
    };
    let hours = match offset.split_once(':') {
        Some((hours, "00")) => hours,
        None if offset.len() == 4 => offset.strip_suffix("00")?,
        None => offset,
        Some(_) => return None,
    };
    let is_short = matches!(hours.len(), 1 | 2) && hours.bytes().all(|byte| byte.is_ascii_digit());
    let hours: u8 = hours.parse().ok().filter(|_| is_short)?;
    // These names follow POSIX, where offsets east of Greenwich are negative.
    let sign = if name.starts_with('+') { '-' } else { '+' };
    format!("Etc/GMT{sign}{hours}").parse().ok()
}

/// A form of a query between text and answer, for `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The syntax tree.
    Ast,
    /// The bound query: names, types, window and limits are resolved.
    Bound,
    /// The optimised DataFusion plan.
    Logical,
    /// The operators, and the files and bytes that they would read.
    Physical,
    /// The operators after they ran, with their metrics, and the counts of the notes of the query.
    Analyze,
}

impl Stage {
    /// Whether the stage says what files are read.
    pub fn reads_files(self) -> bool {
        matches!(self, Self::Physical | Self::Analyze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_a_name_or_an_offset() {
        assert_eq!(time_zone("Europe/Berlin"), Some(Tz::Europe__Berlin));
        for east in ["+08:00", "+8", "+08", "+0800"] {
            assert_eq!(time_zone(east), Some(Tz::Etc__GMTMinus8), "{east}");
        }
        assert_eq!(time_zone("-03:00"), Some(Tz::Etc__GMTPlus3));
        assert_eq!(time_zone("+00:00"), Some(Tz::Etc__GMTMinus0));
        for wrong in [
            "", "+", "+05:30", "+15:00", "-13:00", "+08:", "8", "+a", "++8", "+008:00",
        ] {
            assert_eq!(time_zone(wrong), None, "{wrong}");
        }
    }
}
