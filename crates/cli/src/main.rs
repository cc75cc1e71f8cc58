//! The program `vouch`; all of it is in the library, so that tests can build it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
