//! `vouch serve`.

use std::io::{self, IsTerminal, Write};

use server::{Server, ServerConfig};
use store::UpkeepOptions;
use tracing_subscriber::EnvFilter;

use crate::answers::{open_engine, open_store};
use crate::arguments::ServeArguments;
use crate::failure::Failure;

/// What is logged unless RUST_LOG says otherwise: libraries only when something is wrong.
const LOGGED: &str = "warn,cli=info,server=info,engine=info,store=info";

/// Answers questions until the process is told to stop.
pub(crate) async fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let store = open_store(&arguments.store)?;
    tracing::info!(store = %store.url(), "store");
    let upkeep = store.clone();
    let upkeep = tokio::spawn(async move { upkeep.upkeep(UpkeepOptions::default()).await });
    let engine = open_engine(store)?;
    let config = ServerConfig {
        address: arguments.grpc,
        ..ServerConfig::default()
    };
    let server = Server::bind(&config)?;
    // For a program that started this one with port 0.
    writeln!(io::stdout(), "listening on {}", server.local_address())?;
    let stop = async {
        if let Err(error) = server::stop_signal().await {
            tracing::warn!(%error, "signals to stop cannot be heard; kill the process to stop it");
            std::future::pending::<()>().await;
        }
    };
    let served = server.serve(engine, stop).await;
    upkeep.abort();
    served?;
    tracing::info!("stopped");
    Ok(())
}
