//! `vouch generate`.

use std::io::{self, BufWriter};

use crate::arguments::{GenerateArguments, Profile};
use crate::failure::Failure;
use crate::generate::{self, Load, Settings};

/// Sizes of a load where none are given.
const WORKSPACES: u32 = 20;
const DAYS: u32 = 62;

/// The output is collected to so many bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes made-up events.
pub(crate) fn run(arguments: &GenerateArguments) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
    match arguments.profile {
        Profile::Sample if arguments.workspaces.or(arguments.days).is_some() => {
            let text = "a sample has three workspaces and 14 days; use --workspaces and --days with --profile load";
            return Err(Failure::Usage(text.to_owned()));
        }
        Profile::Sample => {
            let settings = Settings {
                seed: arguments.seed,
                events: arguments.events,
                to_ms: arguments.to,
            };
            generate::write(settings, &mut out)?;
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
