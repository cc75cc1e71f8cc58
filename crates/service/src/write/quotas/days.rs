//! Quotas on the days that senders write to.
//!
//! A day of a workspace is a file or more, and files of different days are never merged.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{NaiveDate, TimeDelta, Utc};
use events::{Event, Rejection, RejectionCode, WorkspaceId};
use tokio::time::Instant;

use super::{HOUR, IngestQuotas};

/// Younger days are current: all senders write to them.
const RECENT: TimeDelta = TimeDelta::days(7);

type Day = (WorkspaceId, NaiveDate);

/// The days that requests of the last hour wrote to.
#[derive(Debug)]
pub(super) struct Days {
    per_request: usize,
    past_per_hour: usize,
    /// Past days, with the time of the first request for each.
    past: Mutex<HashMap<Day, Instant>>,
}

/// The days of one request.
pub(super) struct DaysOfRequest<'a> {
    days: &'a Days,
    admitted: HashSet<Day>,
    past_until: NaiveDate,
}

impl Days {
    pub(super) fn new(limits: &IngestQuotas) -> Self {
        Self {
            per_request: limits.days_per_request,
            past_per_hour: limits.past_days_per_hour,
            past: Mutex::default(),
        }
    }

    pub(super) fn of_request(&self) -> DaysOfRequest<'_> {
        DaysOfRequest {
            days: self,
            admitted: HashSet::new(),
            past_until: (Utc::now() - RECENT).date_naive(),
        }
    }

    /// Counts a past day, unless there are too many.
    fn count_past(&self, day: &Day) -> bool {
        let mut past = self.past();
        if past.contains_key(day) {
            return true;
        }
        if past.len() >= self.past_per_hour {
            past.retain(|_, first| first.elapsed() < HOUR);
        }
        let is_admitted = past.len() < self.past_per_hour;
        if is_admitted {
            past.insert(day.clone(), Instant::now());
        }
        is_admitted
    }

    fn past(&self) -> MutexGuard<'_, HashMap<Day, Instant>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DaysOfRequest<'_> {
    /// Why the day of an event exceeds the quota.
    pub(super) fn fault(&mut self, event: &Event) -> Option<Rejection> {
        let day = (event.workspace().clone(), event.day());
        if self.admitted.contains(&day) {
            return None;
        }
        let limit = self.days.per_request;
        if self.admitted.len() >= limit {
            let message = format!(
                "the request has events of more than {limit} days, the most that this service takes \
                 (--max-days); send the events of one day together, or import them with `vouch import`"
            );
            return Some(Rejection::new(RejectionCode::TooManyDays, message));
        }
        if event.day() < self.past_until && !self.days.count_past(&day) {
            let limit = self.days.past_per_hour;
            let message = format!(
                "events of {limit} days more than a week ago came within an hour, the most that this service takes \
                 (--max-past-days); import such events with `vouch import`, or send them later"
            );
            return Some(Rejection::new(RejectionCode::TooManyDays, message));
        }
        self.admitted.insert(day);
        None
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days as Count;
    use events::Defaults;
    use serde_json::json;

    use super::*;

    fn event(workspace: &str, days_ago: u64) -> Event {
        let day = Utc::now().date_naive() - Count::new(days_ago);
        let date_ms = day
            .and_hms_opt(12, 0, 0)
            .unwrap()
            .and_utc()
            .timestamp_millis();
        let record = json!({"date": date_ms, "df_workspace": workspace});
        let record = record.as_object().unwrap().clone();
        Event::from_json_identified_by_content(record, &Defaults::default()).unwrap()
    }

    #[test]
    fn past_days_of_all_requests_are_limited() {
        let days = Days::new(&IngestQuotas {
            past_days_per_hour: 3,
            ..IngestQuotas::default()
        });
        let is_taken = |event: &Event| days.of_request().fault(event).is_none();
        for days_ago in [10, 11, 12, 10, 11, 0, 1, 2, 3] {
            assert!(is_taken(&event("a", days_ago)), "{days_ago}");
        }
        for (workspace, days_ago) in [("a", 13), ("b", 10)] {
            let fault = days.of_request().fault(&event(workspace, days_ago));
            let fault = fault.unwrap();
            assert_eq!(fault.code, RejectionCode::TooManyDays);
            assert!(
                fault.message.contains("--max-past-days"),
                "{}",
                fault.message
            );
        }
        assert!(is_taken(&event("b", 0)));
    }
}
