use std::collections::{HashMap, HashSet};

use object_store::path::Path;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const RULES: Rules = Rules {
    target_bytes: 128 * 1024 * 1024,
    settle_after: TimeDelta::hours(1),
};
const MIB: u64 = 1024 * 1024;

/// What a file takes without any event, and what each event adds.
const FILE_BYTES: u64 = 8 * 1024;

fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 1).unwrap() + chrono::Days::new(number)
}

fn time(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_795_219_200_000).unwrap() + TimeDelta::minutes(minutes)
}

fn file(day: NaiveDate, rows: u64, size_bytes: u64, modified: DateTime<Utc>) -> DataFile {
    let relative_path = paths::data_file_in_table(day, Uuid::new_v4());
    DataFile {
        path: Path::from(format!("workspace=w/{relative_path}")),
        relative_path,
        size_bytes,
        day,
        rows,
        date_range_ms: None,
        received_range_ms: None,
        constants: Box::default(),
        delivery: None,
        modified,
        digest: Some(blake3::hash(b"").into()),
        tail: None,
        decoded: None,
        tags: BTreeMap::new(),
        entry_digest: blake3::hash(b""),
    }
}

/// Files of one settled day with these numbers of events, each of a kilobyte.
fn settled(rows: &[u64]) -> Vec<DataFile> {
    let files = rows.iter();
    files
        .map(|rows| file(day(0), *rows, FILE_BYTES + rows * 1024, time(0)))
        .collect()
}

/// The numbers of events of the files of each job.
fn chosen(files: &[DataFile], minutes: i64) -> Vec<Vec<u64>> {
    let jobs = choose(files, time(minutes), RULES);
    jobs.iter()
        .map(|job| job.files.iter().map(|file| file.rows).collect())
        .collect()
}

#[test]
fn a_settled_day_becomes_one_file() {
    let files = settled(&[40, 3, 100, 3, 70]);
    assert_eq!(chosen(&files, 60), [[3, 3, 40, 70, 100]]);
    assert_eq!(chosen(&settled(&[40]), 60), [[0; 0]; 0]);
}

#[test]
fn a_few_late_events_do_not_move_many() {
    assert_eq!(chosen(&settled(&[1000, 1]), 60), [[0; 0]; 0]);
    assert_eq!(chosen(&settled(&[1000, 1, 1, 1]), 60), [[1, 1, 1]]);
    assert_eq!(chosen(&settled(&[1000, 24]), 60), [[24, 1000]]);
}

#[test]
fn a_day_that_gets_files_waits_for_more_of_them() {
    assert_eq!(chosen(&settled(&[5; 7]), 59), [[5; 7]]);
    assert_eq!(chosen(&settled(&[1; 7]), 59), [[0; 0]; 0]);
    assert_eq!(chosen(&settled(&[1; 8]), 59), [[1; 8]]);
    let mut grown = settled(&[1; 8]);
    grown.extend(settled(&[8; 7]));
    assert_eq!(chosen(&grown, 0)[0].len(), 15, "not twice in a row");
}

#[test]
fn files_of_about_the_right_size_are_left_alone() {
    let sized = |sizes: &[u64]| -> Vec<DataFile> {
        let files = sizes.iter();
        files
            .map(|size| file(day(0), 100_000, size * MIB, time(0)))
            .collect()
    };
    assert_eq!(chosen(&sized(&[64, 128, 150, 64]), 60).len(), 0);
    assert_eq!(chosen(&sized(&[64, 63, 2]), 60), [[100_000; 2]]);
    // Never more than half as much again as is wanted.
    let jobs = choose(&sized(&[60; 8]), time(60), RULES);
    let sizes: Vec<u64> = jobs.iter().map(|job| job.size_bytes() / MIB).collect();
    assert_eq!(sizes, [180, 180, 120]);
}

#[test]
fn files_of_others_and_of_other_tags_are_not_mixed_in() {
    let mut files = settled(&[5, 5, 5, 5, 5, 5]);
    files[0].digest = None;
    files[1].relative_path = "day=2026-11-01/part-00000.snappy.parquet".to_owned();
    files[2].relative_path = files[2].relative_path.replace("11-01", "11-02");
    assert_eq!(chosen(&files, 60), [[5; 3]]);
    files[3].tags = [("held".to_owned(), "yes".to_owned())].into();
    assert_eq!(chosen(&files, 60), [[5; 2]]);
}

/// A day as it goes through time; nothing but numbers.
#[derive(Debug, Default)]
struct Days {
    files: Vec<DataFile>,
    /// How often the events of a file were moved at most, by path.
    moved: HashMap<Path, u32>,
}

impl Days {
    fn add(&mut self, day: NaiveDate, rows: u64, row_bytes: u64, now: DateTime<Utc>) {
        let size_bytes = FILE_BYTES + rows * row_bytes;
        self.files.push(file(day, rows, size_bytes, now));
    }

    /// Does all jobs until none is left.
    fn compact(&mut self, now: DateTime<Utc>, row_bytes: u64) {
        for round in 0.. {
            assert!(round < 64, "it never ends");
            let jobs = choose(&self.files, now, RULES);
            if jobs.is_empty() {
                return;
            }
            let chosen: HashSet<&Path> = jobs
                .iter()
                .flat_map(|job| job.files.iter().map(|file| &file.path))
                .collect();
            let count: usize = jobs.iter().map(|job| job.files.len()).sum();
            assert_eq!(chosen.len(), count, "chosen twice");
            let before = self.files.len();
            self.files.retain(|file| !chosen.contains(&file.path));
            assert_eq!(self.files.len(), before - count);
            for job in &jobs {
                assert!(job.files.len() > 1);
                assert!(job.files.iter().all(|file| file.day == job.day));
                let files = job.files.iter();
                let moved = files.filter_map(|file| self.moved.remove(&file.path)).max();
                self.add(job.day, job.rows(), row_bytes, now);
                if let Some(output) = self.files.last() {
                    let moved = moved.unwrap_or_default() + 1;
                    self.moved.insert(output.path.clone(), moved);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn files_stay_few_and_events_are_seldom_moved(
        steps in vec((0_u64..3, 1_u64..60, prop_oneof![Just(1), 1_u64..50, 1_u64..200_000], 1_i64..90), 1..150),
        row_bytes in prop_oneof![Just(20_u64), Just(200), Just(5 * MIB)],
    ) {
        let mut days = Days::default();
        let mut minutes = 0;
        for (of, files, rows, pause) in steps {
            for _ in 0..files.min(1 + 400_000 / rows) {
                days.add(day(of), rows, row_bytes, time(minutes));
            }
            days.compact(time(minutes), row_bytes);
            minutes += pause;
        }
        let log = |rows: u64, base: u64| u64::from(rank(rows, base));
        for settled in [false, true] {
            if settled {
                days.compact(time(minutes + 60), row_bytes);
            }
            for of in 0..3 {
                let of_day = days.files.iter().filter(|file| file.day == day(of));
                let (full, small): (Vec<_>, Vec<_>) =
                    of_day.partition(|file| file.size_bytes >= RULES.target_bytes / 2);
                let bytes: u64 = small.iter().map(|file| file.size_bytes).sum();
                prop_assert!(bytes < RULES.target_bytes, "{bytes}");
                let largest = small.iter().map(|file| file.rows).max().unwrap_or(1);
                let base = if settled { SETTLED_BASE } else { BASE };
                let bound = (base - 1) * (log(largest, base) + 1);
                prop_assert!(small.len() as u64 <= bound, "{} {bound}", small.len());
                for file in full.iter().chain(&small) {
                    let moved = days.moved.get(&file.path).copied().unwrap_or_default();
                    prop_assert!(u64::from(moved) <= log(file.rows, 2) + 1, "{moved}");
                }
            }
        }
    }
}
