//! OTLP logs over gRPC and HTTP.

use api::proto::otlp::any_value::Value as AnyKind;
use api::proto::otlp::logs_service_client::LogsServiceClient;
use api::proto::otlp::{
    AnyValue, ExportLogsServiceRequest, ExportLogsServiceResponse, KeyValue, LogRecord, Resource,
    ResourceLogs, ScopeLogs,
};
use api::proto::value::Kind;
use prost::Message;
use serde_json::{Value, json};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request};

use super::post::{gzip, post};
use super::{DATE_MS, Running};
use crate::program::Vouch;
use crate::service::{Service, error_info};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(AnyKind::StringValue(text.to_owned())),
    })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: text(value),
    }
}

/// A record, some nanoseconds behind [`DATE_MS`].
fn record(nanos: u64, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: DATE_MS as u64 * 1_000_000 + nanos,
        severity_number: 13,
        body: text(body),
        attributes: vec![attribute("df_user_name", "Zoë")],
        ..LogRecord::default()
    }
}

fn request(workspace: Option<&str>, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let workspace = workspace.map(|id| attribute("df_workspace", id));
    let service = attribute("service.name", "billing");
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: workspace.into_iter().chain([service]).collect(),
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_send_by_grpc() {
    let running = Running::start();
    let channel = running.service.channel().await;
    // As collectors do by default.
    let mut client = LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    // Two equal records at different nanoseconds of one millisecond are two events; a retry is none.
    let records = vec![record(0, "sign-in failed"), record(1, "sign-in failed")];
    for _ in 0..2 {
        let exported = client.export(request(Some("acme"), records.clone())).await;
        assert_eq!(exported.unwrap().into_inner().partial_success, None);
        assert_eq!(running.count().await, 2);
    }
    for (query, value) in [
        ("TAE::*:(df_message)", "sign-in failed"),
        ("TAE::*:(df_user_name)", "Zoë"),
        ("TAE::*:(df_status)", "warning"),
        ("TAE::*:(service.name)", "billing"),
        ("TAE::*:(df_workspace)", "acme"),
    ] {
        assert_eq!(
            running.value(query).await,
            Kind::StringValue(value.to_owned()),
            "{query}"
        );
    }

    let mut with_header = Request::new(request(None, vec![record(2, "x")]));
    let workspace = "beta".parse().unwrap();
    with_header
        .metadata_mut()
        .insert("x-vouch-workspace", workspace);
    let exported = client.export(with_header).await.unwrap().into_inner();
    assert_eq!(exported.partial_success, None);
    let partial = client.export(request(None, vec![record(3, "x")])).await;
    let partial = partial.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 1);
    assert!(
        partial
            .error_message
            .starts_with("record 0: missing_workspace: "),
        "{}",
        partial.error_message
    );
    assert_eq!(running.count().await, 3);

    let mut wrong = Request::new(request(None, Vec::new()));
    let workspace = "a/b".parse().unwrap();
    wrong.metadata_mut().insert("x-vouch-workspace", workspace);
    let status = client.export(wrong).await.unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::InvalidArgument, "invalid_request")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_send_protobuf_by_http() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let whole = request(Some("acme"), vec![record(0, "a"), record(1, "b")]).encode_to_vec();
    for (headers, body) in [
        (vec![PROTOBUF], whole.clone()),
        (vec![PROTOBUF, ("Content-Encoding", "gzip")], gzip(&whole)),
    ] {
        let answer = post(&address, "/v1/logs", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("content-type: application/x-protobuf"));
        let response = ExportLogsServiceResponse::decode(answer.body.as_slice()).unwrap();
        assert_eq!(response.partial_success, None);
    }
    assert_eq!(running.count().await, 2);

    let undated = LogRecord {
        time_unix_nano: 0,
        ..record(0, "c")
    };
    let mixed = request(None, vec![undated, record(2, "d")]).encode_to_vec();
    let headers = [PROTOBUF, ("X-Vouch-Workspace", "acme")];
    let answer = post(&address, "/v1/logs", &headers, &mixed);
    let response = ExportLogsServiceResponse::decode(answer.body.as_slice()).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!((answer.status, partial.rejected_log_records), (200, 1));
    assert!(partial.error_message.contains("record 0: missing_date"));
    assert_eq!(running.count().await, 3);

    let broken = post(&address, "/v1/logs", &[PROTOBUF], b"no protobuf");
    assert_eq!(broken.status, 400);
    assert!(broken.head.contains("content-type: application/x-protobuf"));
    let other = post(
        &address,
        "/v1/logs",
        &[("Content-Type", "text/plain")],
        b"x",
    );
    assert_eq!(
        (other.status, other.code().as_str()),
        (415, "unsupported_media_type")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_send_json_by_http() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let content = |time: Value| {
        json!({"resourceLogs": [{
            "resource": {"attributes": [{"key": "df_workspace", "value": {"stringValue": "acme"}}]},
            "scopeLogs": [{"scope": {}, "logRecords": [{
                "timeUnixNano": time,
                "severityText": "Information",
                "body": {"kvlistValue": {"values": [
                    {"key": "action", "value": {"stringValue": "user.login"}},
                    {"key": "tries", "value": {"intValue": "3"}},
                    {"key": "tags", "value": {"arrayValue": {}}},
                ]}},
                "traceId": "5b8efff798038103d269b633813fc60c",
            }]}],
        }]})
    };
    let body = content(format!("{}000000", DATE_MS).into()).to_string();
    for (headers, body) in [
        (vec![JSON], body.clone().into_bytes()),
        (
            vec![JSON, ("Content-Encoding", "gzip")],
            gzip(body.as_bytes()),
        ),
    ] {
        let answer = post(&address, "/v1/logs", &headers, &body);
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }
    assert_eq!(running.count().await, 1);
    for (query, value) in [
        (
            "TAE::*:(action)",
            Kind::StringValue("user.login".to_owned()),
        ),
        ("TAE::*:(tries)", Kind::IntValue(3)),
        (
            "TAE::*:(df_status)",
            Kind::StringValue("information".to_owned()),
        ),
        (
            "TAE::*:(trace_id)",
            Kind::StringValue("5b8efff798038103d269b633813fc60c".to_owned()),
        ),
    ] {
        assert_eq!(running.value(query).await, value, "{query}");
    }
    let undated = content(0.into()).to_string();
    let answer = post(&address, "/v1/logs", &[JSON], undated.as_bytes());
    assert_eq!(answer.json()["partialSuccess"]["rejectedLogRecords"], "1");
    let wrong = content("soon".into()).to_string();
    let answer = post(&address, "/v1/logs", &[JSON], wrong.as_bytes());
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)));
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("timeUnixNano"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_gets_the_body_of_each_record() {
    let vouch = Vouch::new();
    vouch.write(
        "seen.jq",
        "{date: .at, df_title: .what, comments: .otlp.resource[\"service.name\"]}",
    );
    let service = Service::start_with(&vouch, &["--otlp-mapping", "seen.jq"]);
    let running = Running { vouch, service };
    let body = format!("{{\"at\": {DATE_MS}, \"what\": \"mapped\"}}");
    let mut client = LogsServiceClient::new(running.service.channel().await);
    let exported = client
        .export(request(
            Some("acme"),
            vec![record(0, &body), record(1, "plain")],
        ))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(exported.partial_success.unwrap().rejected_log_records, 1);
    for (query, value) in [
        ("TAE::*:(df_title)", "mapped"),
        ("TAE::*:(comments)", "billing"),
        ("TAE::*:(otlp.attributes.df_user_name)", "Zoë"),
    ] {
        assert_eq!(
            running.value(query).await,
            Kind::StringValue(value.to_owned()),
            "{query}"
        );
    }
}

/// A request whose `count` records share a resource of `bytes`.
fn with_resource(bytes: usize, count: u64) -> ExportLogsServiceRequest {
    let records = (0..count).map(|number| record(number, "x")).collect();
    let mut request = request(Some("acme"), records);
    let resource = request.resource_logs[0].resource.as_mut().unwrap();
    resource
        .attributes
        .push(attribute("k8s.annotations", &"x".repeat(bytes)));
    request
}

/// A record takes a copy of its resource, so records are measured with it.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_resource_are_counted() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let send = |request: &ExportLogsServiceRequest| {
        let headers = [PROTOBUF, ("Content-Encoding", "gzip")];
        post(
            &address,
            "/v1/logs",
            &headers,
            &gzip(&request.encode_to_vec()),
        )
    };
    let large = with_resource(1 << 20, 500);
    let answer = send(&large);
    assert_eq!(answer.status, 413, "{}", answer.head);
    let message = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(message.contains("--max-decompressed-bytes"), "{message}");
    let mut client = LogsServiceClient::new(running.service.channel().await);
    let status = client.export(large).await.unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::InvalidArgument, "request_too_large")
    );
    // A resource that no event may have refuses each record alone.
    let partial = client.export(with_resource(17 << 20, 2)).await.unwrap();
    let partial = partial.into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 2);
    assert!(
        partial.error_message.contains("event_too_large"),
        "{partial:?}"
    );
    assert_eq!(running.count().await, 0);

    let honest = send(&with_resource(5_000, 8_192));
    assert_eq!(
        (honest.status, honest.body.len()),
        (200, 0),
        "{}",
        honest.head
    );
    assert_eq!(running.count().await, 8_192);
}

/// The damaged table of one workspace does not keep the events of others out.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_table_fails_no_batch() {
    let vouch = Vouch::new();
    let line = |workspace: &str| {
        format!("{{\"date\": 1577836800000, \"df_workspace\": \"{workspace}\"}}\n")
    };
    vouch.write("old.ndjson", line("damaged"));
    vouch.run(&["import", "old.ndjson"]).expect_status(0);
    for entry in std::fs::read_dir(vouch.path("vouch-data/workspace=damaged/_delta_log")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{").unwrap();
    }
    let service = Service::start(&vouch);
    let mut client = LogsServiceClient::new(service.channel().await);
    let mut old = record(0, "old");
    old.time_unix_nano = 1_577_836_800_000_000_000;
    let mut both = request(Some("damaged"), vec![old]);
    both.resource_logs
        .extend(request(Some("healthy"), vec![record(0, "fresh")]).resource_logs);
    let exported = client.export(both).await.unwrap().into_inner();
    assert_eq!(exported.partial_success, None);
    let question = crate::service::of_workspace("healthy", "TAE::*:(count(*))");
    let answer = service.client().await.query(question).await.unwrap();
    let count = answer.into_inner().content[0].series[0].rows[0].values[1].clone();
    assert_eq!(count.kind, Some(Kind::IntValue(1)));
}
