//! The service: a `vouch serve` process, asked by a client that knows only the interface.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use prost::Message;
use server::proto::query_request::Scope;
use server::proto::query_service_client::QueryServiceClient;
use server::proto::query_stream_response::Item;
use server::proto::value::Kind;
use server::proto::{
    AllWorkspaces, ErrorInfo, ExplainRequest, QueryRequest, Stage, Summary, TimeRange, Workspaces,
};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::program::{ALL_OF_TIME, Vouch};

/// A running service; killed when a test fails before it stops it.
pub(crate) struct Service {
    process: Child,
    /// Its host and port for gRPC.
    pub(crate) address: String,
    /// Its host and port for HTTP.
    pub(crate) http_address: String,
    /// Where settings are changed, when it was started with `--admin`.
    pub(crate) admin_address: Option<String>,
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing is left to kill when it has stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// Serves the store of `vouch`.
    pub(crate) fn start(vouch: &Vouch) -> Self {
        Self::start_with(vouch, &[])
    }

    /// Serves the store of `vouch` with more arguments.
    pub(crate) fn start_with(vouch: &Vouch, arguments: &[&str]) -> Self {
        vouch.ensure_store();
        let addresses = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let command = vouch.command(&[&addresses, arguments].concat());
        Self::spawn(command, arguments.contains(&"--admin"))
    }

    /// Runs a command that serves.
    pub(crate) fn spawn(mut command: Command, has_admin: bool) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = |words: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(words).unwrap().to_owned()
        };
        Self {
            address: after("listening on "),
            http_address: after("listening for HTTP on "),
            admin_address: has_admin.then(|| after("listening for changes of settings on ")),
            process,
        }
    }

    /// A connection for gRPC.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A client with the limits that gRPC clients have by default.
    pub(crate) async fn client(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.channel().await)
    }

    /// Whether its process lives.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// The most memory that its process has had.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        1024 * kilobytes.unwrap().parse::<u64>().unwrap()
    }

    /// Tells it to stop.
    pub(crate) fn send_stop(&self) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

/// A question about all workspaces and every event of the sample.
pub(crate) fn question(query: &str) -> QueryRequest {
    QueryRequest {
        query: query.to_owned(),
        scope: Some(Scope::AllWorkspaces(AllWorkspaces {})),
        time_range: Some(TimeRange {
            from_ms: 1_790_812_800_000,
            to_ms: 1_795_219_200_000,
        }),
        ..QueryRequest::default()
    }
}

/// A question about one workspace.
pub(crate) fn of_workspace(id: &str, query: &str) -> QueryRequest {
    let workspaces = Workspaces {
        ids: vec![id.to_owned()],
    };
    QueryRequest {
        scope: Some(Scope::Workspaces(workspaces)),
        ..question(query)
    }
}

/// google.rpc.Status, as every gRPC library reads the details of a status.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// google.protobuf.Any.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The details of a status.
pub(crate) fn error_info(status: &Status) -> ErrorInfo {
    let details = RpcStatus::decode(status.details()).unwrap();
    assert_eq!(
        (details.code, details.message.as_str()),
        (status.code() as i32, status.message())
    );
    assert_eq!(
        details.details[0].type_url,
        "type.googleapis.com/vouch.v1.ErrorInfo"
    );
    ErrorInfo::decode(details.details[0].value.as_slice()).unwrap()
}

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
    let null = || Kind::NullValue(server::proto::Null {});
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
    mut items: tonic::Streaming<server::proto::QueryStreamResponse>,
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
