//! A load: any number of events, quickly, with the distributions of a large installation's audit log.
//!
//! | module | is |
//! |---|---|
//! | `kind` | the kinds of event and their frequencies |
//! | `people` | workspaces and people |
//! | `event` | one event as a line of JSON |
//! | `words` | names, and the words of messages |

mod event;
mod kind;
mod people;
mod words;

use std::io::{self, Write};

use crate::random::Random;
use crate::rhythm;
use event::Writer;

/// The parameters of a load. Equal parameters yield equal bytes.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The seed of every choice.
    pub seed: u64,
    /// The number of events.
    pub events: u64,
    /// The number of workspaces; the *n*-th has *n* times fewer events than the first.
    pub workspaces: u32,
    /// The number of days that the events span.
    pub days: u32,
    /// Unix milliseconds of the end of these days.
    pub to_ms: i64,
}

impl Load {
    /// Writes the events as NDJSON, oldest first. Only the dates of one hour are in memory at a time.
    pub fn write(self, out: &mut impl Write) -> io::Result<()> {
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
