//! What the service tells of itself: readiness, metrics, lines of the log.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::post::{get, post};
use super::{DATE_MS, Running, event};
use crate::program::Vouch;
use crate::service::Service;

/// Figures are there for what was done, by door and code.
#[tokio::test(flavor = "multi_thread")]
async fn figures_are_told() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let lines = [event(1), event(2), "broken".to_owned()].join("\n");
    post(&address, "/v1/events", &[], lines.as_bytes());
    post(&address, "/v1/events?work=x", &[], b"");
    let answer = get(&address, "/metrics");
    assert!(answer.head.contains("openmetrics-text"), "{}", answer.head);
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        "vouch_events_accepted_total{door=\"http\"} 2",
        "vouch_events_refused_total{door=\"http\",code=\"malformed_json\"} 1",
        "vouch_writes_failed_total{door=\"http\",code=\"invalid_request\"} 1",
        "vouch_write_seconds_count 1",
        "vouch_unfolded_segments 1.0",
        "vouch_puts_total{outcome=\"succeeded\"} 1",
        "vouch_puts_total{outcome=\"failed\"} 0",
        "vouch_ingest_budget_used_bytes 0.0",
        "# EOF",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(
        text.contains("\nvouch_connections{port=\"http\"} "),
        "{text}"
    );
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = name.split(' ').next().unwrap();
        let docs = std::fs::read_to_string(crate::program::folder().join("../docs/operations.md"));
        assert!(
            docs.unwrap().contains(&format!("`{name}`")),
            "{name} is not in the docs"
        );
    }
}

/// A store that cannot be written makes the service not ready, while it stays alive.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_falls_with_the_store() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    assert_eq!(get(&address, "/readyz").status, 200);
    assert_eq!(
        post(&address, "/v1/events", &[], event(1).as_bytes()).status,
        200
    );
    // A file where the directory of the store belongs.
    let store = running.vouch.path("vouch-data");
    std::fs::rename(&store, running.vouch.path("away")).unwrap();
    std::fs::write(&store, "").unwrap();
    let begun = Instant::now();
    let answer = loop {
        let answer = get(&address, "/readyz");
        if answer.status != 200 {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_mins(3), "it stays ready");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_ready"));
    let message = answer.json()["message"].to_string();
    assert!(message.contains(" has not succeeded"), "{message}");
    assert_eq!(get(&address, "/healthz").status, 200);
}

/// An object of a later time shows that the clock is behind: the service says so and refuses nothing by date, and
/// no retention run drops anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_went_back_is_told() {
    let vouch = Vouch::new();
    let in_days = |days: u64| SystemTime::now() + Duration::from_hours(24 * days);
    let probe = vouch.path("vouch-data/probe");
    let date = |days| in_days(days).duration_since(UNIX_EPOCH).unwrap();
    let event = |days| {
        let event =
            json!({"date": u64::try_from(date(days).as_millis()).unwrap(), "df_workspace": "acme"});
        event.to_string()
    };
    let write_probe = || {
        std::fs::create_dir_all(probe.parent().unwrap()).unwrap();
        let file = std::fs::File::create(&probe).unwrap();
        file.set_modified(in_days(30)).unwrap();
    };
    vouch.write("events.ndjson", event(0));
    vouch.run(&["import", "events.ndjson"]).expect_status(0);
    write_probe();
    let service = Service::start(&vouch);
    let address = service.http_address.clone();
    let begun = Instant::now();
    let said = loop {
        let answer = get(&address, "/readyz");
        assert_eq!(answer.status, 200);
        let said = String::from_utf8(answer.body).unwrap();
        if said != "ok\n" {
            break said;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing is said");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(said.contains("29 days behind the store's time"), "{said}");
    let answer = post(&address, "/v1/events", &[], event(20).as_bytes());
    assert_eq!(answer.json()["refused"], json!([]), "{:?}", answer.json());
    let text = String::from_utf8(get(&address, "/metrics").body).unwrap();
    assert!(
        text.contains("\nvouch_clock_difference_seconds -25919"),
        "{text}"
    );
    write_probe();
    vouch
        .run(&["retention", "run", "--confirm", "--workspace", "acme"])
        .expect_status(3)
        .expect_error(
            "29 days behind the store's time: nothing is dropped or deleted; set the clock",
        );
}

/// A collector and its exporter say nothing of what was refused; the log of the service does.
#[tokio::test(flavor = "multi_thread")]
async fn refused_records_leave_a_line() {
    let vouch = Vouch::new();
    vouch.ensure_store();
    let mut process = vouch
        .command(&["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(process.stdout.take().unwrap()).lines();
    let address = printed
        .find_map(|line| {
            line.unwrap()
                .strip_prefix("listening for HTTP on ")
                .map(str::to_owned)
        })
        .unwrap();
    let record = json!({"timeUnixNano": format!("{DATE_MS}000000"), "body": {"stringValue": "x"}});
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": vec![record; 1_000]}]}]});
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Workspace", "acme"),
    ];
    let answer = post(&address, "/v1/logs", &headers, body.to_string().as_bytes());
    assert_eq!(
        answer.json()["partialSuccess"]["rejectedLogRecords"],
        "1000"
    );
    process.kill().unwrap();
    process.wait().unwrap();
    let log: Vec<String> = BufReader::new(process.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    let lines = log.iter().filter(|line| line.contains("missing_workspace"));
    let lines: Vec<&String> = lines.collect();
    assert_eq!(lines.len(), 1, "{log:?}");
    assert!(
        lines[0].contains("otlp_http") && lines[0].contains("count=1000"),
        "{lines:?}"
    );
}
