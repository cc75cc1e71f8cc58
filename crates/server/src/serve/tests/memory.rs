//! What requests and answers of all services take of the memory for them.

use api::convert::request_to_message;
use api::proto;
use api::proto::ingest_service_client::IngestServiceClient;
use api::proto::query_service_client::QueryServiceClient;
use futures::{Stream, stream};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::*;
use api::status::error_info;

const USED: &str = "vouch_question_budget_used_bytes";
const LONG: Duration = Duration::from_secs(60);

impl Running {
    /// The value of a metric.
    async fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics().await;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {name}: {metrics}"))
            .parse()
            .unwrap()
    }

    async fn wait_for(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let is_so = async {
            while !is_so(self.metric(name).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, is_so).await.unwrap();
    }
}

fn question(query: &str) -> proto::QueryRequest {
    request_to_message(&request(query))
}

/// `Query` as a call whose client sends these messages, and reads the answer when it likes.
async fn call(
    channel: Channel,
    messages: impl Stream<Item = proto::QueryRequest> + Send + 'static,
) -> Result<tonic::Streaming<proto::QueryResponse>, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/vouch.v1.QueryService/Query");
    let codec = ProstCodec::default();
    let answer = client
        .streaming(Request::new(messages), path, codec)
        .await?;
    Ok(answer.into_inner())
}

/// A question that is not all there counts for as long as it is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn questions_count_while_they_are_read() {
    let running = Running::start(DRAIN).await;
    let messages = stream::iter([question("TAE::audit:(*)")]).chain(stream::pending());
    let calling = tokio::spawn(call(running.channel().await, messages));
    running.wait_for(USED, |used| used > 0.0).await;
    calling.abort();
    running.wait_for(USED, |used| used == 0.0).await;
    running.stop().await.unwrap();
}

/// An answer counts until its client has read it.
#[tokio::test(flavor = "multi_thread")]
async fn answers_count_until_they_are_read() {
    let running = Running::start(DRAIN).await;
    let endpoint = Channel::from_shared(format!("http://{}", running.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535);
    let channel = endpoint.connect().await.unwrap();
    let large = question("TAE::large:(df_message)");
    let mut answer = call(channel, stream::iter([large])).await.unwrap();
    running.wait_for(USED, |used| used > 900_000.0).await;
    let message = answer.message().await.unwrap().unwrap();
    assert_eq!(message.content[0].summary.as_ref().unwrap().rows, 1);
    assert!(answer.message().await.unwrap().is_none());
    running.wait_for(USED, |used| used == 0.0).await;
    running.stop().await.unwrap();
}

/// Each service says in its own words how large messages may be, and those of writes are counted.
#[tokio::test(flavor = "multi_thread")]
async fn large_messages_are_refused_and_counted() {
    let running = Running::start(DRAIN).await;
    let channel = running.channel().await;
    let code = |status: Status| (status.code(), error_info(&status).map(|info| info.code));
    let too_large = (Code::InvalidArgument, Some("request_too_large".to_owned()));

    let long = question(&"x".repeat(2 << 20));
    let refused = QueryServiceClient::new(channel.clone()).query(long).await;
    assert_eq!(code(refused.unwrap_err()), too_large);

    let service = "x".repeat(100 << 10);
    let refused = HealthClient::new(channel.clone())
        .check(HealthCheckRequest { service })
        .await;
    assert_eq!(code(refused.unwrap_err()), too_large);

    let message = proto::WriteRequest {
        ndjson: vec![b'x'; 17 << 20].into(),
        ..Default::default()
    };
    let answers = IngestServiceClient::new(channel)
        .write_stream(stream::iter([message]))
        .await;
    let refused = answers.unwrap().into_inner().message().await;
    assert_eq!(code(refused.unwrap_err()), too_large);
    let metrics = running.metrics().await;
    let line = "vouch_writes_failed_total{door=\"grpc\",code=\"request_too_large\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    running.stop().await.unwrap();
}
