//! `vouch serve`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use events::MappingSource;
use server::{Server, ServerConfig};
use service::IngestConfig;
use store::{IngestOptions, MaintenanceOptions};
use tracing_subscriber::EnvFilter;

use crate::arguments::ServeArgs;
use crate::backend::{open_engine_with, open_store};
use crate::failure::Failure;
use crate::mapping;

/// The default log filter: warnings of libraries, and information of Vouch.
const LOGGED: &str = "warn,cli=info,server=info,engine=info,store=info";

/// Accepts events and answers queries until the process receives a signal to stop.
pub(crate) async fn run(arguments: ServeArgs) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    server::raise_descriptor_limit();
    let config = ServerConfig {
        grpc: arguments.grpc,
        http: arguments.http,
        admin: arguments.admin,
        allowed_hosts: arguments.allowed_host,
        connections: arguments.limits.connections(),
        ingest: IngestConfig {
            mappings: named(&arguments.mapping)?,
            otlp_mapping: arguments
                .otlp_mapping
                .as_deref()
                .map(mapping::find)
                .transpose()?,
            limits: arguments.limits.limits(),
            quotas: arguments.limits.quotas(),
        },
        queries: arguments.queries.limits(),
        ..ServerConfig::default()
    };
    let store = open_store(&arguments.store).await?;
    store.check_writable().await?;
    store.probe_object_store().await?;
    tracing::info!(store = %store.url(), "store");
    let ingest = store.ingest(IngestOptions::default());
    let maintenance = store.clone();
    let maintenance =
        tokio::spawn(async move { maintenance.maintain(MaintenanceOptions::default()).await });
    let (scrubbed, scrub) = (store.clone(), arguments.limits.scrub());
    let scrub = tokio::spawn(async move { scrubbed.scrub(scrub).await });
    let engine = open_engine_with(store, arguments.queries.engine())?;
    let server = Server::bind(config)?;
    server.warm_up().await;
    // A parent process that passed port 0 reads the address from this line.
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", server.grpc_address())?;
    writeln!(stdout, "listening for HTTP on {}", server.http_address())?;
    if let Some(address) = server.admin_address() {
        writeln!(stdout, "listening for changes of settings on {address}")?;
    }
    let stop = async {
        if let Err(error) = server::stop_signal().await {
            tracing::warn!(%error, "signals to stop cannot be heard; kill the process to stop it");
            std::future::pending::<()>().await;
        }
    };
    let served = server.serve(engine, ingest.clone(), stop).await;
    maintenance.abort();
    scrub.abort();
    let closed = ingest.close().await;
    served?;
    closed?;
    tracing::info!("stopped");
    Ok(())
}

/// The mappings in files, by the names of the files.
fn named(files: &[PathBuf]) -> Result<Vec<MappingSource>, Failure> {
    files.iter().map(|file| mapping::from_file(file)).collect()
}
