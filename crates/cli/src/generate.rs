//! Events that nobody did: a sample, which is what one would see in the audit log of three workspaces in
//! two weeks, and a load of any size, for measuring.
//!
//! | module | holds |
//! |---|---|
//! | `load` | the load |
//! | `people` | workspaces, people and places |
//! | `activity` | the kinds of event, and how often each happens |
//! | `story` | the incidents that an analyst should find |
//! | `record` | one event as JSON |
//! | `rhythm` | when things happen |
//! | `random` | chance, the same on every machine |

mod activity;
mod load;
mod people;
mod random;
mod record;
mod rhythm;
mod story;

use std::collections::VecDeque;
use std::io::{self, Write};

use activity::ACTIVITIES;
pub(crate) use load::Load;
use random::Random;
use record::{Occurrence, Record};
use rhythm::HOUR_MS;

const DAYS: u32 = 14;

/// What decides a sample; equal settings give equal events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// The seed of every choice.
    pub(crate) seed: u64,
    /// The number of events.
    pub(crate) events: u64,
    /// Unix milliseconds of the end: the events lie in the 14 days before it.
    pub(crate) to_ms: i64,
}

/// The events of a sample, oldest first; an hour of them is in memory at a time.
#[derive(Debug)]
pub(crate) struct Generator {
    random: Random,
    /// How many ordinary events each hour has, the oldest hour first.
    hours: VecDeque<(i64, u64)>,
    stories: VecDeque<Record>,
    ready: VecDeque<Record>,
}

impl Generator {
    /// The sample that `settings` decide.
    pub(crate) fn new(settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let mut stories = VecDeque::from(story::stories(&mut random, settings.to_ms));
        // A small sample has the newest part of the stories only.
        let told = usize::try_from(settings.events)
            .unwrap_or(usize::MAX)
            .min(stories.len());
        stories.drain(..stories.len() - told);
        let ordinary = settings.events - told as u64;
        Self {
            random,
            hours: rhythm::hours(settings.to_ms, DAYS, ordinary),
            stories,
            ready: VecDeque::new(),
        }
    }

    fn make_hour(&mut self, start_ms: i64, count: u64) {
        let mut dates: Vec<i64> = (0..count)
            .map(|_| start_ms + self.random.below(HOUR_MS as u64) as i64)
            .collect();
        dates.sort_unstable();
        let mut records: Vec<Record> = dates
            .into_iter()
            .map(|date_ms| {
                let activity = self
                    .random
                    .weighted(&ACTIVITIES, |activity| activity.weight);
                Occurrence::ordinary(&mut self.random, date_ms, activity).record(&mut self.random)
            })
            .collect();
        while self
            .stories
            .front()
            .is_some_and(|story| date_ms(story) < start_ms + HOUR_MS)
        {
            records.extend(self.stories.pop_front());
        }
        records.sort_by_key(date_ms);
        self.ready.extend(records);
    }
}

impl Iterator for Generator {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self.ready.is_empty() {
            let (start_ms, count) = self.hours.pop_front()?;
            self.make_hour(start_ms, count);
        }
        self.ready.pop_front()
    }
}

/// Writes the sample as NDJSON.
pub(crate) fn write(settings: Settings, out: &mut impl Write) -> io::Result<()> {
    for record in Generator::new(settings) {
        serde_json::to_writer(&mut *out, &record)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn date_ms(record: &Record) -> i64 {
    record
        .get("date")
        .and_then(serde_json::Value::as_i64)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
