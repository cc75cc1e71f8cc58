//! The program `vouch`, built beside the tests that run it.

use std::process::ExitCode;

/// The allocator of the program, or its memory would be another one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
