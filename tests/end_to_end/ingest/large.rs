//! Large events and requests, and the limits.

use std::time::Duration;

use api::MAX_MESSAGE_BYTES;
use api::proto::ingest_service_client::IngestServiceClient;
use api::proto::otlp::any_value::Value as AnyKind;
use api::proto::otlp::{
    AnyValue, ExportLogsServiceRequest, KeyValue, LogRecord, ResourceLogs, ScopeLogs,
};
use api::proto::query_stream_response::Item;
use api::proto::value::Kind;
use api::proto::{QueryRequest, WriteRequest};
use futures::StreamExt;
use prost::Message;
use tonic::Code;

use super::post::{gzip, post, send};
use super::{DATE_MS, Running, event, events};
use crate::service::{error_info, question};

const LARGE_BYTES: usize = 5 << 20;

/// 10,000 events, of which the one in the middle has 5 MiB.
fn with_a_large_one() -> String {
    let large = event(5_000).replace(
        '}',
        &format!(", \"df_message\": \"{}\"}}", "x".repeat(LARGE_BYTES)),
    );
    [events(0..5_000), large, events(5_001..10_000)].join("\n")
}

fn large_query() -> QueryRequest {
    question("TAE::*:(df_message) {number = 5000}")
}

/// Every reader gives the large event, and those around it.
async fn expect_readable(running: &Running) {
    assert_eq!(running.count().await, 10_000);
    let client = running.service.client().await;
    let refused = client.clone().query(large_query()).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::OutOfRange,
        "a client's own limit of 4 MiB"
    );
    let mut client = client.max_decoding_message_size(MAX_MESSAGE_BYTES);
    let response = client.query(large_query()).await.unwrap().into_inner();
    let value = response.content[0].series[0].rows[0].values[1].clone();
    let Some(Kind::StringValue(text)) = value.kind else {
        panic!("no text")
    };
    assert_eq!(text.len(), LARGE_BYTES);

    let mut items = client
        .query_stream(question("TAE::*:(df_message, number)"))
        .await
        .unwrap()
        .into_inner();
    let mut rows = None;
    while let Some(item) = items.next().await {
        if let Item::Summary(summary) = item.unwrap().item.unwrap() {
            rows = Some(summary.rows);
        }
    }
    assert_eq!(rows, Some(10_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_goes_through_grpc() {
    let running = Running::start();
    let request = WriteRequest {
        ndjson: with_a_large_one().into(),
        ..WriteRequest::default()
    };
    let mut client = IngestServiceClient::new(running.service.channel().await);
    let written = client.write(request).await.unwrap().into_inner();
    assert_eq!((written.accepted, written.refused.len()), (10_000, 0));
    expect_readable(&running).await;
    let vouch = running.stop();
    vouch.run(&["verify"]).expect_status(0);
    for format in ["json", "ndjson", "csv", "arrow", "parquet"] {
        let mut arguments = vec![
            "query",
            "--workspace",
            "acme",
            "--format",
            format,
            "--output",
            "out",
        ];
        arguments.extend(crate::program::ALL_OF_TIME);
        arguments.push("TAE::*:(df_message) {number = 5000}");
        vouch.run(&arguments).expect_status(0);
        let written = std::fs::metadata(vouch.path("out")).unwrap().len();
        assert!(
            format == "parquet" || written > LARGE_BYTES as u64,
            "{format}: {written}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_goes_through_http() {
    let running = Running::start();
    let headers = [("Content-Encoding", "gzip")];
    let body = gzip(with_a_large_one().as_bytes());
    let answer = post(&running.service.http_address, "/v1/events", &headers, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    expect_readable(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_goes_through_otlp() {
    let running = Running::start();
    let value = |kind| Some(AnyValue { value: Some(kind) });
    let log_records = (0..10_000).map(|number| {
        let length = if number == 5_000 { LARGE_BYTES } else { 10 };
        LogRecord {
            time_unix_nano: (DATE_MS + number) as u64 * 1_000_000,
            body: value(AnyKind::StringValue("x".repeat(length))),
            attributes: vec![KeyValue {
                key: "number".to_owned(),
                value: value(AnyKind::IntValue(number)),
            }],
            ..LogRecord::default()
        }
    });
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: log_records.collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("X-Vouch-Workspace", "acme"),
    ];
    let body = request.encode_to_vec();
    let answer = post(&running.service.http_address, "/v1/logs", &headers, &body);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    expect_readable(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_is_said_where_it_is_met() {
    let limits = [
        "--max-request-bytes=3000",
        "--max-decompressed-bytes=5000",
        "--max-events=50",
        "--max-event-bytes=1000",
    ];
    let running = Running::start_with(&limits);
    let address = running.service.http_address.clone();
    let text =
        |bytes: usize| event(1).replace('}', &format!(", \"x\": \"{}\"}}", "x".repeat(bytes)));
    let gzipped = [("Content-Encoding", "gzip")];
    for (headers, body, code, limit) in [
        (
            &[][..],
            text(3_000).into_bytes(),
            "request_too_large",
            "3000 bytes",
        ),
        (
            &gzipped,
            gzip(text(100_000).as_bytes()),
            "request_too_large",
            "5000 bytes when decompressed",
        ),
        (&[], "{}\n".repeat(51).into_bytes(), "too_many_events", "50"),
    ] {
        let answer = post(&address, "/v1/events", headers, &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, code),
            "{answer:?}"
        );
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains(limit) && message.contains("--max-"),
            "{message}"
        );
    }
    let early = send("POST", &address, "/v1/events", &[], 1 << 40, b"");
    assert_eq!(
        (early.status, early.code().as_str()),
        (413, "request_too_large")
    );
    let one = [text(1_000), event(2)].join("\n");
    let answer = post(&address, "/v1/events", &[], one.as_bytes()).json();
    assert_eq!(answer["accepted"], 1);
    assert_eq!(answer["refused"][0]["code"], "event_too_large");
    let reason = answer["refused"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("takes 1000 (--max-event-bytes)"),
        "{reason}"
    );

    let mut client = IngestServiceClient::new(running.service.channel().await);
    let mut write = async |ndjson: String| {
        let request = WriteRequest {
            ndjson: ndjson.into(),
            ..WriteRequest::default()
        };
        client.write(request).await.unwrap_err()
    };
    for (ndjson, code) in [
        (text(5_000), "request_too_large"),
        (text(2 << 20), "request_too_large"),
        ("{}\n".repeat(51), "too_many_events"),
    ] {
        let status = write(ndjson).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(error_info(&status).code, code);
    }
    assert_eq!(running.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_larger_than_a_message_says_what_to_do() {
    let running = Running::start();
    let filler = "x".repeat(LARGE_BYTES);
    for part in 0..4 {
        let lines: Vec<String> = (0..4)
            .map(|number| {
                event(part * 4 + number).replace('}', &format!(", \"df_message\": \"{filler}\"}}"))
            })
            .collect();
        let answer = post(
            &running.service.http_address,
            "/v1/events",
            &[],
            lines.join("\n").as_bytes(),
        );
        assert_eq!(answer.status, 200);
    }
    let mut client = running.service.client().await;
    let status = client
        .query(question("TAE::*:(df_message)"))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::ResourceExhausted, "answer_too_large")
    );
    assert!(status.message().contains("QueryStream"));
}

/// Bombs leave no more memory than all requests together may take, and what buffers that grow to the largest request have
/// besides. It goes back to the system when the threads that decompressed them end, also when no other request follows.
#[test]
fn memory_of_bombs_is_returned() {
    const ALL_REQUESTS: u64 = 256 << 20;
    const REQUEST: u64 = 128 << 20;
    let running = Running::start();
    let address = running.service.http_address.clone();
    let before = running.service.resident_bytes();
    let bomb = gzip(&vec![b' '; 256 << 20]);
    std::thread::scope(|scope| {
        let senders = [(); 2].map(|()| {
            scope.spawn(|| {
                let headers = [("Content-Encoding", "gzip")];
                post(&address, "/v1/events", &headers, &bomb).status
            })
        });
        for sender in senders {
            assert_eq!(sender.join().unwrap(), 413);
        }
    });
    let left = running.service.resident_bytes();
    let most = before + ALL_REQUESTS + REQUEST + REQUEST / 2;
    assert!(left < most, "{before}: {left}");
    let is_returned = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        running.service.resident_bytes() < before + REQUEST
    });
    assert!(
        is_returned,
        "{before}: {}",
        running.service.resident_bytes()
    );
}
