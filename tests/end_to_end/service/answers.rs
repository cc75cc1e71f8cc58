//! The methods of the query service, health and reflection.

use api::proto::query_stream_response::Item;
use api::proto::value::Kind;
use api::proto::{ExplainRequest, QueryRequest, Stage, Summary};
use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use prost::Message;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{Service, error_info, of_workspace, question};
use crate::program::{ALL_OF_TIME, Vouch};

#[tokio::test]
async fn the_service_answers_health_and_reflection() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut health = HealthClient::new(service.channel().await);
    for name in ["", "vouch.v1.QueryService"] {
        let request = HealthCheckRequest {
            service: name.to_owned(),
        };
        let status = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, ServingStatus::Serving as i32, "{name}");
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(service.channel().await);
    let answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    assert!(
        list.service
            .iter()
            .any(|service| service.name == "vouch.v1.QueryService")
    );
}

#[tokio::test]
async fn an_answer_has_series_and_a_summary() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let query = "TAE::audit:(count(*) AS n, avg(df_date_range)) [1d] BY mfa SORDER BY n DESC; TAE::monitor:(cpu) LIMIT 1";
    let response = service
        .client()
        .await
        .query(question(query))
        .await
        .unwrap()
        .into_inner();
    let [first, second] = response.content.as_slice() else {
        panic!("{response:?}")
    };
    let kinds = |series: usize, row: usize| {
        let values = &first.series[series].rows[row].values;
        values
            .iter()
            .map(|value| value.kind.clone().unwrap())
            .collect::<Vec<_>>()
    };
    let null = || Kind::NullValue(api::proto::Null {});
    assert_eq!(first.series[0].name.as_deref(), Some("audit"));
    assert_eq!(first.series[0].columns, ["time", "n", "avg(df_date_range)"]);
    assert_eq!(
        first.series[0].tags[0].value.as_ref().unwrap().kind,
        Some(null())
    );
    assert_eq!(
        kinds(0, 0),
        [null(), Kind::IntValue(30), Kind::DoubleValue(174_600.0)]
    );
    let tag = |series: usize| {
        first.series[series].tags[0]
            .value
            .clone()
            .unwrap()
            .kind
            .unwrap()
    };
    assert_eq!(
        [tag(1), tag(2)],
        ["false", "true"].map(|text| Kind::StringValue(text.to_owned()))
    );
    let summary = first.summary.as_ref().unwrap();
    assert_eq!(
        (
            summary.rows,
            summary.total_hits.unwrap().value,
            summary.total_hits.unwrap().exact
        ),
        (3, 36, true)
    );
    assert_eq!(summary.group_by, ["mfa"]);
    let cpu = second.series[0].rows[0].values[1].kind.clone().unwrap();
    assert_eq!(
        cpu,
        Kind::JsonValue("{\"usage\":12.25,\"cores\":8}".to_owned())
    );
    assert_eq!(
        second.summary.as_ref().unwrap().warnings[0].code,
        "limit_reached"
    );
}

#[tokio::test]
async fn a_refusal_has_a_status_a_code_and_a_place() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    let status = client
        .query(question("TAE::audit:(cuont(*))"))
        .await
        .unwrap_err();
    let info = error_info(&status);
    assert_eq!(
        (status.code(), info.code.as_str()),
        (Code::InvalidArgument, "unknown_function")
    );
    let place = info.diagnostics[0].place.unwrap();
    assert_eq!(
        (place.offset, place.end_offset, place.line, place.column),
        (12, 17, 1, 13)
    );
    assert_eq!(
        info.diagnostics[0].hint.as_deref(),
        Some("did you mean `count`?")
    );

    let status = client
        .query(of_workspace("acne", "TAE::audit:(count(*))"))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::NotFound, "unknown_workspace")
    );
    assert!(status.message().contains("did you mean `acme`?"));

    let without_scope = QueryRequest {
        scope: None,
        ..question("TAE::audit:(count(*))")
    };
    for request in [
        without_scope,
        of_workspace("../acme", "TAE::audit:(count(*))"),
        QueryRequest {
            time_zone: "Mars/Olympus".to_owned(),
            ..question("TAE::audit:(count(*))")
        },
    ] {
        let status = client.query(request).await.unwrap_err();
        assert_eq!(
            (status.code(), error_info(&status).code.as_str()),
            (Code::InvalidArgument, "invalid_request")
        );
    }

    let mut stream = client.query_stream(question("TAE::audit:(a; b")).await;
    let status = match &mut stream {
        Err(status) => status.clone(),
        Ok(items) => items.get_mut().message().await.unwrap_err(),
    };
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::InvalidArgument, "parse_error")
    );
}

#[tokio::test]
async fn what_the_store_lost_is_no_empty_answer_and_its_path_is_not_told() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    std::fs::remove_dir_all(vouch.path("vouch-data/workspace=beta/day=2026-11-20")).unwrap();
    let status = client
        .query(question("TAE::audit:(count(df_title))"))
        .await
        .unwrap_err();
    let info = error_info(&status);
    assert_eq!(
        (status.code(), info.code.as_str()),
        (Code::DataLoss, "missing_file")
    );
    assert!(
        info.incident.is_some() && !status.message().contains("workspace="),
        "{}",
        status.message()
    );
    let answer = client
        .query(of_workspace("acme", "TAE::audit:(count(df_title))"))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().content.len(), 1);
}

#[tokio::test]
async fn explain_shows_the_stages() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    for (stage, word) in [
        (Stage::Ast, "Select"),
        (Stage::Bound, "aggregate"),
        (Stage::Logical, "Aggregate"),
        (Stage::Physical, "AggregateScanExec"),
    ] {
        let request = ExplainRequest {
            request: Some(question("TAE::audit:(count(*))")),
            stage: stage.into(),
        };
        let shown = client.explain(request).await.unwrap().into_inner();
        assert!(shown.text.contains(word), "{}", shown.text);
        assert_eq!(shown.files.is_some(), stage == Stage::Physical);
    }
}

/// A store of 12,000 events of a kilobyte each.
fn large() -> Vouch {
    let vouch = Vouch::new();
    let filler = "x".repeat(1_000);
    let lines: Vec<String> = (0..12_000)
        .map(|number| format!("{{\"date\": {}, \"df_event_id\": \"{number:05}\", \"df_workspace\": \"acme\", \"df_message\": \"{filler}\", \"number\": {number}}}", 1_795_000_000_000_i64 + number))
        .collect();
    vouch
        .run_with_input(&["import", "-"], lines.join("\n").as_bytes())
        .expect_status(0);
    vouch
}

/// Reads a stream to its end: its Arrow bytes, its largest message and its summary.
async fn read(
    mut items: tonic::Streaming<api::proto::QueryStreamResponse>,
) -> (Vec<u8>, usize, Summary) {
    let (mut bytes, mut largest, mut summary) = (Vec::new(), 0, None);
    while let Some(message) = items.message().await.unwrap() {
        assert!(summary.is_none(), "the summary is the last message");
        largest = largest.max(message.encoded_len());
        match message.item.unwrap() {
            Item::ArrowIpc(part) => bytes.extend(part),
            Item::Summary(last) => summary = Some(last),
        }
    }
    (bytes, largest, summary.unwrap())
}

fn count_rows(arrow_ipc: &[u8]) -> usize {
    let batches = StreamReader::try_new(arrow_ipc, None).unwrap();
    batches.map(|batch| batch.unwrap().num_rows()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_every_row_in_small_messages_and_outlives_the_signal_to_stop() {
    let vouch = large();
    let mut service = Service::start(&vouch);
    let mut client = service.client().await;
    let items = client
        .query_stream(question("TAE::audit:(*)"))
        .await
        .unwrap();
    let (bytes, largest, summary) = read(items.into_inner()).await;
    assert!(
        bytes.len() > 12 << 20 && largest < 4 << 20,
        "{} in messages up to {largest}",
        bytes.len()
    );
    assert_eq!(count_rows(&bytes), 12_000);
    assert_eq!((summary.rows, summary.warnings.len()), (12_000, 0));

    let mut items = client
        .query_stream(question("TAE::audit:(*)"))
        .await
        .unwrap()
        .into_inner();
    let Some(Item::ArrowIpc(schema)) = items.message().await.unwrap().unwrap().item else {
        panic!("the schema comes first")
    };
    let mut bytes = schema.to_vec();
    service.send_stop();
    let (rest, _, summary) = read(items).await;
    bytes.extend(rest);
    assert_eq!((count_rows(&bytes), summary.rows), (12_000, 12_000));
    drop(client);
    assert!(service.wait().success());
}

#[test]
fn the_program_answers_the_same_with_a_service_and_with_a_store() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let server = ["--server", &service.address];
    let questions = [
        "TAE::audit:(df_title, size, mfa, file) LIMIT 30",
        "TAE::audit:(count(*) AS n, avg(df_date_range)) [2d::6h] BY df_user_name, mfa",
        "TAE::*:(*)",
        "TAE::custom:(bytes, took_s)",
        "show_event_field('monitor')",
    ];
    for question in questions {
        let here = vouch.json(question);
        let there = vouch.json_with(&["--workspace", "*", server[0], server[1]], question);
        assert_eq!(there, here, "{question}");
    }
    for format in ["table", "csv", "ndjson", "arrow"] {
        for question in &questions[..3] {
            let ask = |server: &[&str]| {
                let mut arguments = vec!["query", "--workspace", "acme,beta", "--format", format];
                arguments.extend(server);
                arguments.extend(ALL_OF_TIME);
                arguments.push(question);
                vouch.run(&arguments).expect_status(0).stdout
            };
            assert!(ask(&server) == ask(&[]), "{format}: {question}");
        }
    }
    let ask = |question: &str, server: &[&str]| {
        let mut arguments = vec!["query", "--workspace", "acme"];
        arguments.extend(server);
        arguments.push(question);
        vouch.run(&arguments).expect_status(1).stderr
    };
    for question in ["TAE::audit:(cuont(*))", "TAE::audit:(count(*)", "L::x:(a)"] {
        assert_eq!(ask(question, &server), ask(question, &[]));
    }
    let mut unknown = vec!["query", "--workspace", "acne"];
    unknown.extend(server);
    unknown.push("TAE::audit");
    vouch
        .run(&unknown)
        .expect_status(1)
        .expect_error("did you mean `acme`?");
    unknown.drain(1..3);
    vouch
        .run(&unknown)
        .expect_status(2)
        .expect_error("--server needs --workspace");
}
