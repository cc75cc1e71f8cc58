//! When, how and from whom events came.

use serde_json::json;

use super::post::post;
use super::{DATE_MS, Running, event, events};

const NDJSON: (&str, &str) = ("Content-Type", "application/x-ndjson");

/// The values of a column of an answer in the JSON form, in the order of its rows.
fn values(answer: &serde_json::Value, column: usize) -> Vec<serde_json::Value> {
    let series = answer["content"][0]["series"].as_array().unwrap();
    let rows = series
        .iter()
        .flat_map(|series| series["values"].as_array().unwrap());
    rows.map(|row| row[column].clone()).collect()
}

/// Each event says through which door it came, before and after it is in its table and after compaction; `*` does not
/// show it. What came after a moment can be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn events_say_how_they_came() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let numbered = "/v1/events?workspace=acme&producer=agent&number=1";
    for (path, body) in [("/v1/events", events(0..2)), (numbered, event(2))] {
        let answer = post(&address, path, &[NDJSON], body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let asked = |door: &str| format!("TAE::*:(count(*)) {{vouch_door = '{door}'}}");
    let count = |kind| match kind {
        api::proto::value::Kind::IntValue(count) => count,
        other => panic!("{other:?}"),
    };
    assert_eq!(count(running.value(&asked("http")).await), 3);
    let vouch = running.stop();
    vouch.write("imported.ndjson", event(3));
    vouch.run(&["import", "imported.ndjson"]).expect_status(0);
    let delivered = "TAE::*:(df_event_id, vouch_door, vouch_sender, vouch_batch, vouch_received) ORDER BY time ASC";
    let before = vouch.json(delivered);
    let doors = values(&before, 2);
    assert_eq!(
        doors,
        [json!("http"), json!("http"), json!("http"), json!("import")]
    );
    let senders = values(&before, 3);
    assert_eq!(
        senders[..3],
        [json!("127.0.0.1"), json!("127.0.0.1"), json!("127.0.0.1")]
    );
    assert_eq!(senders[3], json!(null));
    assert_eq!(values(&before, 4)[2], json!("agent/1"));
    let received: Vec<i64> = values(&before, 5)
        .iter()
        .map(|time| time.as_i64().unwrap())
        .collect();
    assert!(
        received.is_sorted() && received[0] > DATE_MS - 86_400_000,
        "{received:?}"
    );

    for (query, expected) in [
        (asked("http"), 3),
        (asked("import"), 1),
        (
            format!("TAE::*:(count(*)) {{vouch_received > {}}}", received[2]),
            1,
        ),
        (
            format!("TAE::*:(count(*)) {{vouch_received <= {}}}", received[2]),
            3,
        ),
        ("TAE::*:(count(*)) {vouch_door != 'http'}".to_owned(), 1),
    ] {
        assert_eq!(vouch.number(&query), expected, "{query}");
    }
    vouch.run(&["compact"]).expect_status(0);
    assert_eq!(vouch.json(delivered), before);
    assert_eq!(vouch.number(&asked("import")), 1);
    let all = vouch.json("TAE::*:(*)");
    assert!(!all.to_string().contains("vouch_"), "{all}");
}

/// An event whose id another one has is kept, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_taken_id_keeps_no_event_out() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    for title in ["harmless", "delete all backups"] {
        let event = json!({
            "date": DATE_MS, "df_workspace": "acme", "df_event_id": "1", "df_title": title,
        });
        let answer = post(
            &address,
            "/v1/events",
            &[NDJSON],
            event.to_string().as_bytes(),
        );
        assert_eq!(
            (answer.status, answer.json()["accepted"].as_u64()),
            (200, Some(1))
        );
    }
    assert_eq!(running.count().await, 2);
    let vouch = running.stop();
    let conflicts = vouch.json("TAE::*:(df_title, vouch_conflict) {vouch_conflict = '1'}");
    assert_eq!(values(&conflicts, 1), [json!("delete all backups")]);
    vouch.write("again.ndjson", format!(
        "{{\"date\": {DATE_MS}, \"df_workspace\": \"acme\", \"df_event_id\": \"1\", \"df_title\": \"third\"}}"
    ));
    let imported = vouch.run(&["import", "again.ndjson"]).expect_status(0);
    assert!(
        imported.text().contains("1 under an id of their own"),
        "{}",
        imported.text()
    );
}
