//! Every object path of a store is built and parsed here.
//!
//! ```text
//! workspace=<id>/_delta_log/00000000000000000000.json
//! workspace=<id>/day=2026-11-21/<uuid>.parquet
//! segments/<milliseconds>-<node>-<sequence>
//! ```

use chrono::NaiveDate;
use events::WorkspaceId;
use object_store::path::{Path, PathPart};
use uuid::Uuid;

use crate::segment::SegmentKey;

/// The partition columns of every table. `workspace` is the same in a whole table, but Polars
/// refuses files below a directory `key=value` whose key is not a column of the table.
pub(crate) const PARTITION_COLUMNS: [&str; 2] = [WORKSPACE_COLUMN, DAY_COLUMN];

/// The partition column that holds the workspace.
pub(crate) const WORKSPACE_COLUMN: &str = "workspace";

/// The partition column that holds the UTC date of an event's `date`.
pub(crate) const DAY_COLUMN: &str = "day";

const SEGMENTS_DIRECTORY: &str = "segments";
const WORKSPACE_PREFIX: &str = "workspace=";
const LOG_DIRECTORY: &str = "_delta_log";
const VERSION_DIGITS: usize = 20;

/// Where the table of `workspace` lies.
pub(crate) fn table(workspace: &WorkspaceId) -> Path {
    Path::from(format!("{WORKSPACE_PREFIX}{workspace}"))
}

/// The directory of all segments.
pub(crate) fn segments() -> Path {
    Path::from(SEGMENTS_DIRECTORY)
}

/// Where the segment of this key lies.
pub(crate) fn segment(key: &SegmentKey) -> Path {
    segments().join(key.to_string())
}

/// The key of the segment at `path`; `None` for other objects.
pub(crate) fn segment_key(path: &Path) -> Option<SegmentKey> {
    let key = path.filename()?.parse().ok()?;
    (segment(&key) == *path).then_some(key)
}

/// The workspace whose table lies at `path`; `None` when this is not the path of a table.
pub(crate) fn workspace_of_table(path: &Path) -> Option<WorkspaceId> {
    let mut parts = path.parts();
    let first = parts.next()?;
    let id = first.as_ref().strip_prefix(WORKSPACE_PREFIX)?.parse().ok();
    if parts.next().is_some() { None } else { id }
}

/// The directory that holds the log of the table of `workspace`.
pub(crate) fn log(workspace: &WorkspaceId) -> Path {
    table(workspace).join(LOG_DIRECTORY)
}

/// The log entry that makes `version` of the table of `workspace`.
pub(crate) fn commit(workspace: &WorkspaceId, version: u64) -> Path {
    log(workspace).join(format!("{version:020}.json"))
}

/// A path after which a listing of the log begins with everything that belongs to `version`.
pub(crate) fn before_version(workspace: &WorkspaceId, version: u64) -> Path {
    match version.checked_sub(1) {
        Some(previous) => commit(workspace, previous),
        None => log(workspace).join("0"),
    }
}

/// The table version that a log object belongs to; `None` for objects without a version.
pub(crate) fn version_of(path: &Path) -> Option<u64> {
    let name = path.filename()?;
    let (version, rest) = name.split_at_checked(VERSION_DIGITS)?;
    if rest.starts_with('.') && version.bytes().all(|byte| byte.is_ascii_digit()) {
        version.parse().ok()
    } else {
        None
    }
}

/// Whether a log object is a commit, as opposed to a checkpoint or a hint.
pub(crate) fn is_commit(path: &Path) -> bool {
    version_of(path).is_some()
        && path.filename().is_some_and(|name| {
            name.len() == VERSION_DIGITS + ".json".len() && name.ends_with(".json")
        })
}

/// A day in the form that Delta partition values have.
pub(crate) fn day_text(day: NaiveDate) -> String {
    day.format("%Y-%m-%d").to_string()
}

/// The day that a partition value names.
pub(crate) fn parse_day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

/// The path inside its table of a data file of `day` called `name`.
pub(crate) fn data_file_in_table(day: NaiveDate, name: Uuid) -> String {
    format!("{DAY_COLUMN}={}/{name}.parquet", day_text(day))
}

/// The path under the root of a file that the log of the table of `workspace` names.
pub(crate) fn data_file(workspace: &WorkspaceId, in_table: &str) -> Path {
    let mut path = table(workspace);
    for part in in_table.split('/').filter(|part| !part.is_empty()) {
        path = path.join(PathPart::from(part));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> WorkspaceId {
        "wksp_1".parse().unwrap()
    }

    #[test]
    fn paths_are_what_other_readers_expect() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let name = Uuid::nil();
        assert_eq!(table(&workspace()).as_ref(), "workspace=wksp_1");
        assert_eq!(log(&workspace()).as_ref(), "workspace=wksp_1/_delta_log");
        assert_eq!(
            commit(&workspace(), 7).as_ref(),
            "workspace=wksp_1/_delta_log/00000000000000000007.json"
        );
        assert_eq!(
            data_file_in_table(day, name),
            "day=2026-11-21/00000000-0000-0000-0000-000000000000.parquet"
        );
        assert_eq!(
            data_file(&workspace(), &data_file_in_table(day, name)).as_ref(),
            "workspace=wksp_1/day=2026-11-21/00000000-0000-0000-0000-000000000000.parquet"
        );
    }

    #[test]
    fn days_and_workspaces_are_read_back() {
        let day = NaiveDate::from_ymd_opt(987, 1, 2).unwrap();
        assert_eq!(day_text(day), "0987-01-02");
        assert_eq!(parse_day("0987-01-02"), Some(day));
        assert_eq!(parse_day("__HIVE_DEFAULT_PARTITION__"), None);
        assert_eq!(workspace_of_table(&table(&workspace())), Some(workspace()));
        assert_eq!(workspace_of_table(&log(&workspace())), None);
        assert_eq!(workspace_of_table(&Path::from("segments")), None);
        assert_eq!(workspace_of_table(&Path::from("workspace=a b")), None);
    }

    #[test]
    fn log_objects_are_told_apart() {
        let entry = |name: &str| log(&workspace()).join(name);
        let version = "00000000000000000012";
        assert_eq!(version_of(&entry(&format!("{version}.json"))), Some(12));
        assert_eq!(
            version_of(&entry(&format!("{version}.checkpoint.parquet"))),
            Some(12)
        );
        assert_eq!(version_of(&entry("_last_checkpoint")), None);
        assert_eq!(version_of(&entry("000000000000000000123.json")), None);
        assert!(is_commit(&entry(&format!("{version}.json"))));
        assert!(!is_commit(&entry(&format!("{version}.checkpoint.parquet"))));
        assert!(!is_commit(&entry(&format!("{version}.compacted.json"))));
    }

    #[test]
    fn a_listing_after_the_offset_includes_the_version() {
        for version in [0, 1, 10] {
            let offset = before_version(&workspace(), version);
            assert!(offset < commit(&workspace(), version));
        }
    }
}
