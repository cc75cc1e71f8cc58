//! `POST /v1/events`.

use serde_json::json;

use super::post::{gzip, post, send};
use super::{Running, event, events};

const NDJSON: (&str, &str) = ("Content-Type", "application/x-ndjson");
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn events_are_stored_plain_and_compressed() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let plain = events(0..10);
    let zstd = zstd::encode_all(events(5..20).as_bytes(), 3).unwrap();
    for (headers, body) in [
        (vec![NDJSON], plain.clone().into_bytes()),
        (
            vec![NDJSON, ("Content-Encoding", "gzip")],
            gzip(plain.as_bytes()),
        ),
        (vec![("Content-Encoding", "zstd")], zstd),
        (
            vec![("Content-Type", "application/json; charset=utf-8")],
            event(20).replace(',', ",\n").into_bytes(),
        ),
    ] {
        let answer = post(&address, "/v1/events", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let content = answer.json();
        assert_eq!(content["refused"], json!([]));
        assert!(content["token"].is_string());
    }
    assert_eq!(running.count().await, 21);
    let vouch = running.stop();
    assert_eq!(vouch.number("TAE::*:(count(*))"), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_by_index_and_the_status_tells_when_nothing_is_stored() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let mixed = [event(1), "broken".to_owned()].join("\n");
    let answer = post(&address, "/v1/events", &[NDJSON], mixed.as_bytes());
    assert_eq!(answer.status, 200);
    let content = answer.json();
    assert_eq!(content["accepted"], 1);
    assert_eq!(content["refused"][0]["index"], 1);
    assert_eq!(content["refused"][0]["code"], "malformed_json");

    let mixed = [event(2), "broken".to_owned()].join("\n");
    for (path, body) in [
        ("/v1/events?all_or_nothing=true", mixed.as_str()),
        ("/v1/events", "broken"),
    ] {
        let answer = post(&address, path, &[NDJSON], body.as_bytes());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "nothing_stored")
        );
        assert_eq!(answer.json()["accepted"], 0);
        assert_eq!(answer.json()["refused"].as_array().unwrap().len(), 1);
    }
    assert_eq!(running.count().await, 1);
    let nothing = post(&address, "/v1/events", &[NDJSON], b"\n");
    assert_eq!(
        (nothing.status, nothing.json()),
        (200, json!({"accepted": 0, "refused": []}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbered_batches_go_by_http_too() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let send = |number: u64, title: &str| {
        let path = format!("/v1/events?workspace=acme&producer=p%20q&number={number}");
        let body = format!(
            "{{\"date\": {}, \"df_title\": \"{title}\"}}",
            super::DATE_MS
        );
        post(&address, &path, &[NDJSON], body.as_bytes())
    };
    assert_eq!(send(1, "a").status, 200);
    assert_eq!(send(1, "a").status, 200);
    let gap = send(3, "c");
    assert_eq!((gap.status, gap.code().as_str()), (409, "sequence_gap"));
    assert_eq!(gap.json()["expected_number"], 2);
    let conflict = send(1, "b");
    assert_eq!(
        (conflict.status, conflict.code().as_str()),
        (409, "sequence_conflict")
    );
    assert_eq!(running.count().await, 1);
}

/// Path, content type, content encoding; status, code, words of the message.
type Misunderstood = (
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static str,
    &'static str,
);

const NDJSON_TYPE: &str = "application/x-ndjson";
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

const MISUNDERSTOOD: [Misunderstood; 10] = [
    (
        "/v1/events?work=acme",
        NDJSON_TYPE,
        "",
        400,
        "invalid_request",
        "`work`",
    ),
    (
        "/v1/events?number=x",
        NDJSON_TYPE,
        "",
        400,
        "invalid_request",
        "`number`",
    ),
    (
        "/v1/events?all_or_nothing=1",
        NDJSON_TYPE,
        "",
        400,
        "invalid_request",
        "true or false",
    ),
    (
        "/v1/events?workspace=a/b",
        NDJSON_TYPE,
        "",
        400,
        "invalid_request",
        "a/b",
    ),
    (
        "/v1/events?mapping=none",
        NDJSON_TYPE,
        "",
        400,
        "unknown_mapping",
        "okta",
    ),
    (
        "/v1/events",
        "text/csv",
        "",
        415,
        "unsupported_media_type",
        "text/csv",
    ),
    (
        "/v1/events",
        FORM_TYPE,
        "",
        415,
        "unsupported_media_type",
        "application/x-ndjson",
    ),
    (
        "/v1/events",
        NDJSON_TYPE,
        "br",
        415,
        "unsupported_media_type",
        "`br`",
    ),
    (
        "/v1/events",
        NDJSON_TYPE,
        "gzip",
        400,
        "malformed_body",
        "Content-Encoding",
    ),
    ("/v1/event", NDJSON_TYPE, "", 404, "not_found", "/v1/events"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_refused_by_name() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let body = event(1);
    for (path, media_type, encoding, status, code, words) in MISUNDERSTOOD {
        let headers = [("Content-Type", media_type), ("Content-Encoding", encoding)];
        let answer = post(&address, path, &headers, body.as_bytes());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{answer:?}"
        );
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    }
    let array = format!("[{body}]");
    let array = post(&address, "/v1/events", &[JSON], array.as_bytes());
    assert_eq!(
        (array.status, array.code().as_str()),
        (400, "nothing_stored")
    );
    assert_eq!(array.json()["refused"][0]["code"], "not_an_object");
    let got = send("GET", &address, "/v1/events", &[], 0, b"");
    assert_eq!(
        (got.status, got.code().as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(running.count().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let running = Running::start();
    let answer = send(
        "GET",
        &running.service.http_address,
        "/healthz",
        &[],
        0,
        b"",
    );
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok\n"[..]));
}
