//! The gRPC ports: their services, health, and limits of connections.

use std::convert::Infallible;
use std::time::Duration;

use api::MAX_MESSAGE_BYTES;
use api::proto::FILE_DESCRIPTOR_SET;
use api::proto::ingest_service_server::IngestServiceServer;
use api::proto::otlp::logs_service_server::LogsServiceServer;
use api::proto::query_service_server::QueryServiceServer;
use api::proto::workspace_service_server::WorkspaceServiceServer;
use futures::{Stream, stream};
use service::write::{Budget, Door};
use service::{Access, Budgets, READINESS_INTERVAL, Readiness, Workspaces};
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};
use tonic_health::server::HealthReporter;

use super::ServerError;
use crate::MAX_QUESTION_BYTES;
use crate::admin::AdminListener;
use crate::connections::{Connection, ConnectionLimits, Counts, Listener, Port};
use crate::ingest::admission::{BudgetLayer, Intake};
use crate::ingest::{otlp, service as ingest_service};
use crate::query::Service;
use crate::workspaces;

/// Clients that disappeared are noticed after this time plus [`KEEPALIVE_TIMEOUT`], and their queries end.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// The most concurrent calls on one connection; a client delays further ones.
const CONCURRENT_STREAMS: u32 = 100;
/// A live client answers the pings, so bytes arrive within this time.
const IDLE: Duration = Duration::from_mins(1);

/// The limit of messages for services with small requests: names, and reasons that people write.
const SMALL_MESSAGE_BYTES: usize = 64 << 10;

/// The port for everything but changes of settings.
pub(super) const PORT: Port = Port {
    name: "grpc",
    idle: Some(IDLE),
    refusal: b"",
};

const ADMIN_PORT: Port = Port {
    name: "admin",
    ..PORT
};

type QueryServer = QueryServiceServer<Service>;
type IngestServer = IngestServiceServer<ingest_service::Service>;
type LogsServer = LogsServiceServer<otlp::grpc::Service>;
type WorkspaceServer = WorkspaceServiceServer<workspaces::Service>;

/// The services whose health is reported. The empty name is that of the whole server.
const NAMES: [&str; 5] = [
    "",
    <QueryServer as NamedService>::NAME,
    <IngestServer as NamedService>::NAME,
    <LogsServer as NamedService>::NAME,
    <WorkspaceServer as NamedService>::NAME,
];

/// The state of the health service.
#[derive(Debug)]
pub(super) struct Health {
    reporter: HealthReporter,
    readiness: Readiness,
}

impl Health {
    /// The health of a service. It is ready until an operation fails.
    pub(super) async fn new(readiness: Readiness) -> Self {
        let reporter = HealthReporter::new();
        let health = Self {
            reporter,
            readiness,
        };
        health.tell(ServingStatus::Serving).await;
        health
    }

    fn service(&self) -> HealthServer<impl HealthService> {
        HealthServer::new(tonic_health::server::HealthService::from_health_reporter(
            self.reporter.clone(),
        ))
    }

    async fn tell(&self, status: ServingStatus) {
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Reports readiness until `stopped` is done; never ends.
    pub(super) async fn watch(&self, stopped: impl Future<Output = ()>) {
        let watching = async {
            let mut was_ready = true;
            loop {
                self.readiness.probe_if_idle().await;
                let ready = self.readiness.check();
                // Watchers receive changes only.
                match &ready {
                    Ok(()) if !was_ready => {
                        tracing::info!("ready again");
                        self.tell(ServingStatus::Serving).await;
                    }
                    Err(not_ready) if was_ready => {
                        tracing::error!(%not_ready, "not ready");
                        self.tell(ServingStatus::NotServing).await;
                    }
                    _ => {}
                }
                was_ready = ready.is_ok();
                tokio::time::sleep(READINESS_INTERVAL).await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => {}
            () = watching => {}
        }
        std::future::pending().await
    }

    /// Notifies the watchers of the health service and ends their streams. A watch never ends by itself, so it would
    /// keep its connection open for the whole time to finish.
    pub(super) async fn refuse(&self) {
        self.tell(ServingStatus::NotServing).await;
        let mut reporter = self.reporter.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
    }
}

/// The services of the public port.
pub(super) fn router(
    service: &service::Service,
    health: &Health,
    stopping: watch::Receiver<bool>,
) -> Result<Router, ServerError> {
    let (writer, questions) = (service.writer(), &service.budgets().queries);
    // `BudgetLayer` checks the size of messages, decompresses them, and reports the limit. The codec announces the
    // compressions that clients may use.
    let limit = with_slack(writer.limits().decompressed_bytes);
    let query_service = QueryServer::new(Service::new(service.queries().clone()))
        .max_decoding_message_size(with_slack(MAX_QUESTION_BYTES))
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let ingest_service = IngestServer::new(ingest_service::Service::new(writer.clone(), stopping))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(limit);
    let logs_service = LogsServer::new(otlp::grpc::Service::new(writer.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(limit);
    let workspace_service =
        WorkspaceServer::new(workspaces::Service::new(service.workspaces(Access::Read)));
    let writes = |door| Intake::of_writes(writer, door);
    Ok(builder()
        .add_service(small(health.service(), questions))
        .add_service(small(reflection().build_v1()?, questions))
        .add_service(small(reflection().build_v1alpha()?, questions))
        .add_service(asked(query_service, questions, MAX_QUESTION_BYTES))
        .add_service(BudgetLayer::new(ingest_service, writes(Door::Grpc)))
        .add_service(BudgetLayer::new(logs_service, writes(Door::OtlpGrpc)))
        .add_service(small(workspace_service, questions)))
}

/// The service, with the limit for small messages.
fn small<S: NamedService>(service: S, budget: &Budget) -> BudgetLayer<S> {
    asked(service, budget, SMALL_MESSAGE_BYTES)
}

/// The service, which stores no events, with messages up to `bytes`.
fn asked<S: NamedService>(service: S, budget: &Budget, bytes: usize) -> BudgetLayer<S> {
    let intake = Intake::of_questions(budget.clone(), S::NAME, bytes);
    BudgetLayer::new(service, intake)
}

/// A limit of the codec that no message reaches.
fn with_slack(bytes: usize) -> usize {
    bytes.saturating_add(1 << 20)
}

fn builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(CONCURRENT_STREAMS)
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Serves the connections of `listener` until `stopped` is done and the running calls have finished.
pub(super) async fn serve(
    router: Router,
    listener: Listener,
    stopped: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let incoming = Box::pin(connections(listener));
    let served = router.serve_with_incoming_shutdown(incoming, stopped);
    served.await.map_err(ServerError::Transport)
}

/// Serves the port for changes of settings in the same way.
pub(super) async fn serve_admin(
    workspaces: Workspaces,
    listener: AdminListener,
    limits: ConnectionLimits,
    budgets: Budgets,
    stopped: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let service = WorkspaceServer::new(workspaces::Service::new(workspaces));
    let router = builder()
        .add_service(small(reflection().build_v1()?, &budgets.queries))
        .add_service(small(service, &budgets.queries));
    match listener {
        AdminListener::Tcp(listener) => {
            let listener = Listener::new(listener, ADMIN_PORT, Counts::new(limits), budgets);
            serve(router, listener, stopped).await
        }
        AdminListener::Unix(mut socket) => {
            let Some(incoming) = socket.incoming() else {
                return Ok(());
            };
            let served = router.serve_with_incoming_shutdown(incoming, stopped);
            served.await.map_err(ServerError::Transport)
        }
    }
}

fn connections(listener: Listener) -> impl Stream<Item = Result<Connection, Infallible>> {
    stream::unfold(listener, async |listener| {
        let connection = listener.accept().await;
        Some((Ok(connection), listener))
    })
}
