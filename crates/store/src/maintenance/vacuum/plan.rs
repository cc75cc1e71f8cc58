//! Chooses from listings what no reader and no writer needs. Nothing here reads or deletes anything.

use chrono::{DateTime, TimeDelta, Utc};
use events::WorkspaceId;
use object_store::ObjectMeta;

use crate::delta::table::TableAt;
use crate::maintenance::vacuum::RemovalReason;
use crate::root::paths;

/// How long a removed file stays: no query runs longer on a version that was the newest when it
/// began.
pub(crate) const REMOVED_AGE: TimeDelta = TimeDelta::hours(24);

/// How long a file stays that no version names: a day longer than writers commit one.
pub(crate) const UNNAMED_AGE: TimeDelta = TimeDelta::days(7);

/// How long an object stays by which a start tries the object store.
pub(crate) const START_PROBE_AGE: TimeDelta = TimeDelta::days(1);

/// How long an entry of the log stays.
const LOG_AGE: TimeDelta = TimeDelta::days(30);

/// An object that nothing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removable {
    pub(crate) object: ObjectMeta,
    pub(crate) reason: RemovalReason,
}

/// The version that was the newest at the time `at`; `None` before the first one that is known. `log` is sorted.
pub(crate) fn version_at(log: &[ObjectMeta], at: DateTime<Utc>) -> Option<u64> {
    log.iter()
        .filter(|object| paths::is_commit(&object.location))
        // One that looks older than another before it is from a clock that was behind.
        .take_while(|object| object.last_modified <= at)
        .filter_map(|object| paths::version_of(&object.location))
        .last()
}

/// Those of `unnamed`, which the newest version does not name, that nothing needs at the time `at`;
/// `past` is the version that was the newest [`REMOVED_AGE`] before. A file from before `created`, when the
/// table was made, belongs to a log that was lost, and stays.
pub(crate) fn removable_files(
    workspace: &WorkspaceId,
    unnamed: Vec<ObjectMeta>,
    past: &TableAt,
    created: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Vec<Removable> {
    unnamed
        .into_iter()
        .filter(|object| !past.files.contains(&object.location))
        .filter_map(|object| {
            let is_data_file = paths::relative_path(workspace, &object.location)
                .is_some_and(|relative_path| paths::day_of_data_file(&relative_path).is_some());
            let reason = if past.removed.contains(&object.location) {
                RemovalReason::Removed
            } else if is_data_file
                && object.last_modified < at - UNNAMED_AGE
                && object.last_modified >= created
            {
                RemovalReason::Unnamed
            } else {
                return None;
            };
            Some(Removable { object, reason })
        })
        .collect()
}

/// The newest checkpoint that sums up the log as it was [`LOG_AGE`] before `at`, or earlier.
pub(crate) fn old_checkpoint(log: &[ObjectMeta], at: DateTime<Utc>) -> Option<u64> {
    let version = version_at(log, at - LOG_AGE)?;
    log.iter()
        .filter(|object| paths::is_checkpoint(&object.location))
        .filter_map(|object| paths::version_of(&object.location))
        .filter(|checkpoint| *checkpoint <= version)
        .max()
}

/// The entries that the checkpoint of version `kept` makes needless at the time `at`, the oldest
/// first and without gaps.
pub(crate) fn old_entries(log: &[ObjectMeta], kept: u64, at: DateTime<Utc>) -> Vec<Removable> {
    let mut entries: Vec<&ObjectMeta> = log
        .iter()
        .filter(|object| {
            paths::is_commit(&object.location) || paths::is_checkpoint(&object.location)
        })
        .filter(|object| paths::version_of(&object.location) < Some(kept))
        .collect();
    entries.sort_unstable_by(|one, other| one.location.cmp(&other.location));
    entries
        .into_iter()
        .take_while(|object| object.last_modified <= at - LOG_AGE)
        .map(|object| Removable {
            object: object.clone(),
            reason: RemovalReason::LogEntry,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;
    use uuid::Uuid;

    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_795_219_200_000).unwrap() + TimeDelta::hours(hours)
    }

    fn object(path: impl Into<Path>, hours: i64) -> ObjectMeta {
        ObjectMeta {
            location: path.into(),
            last_modified: at(hours),
            size: 1,
            e_tag: None,
            version: None,
        }
    }

    fn workspace() -> WorkspaceId {
        "w".parse().unwrap()
    }

    fn commit(version: u64, hours: i64) -> ObjectMeta {
        object(paths::commit(&workspace(), version), hours)
    }

    fn checkpoint(version: u64, hours: i64) -> ObjectMeta {
        object(paths::checkpoint(&workspace(), version), hours)
    }

    #[test]
    fn the_version_of_a_time_is_the_last_one_before_it() {
        let log = [commit(3, 0), checkpoint(4, 5), commit(4, 5), commit(5, 9)];
        assert_eq!(version_at(&log, at(-1)), None);
        assert_eq!(version_at(&log, at(0)), Some(3));
        assert_eq!(version_at(&log, at(8)), Some(4));
        assert_eq!(version_at(&log, at(10)), Some(5));
        // The clock was behind at version 5, so it is no older than version 4.
        let log = [commit(3, 0), commit(4, 50), commit(5, 1), commit(6, 60)];
        assert_eq!(version_at(&log, at(49)), Some(3));
        assert_eq!(version_at(&log, at(50)), Some(5));
    }

    #[test]
    fn files_go_when_nobody_can_need_them() {
        let file = |hours| {
            let name = Uuid::new_v4();
            object(format!("workspace=w/day=2026-11-21/{name}.parquet"), hours)
        };
        let [read, removed, orphan, young] = [file(0), file(0), file(0), file(2)];
        // Older than the table: the log that named it got lost.
        let lost = file(-1);
        let unknown = object("workspace=w/day=2026-11-21/notes.txt", 0);
        let foreign = object("workspace=w/day=2026-11-21/part-0.snappy.parquet", 0);
        let past = TableAt {
            files: [read.location.clone()].into(),
            removed: [removed.location.clone(), foreign.location.clone()].into(),
        };
        let unnamed = [&read, &removed, &orphan, &young, &lost, &unknown, &foreign];
        let unnamed = unnamed.map(ObjectMeta::clone).to_vec();
        let found = removable_files(&workspace(), unnamed, &past, at(0), at(7 * 24 + 1));
        let expected = [
            (removed, RemovalReason::Removed),
            (orphan, RemovalReason::Unnamed),
            (foreign, RemovalReason::Removed),
        ];
        assert_eq!(
            found,
            expected.map(|(object, reason)| Removable { object, reason })
        );
    }

    #[test]
    fn the_log_is_cut_off_before_an_old_checkpoint() {
        let month = 30 * 24;
        let log: Vec<ObjectMeta> = (0..60)
            .map(|version| commit(version, 24 * i64::try_from(version).unwrap()))
            .chain([checkpoint(20, 24 * 20), checkpoint(40, 24 * 40)])
            .collect();
        let cut = |hours| {
            old_checkpoint(&log, at(hours)).map(|kept| {
                let entries = old_entries(&log, kept, at(hours));
                let versions = entries.iter();
                let versions =
                    versions.filter_map(|entry| paths::version_of(&entry.object.location));
                (kept, versions.collect::<Vec<u64>>())
            })
        };
        assert_eq!(cut(month + 24 * 19), None);
        assert_eq!(cut(month + 24 * 39), Some((20, (0..20).collect())));
        let expected: Vec<u64> = (0..=20).chain(20..40).collect();
        assert_eq!(cut(month + 24 * 40), Some((40, expected)));
    }

    #[test]
    fn an_entry_out_of_time_keeps_those_behind_it() {
        let log = [
            commit(0, 0),
            commit(1, 1000),
            commit(2, 0),
            checkpoint(3, 0),
            commit(3, 0),
        ];
        let entries = old_entries(&log, 3, at(900));
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].object, log[0]);
    }
}
