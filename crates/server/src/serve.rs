//! Listening, health, reflection, graceful shutdown.

mod grpc;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::Engine;
use futures::FutureExt;
use service::{Access, IngestConfig, QueryLimits, QueryRuntime, Service};
use store::Ingest;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::admin::{AdminAddress, AdminListener};
use crate::connections::{ConnectionLimits, Counts, Listener};
use crate::metrics::Parts;
use crate::web::{self, Hosts};
use grpc::Health;

/// The configuration of a service.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address to listen on for gRPC; port 0 takes any free one.
    pub grpc: SocketAddr,
    /// The same for HTTP.
    pub http: SocketAddr,
    /// The address for changes of settings and holds; none by default.
    pub admin: Option<AdminAddress>,
    /// Host names, besides `localhost` and loopback addresses, that HTTP requests may use when the service listens on
    /// a loopback address.
    pub allowed_hosts: Vec<String>,
    /// The limits of connections.
    pub connections: ConnectionLimits,
    /// The time for running requests to finish after the signal to stop.
    pub drain: Duration,
    /// The configuration of ingest.
    pub ingest: IngestConfig,
    /// The limits of queries.
    pub queries: QueryLimits,
}

impl Default for ServerConfig {
    /// Loopback ports 50051 and 8080, and 30 seconds to finish.
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            grpc: local(50_051),
            http: local(8_080),
            admin: None,
            allowed_hosts: Vec::new(),
            connections: ConnectionLimits::default(),
            drain: Duration::from_secs(30),
            ingest: IngestConfig::default(),
            queries: QueryLimits::default(),
        }
    }
}

/// Why a service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The service cannot listen on the address.
    #[error("cannot listen on {address}: {source}; choose another address or stop what uses it")]
    Listen {
        /// The address.
        address: AdminAddress,
        /// The error of the system.
        source: io::Error,
    },
    /// The interface cannot be described for reflection: a defect of the build.
    #[error("the service cannot describe its interface: {0}; report this as a fault of vouch")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Serving failed.
    #[error("the service failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The threads of queries cannot be started.
    #[error("cannot start the threads that answer questions: {0}; allow the process more threads")]
    Threads(io::Error),
    /// Requests were still running when the time to finish was over.
    #[error("requests still ran {} s after the signal to stop; they were abandoned", .0.as_secs())]
    Overdue(Duration),
}

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    grpc: TcpListener,
    grpc_address: SocketAddr,
    http: TcpListener,
    http_address: SocketAddr,
    admin: Option<AdminListener>,
    admin_address: Option<AdminAddress>,
    config: ServerConfig,
    runtime: QueryRuntime,
}

impl Server {
    /// Starts to listen. Clients can connect from now on; they wait until [`Server::serve`].
    ///
    /// # Errors
    /// [`ServerError::Listen`] when an address is in use or not available, [`ServerError::Threads`] when the system
    /// has no threads left.
    pub fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        let failed = |address| move |source| ServerError::Listen { address, source };
        let tcp = |address| failed(AdminAddress::Tcp(address));
        let grpc = listen(config.grpc).map_err(tcp(config.grpc))?;
        let http = listen(config.http).map_err(tcp(config.http))?;
        let admin = config.admin.as_ref().map(|address| {
            let listener = AdminListener::bind(address);
            let bound = listener.and_then(|listener| Ok((listener.address()?, listener)));
            bound.map_err(failed(address.clone()))
        });
        let (admin_address, admin) = admin.transpose()?.unzip();
        Ok(Self {
            grpc_address: grpc.local_addr().map_err(tcp(config.grpc))?,
            grpc,
            http_address: http.local_addr().map_err(tcp(config.http))?,
            http,
            admin,
            admin_address,
            runtime: QueryRuntime::new(config.queries).map_err(ServerError::Threads)?,
            config,
        })
    }

    /// Runs a query over an empty store in memory, so that no client waits for one-time work of the process: the
    /// first allocations of threads, and the first plan of DataFusion.
    pub async fn warm_up(&self) {
        if let Err(error) = self.runtime.warm_up().await {
            tracing::warn!(%error, "the first question takes a little longer than it needs to");
        }
    }

    /// The address for gRPC, with the assigned port in place of port 0.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// The same for HTTP.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// The address for changes of settings and holds.
    pub fn admin_address(&self) -> Option<&AdminAddress> {
        self.admin_address.as_ref()
    }

    /// Answers queries with `engine` and passes events to `ingest`, until `stop` is done and the running requests
    /// have finished. The ingest is not closed.
    ///
    /// After `stop` no connection is accepted, the health service reports NOT_SERVING to watchers, and running
    /// requests have the time of [`ServerConfig::drain`].
    ///
    /// # Errors
    /// [`ServerError::Overdue`] when that time was not enough; other kinds when the service cannot run.
    pub async fn serve(
        self,
        engine: Engine,
        ingest: Ingest,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let ServerConfig {
            connections,
            allowed_hosts,
            drain,
            ingest: ingest_config,
            queries,
            ..
        } = self.config;
        let service = Service::new(engine, ingest, &self.runtime, queries, ingest_config);
        let limits = connections.within_descriptors();
        let budgets = service.budgets();
        let [grpc_counts, http_counts] = [(); 2].map(|()| Counts::new(limits));
        let parts = Parts {
            gauges: service.gauges().clone(),
            connections: vec![
                (grpc::PORT.name, grpc_counts.clone()),
                (web::PORT.name, http_counts.clone()),
            ],
        };
        let stopping = watch::Sender::new(false);
        let health = Health::new(service.readiness()).await;
        let stopped = || until(stopping.subscribe());
        let signal = async {
            stop.await;
            tracing::info!("stopping; running requests may finish");
            health.refuse().await;
            stopping.send_replace(true);
            std::future::pending().await
        };
        let overdue = async {
            stopped().await;
            tokio::time::sleep(drain).await;
        };
        let grpc_router = grpc::router(&service, &health, stopping.subscribe())?;
        let grpc_listener = Listener::new(self.grpc, grpc::PORT, grpc_counts, budgets.clone());
        let grpc = grpc::serve(grpc_router, grpc_listener, stopped());
        let hosts = Hosts::new(self.http_address.ip(), &allowed_hosts);
        let http_router = web::router(&service, parts, hosts);
        let http_listener = Listener::new(self.http, web::PORT, http_counts, budgets.clone());
        let http = web::serve(http_listener, http_router, stopping.subscribe()).map(Ok);
        let admin = async {
            match self.admin {
                Some(listener) => {
                    let workspaces = service.workspaces(Access::Change);
                    grpc::serve_admin(workspaces, listener, limits, budgets.clone(), stopped())
                        .await
                }
                None => Ok(()),
            }
        };
        tokio::select! {
            served = async { tokio::try_join!(grpc, http, admin) } => served.map(|_| ()),
            () = signal => Ok(()),
            () = health.watch(stopped()) => Ok(()),
            () = overdue => Err(ServerError::Overdue(drain)),
        }
    }
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Waits for the signal to stop.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as the service does.
    let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
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
