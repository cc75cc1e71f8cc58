//! A load: as many events as wanted, quickly, with the shape of a large installation's audit log.
//!
//! | module | holds |
//! |---|---|
//! | `kind` | the kinds of event, and how often each happens |
//! | `people` | workspaces and people |
//! | `event` | one event as a line of JSON |
//! | `words` | names, and the words of messages |

mod event;
mod kind;
mod people;
mod words;

use std::io::{self, Write};

use super::random::Random;
use super::rhythm;
use event::Writer;

/// What decides a load; equal loads give equal events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// The seed of every choice.
    pub(crate) seed: u64,
    /// The number of events.
    pub(crate) events: u64,
    /// The number of workspaces; the *n*-th has *n* times fewer events than the first.
    pub(crate) workspaces: u32,
    /// The number of days that the events lie in.
    pub(crate) days: u32,
    /// Unix milliseconds of the end of these days.
    pub(crate) to_ms: i64,
}

impl Load {
    /// Writes the events as NDJSON, oldest first. An hour's dates are in memory at a time.
    pub(crate) fn write(self, out: &mut impl Write) -> io::Result<()> {
        let mut random = Random::new(self.seed);
        let mut writer = Writer::new(self.workspaces);
        for (start_ms, count) in rhythm::hours(self.to_ms, self.days, self.events) {
            let mut dates: Vec<i64> = (0..count)
                .map(|_| start_ms + random.below(rhythm::HOUR_MS as u64) as i64)
                .collect();
            dates.sort_unstable();
            for date_ms in dates {
                out.write_all(writer.line(date_ms, &mut random).as_bytes())?;
            }
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests;
