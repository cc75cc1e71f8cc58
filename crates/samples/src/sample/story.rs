//! The incidents in the sample that an analyst should find.

use super::activity::{Activity, CREATE_TOKEN, DELETE_MONITOR, EXPORT, MODIFY_DASHBOARD, SIGN_IN};
use super::people::{INTRUDER, INTRUDER_BROWSER, VICTIM, WORKSPACES};
use super::record::{Occurrence, Record, Who, account};
use crate::random::{Random, mixed_text};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The monitors that are deleted in bulk: every check of every service.
const SERVICES: [&str; 9] = [
    "cart", "checkout", "invoice", "ledger", "payment", "refund", "search", "session", "stock",
];
const CHECKS: [&str; 3] = ["error rate", "latency", "no heartbeat"];

/// The events of the incidents, oldest first, relative to `to_ms`:
///
/// * In the night before the last day one address tries passwords for an account, succeeds, creates a token, exports
///   data, and deletes monitors in bulk.
/// * Four days before the end an owner acts on behalf of a colleague.
pub(super) fn stories(random: &mut Random, to_ms: i64) -> Vec<Record> {
    let night_ms = (to_ms - DAY_MS).div_euclid(DAY_MS) * DAY_MS + 2 * HOUR_MS;
    let mut records = impersonation(random, to_ms - 4 * DAY_MS);
    records.extend(intrusion(random, night_ms));
    records
}

fn intrusion(random: &mut Random, start_ms: i64) -> Vec<Record> {
    let victim = &WORKSPACES[0].people[VICTIM];
    let mut date_ms = start_ms;
    let mut records: Vec<Record> = Vec::new();
    let mut act = |activity: &Activity, failure: Option<&str>, wait_ms: (u64, u64)| {
        let wait_ms = random.between(wait_ms.0, wait_ms.1);
        date_ms += i64::try_from(wait_ms).unwrap_or_default();
        let occurrence = Occurrence {
            date_ms,
            workspace: &WORKSPACES[0],
            activity,
            actor: Who::Person(victim),
            source: Some((INTRUDER, INTRUDER_BROWSER)),
            failure,
        };
        records.push(occurrence.record(random));
    };
    for _ in 0..64 {
        act(SIGN_IN, Some("wrong password"), (2_000, 9_000));
    }
    act(SIGN_IN, None, (2_000, 9_000));
    act(CREATE_TOKEN, None, (40_000, 90_000));
    for _ in 0..3 {
        act(EXPORT, None, (20_000, 50_000));
    }
    for _ in 0..SERVICES.len() * CHECKS.len() {
        act(DELETE_MONITOR, None, (500, 4_000));
    }
    let monitors = SERVICES.iter().flat_map(|service| {
        CHECKS
            .iter()
            .map(move |check| format!("{service}: {check}"))
    });
    let deletions = records.iter_mut().rev().zip(monitors);
    deletions.for_each(|(record, monitor)| rename(record, &monitor));
    records
}

fn impersonation(random: &mut Random, start_ms: i64) -> Vec<Record> {
    let workspace = &WORKSPACES[2];
    let (owner, colleague) = (&workspace.people[0], &workspace.people[3]);
    let steps = [MODIFY_DASHBOARD, MODIFY_DASHBOARD, DELETE_MONITOR, EXPORT];
    let mut date_ms = start_ms;
    steps
        .iter()
        .map(|activity| {
            date_ms += i64::try_from(random.between(60_000, 300_000)).unwrap_or_default();
            let mut record = Occurrence {
                date_ms,
                workspace,
                activity,
                actor: Who::Person(colleague),
                source: Some((owner.place, owner.browser)),
                failure: None,
            }
            .record(random);
            record.insert("impersonator".into(), account(owner).into());
            record.insert("comments".into(), "support case 2041".into());
            record
        })
        .collect()
}

/// Changes the monitor of a deletion, because each monitor can be deleted only once.
fn rename(record: &mut Record, monitor: &str) {
    let author = record
        .get("df_user_name")
        .and_then(|name| name.as_str())
        .unwrap_or_default();
    let message = format!("{author} deleted the monitor \"{monitor}\"");
    let id = format!("monitor_{:012x}", mixed_text(monitor) >> 16);
    record.insert("df_message".into(), message.into());
    record.insert("df_operation_id".into(), id.into());
    record.insert("df_operation_name".into(), monitor.into());
}
