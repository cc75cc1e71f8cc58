//! One file a subcommand.

mod backup;
mod check;
mod compact;
mod demo;
mod explain;
mod generate;
mod hold;
mod import;
mod init;
mod query;
mod repair;
mod restore;
mod retention;
mod serve;
mod stats;
mod upgrade;
mod verify;

use std::io::{self, Read};

use crate::arguments::{Cli, Command};
use crate::failure::Failure;

/// Does what the command line says.
pub(crate) async fn run(arguments: Cli) -> Result<(), Failure> {
    match arguments.command {
        Command::Demo => demo::run().await,
        Command::Init(arguments) => init::run(arguments).await,
        Command::Import(arguments) => import::run(arguments).await,
        Command::Query(arguments) => query::run(arguments).await,
        Command::Check { query } => check::run(&query_text(query)?),
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Stats(arguments) => stats::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::Retention(command) => retention::run(command).await,
        Command::Hold(command) => hold::run(command).await,
        Command::Repair(command) => repair::run(command).await,
        Command::Backup(arguments) => backup::run(arguments).await,
        Command::Restore(arguments) => restore::run(arguments).await,
        Command::Compact(arguments) => compact::run(arguments).await,
        Command::Upgrade(arguments) => upgrade::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Generate(arguments) => generate::run(&arguments),
    }
}

/// The DQL text of an argument; `-` is standard input.
fn query_text(argument: String) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut text = String::new();
    let read = io::stdin().read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("cannot read the query: {error}")))?;
    Ok(text)
}
