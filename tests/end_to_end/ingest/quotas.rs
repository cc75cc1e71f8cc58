//! How many workspaces, days and producers senders may make.

use api::proto::WriteRequest;
use api::proto::ingest_service_client::IngestServiceClient;
use serde_json::Value;
use tonic::Code;

use super::post::{Answer, post};
use super::{DATE_MS, Running};
use crate::service::error_info;

const DAY_MS: i64 = 86_400_000;

fn event_of(workspace: &str, date_ms: i64) -> String {
    format!("{{\"date\": {date_ms}, \"df_workspace\": \"{workspace}\"}}")
}

fn codes(answer: &Answer) -> Vec<Value> {
    let refused = answer.json()["refused"].as_array().unwrap().clone();
    refused
        .iter()
        .map(|refused| refused["code"].clone())
        .collect()
}

/// A sender that puts a changing value where the workspace belongs makes few of them.
#[tokio::test(flavor = "multi_thread")]
async fn new_workspaces_are_limited() {
    let limits = [
        "--max-new-workspaces=3",
        "--max-new-workspaces-per-request=2",
    ];
    let running = Running::start_with(&limits);
    let address = running.service.http_address.clone();
    let send = |names: &[&str]| {
        let lines: Vec<String> = names.iter().map(|name| event_of(name, DATE_MS)).collect();
        post(&address, "/v1/events", &[], lines.join("\n").as_bytes())
    };
    let answer = send(&["a", "b", "c", "a"]);
    assert_eq!(
        (answer.status, &answer.json()["accepted"]),
        (200, &3.into())
    );
    assert_eq!(codes(&answer), ["too_many_workspaces"]);
    let reason = answer.json()["refused"][0]["reason"].to_string();
    assert!(
        reason.contains("`c`") && reason.contains("-per-request"),
        "{reason}"
    );
    assert_eq!(codes(&send(&["c", "d"])), ["too_many_workspaces"]);
    assert_eq!(send(&["a", "b", "c"]).json()["accepted"], 3);

    // A numbered batch fails as a whole, so that it stays the same batch.
    let numbered = "/v1/events?producer=p&number=1&workspace=e";
    let body = format!("{{\"date\": {DATE_MS}}}");
    let answer = post(&address, numbered, &[], body.as_bytes());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "too_many_workspaces")
    );

    // What the store has is not new to another node.
    let vouch = running.stop();
    let service = crate::service::Service::start_with(&vouch, &["--max-new-workspaces=0"]);
    let lines = [event_of("a", DATE_MS + 1), event_of("z", DATE_MS)].join("\n");
    let answer = post(&service.http_address, "/v1/events", &[], lines.as_bytes());
    assert_eq!(answer.json()["accepted"], 1);
    assert_eq!(codes(&answer), ["too_many_workspaces"]);
}

/// The days of a request are limited, each event beyond is refused.
#[tokio::test(flavor = "multi_thread")]
async fn days_of_a_request_are_limited() {
    let running = Running::start_with(&["--max-days=5"]);
    let lines: Vec<String> = (0..20)
        .map(|number| event_of("acme", DATE_MS - number % 10 * DAY_MS - number))
        .collect();
    let body = lines.join("\n");
    let answer = post(
        &running.service.http_address,
        "/v1/events",
        &[],
        body.as_bytes(),
    );
    assert_eq!(answer.json()["accepted"], 10, "{answer:?}");
    assert_eq!(codes(&answer), ["too_many_days"; 10]);
}

/// Producers are limited; those that stored nothing do not count.
#[tokio::test(flavor = "multi_thread")]
async fn producers_are_limited() {
    let running = Running::start_with(&["--max-producers=2"]);
    let mut client = IngestServiceClient::new(running.service.channel().await);
    let mut write = async |producer: &str, number: u64| {
        let request = WriteRequest {
            workspace: "acme".to_owned(),
            producer: producer.to_owned(),
            number,
            ndjson: format!("{{\"date\": {DATE_MS}}}").into(),
            ..WriteRequest::default()
        };
        client.write(request).await
    };
    let gap = write("wrong", 7).await.unwrap_err();
    assert_eq!(error_info(&gap).code, "sequence_gap");
    write("a", 1).await.unwrap();
    write("b", 1).await.unwrap();
    let refused = write("c", 1).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_info(&refused).code.as_str()),
        (Code::ResourceExhausted, "too_many_producers")
    );
    write("a", 2).await.unwrap();

    // A node that starts counts those that the store has.
    let vouch = running.stop();
    let service = crate::service::Service::start_with(&vouch, &["--max-producers=2"]);
    let mut client = IngestServiceClient::new(service.channel().await);
    let request = WriteRequest {
        workspace: "acme".to_owned(),
        producer: "c".to_owned(),
        number: 1,
        ndjson: format!("{{\"date\": {DATE_MS}}}").into(),
        ..WriteRequest::default()
    };
    let refused = client.write(request).await.unwrap_err();
    assert_eq!(error_info(&refused).code, "too_many_producers");
}
