//! Which files a retention run is about.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use events::settings::{Hold, Settings};

use crate::delta::snapshot::DataFile;

/// What becomes of a file whose day is older than the retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileDecision {
    /// No hold covers any of its events.
    Drop,
    /// These holds cover all of its events.
    Keep(Vec<Arc<Hold>>),
    /// These holds may cover some of its events: it must be read.
    Read(Vec<Arc<Hold>>),
    /// Another software has written it under a name that cannot be repeated with certainty.
    Foreign,
}

/// The files that are older than the retention.
#[derive(Debug)]
pub(super) struct RetentionPlan<'a> {
    /// The first day that the retention keeps.
    pub(super) kept_from: NaiveDate,
    /// The files of earlier days, by day.
    pub(super) files: Vec<(&'a Arc<DataFile>, FileDecision)>,
}

/// Chooses among the files of a table by what is set for it at `now`. Reads nothing.
pub(super) fn choose<'a>(
    files: impl IntoIterator<Item = &'a Arc<DataFile>>,
    settings: &Settings,
    now: DateTime<Utc>,
) -> RetentionPlan<'a> {
    let kept_from = settings.retention_in_force().kept_from(now);
    let holds: Vec<Arc<Hold>> = settings.holds.iter().cloned().map(Arc::new).collect();
    let older = files.into_iter();
    let older = older.filter(|file| file.day < kept_from);
    RetentionPlan {
        kept_from,
        files: older.map(|file| (file, decision(file, &holds))).collect(),
    }
}

/// The day of a file decides, not the dates in the log: they may be those of another writer.
fn decision(file: &DataFile, holds: &[Arc<Hold>]) -> FileDecision {
    if !has_plain_path(file) {
        return FileDecision::Foreign;
    }
    let those = |test: &dyn Fn(&Hold) -> bool| -> Vec<Arc<Hold>> {
        holds.iter().filter(|hold| test(hold)).cloned().collect()
    };
    let of_all = those(&|hold| hold.events.holds_all_of(file.day));
    if !of_all.is_empty() {
        return FileDecision::Keep(of_all);
    }
    let of_some = those(&|hold| hold.events.may_hold(file.day));
    if of_some.is_empty() {
        FileDecision::Drop
    } else {
        FileDecision::Read(of_some)
    }
}

/// Whether the log can name the file in one way only: other characters may be percent-encoded or not,
/// and a removal that spells the path otherwise removes nothing.
pub(crate) fn has_plain_path(file: &DataFile) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=/".contains(&byte);
    file.relative_path.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use events::TimeRange;
    use events::settings::HeldEvents;
    use object_store::path::Path;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + Days::new(number)
    }

    fn file(day: NaiveDate, name: &str) -> Arc<DataFile> {
        Arc::new(DataFile {
            path: Path::from(name),
            relative_path: name.to_owned(),
            size_bytes: 1,
            day,
            rows: 1,
            date_range_ms: None,
            received_range_ms: None,
            constants: Box::default(),
            delivery: None,
            modified: DateTime::UNIX_EPOCH,
            digest: None,
            tail: None,
            decoded: None,
            tags: std::collections::BTreeMap::new(),
            entry_digest: blake3::hash(name.as_bytes()),
        })
    }

    fn hold(number: usize, range: TimeRange, user: Option<&str>) -> Hold {
        Hold {
            name: number.to_string(),
            reason: "r".to_owned(),
            placed_by: "p".to_owned(),
            placed_at: DateTime::UNIX_EPOCH,
            events: HeldEvents {
                range,
                user: user.map(str::to_owned),
            },
        }
    }

    #[test]
    fn a_file_of_other_software_stays_when_its_name_is_unclear() {
        let files = [
            file(day(0), "day=2020-01-01/a b.parquet"),
            file(day(0), "a-0_.parquet"),
        ];
        let settings = Settings::default();
        let now = TimeRange::of_day(day(4000)).from_ms;
        let plan = choose(
            &files,
            &settings,
            DateTime::from_timestamp_millis(now).unwrap(),
        );
        let decisions: Vec<&FileDecision> =
            plan.files.iter().map(|(_, decision)| decision).collect();
        assert_eq!(decisions, [&FileDecision::Foreign, &FileDecision::Drop]);
    }

    proptest! {
        /// Against a look at every hour of every day.
        #[test]
        fn files_are_chosen_as_their_hours_say(
            days in vec(0_u64..60, 0..20),
            retention in prop_oneof![Just("30d"), Just("45d"), Just("2y")],
            holds in vec((0_i64..60 * 24, 0_i64..100, option::of(Just("zoë"))), 0..4),
            now_hour in 30_i64 * 24..120 * 24,
        ) {
            let start_ms = TimeRange::of_day(day(0)).from_ms;
            let now = DateTime::from_timestamp_millis(start_ms + now_hour * HOUR_MS).unwrap();
            let holds: Vec<Hold> = holds
                .iter()
                .enumerate()
                .map(|(number, (from, length, user))| {
                    let from_ms = start_ms + from * HOUR_MS;
                    let range = TimeRange::new(from_ms, from_ms + length * HOUR_MS).unwrap();
                    hold(number, range, *user)
                })
                .collect();
            let settings = Settings {
                retention: Some(retention.parse().unwrap()),
                holds: holds.clone(),
                ..Settings::default()
            };
            let files: Vec<Arc<DataFile>> = days.iter().map(|number| file(day(*number), "f")).collect();
            let plan = choose(&files, &settings, now);
            let length = chrono::Duration::days(match retention {
                "30d" => 30,
                "45d" => 45,
                _ => 731,
            });
            let mut chosen = plan.files.iter();
            for file in &files {
                let range = TimeRange::of_day(file.day);
                let last = DateTime::from_timestamp_millis(range.to_ms - 1).unwrap();
                if now - last <= length {
                    continue;
                }
                let (found, decision) = chosen.next().unwrap();
                prop_assert_eq!(*found, file);
                let hours = || (0..24).map(|hour| range.from_ms + hour * HOUR_MS);
                let touches =
                    |hold: &&Hold| hours().any(|hour| hold.events.range.contains(hour));
                let covers = |hold: &&Hold| {
                    hold.events.user.is_none()
                        && hours().all(|hour| hold.events.range.contains(hour))
                };
                let names = |test: &dyn Fn(&&Hold) -> bool| -> Vec<String> {
                    holds.iter().filter(test).map(|hold| hold.name.clone()).collect()
                };
                let expected = match (names(&covers), names(&touches)) {
                    (covering, _) if !covering.is_empty() => ("keep", covering),
                    (_, touching) if !touching.is_empty() => ("read", touching),
                    _ => ("drop", vec![]),
                };
                let named = |holds: &[Arc<Hold>]| -> Vec<String> {
                    holds.iter().map(|hold| hold.name.clone()).collect()
                };
                let found = match decision {
                    FileDecision::Drop => ("drop", vec![]),
                    FileDecision::Keep(holds) => ("keep", named(holds)),
                    FileDecision::Read(holds) => ("read", named(holds)),
                    FileDecision::Foreign => ("foreign", vec![]),
                };
                prop_assert_eq!(found, expected);
            }
            prop_assert!(chosen.next().is_none());
        }
    }
}
