//! `vouch generate`.

use std::io::{self, BufWriter};

use samples::{Load, Sample};

use crate::arguments::{GenerateArgs, Profile};
use crate::failure::Failure;

/// The default sizes of a load.
const WORKSPACES: u32 = 20;
const DAYS: u32 = 62;

/// The size of the output buffer.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes made-up events.
pub(crate) fn run(arguments: &GenerateArgs) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
    match arguments.profile {
        Profile::Sample if arguments.workspaces.or(arguments.days).is_some() => {
            let text = "a sample has three workspaces and 14 days; use --workspaces and --days with --profile load";
            return Err(Failure::Usage(text.to_owned()));
        }
        Profile::Sample => {
            let sample = Sample {
                seed: arguments.seed,
                events: arguments.events,
                to_ms: arguments.to,
            };
            sample.write(&mut out)?;
        }
        Profile::Load => {
            let load = Load {
                seed: arguments.seed,
                events: arguments.events,
                workspaces: arguments.workspaces.unwrap_or(WORKSPACES),
                days: arguments.days.unwrap_or(DAYS),
                to_ms: arguments.to,
            };
            load.write(&mut out)?;
        }
    }
    Ok(())
}
