//! Listening, health, reflection, graceful shutdown.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::Engine;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tonic::server::NamedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::MAX_MESSAGE_BYTES;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::query_service_server::QueryServiceServer;
use crate::proto::workspace_service_server::WorkspaceServiceServer;
use crate::service::Service;
use crate::workspace;

/// Clients that vanished without a word are noticed after this time, and their queries end.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Where to listen, and how to stop.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address to listen on; port 0 takes any free one.
    pub address: SocketAddr,
    /// How long running queries may take to finish after the signal to stop.
    pub drain: Duration,
}

impl Default for ServerConfig {
    /// Port 50051 of this machine only, and 30 seconds to finish.
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051));
        Self {
            address,
            drain: Duration::from_secs(30),
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
    /// Queries still ran when the time to finish was over.
    #[error("queries still ran {} s after the signal to stop; they were abandoned", .0.as_secs())]
    Overdue(Duration),
}

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    incoming: TcpIncoming,
    address: SocketAddr,
    drain: Duration,
}

impl Server {
    /// Begins to listen. Clients may connect from now on; they wait until [`Server::serve`].
    ///
    /// # Errors
    /// [`ServerError::Listen`] when the address is taken or not ours.
    pub fn bind(config: &ServerConfig) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen {
            address: config.address,
            source,
        };
        let incoming = TcpIncoming::bind(config.address).map_err(failed)?;
        let address = incoming.local_addr().map_err(failed)?;
        let incoming = incoming.with_nodelay(Some(true));
        Ok(Self {
            incoming,
            address,
            drain: config.drain,
        })
    }

    /// The address it listens on, with the port that was found for port 0.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers questions with `engine` until `stop` is done and the running queries have finished.
    ///
    /// After `stop` no connection is accepted, the health service says NOT_SERVING to those that
    /// watch it, and running queries have the time of [`ServerConfig::drain`].
    ///
    /// # Errors
    /// [`ServerError::Overdue`] when that time was not enough; the other kinds when it cannot serve.
    pub async fn serve(
        self,
        engine: Engine,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let (health, router) = router(engine).await?;
        let (stopping, stopped) = oneshot::channel();
        let signal = async move {
            stop.await;
            tracing::info!("stopping; running queries may finish");
            refuse(&health).await;
            // Nobody waits for it when serving is already over.
            let _ = stopping.send(());
        };
        let overdue = async {
            match stopped.await {
                Ok(()) => tokio::time::sleep(self.drain).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            served = router.serve_with_incoming_shutdown(self.incoming, signal) => Ok(served?),
            () = overdue => Err(ServerError::Overdue(self.drain)),
        }
    }
}

type QueryServer = QueryServiceServer<Service>;
type WorkspaceServer = WorkspaceServiceServer<workspace::Service>;

/// The services whose health is told; the empty name stands for all together.
const NAMES: [&str; 3] = [
    "",
    <QueryServer as NamedService>::NAME,
    <WorkspaceServer as NamedService>::NAME,
];

async fn router(engine: Engine) -> Result<(HealthReporter, Router), ServerError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in NAMES {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let workspace_service = WorkspaceServer::new(workspace::Service::new(engine.store().clone()));
    let query_service = QueryServer::new(Service::new(engine))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(query_service)
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
