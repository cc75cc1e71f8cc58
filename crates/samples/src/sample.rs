//! A sample: the audit log of three workspaces over two weeks, with incidents to find.
//!
//! | module | is |
//! |---|---|
//! | `people` | workspaces, people and addresses |
//! | `activity` | the kinds of event and their frequencies |
//! | `story` | the incidents that an analyst should find |
//! | `record` | one event as JSON |

mod activity;
mod people;
mod record;
mod story;

use std::collections::VecDeque;
use std::io::{self, Write};

use crate::random::Random;
use crate::rhythm::{self, HOUR_MS};
use activity::ACTIVITIES;
use record::{Occurrence, Record};

const DAYS: u32 = 14;

/// The parameters of a sample. Equal parameters yield equal bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The seed of every choice.
    pub seed: u64,
    /// The number of events.
    pub events: u64,
    /// Unix milliseconds of the end: the events are in the 14 days before it.
    pub to_ms: i64,
}

impl Sample {
    /// Writes the events as NDJSON, oldest first.
    pub fn write(self, out: &mut impl Write) -> io::Result<()> {
        for record in Generator::new(self) {
            serde_json::to_writer(&mut *out, &record)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

/// The events of a sample, oldest first. Only one hour of them is in memory at a time.
#[derive(Debug)]
struct Generator {
    random: Random,
    /// The start of each hour and its number of ordinary events, the oldest hour first.
    hours: VecDeque<(i64, u64)>,
    stories: VecDeque<Record>,
    ready: VecDeque<Record>,
}

impl Generator {
    /// The events of `sample`.
    fn new(sample: Sample) -> Self {
        let mut random = Random::new(sample.seed);
        let mut stories = VecDeque::from(story::stories(&mut random, sample.to_ms));
        // A small sample has only the newest events of the stories.
        let from_stories = usize::try_from(sample.events)
            .unwrap_or(usize::MAX)
            .min(stories.len());
        stories.drain(..stories.len() - from_stories);
        let ordinary = sample.events - from_stories as u64;
        Self {
            random,
            hours: rhythm::hours(sample.to_ms, DAYS, ordinary),
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

fn date_ms(record: &Record) -> i64 {
    record
        .get("date")
        .and_then(serde_json::Value::as_i64)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
