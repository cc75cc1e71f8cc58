#![doc = include_str!("../README.md")]

mod answers;
mod arguments;
mod command;
mod failure;
mod mapping;
mod output;
mod workspaces;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// Planning a query recurses with the depth of its text, and deepest in debug builds.
const STACK_BYTES: usize = 8 << 20;

/// Does what the command line of this process says, and gives its exit status.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut std::io::stderr());
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::Engine(format!("cannot start: {error}")))?;
    // A task of the runtime, since the stack of the main thread is not ours to choose.
    let task = runtime.spawn(command::run(arguments));
    runtime
        .block_on(task)
        .map_err(|error| Failure::Engine(format!("a defect: {error}")))?
}
