//! Events of a file in the place of random ones, when `VOUCH_ORACLE_EVENTS` names it: NDJSON in the names of
//! Vouch.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Value as Json, json};

use super::random::Random;

/// The days before now over which the events are spread, as wide as the windows of the questions.
const SPREAD_MS: i64 = 5 * 24 * 3_600_000;

/// The events of the file, if one is named.
pub(crate) fn all() -> Option<&'static [Json]> {
    static EVENTS: OnceLock<Option<Vec<Json>>> = OnceLock::new();
    let events = EVENTS.get_or_init(|| {
        let path = std::env::var("VOUCH_ORACLE_EVENTS").ok()?;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Some(lines.collect())
    });
    events.as_deref()
}

/// Between none and `most` of them, at dates before `now_ms` that are as far from each other as they were,
/// on a larger scale.
pub(crate) fn events(random: &mut Random, all: &[Json], most: usize, now_ms: i64) -> Vec<Json> {
    let date = |event: &Json| event["date"].as_i64().unwrap();
    let dates = || all.iter().map(date);
    let (oldest, newest) = (dates().min().unwrap(), dates().max().unwrap());
    let mut ids = BTreeSet::new();
    let mut events = Vec::new();
    for _ in 0..random.below(most + 1) {
        let mut event = random.pick(all).clone();
        if ids.insert((
            event["df_workspace"].to_string(),
            event["df_event_id"].to_string(),
        )) {
            let before = i128::from(newest - date(&event)) * i128::from(SPREAD_MS);
            let before = before / i128::from((newest - oldest).max(1));
            event["date"] = json!(now_ms - i64::try_from(before).unwrap());
            events.push(event);
        }
    }
    events
}
