use api::{QueryOptions, QueryRequest, Scope, Stage, StreamItem};
use client::{Client, ClientError};
use engine::EngineConfig;
use events::{Defaults, Event, TimeRange};
use futures::StreamExt;
use serde_json::json;
use store::{ImportOptions, IngestOptions, Store, StoreOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Health;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::*;

const DATE_MS: i64 = 1_795_186_800_000;

struct Running {
    address: SocketAddr,
    http_address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    async fn start(drain: Duration) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = ServerConfig {
            grpc: address,
            http: address,
            drain,
            ..ServerConfig::default()
        };
        let server = Server::bind(config).unwrap();
        let (address, http_address) = (server.grpc_address(), server.http_address());
        let store = store().await;
        let ingest = store.ingest(IngestOptions::default());
        let engine = Engine::new(store, EngineConfig::default()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or_default() };
        let served = tokio::spawn(server.serve(engine, ingest, stopped));
        Self {
            address,
            http_address,
            stop,
            served,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address.to_string()).await.unwrap()
    }

    async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// The answer to an HTTP request with these lines after the first one and `Host`.
    async fn http(&self, request: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.http_address).await.unwrap();
        let host = self.http_address;
        let request =
            format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn metrics(&self) -> String {
        self.http("GET /metrics", "").await
    }

    async fn stop(self) -> Result<(), ServerError> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }
}

/// A store with three small events of one workspace, and a large one of another source.
async fn store() -> Store {
    let store = Store::open("memory:///", &StoreOptions::default()).unwrap();
    let mut import = store.import(ImportOptions::default());
    for (number, name) in ["李雷", "Zoë", "Zoë"].into_iter().enumerate() {
        let record = json!({
            "date": DATE_MS + number as i64,
            "df_workspace": "acme",
            "df_event_id": format!("event-{number}"),
            "df_user_name": name,
        });
        let serde_json::Value::Object(record) = record else {
            unreachable!()
        };
        let event = Event::from_json_identified_by_content(record, &Defaults::default()).unwrap();
        import.push(event).await.unwrap();
    }
    let large = json!({
        "date": DATE_MS,
        "df_workspace": "acme",
        "df_event_id": "large",
        "df_source": "large",
        "df_message": "x".repeat(1 << 20),
    });
    let serde_json::Value::Object(large) = large else {
        unreachable!()
    };
    let large = Event::from_json_identified_by_content(large, &Defaults::default()).unwrap();
    import.push(large).await.unwrap();
    import.finish().await.unwrap();
    store
}

fn request(query: &str) -> QueryRequest {
    let time_range = Some(TimeRange::new(DATE_MS, DATE_MS + 10).unwrap());
    QueryRequest {
        query: query.to_owned(),
        scope: Scope::Workspaces(vec!["acme".parse().unwrap()]),
        options: QueryOptions {
            time_range,
            ..QueryOptions::default()
        },
    }
}

const DRAIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_service_answers_as_the_engine_does() {
    let running = Running::start(DRAIN).await;
    let client = running.client().await;
    let request = request("TAE::audit:(count(*) AS n) BY df_user_name SORDER BY n DESC");
    let answers = client.query(&request).await.unwrap();

    let engine = Engine::new(store().await, EngineConfig::default()).unwrap();
    let expected = engine.query(&request).await.unwrap();
    assert_eq!(answers[0].series, expected[0].series);
    assert_eq!(answers[0].summary.rows, 2);
    assert_eq!(answers[0].summary.window, expected[0].summary.window);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_summary() {
    let running = Running::start(DRAIN).await;
    let client = running.client().await;
    let request = request("TAE::audit:(df_event_id, df_user_name)");
    let items = client.query_stream(&request).await.unwrap();
    let items: Vec<StreamItem> = items.map(Result::unwrap).collect().await;
    let Some(StreamItem::Schema(schema)) = items.first() else {
        panic!("{items:?}")
    };
    let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["time", "df_event_id", "df_user_name"]);
    let rows = |item: &StreamItem| match item {
        StreamItem::Batch(batch) => batch.num_rows(),
        StreamItem::Schema(_) | StreamItem::End(_) => 0,
    };
    assert_eq!(items.iter().map(rows).sum::<usize>(), 3);
    let Some(StreamItem::End(summary)) = items.last() else {
        panic!("{items:?}")
    };
    assert_eq!(summary.rows, 3);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_comes_back_with_its_place() {
    let running = Running::start(DRAIN).await;
    let client = running.client().await;
    let wrong = request("TAE::audit:(cuont(*))");
    let refusals = [
        client.query(&wrong).await.unwrap_err(),
        client.explain(&wrong, Stage::Bound).await.unwrap_err(),
        client
            .query_stream(&wrong)
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .unwrap_err(),
    ];
    for refusal in refusals {
        let ClientError::Refused(refusal) = refusal else {
            panic!("{refusal:?}")
        };
        assert_eq!(refusal.code, dql::Code::UnknownFunction.into());
        assert_eq!(refusal.fault, dql::Fault::Question);
        assert_eq!(refusal.diagnostics[0].span.unwrap().start, 12);
    }

    let scope = Scope::Workspaces(vec!["acne".parse().unwrap()]);
    let unknown = QueryRequest {
        scope,
        ..request("TAE::audit:(*)")
    };
    let ClientError::Refused(refusal) = client.query(&unknown).await.unwrap_err() else {
        panic!("not refused")
    };
    assert_eq!(refusal.code, dql::Code::UnknownWorkspace.into());
    assert!(refusal.message.contains("`acme`"), "{}", refusal.message);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_the_files_it_would_read() {
    let running = Running::start(DRAIN).await;
    let client = running.client().await;
    let request = request("TAE::audit:(*)");
    let explanation = client.explain(&request, Stage::Physical).await.unwrap();
    assert_eq!(explanation.files, Some(1));
    assert!(explanation.bytes > Some(0));
    let analyzed = client.explain(&request, Stage::Analyze).await.unwrap();
    assert_eq!(analyzed.files, Some(1));
    assert!(
        analyzed.text.contains("metrics=[output_rows="),
        "{}",
        analyzed.text
    );
    let tree = client.explain(&request, Stage::Ast).await.unwrap();
    assert_eq!(tree.files, None);
    assert!(!tree.text.is_empty());
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_watch_the_health_see_the_end() {
    let running = Running::start(DRAIN).await;
    let mut health = HealthClient::new(running.channel().await);
    let request = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", "vouch.v1.QueryService"] {
        let response = health.check(request(service)).await.unwrap().into_inner();
        assert_eq!(response.status(), Health::Serving);
    }
    let watched = health
        .watch(request("vouch.v1.QueryService"))
        .await
        .unwrap()
        .into_inner();
    let mut watched = watched.map(|response| response.unwrap().status());
    assert_eq!(watched.next().await, Some(Health::Serving));
    let address = running.address;
    running.stop().await.unwrap();
    assert_eq!(watched.next().await, Some(Health::NotServing));
    assert_eq!(watched.next().await, None);
    let gone = Client::connect(&address.to_string()).await.unwrap_err();
    assert!(matches!(gone, ClientError::Unreachable { .. }), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_describes_itself() {
    let running = Running::start(DRAIN).await;
    let mut reflection = ServerReflectionClient::new(running.channel().await);
    let question = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let questions = futures::stream::iter([question]);
    let answers = reflection
        .server_reflection_info(questions)
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers
        .map(|answer| answer.unwrap().message_response)
        .collect()
        .await;
    let [Some(MessageResponse::ListServicesResponse(found))] = &answers[..] else {
        panic!("{answers:?}")
    };
    let names: Vec<&str> = found
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(names.contains(&"vouch.v1.QueryService"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_too_long_is_abandoned() {
    let drain = Duration::from_millis(1);
    let running = Running::start(drain).await;
    let mut reflection = ServerReflectionClient::new(running.channel().await);
    // A call that lasts as long as its client keeps asking.
    let call = reflection
        .server_reflection_info(futures::stream::pending())
        .await
        .unwrap();
    let stopped = running.stop().await;
    assert!(
        matches!(stopped, Err(ServerError::Overdue(time)) if time == drain),
        "{stopped:?}"
    );
    drop(call);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = ServerConfig {
        grpc: address,
        http: address,
        ..ServerConfig::default()
    };
    let first = Server::bind(config.clone()).unwrap();
    let taken = [
        ServerConfig {
            grpc: first.grpc_address(),
            ..config.clone()
        },
        ServerConfig {
            http: first.http_address(),
            ..config
        },
    ];
    for (config, address) in taken
        .into_iter()
        .zip([first.grpc_address(), first.http_address()])
    {
        let second = Server::bind(config).unwrap_err();
        assert!(
            second.to_string().contains(&address.to_string()),
            "{second}"
        );
    }
}

/// What no door reads is counted all the same: collectors drop such requests for good.
#[tokio::test(flavor = "multi_thread")]
async fn http_refusals_are_counted() {
    let running = Running::start(DRAIN).await;
    for (request, headers, status, counted) in [
        (
            "POST /v1/logs",
            "Content-Type: text/plain\r\nContent-Length: 0\r\n",
            415,
            "door=\"otlp_http\",code=\"unsupported_media_type\"",
        ),
        (
            "POST /v1/logs",
            "Origin: https://example.org\r\nContent-Length: 0\r\n",
            403,
            "door=\"otlp_http\",code=\"foreign_origin\"",
        ),
        (
            "POST /v1/events",
            "Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n",
            403,
            "door=\"http\",code=\"foreign_origin\"",
        ),
        (
            "PUT /v1/events",
            "Content-Length: 0\r\n",
            405,
            "door=\"http\",code=\"method_not_allowed\"",
        ),
    ] {
        let answer = running.http(request, headers).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let metrics = running.metrics().await;
        let line = format!("vouch_writes_failed_total{{{counted}}} 1\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    running.stop().await.unwrap();
}

mod memory;
