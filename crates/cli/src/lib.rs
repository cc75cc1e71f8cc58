#![doc = include_str!("../README.md")]

mod admin_backend;
mod arguments;
mod backend;
mod command;
mod failure;
mod mapping;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Cli;
use crate::failure::Failure;

/// Planning a query recurses with the depth of its text, and deepest in debug builds.
const STACK_BYTES: usize = 8 << 20;

/// Runs the command line of this process and returns its exit status.
pub fn main() -> ExitCode {
    let arguments = Cli::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut std::io::stderr());
            failure.exit_code()
        }
    }
}

fn run(arguments: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::Engine(format!("cannot start: {error}")))?;
    // A task of the runtime, because the program cannot choose the stack size of the main thread.
    let task = runtime.spawn(command::run(arguments));
    runtime
        .block_on(task)
        .map_err(|error| Failure::Engine(format!("a defect: {error}")))?
}
