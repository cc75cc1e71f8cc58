//! The program `vouch`. Everything is in the library, so tests can build it as well.

use std::process::ExitCode;

/// Queries allocate much memory for a short time, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
