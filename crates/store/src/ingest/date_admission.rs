//! Which events may come in through the doors that refuse by date. An import is none of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Days, Duration, NaiveDate, Utc};
use events::settings::SHORTEST_RETENTION_DAYS;
use events::{Event, Rejection, RejectionCode, WorkspaceId};

use crate::root::paths;
use crate::store::Store;

/// The limit by which the clock of a source may be ahead.
const MAX_AHEAD: Duration = Duration::days(1);

/// Decides which events of one batch are refused because of their dates.
///
/// Reads a table only for events older than 30 days, the shortest retention, and once a workspace.
#[derive(Debug)]
pub struct DateAdmission<'a> {
    store: &'a Store,
    now: DateTime<Utc>,
    /// Whether the clock agrees with the store's time, once that was asked.
    is_clock_right: Option<bool>,
    dropped_before: HashMap<WorkspaceId, Option<NaiveDate>>,
}

impl Store {
    /// Checks the dates of a batch of events that arrives now.
    #[must_use]
    pub fn admission(&self) -> DateAdmission<'_> {
        DateAdmission {
            store: self,
            now: self.location().now(),
            is_clock_right: None,
            dropped_before: HashMap::new(),
        }
    }
}

impl DateAdmission<'_> {
    /// Why `event` may not be stored; `None` when it may.
    ///
    /// Refused are a `date` later than a day from now (`date_in_future`), and a day that the retention of
    /// the event's workspace has dropped already (`day_dropped`). Where a table cannot say what it has
    /// dropped, no day counts as dropped: the event waits in its segment, as all of that table do, and a
    /// later retention run drops it where it belongs to a dropped day. Nothing is refused while the clock of
    /// this node differs from the store's time.
    pub async fn refusal(&mut self, event: &Event) -> Option<Rejection> {
        let rejection = self.refusal_by_clock(event).await?;
        let is_clock_right = match self.is_clock_right {
            Some(known) => known,
            None => self.store.location().is_clock_right().await,
        };
        self.is_clock_right = Some(is_clock_right);
        is_clock_right.then_some(rejection)
    }

    async fn refusal_by_clock(&mut self, event: &Event) -> Option<Rejection> {
        if event.date_ms() > (self.now + MAX_AHEAD).timestamp_millis() {
            let message = format!(
                "`date` is {}, more than a day after now, {}; check the clock of the source, and that `date` is in milliseconds",
                shown(event.date_ms()),
                shown(self.now.timestamp_millis())
            );
            return Some(Rejection::new(RejectionCode::DateInFuture, message));
        }
        let day = event.day();
        // The days of the shortest retention are never dropped.
        if day >= self.now.date_naive() - Days::new(SHORTEST_RETENTION_DAYS.into()) {
            return None;
        }
        let dropped_before = self.dropped_before(event.workspace()).await;
        dropped_before.filter(|first| day < *first).map(|first| {
            let message = format!(
                "the day {} is dropped: the retention of workspace `{}` has dropped everything before {}; an import takes events of any age",
                paths::day_text(day),
                event.workspace(),
                paths::day_text(first)
            );
            Rejection::new(RejectionCode::DayDropped, message)
        })
    }

    async fn dropped_before(&mut self, workspace: &WorkspaceId) -> Option<NaiveDate> {
        match self.dropped_before.entry(workspace.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let settings = self.store.settings(workspace).await;
                if let Err(error) = &settings {
                    tracing::warn!(
                        %workspace,
                        %error,
                        "which days are dropped is not known; older events are taken in"
                    );
                }
                let dropped_before = settings.ok().and_then(|settings| settings.dropped_before);
                *unknown.insert(dropped_before)
            }
        }
    }
}

fn shown(date_ms: i64) -> String {
    DateTime::from_timestamp_millis(date_ms)
        .map_or_else(|| date_ms.to_string(), |date| date.to_rfc3339())
}
