//! Workspaces with old events: a retention run drops them all with one receipt, or none; what is held
//! and what is young stays.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use chrono::Utc;
use events::settings::{HeldEvents, NewHold};
use events::{Defaults, Event, TimeRange};
use serde_json::{Value, json};
use store::{ImportOptions, Store};

use super::model::Model;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The user whose events are held.
const HELD_USER: &str = "held";
/// What a receipt says was done.
const RECEIPT: &str = "retention.expired";

/// The ages of events in days, the user, and how many there are on that day.
const EVENTS: [(i64, &str, usize); 4] = [
    (1, "anybody", 3),
    (400, "anybody", 4),
    (400, HELD_USER, 2),
    (401, "anybody", 5),
];

/// The workspaces that were filled.
#[derive(Debug, Default)]
pub(super) struct Expiring {
    workspaces: Mutex<BTreeSet<String>>,
}

impl Expiring {
    /// Fills a new workspace with events, some of which the next retention run drops.
    pub(super) async fn fill(&self, directory: &Path, name: usize) {
        let workspace = format!("expiring-{name}");
        let store = super::open(directory);
        import(&store, &workspace).await;
        let id = workspace.parse().unwrap();
        let hold = NewHold {
            name: "case 7".to_owned(),
            reason: "a test".to_owned(),
            placed_by: "a test".to_owned(),
            events: HeldEvents {
                range: TimeRange::ALL,
                user: Some(HELD_USER.to_owned()),
            },
        };
        store.place_hold(&id, hold).await.unwrap();
        let retention = "30d".parse().unwrap();
        let set = store.set_retention(&id, retention, "a test").await;
        set.unwrap();
        self.workspaces.lock().unwrap().insert(workspace);
    }

    /// The workspaces that were filled.
    pub(super) fn workspaces(&self) -> Vec<String> {
        self.workspaces.lock().unwrap().iter().cloned().collect()
    }
}

async fn import(store: &Store, workspace: &str) {
    let mut import = store.import(ImportOptions::default());
    for (days_ago, user, count) in EVENTS {
        let date_ms = Utc::now().timestamp_millis() / DAY_MS * DAY_MS - days_ago * DAY_MS;
        for number in 0..count {
            let record = json!({
                "date": date_ms + 1_000,
                "df_workspace": workspace,
                "df_event_id": format!("{days_ago}-{user}-{number}"),
                "df_title": title(days_ago, user),
                "df_user_name": user,
            });
            let Value::Object(record) = record else {
                unreachable!("an object was made");
            };
            let event = Event::from_json_identified_by_content(record, &Defaults::default());
            import.push(event.unwrap()).await.unwrap();
        }
    }
    import.finish().await.unwrap();
}

fn title(days_ago: i64, user: &str) -> String {
    format!("{days_ago} days, {user}")
}

/// Looks at the titles and actions of all events of a filled workspace.
pub(super) fn check(model: &Model, when: &str, workspace: &str, found: &[(String, String)]) {
    let receipts = count(found, |_, action| action == RECEIPT);
    for (days_ago, user, expected) in EVENTS {
        let there = count(found, |known, _| known == title(days_ago, user));
        let is_dropped = days_ago > 30 && user != HELD_USER && receipts > 0;
        let expected = if is_dropped { 0 } else { expected };
        if there != expected {
            model.problem(format!(
                "{when}: {there} events of {} in {workspace}, not {expected}, with {receipts} receipts",
                title(days_ago, user)
            ));
        }
    }
    if receipts > 1 {
        model.problem(format!("{when}: {receipts} receipts in {workspace}"));
    }
}

fn count(found: &[(String, String)], is_meant: impl Fn(&str, &str) -> bool) -> usize {
    let meant = found
        .iter()
        .filter(|(title, action)| is_meant(title, action));
    meant.count()
}
