//! The literals of questions, other ones in each run, so that no cache of answers helps.

use serde::{Deserialize, Serialize};

/// The end of the events, in Unix milliseconds: 2026-11-21T00:00:00Z.
pub(crate) const END_MS: i64 = 1_795_219_200_000;
/// The end of the events as text.
pub(crate) const END: &str = "2026-11-21T00:00:00Z";
/// How many days the events lie in.
pub(crate) const DAYS: i64 = 62;
/// The workspace that most questions are about.
pub(crate) const LARGEST: &str = "workspace-01";

const DAY_MS: i64 = 86_400_000;
/// How far the windows of a run lie before those of the run before.
const SHIFT_MS: i64 = 7 * 60_000;

/// Values that occur in the events of the largest workspace, for looking up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Ids of users, the busiest first.
    pub(crate) users: Vec<String>,
    /// Ids of events.
    pub(crate) events: Vec<String>,
    /// Ids of operations.
    pub(crate) operations: Vec<String>,
}

/// What a run asks with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Literals<'a> {
    found: &'a Found,
    run: usize,
}

/// A time range in Unix milliseconds, half-open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// The begin.
    pub(crate) from_ms: i64,
    /// The end, itself outside.
    pub(crate) to_ms: i64,
}

impl<'a> Literals<'a> {
    /// Those of a run.
    pub(crate) fn of(found: &'a Found, run: usize) -> Self {
        Self { found, run }
    }

    /// The last `days` days, up to another minute in each run.
    pub(crate) fn last(self, days: i64) -> Window {
        let to_ms = END_MS - self.run as i64 * SHIFT_MS;
        Window {
            from_ms: to_ms - days * DAY_MS,
            to_ms,
        }
    }

    /// A whole day, another one in each run.
    pub(crate) fn day(self) -> Window {
        let to_ms = END_MS - (self.run as i64 * 3 % DAYS) * DAY_MS;
        Window {
            from_ms: to_ms - DAY_MS,
            to_ms,
        }
    }

    /// The id of a user: neither the busiest nor one with hardly anything.
    pub(crate) fn user(self) -> &'a str {
        self.choose(&self.found.users)
    }

    /// The id of an event.
    pub(crate) fn event(self) -> &'a str {
        self.choose(&self.found.events)
    }

    /// The id of an operation.
    pub(crate) fn operation(self) -> &'a str {
        self.choose(&self.found.operations)
    }

    /// One of a list, in their order, and from the first again when there are more runs.
    pub(crate) fn choose<T: AsRef<str>>(self, list: &[T]) -> &str {
        list.get(self.run % list.len().max(1))
            .map_or("", AsRef::as_ref)
    }

    /// A number that grows by one with each run, from `least` to `least + 9`.
    pub(crate) fn number(self, least: usize) -> usize {
        least + self.run % 10
    }
}

impl Window {
    /// As it stands in DQL; `step` is that of the points, or empty.
    pub(crate) fn dql(self, step: &str) -> String {
        let Self { from_ms, to_ms } = self;
        match step {
            "" => format!("[{from_ms}:{to_ms}]"),
            step => format!("[{from_ms}:{to_ms}:{step}]"),
        }
    }

    /// The first and the last UTC day that it touches, as `YYYY-MM-DD`.
    pub(crate) fn days(self) -> (String, String) {
        let day = |ms: i64| {
            let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
            time.format("%Y-%m-%d").to_string()
        };
        (day(self.from_ms), day(self.to_ms - 1))
    }
}
