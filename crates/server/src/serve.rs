//! Listening, health, reflection, graceful shutdown.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::Engine;
use store::{Ingest, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::ingest::admission::Admission;
use crate::ingest::{IngestConfig, Writer, http, otlp, service};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::ingest_service_server::IngestServiceServer;
use crate::proto::otlp::logs_service_server::LogsServiceServer;
use crate::proto::query_service_server::QueryServiceServer;
use crate::proto::workspace_service_server::WorkspaceServiceServer;
use crate::questions::{QuestionLimits, QuestionRuntime, Questions};
use crate::service::Service;
use crate::{MAX_MESSAGE_BYTES, MAX_QUESTION_BYTES, workspace};

/// Clients that vanished without a word are noticed after this time, and their queries end.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Where to listen, and how to stop.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address to listen on for gRPC; port 0 takes any free one.
    pub grpc: SocketAddr,
    /// The same for HTTP.
    pub http: SocketAddr,
    /// How long running requests may take to finish after the signal to stop.
    pub drain: Duration,
    /// How events are taken in.
    pub ingest: IngestConfig,
    /// How much questions may take.
    pub questions: QuestionLimits,
}

impl Default for ServerConfig {
    /// Ports 50051 and 8080 of this machine only, and 30 seconds to finish.
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            grpc: local(50_051),
            http: local(8_080),
            drain: Duration::from_secs(30),
            ingest: IngestConfig::default(),
            questions: QuestionLimits::default(),
        }
    }
}

/// Why a service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The interface cannot be described for reflection: a defect of the build.
    #[error("the service cannot describe its interface: {0}; report this as a fault of vouch")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Serving failed.
    #[error("the service failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The threads of questions cannot be started.
    #[error("cannot start the threads that answer questions: {0}; allow the process more threads")]
    Threads(io::Error),
    /// HTTP failed.
    #[error("the HTTP service failed: {0}")]
    Http(io::Error),
    /// Requests still ran when the time to finish was over.
    #[error("requests still ran {} s after the signal to stop; they were abandoned", .0.as_secs())]
    Overdue(Duration),
}

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    grpc: TcpIncoming,
    grpc_address: SocketAddr,
    http: TcpListener,
    http_address: SocketAddr,
    drain: Duration,
    ingest: IngestConfig,
    questions: QuestionLimits,
}

impl Server {
    /// Begins to listen. Clients may connect from now on; they wait until [`Server::serve`].
    ///
    /// # Errors
    /// [`ServerError::Listen`] when an address is taken or not ours.
    pub fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        let failed = |address| move |source| ServerError::Listen { address, source };
        let grpc = TcpIncoming::bind(config.grpc).map_err(failed(config.grpc))?;
        let http = listen(config.http).map_err(failed(config.http))?;
        Ok(Self {
            grpc_address: grpc.local_addr().map_err(failed(config.grpc))?,
            grpc: grpc.with_nodelay(Some(true)),
            http_address: http.local_addr().map_err(failed(config.http))?,
            http,
            drain: config.drain,
            ingest: config.ingest,
            questions: config.questions,
        })
    }

    /// The address it listens on for gRPC, with the port that was found for port 0.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// The same for HTTP.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Answers questions with `engine` and gives events to `ingest`, until `stop` is done and the
    /// running requests have finished. The ingest is not closed.
    ///
    /// After `stop` no connection is accepted, the health service says NOT_SERVING to those that
    /// watch it, and running requests have the time of [`ServerConfig::drain`].
    ///
    /// # Errors
    /// [`ServerError::Overdue`] when that time was not enough; the other kinds when it cannot serve.
    pub async fn serve(
        self,
        engine: Engine,
        ingest: Ingest,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let writer = Writer::new(ingest, self.ingest);
        let (stopping, stopped) = watch::channel(false);
        let runtime = QuestionRuntime::new(self.questions).map_err(ServerError::Threads)?;
        let service = Service::new(engine.clone(), Questions::new(&runtime, self.questions));
        let (health, router) = router(
            service,
            engine.store().clone(),
            writer.clone(),
            stopped.clone(),
        )
        .await?;
        let signal = async {
            stop.await;
            tracing::info!("stopping; running requests may finish");
            refuse(&health).await;
            stopping.send_replace(true);
            std::future::pending().await
        };
        let overdue = async {
            until(stopped.clone()).await;
            tokio::time::sleep(self.drain).await;
        };
        let grpc = router.serve_with_incoming_shutdown(self.grpc, until(stopped.clone()));
        let grpc = async { grpc.await.map_err(ServerError::Transport) };
        let http = axum::serve(self.http, http::router(writer))
            .with_graceful_shutdown(until(stopped.clone()));
        let http = async { http.await.map_err(ServerError::Http) };
        tokio::select! {
            served = async { tokio::try_join!(grpc, http) } => served.map(|_| ()),
            () = signal => Ok(()),
            () = overdue => Err(ServerError::Overdue(self.drain)),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Waits for the signal to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as the service does.
    let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
}

type QueryServer = QueryServiceServer<Service>;
type IngestServer = IngestServiceServer<service::Service>;
type LogsServer = LogsServiceServer<otlp::grpc::Service>;
type WorkspaceServer = WorkspaceServiceServer<workspace::Service>;

/// The services whose health is told; the empty name stands for all together.
const NAMES: [&str; 5] = [
    "",
    <QueryServer as NamedService>::NAME,
    <IngestServer as NamedService>::NAME,
    <LogsServer as NamedService>::NAME,
    <WorkspaceServer as NamedService>::NAME,
];

async fn router(
    service: Service,
    store: Store,
    writer: Writer,
    stopping: watch::Receiver<bool>,
) -> Result<(HealthReporter, Router), ServerError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in NAMES {
        let serving = ServingStatus::Serving;
        health.set_service_status(name, serving).await;
    }
    let workspace_service = WorkspaceServer::new(workspace::Service::new(store));
    let query_service = QueryServer::new(service)
        .max_decoding_message_size(MAX_QUESTION_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    // The service measures the events of a message itself, and says what the limit is.
    let limit = writer.limits().decompressed_bytes;
    let message_bytes = limit.saturating_add(1 << 20);
    let ingest_service = IngestServer::new(service::Service::new(writer.clone(), stopping))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(message_bytes);
    let budget = writer.budget().clone();
    let ingest_service = Admission::new(ingest_service, budget.clone(), limit);
    let logs_service = LogsServer::new(otlp::grpc::Service::new(writer))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(message_bytes);
    let logs_service = Admission::new(logs_service, budget, limit);
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(query_service)
        .add_service(ingest_service)
        .add_service(logs_service)
        .add_service(workspace_service);
    Ok((health, router))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Tells those that watch the health, then lets go of them: a watch never ends by itself, so it
/// would keep its connection open for the whole time to finish.
async fn refuse(health: &HealthReporter) {
    for name in NAMES {
        health
            .set_service_status(name, ServingStatus::NotServing)
            .await;
    }
    let mut health = health.clone();
    for name in NAMES {
        health.clear_service_status(name).await;
    }
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM.
///
/// # Errors
/// When the system does not let the process listen for them.
pub async fn stop_signal() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
