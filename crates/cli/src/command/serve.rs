//! `vouch serve`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use events::MappingSource;
use server::{IngestConfig, Server, ServerConfig};
use store::{IngestOptions, MaintenanceOptions};
use tracing_subscriber::EnvFilter;

use crate::answers::{open_engine_with, open_store};
use crate::arguments::ServeArguments;
use crate::failure::Failure;
use crate::mapping;

/// What is logged unless RUST_LOG says otherwise: libraries only when something is wrong.
const LOGGED: &str = "warn,cli=info,server=info,engine=info,store=info";

/// Takes events in and answers questions until the process is told to stop.
pub(crate) async fn run(arguments: ServeArguments) -> Result<(), Failure> {
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
        questions: arguments.questions.limits(),
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
    let engine = open_engine_with(store, arguments.questions.engine())?;
    let server = Server::bind(config)?;
    server.warm_up().await;
    // For a program that started this one with port 0.
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

/// The mappings in files, under the names of the files.
fn named(files: &[PathBuf]) -> Result<Vec<MappingSource>, Failure> {
    files.iter().map(|file| mapping::of_file(file)).collect()
}
