use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::*;

const LOAD: Load = Load {
    seed: 3,
    events: 30_000,
    workspaces: 20,
    days: 62,
    to_ms: 1_795_219_200_000,
};

fn text(load: Load) -> String {
    let mut out = Vec::new();
    load.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn events(load: Load) -> Vec<Map<String, Value>> {
    let text = text(load);
    let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

fn counts<'a>(events: &'a [Map<String, Value>], field: &str) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for value in events.iter().filter_map(|event| event.get(field)) {
        *counts.entry(value.as_str().unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn a_seed_gives_the_same_text_and_another_seed_another() {
    let load = Load {
        events: 500,
        ..LOAD
    };
    assert_eq!(text(load), text(load));
    assert_ne!(text(load), text(Load { seed: 4, ..load }));
}

#[test]
fn events_are_in_order_within_their_days_and_have_ids_of_their_own() {
    let events = events(LOAD);
    assert_eq!(events.len() as u64, LOAD.events);
    let dates: Vec<i64> = events
        .iter()
        .map(|event| event["date"].as_i64().unwrap())
        .collect();
    assert!(dates.is_sorted());
    assert!(dates[0] >= LOAD.to_ms - i64::from(LOAD.days) * 24 * rhythm::HOUR_MS);
    assert!(dates[dates.len() - 1] < LOAD.to_ms);
    assert_eq!(counts(&events, "df_event_id").len(), events.len());
}

#[test]
fn sizes_and_shares_are_those_of_a_large_installation() {
    let events = events(LOAD);
    let workspaces = counts(&events, "df_workspace");
    assert_eq!(workspaces.len(), 20);
    let largest = workspaces["workspace-01"];
    assert!((8_100..8_600).contains(&largest), "{largest}");
    let of_largest: Vec<Map<String, Value>> = events
        .iter()
        .filter(|event| event["df_workspace"] == "workspace-01")
        .cloned()
        .collect();
    let users = counts(&of_largest, "df_user_id");
    assert_eq!(
        (users.len(), counts(&of_largest, "df_user_name").len()),
        (200, 200)
    );
    assert!(users.values().max().unwrap() * 8 > of_largest.len());
    assert_eq!(counts(&events, "df_title").len(), 25);
    assert_eq!(counts(&events, "df_menu").len(), 60);
    assert_eq!(counts(&events, "df_origin").len(), 4);
    assert_eq!(counts(&events, "df_status").len(), 3);
    let operations: BTreeSet<String> = (0..event::OPERATIONS).map(event::operation_id).collect();
    assert_eq!(operations.len(), 60_000);
    assert!(counts(&events, "df_operation_id").len() > 15_000);
    let queries = counts(&events, "df_query").values().sum::<usize>();
    assert!((14_500..15_500).contains(&queries), "{queries}");
    assert_eq!(counts(&events, "df_cost").values().sum::<usize>(), queries);
}

#[test]
fn messages_have_the_length_of_a_sentence_and_differ() {
    let events = events(LOAD);
    let messages = counts(&events, "df_message");
    for message in messages.keys() {
        let length = message.chars().count();
        assert!(event::MESSAGE_CHARACTERS.contains(&length), "{message}");
    }
    assert!(messages.len() > events.len() * 9 / 10);
}

#[test]
fn somebody_tries_passwords() {
    let events = events(Load {
        workspaces: 1,
        days: 20,
        ..LOAD
    });
    let mut failures = BTreeMap::new();
    for event in events
        .iter()
        .filter(|event| event["action"] == "user.login_failed")
    {
        let hour = event["date"].as_i64().unwrap() / rhythm::HOUR_MS;
        *failures
            .entry((hour, event["df_user_id"].to_string()))
            .or_insert(0) += 1;
    }
    assert!(failures.values().any(|count| *count >= 4));
}
