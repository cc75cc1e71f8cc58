use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SAMPLE: Sample = Sample {
    seed: 5,
    events: 1_500,
    to_ms: 1_763_650_800_000,
};

fn text(sample: Sample) -> String {
    let mut out = Vec::new();
    sample.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn counts(records: &[Record], field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let value = record
            .get(field)
            .and_then(|value| value.as_str())
            .unwrap_or("");
        *counts.entry(value.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_seed_gives_the_same_text_and_another_seed_another() {
    assert_eq!(text(SAMPLE), text(SAMPLE));
    assert_ne!(text(SAMPLE), text(Sample { seed: 6, ..SAMPLE }));
}

#[test]
fn the_number_of_events_is_exact() {
    for events in [0, 1, 50, 101, 1_500] {
        assert_eq!(
            text(Sample { events, ..SAMPLE }).lines().count() as u64,
            events
        );
    }
}

#[test]
fn events_are_in_order_within_the_fortnight_and_have_ids_of_their_own() {
    let records: Vec<Record> = Generator::new(SAMPLE).collect();
    let dates: Vec<i64> = records.iter().map(date_ms).collect();
    assert!(dates.is_sorted());
    assert!(dates[0] >= SAMPLE.to_ms - i64::from(DAYS) * 24 * HOUR_MS);
    assert!(dates[dates.len() - 1] < SAMPLE.to_ms);
    let ids: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| record["df_event_id"].as_str())
        .collect();
    assert_eq!(ids.len(), records.len());
}

#[test]
fn the_sample_is_varied() {
    let records: Vec<Record> = Generator::new(SAMPLE).collect();
    assert_eq!(counts(&records, "df_workspace").len(), 3);
    assert_eq!(counts(&records, "df_origin").len(), 4);
    assert_eq!(counts(&records, "df_status").len(), 3);
    assert!(counts(&records, "action").len() > 25);
    let without_query = counts(&records, "df_query")[""];
    assert!((700..1_350).contains(&without_query), "{without_query}");
}

#[test]
fn people_work_by_day() {
    let records: Vec<Record> = Generator::new(Sample {
        events: 10_000,
        ..SAMPLE
    })
    .collect();
    let in_hours = |hours: std::ops::Range<i64>| {
        let hour = |record: &&Record| date_ms(record).div_euclid(HOUR_MS).rem_euclid(24);
        records
            .iter()
            .filter(|record| hours.contains(&hour(record)))
            .count()
    };
    assert!(in_hours(8..12) > 5 * in_hours(0..4));
}

#[test]
fn the_stories_are_told() {
    let records: Vec<Record> = Generator::new(SAMPLE).collect();
    let of_intruder: Vec<&Record> = records
        .iter()
        .filter(|record| {
            record
                .get("client_ip")
                .is_some_and(|ip| *ip == *people::INTRUDER.address)
        })
        .collect();
    let having = |action: &str| {
        of_intruder
            .iter()
            .filter(|record| record["action"] == action)
            .count()
    };
    assert_eq!(having("user.login_failed"), 64);
    assert_eq!(having("user.login"), 1);
    assert_eq!(having("monitor.delete"), 27);
    assert_eq!(
        records
            .iter()
            .filter(|record| record.contains_key("impersonator"))
            .count(),
        4
    );
}

#[test]
fn the_table_of_activities_has_what_the_stories_need() {
    let actions = [
        activity::SIGN_IN,
        activity::DELETE_MONITOR,
        activity::CREATE_TOKEN,
        activity::EXPORT,
        activity::MODIFY_DASHBOARD,
    ]
    .map(|activity| activity.action);
    assert_eq!(
        actions,
        [
            "user.login",
            "monitor.delete",
            "token.create",
            "export.csv",
            "dashboard.modify"
        ]
    );
}
