//! Which process dies where, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::oracle::random::Random;

use super::failpoint::{Failpoint, Moment, Point, Write};

/// How the life of a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It dies at a failpoint by itself.
    At(Failpoint),
    /// It is killed after some time.
    Killed(Duration),
    /// It is stopped after some time, sleeps longer than every grace period, and is killed some time
    /// after it has gone on.
    Asleep {
        after: Duration,
        pause: Duration,
        then: Duration,
    },
}

/// What came of an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As planned.
    AsPlanned,
    /// The failpoint was not reached in time, and the process was killed there and then.
    NotReached,
}

/// The endings of all processes, decided by a seed.
#[derive(Debug)]
pub(super) struct Plan {
    random: Random,
    /// How many endings are still to come.
    left: usize,
    /// How many processes have died at each point; those that are to die count too.
    at: BTreeMap<Point, usize>,
    killed: usize,
    /// How often a process did not come to a point in time.
    not_reached: BTreeMap<Point, usize>,
    asleep: usize,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            left: 0,
            at: Point::all().into_iter().map(|point| (point, 0)).collect(),
            killed: 0,
            not_reached: BTreeMap::new(),
            asleep: 0,
        }
    }

    /// Plans `endings` more.
    pub(super) fn extend(&mut self, endings: usize) {
        self.left = endings;
    }

    /// The next ending of one of `nodes` on a store, whose clock may be wrong; `None` when it is enough.
    pub(super) fn next(&mut self, nodes: usize, is_clock_right: bool) -> Option<Ending> {
        self.left = self.left.checked_sub(1)?;
        let random = &mut self.random;
        Some(match random.below(10) {
            0 => Ending::Asleep {
                after: milliseconds(random, 20, 400),
                pause: milliseconds(random, 700, 1_500),
                then: milliseconds(random, 20, 400),
            },
            1 => Ending::Killed(milliseconds(random, 0, 1_200)),
            _ => {
                // Of some the rarest one, so that what is hard to reach does not hold up the others.
                let points = self.at.keys().copied();
                // What can be cleaned away is left where no other process lives.
                let points = points.filter(|point| nodes == 1 || !point.write.is_of_cleaning());
                // A node whose clock is wrong drops nothing.
                let points = points.filter(|point| is_clock_right || point.write != Write::Expiry);
                let points: Vec<Point> = points.collect();
                let some: [Point; 3] = std::array::from_fn(|_| random.choose(&points));
                let point = *some.iter().min_by_key(|point| self.at[point]).unwrap();
                *self.at.entry(point).or_default() += 1;
                let nth = 1 + random.below(most(point.write));
                Ending::At(Failpoint { point, nth })
            }
        })
    }

    /// Takes note of what came of an ending.
    pub(super) fn note(&mut self, ending: Ending, outcome: Outcome) {
        match (ending, outcome) {
            (Ending::At(_), Outcome::AsPlanned) => {}
            (Ending::At(failpoint), Outcome::NotReached) => {
                *self.at.entry(failpoint.point).or_default() -= 1;
                *self.not_reached.entry(failpoint.point).or_default() += 1;
            }
            (Ending::Killed(_), _) => self.killed += 1,
            (Ending::Asleep { .. }, _) => self.asleep += 1,
        }
    }

    /// How often processes have died at each point.
    pub(super) fn points(&self) -> &BTreeMap<Point, usize> {
        &self.at
    }

    /// How many processes have died.
    pub(super) fn kills(&self) -> usize {
        let at_points: usize = self.at.values().sum();
        at_points + self.killed + self.not_reached.values().sum::<usize>() + self.asleep
    }

    /// What was done, as a table.
    pub(super) fn table(&self) -> String {
        let mut text = String::from("| killed | times | not in time |\n|---|---|---|\n");
        for (point, times) in &self.at {
            let missed = self.not_reached.get(point).copied().unwrap_or_default();
            writeln!(text, "| {point} | {times} | {missed} |").unwrap();
        }
        for (what, times) in [
            ("at a random moment", self.killed),
            ("after a sleep longer than every grace period", self.asleep),
            (
                "at a random moment, as the failpoint was not reached in time",
                self.not_reached.values().sum(),
            ),
            ("together", self.kills()),
        ] {
            writeln!(text, "| {what} | {times} | |").unwrap();
        }
        text
    }
}

/// Up to how often a write may have happened when the process dies at it.
fn most(write: Write) -> usize {
    match write {
        Write::Segment => 8,
        Write::DataFile | Write::Commit => 5,
        Write::LaterCommit | Write::SegmentDeletion => 3,
        Write::Checkpoint | Write::DataFileDeletion => 2,
        Write::TableCreation | Write::Compaction | Write::Expiry | Write::CleaningStart => 1,
    }
}

fn milliseconds(random: &mut Random, from: u64, to: u64) -> Duration {
    let more = random.below(usize::try_from(to - from).unwrap());
    Duration::from_millis(from + more as u64)
}

#[test]
fn a_plan_visits_every_point_about_equally_often() {
    let mut plan = Plan::new(1);
    plan.extend(600);
    while let Some(ending) = plan.next(1, true) {
        plan.note(ending, Outcome::AsPlanned);
    }
    assert_eq!(plan.kills(), 600);
    let least = plan.points().values().min().unwrap();
    let most = plan.points().values().max().unwrap();
    assert!(*least >= 15 && most - least <= 6, "{}", plan.table());
    let before = Point {
        moment: Moment::Before,
        write: Write::Segment,
    };
    let text = Failpoint {
        point: before,
        nth: 3,
    };
    assert_eq!(text.to_string().parse(), Ok(text));
}
