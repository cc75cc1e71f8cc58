//! Sample events: what one would see in the audit log of three workspaces in two weeks.
//!
//! | module | holds |
//! |---|---|
//! | `people` | workspaces, people and places |
//! | `activity` | the kinds of event, and how often each happens |
//! | `story` | the incidents that an analyst should find |
//! | `record` | one event as JSON |
//! | `random` | chance, the same on every machine |

mod activity;
mod people;
mod random;
mod record;
mod story;

use std::collections::VecDeque;
use std::io::{self, Write};

use activity::ACTIVITIES;
use random::Random;
use record::{Occurrence, Record};

const HOUR_MS: i64 = 3_600_000;
const DAYS: i64 = 14;

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
            hours: hours(settings.to_ms, ordinary),
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

/// Spreads `events` over the hours before `to_ms` as people work: most on weekdays by day.
fn hours(to_ms: i64, events: u64) -> VecDeque<(i64, u64)> {
    let starts: Vec<i64> = (1..=DAYS * 24)
        .rev()
        .map(|back| to_ms - back * HOUR_MS)
        .collect();
    let total: u64 = starts.iter().map(|start| rhythm(*start)).sum();
    let mut passed = 0;
    let mut given = 0;
    starts
        .into_iter()
        .map(|start_ms| {
            passed += rhythm(start_ms);
            // Rounded on the running sum, so that the shares add up to `events` exactly.
            let until = u128::from(events) * u128::from(passed) / u128::from(total);
            let until = u64::try_from(until).unwrap_or(events);
            let share = until - given;
            given = until;
            (start_ms, share)
        })
        .collect()
}

/// How busy the hour is that begins at `start_ms`, in UTC.
fn rhythm(start_ms: i64) -> u64 {
    let hour = start_ms.div_euclid(HOUR_MS).rem_euclid(24);
    // The first of January 1970 was a Thursday.
    let weekday = (start_ms.div_euclid(24 * HOUR_MS) + 3).rem_euclid(7);
    let busy = match hour {
        8..=11 | 13..=16 => 24,
        12 | 17 => 15,
        6 | 7 | 18..=20 => 8,
        _ => 2,
    };
    if weekday >= 5 { busy / 8 + 1 } else { busy }
}

#[cfg(test)]
mod tests;
