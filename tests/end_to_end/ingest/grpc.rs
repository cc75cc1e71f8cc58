//! `IngestService`.

use api::proto::ingest_service_client::IngestServiceClient;
use api::proto::write_stream_response::Outcome;
use api::proto::{WriteRequest, WriteResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{Running, event, events};
use crate::service::error_info;

impl Running {
    async fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.service.channel().await)
    }

    async fn write(&self, request: WriteRequest) -> Result<WriteResponse, Status> {
        let written = self.ingest().await.write(request).await;
        written.map(tonic::Response::into_inner)
    }
}

fn request(ndjson: String) -> WriteRequest {
    WriteRequest {
        ndjson: ndjson.into(),
        ..WriteRequest::default()
    }
}

fn numbered(number: u64, ndjson: String) -> WriteRequest {
    WriteRequest {
        workspace: "acme".to_owned(),
        producer: "agent-1".to_owned(),
        number,
        ..request(ndjson)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused_by_index_and_the_rest_is_stored_once() {
    let running = Running::start();
    let lines = [
        &event(1),
        "{\"df_title\": \"no date\"}",
        "",
        "broken",
        &event(2),
    ]
    .join("\n");
    for _ in 0..2 {
        let written = running.write(request(lines.clone())).await.unwrap();
        let refused: Vec<(u64, &str)> = written
            .refused
            .iter()
            .map(|refused| (refused.index, refused.code.as_str()))
            .collect();
        assert_eq!(refused, [(1, "missing_date"), (2, "malformed_json")]);
        assert!(written.refused[0].reason.contains("give `date`"));
        assert_eq!(written.accepted, 2);
        assert!(!written.token.is_empty());
        assert_eq!(running.count().await, 2);
    }
    let all_or_nothing = WriteRequest {
        all_or_nothing: true,
        ..request([event(3), "broken".to_owned()].join("\n"))
    };
    let written = running.write(all_or_nothing).await.unwrap();
    assert_eq!((written.accepted, written.refused.len()), (0, 1));
    assert_eq!(running.count().await, 2);
    let vouch = running.stop();
    assert_eq!(vouch.number("TAE::*:(count(*))"), 2);
    vouch.run(&["verify"]).expect_status(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_id_is_stored_once_and_the_workspace_may_come_with_the_request() {
    let running = Running::start();
    let written = WriteRequest {
        workspace: "acme".to_owned(),
        ..request(format!(
            "{{\"date\": {}}}\n{{\"date\": {}, \"df_workspace\": \"beta\"}}",
            super::DATE_MS,
            super::DATE_MS
        ))
    };
    for _ in 0..2 {
        let written = running.write(written.clone()).await.unwrap();
        assert_eq!(written.refused[0].code, "workspace_contradiction");
        assert_eq!(running.count().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbered_batches_are_stored_once_and_in_order() {
    let running = Running::start();
    let line = |title: &str| {
        format!(
            "{{\"date\": {}, \"df_title\": \"{title}\"}}",
            super::DATE_MS
        )
    };
    // Equal events of one batch are different events.
    let first = numbered(1, [line("a"), line("a")].join("\n"));
    for _ in 0..2 {
        assert_eq!(running.write(first.clone()).await.unwrap().accepted, 2);
        assert_eq!(running.count().await, 2);
    }
    let gap = running.write(numbered(3, line("c"))).await.unwrap_err();
    assert_eq!(gap.code(), Code::FailedPrecondition);
    let info = error_info(&gap);
    assert_eq!(
        (info.code.as_str(), info.expected_number),
        ("sequence_gap", Some(2))
    );
    let conflict = running.write(numbered(1, line("x"))).await.unwrap_err();
    assert_eq!(error_info(&conflict).code, "sequence_conflict");
    running.write(numbered(2, line("b"))).await.unwrap();
    running.write(numbered(3, line("c"))).await.unwrap();
    assert_eq!(running.count().await, 4);

    // A node that starts anew knows what came before.
    let vouch = running.stop();
    let service = crate::service::Service::start(&vouch);
    let running = Running { vouch, service };
    running.write(numbered(3, line("c"))).await.unwrap();
    running.write(numbered(4, line("d"))).await.unwrap();
    assert_eq!(running.count().await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_means_nothing_says_why() {
    let running = Running::start();
    let without_workspace = WriteRequest {
        workspace: String::new(),
        ..numbered(1, event(1))
    };
    let without_number = numbered(0, event(1));
    let without_producer = WriteRequest {
        producer: String::new(),
        ..numbered(1, event(1))
    };
    let with_path = WriteRequest {
        workspace: "../acme".to_owned(),
        ..request(event(1))
    };
    for (wrong, words) in [
        (without_workspace, "needs `workspace`"),
        (without_number, "without `number`"),
        (without_producer, "without `producer`"),
        (with_path, "../acme"),
    ] {
        let status = running.write(wrong).await.unwrap_err();
        assert_eq!(error_info(&status).code, "invalid_request");
        assert!(status.message().contains(words), "{}", status.message());
    }
    let unknown = WriteRequest {
        mapping: "cloudtrial".to_owned(),
        ..request(event(1))
    };
    let status = running.write(unknown).await.unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::InvalidArgument, "unknown_mapping")
    );
    assert!(status.message().contains("cloudtrail, kubernetes, okta"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_make_events_of_records() {
    let vouch = crate::program::Vouch::new();
    let program = "{date: .at, df_user_name: .who, df_workspace: \"acme\"}";
    vouch.write("gateway.jq", program);
    let service = crate::service::Service::start_with(&vouch, &["--mapping", "gateway.jq"]);
    let running = Running { vouch, service };
    let gateway = WriteRequest {
        mapping: "gateway".to_owned(),
        ..request(format!(
            "{{\"at\": {}, \"who\": \"Zoë\", \"path\": \"/x\"}}\n{{\"at\": true}}",
            super::DATE_MS
        ))
    };
    let written = running.write(gateway).await.unwrap();
    assert_eq!((written.accepted, written.refused[0].index), (1, 1));
    let name = running.value("TAE::*:(df_user_name)").await;
    assert_eq!(name, api::proto::value::Kind::StringValue("Zoë".to_owned()));
    let path = running.value("TAE::*:(path)").await;
    assert_eq!(path, api::proto::value::Kind::StringValue("/x".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_answered_in_order_and_a_failure_does_not_end_it() {
    let running = Running::start();
    let (requests, waiting) = mpsc::channel(4);
    let sending = tokio::spawn(async move {
        for number in 0..40 {
            let wrong = WriteRequest {
                mapping: "none".to_owned(),
                ..request(String::new())
            };
            let right = match number % 2 {
                0 => request(events(number * 10..number * 10 + 10)),
                _ => numbered(number as u64 / 2 + 1, event(10_000 + number)),
            };
            requests
                .send(if number == 6 { wrong } else { right })
                .await
                .unwrap();
        }
    });
    let mut client = running
        .ingest()
        .await
        .send_compressed(CompressionEncoding::Gzip);
    let answers = client.write_stream(ReceiverStream::new(waiting)).await;
    let mut answers = answers.unwrap().into_inner();
    let mut accepted = 0;
    for number in 0..40 {
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(answer.request, number);
        match answer.outcome.unwrap() {
            Outcome::Written(written) => accepted += written.accepted,
            Outcome::Error(error) => {
                assert_eq!((number, error.code.as_str()), (6, "unknown_mapping"));
            }
        }
    }
    assert!(answers.message().await.unwrap().is_none());
    sending.await.unwrap();
    assert_eq!(accepted, 190 + 20);
    assert_eq!(running.count().await, 210);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_does_not_keep_the_service_from_stopping() {
    let running = Running::start();
    let (requests, waiting) = mpsc::channel(4);
    requests.send(request(events(0..10))).await.unwrap();
    let mut client = running.ingest().await;
    let answers = client.write_stream(ReceiverStream::new(waiting)).await;
    let mut answers = answers.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert!(matches!(answer.outcome, Some(Outcome::Written(_))));
    running.service.send_stop();
    let status = answers.message().await.unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::Unavailable, "stopping")
    );
    let vouch = running.stop();
    assert_eq!(vouch.number("TAE::*:(count(*))"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_a_write_seen_on_another_node() {
    let running = Running::start();
    let other = crate::service::Service::start(&running.vouch);
    let mut client = other.client().await;
    for number in 1..4 {
        let token = running.write(request(event(number))).await.unwrap().token;
        let mut asked = crate::service::question("TAE::*:(count(*))");
        asked.after = vec![token];
        let answer = client.query(asked).await.unwrap().into_inner();
        let count = &answer.content[0].series[0].rows[0].values[1].kind;
        assert_eq!(*count, Some(api::proto::value::Kind::IntValue(number)));
    }
    let mut asked = crate::service::question("TAE::*:(count(*))");
    asked.after = vec!["yesterday".to_owned()];
    let status = client.query(asked).await.unwrap_err();
    assert_eq!(error_info(&status).code, "invalid_request");
}
