//! The program `vouch`; all of it is in the library, so that tests can build it too.

use std::process::ExitCode;

/// Questions allocate much and briefly, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
