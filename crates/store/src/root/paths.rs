//! Every object path of a store is built and parsed here.
//!
//! ```text
//! vouch-store.json, vouch-backup.json, vouch-restore.json
//! workspace=<id>/_delta_log/00000000000000000000.json
//! workspace=<id>/day=2026-11-21/<uuid>.parquet
//! segments/<milliseconds>-<node>-<sequence>
//! parked/<milliseconds>-<random>-<sequence>
//! set-aside/<milliseconds>-<node>-<sequence>
//! probe
//! heads/<node>
//! ```

use chrono::NaiveDate;
use events::WorkspaceId;
use object_store::path::{Path, PathPart};
use uuid::Uuid;

use crate::root::segment_key::SegmentKey;

/// The partition columns of every table. `workspace` is the same in a whole table, but Polars
/// refuses files below a directory `key=value` whose key is not a column of the table.
pub(crate) const PARTITION_COLUMNS: [&str; 2] = [WORKSPACE_COLUMN, DAY_COLUMN];

/// The partition column that holds the workspace.
pub(crate) const WORKSPACE_COLUMN: &str = "workspace";

/// The partition column that holds the UTC date of an event's `date`.
pub(crate) const DAY_COLUMN: &str = "day";

const SEGMENTS_DIRECTORY: &str = "segments";
const PARKED_DIRECTORY: &str = "parked";
const SET_ASIDE_DIRECTORY: &str = "set-aside";
const HEADS_DIRECTORY: &str = "heads";
const PROBE: &str = "probe";
/// The file name of the marker; on a local disk the marker is looked for by it.
pub(crate) const MARKER: &str = "vouch-store.json";
/// The same of a root that holds backups.
pub(crate) const BACKUP_MARKER: &str = "vouch-backup.json";
/// The same of a root into which a backup is being restored.
pub(crate) const RESTORE_MARKER: &str = "vouch-restore.json";
/// On a local disk nothing is written below a root that has none of them.
pub(crate) const MARKERS: [&str; 3] = [MARKER, BACKUP_MARKER, RESTORE_MARKER];
const WORKSPACE_PREFIX: &str = "workspace=";
const LOG_DIRECTORY: &str = "_delta_log";
/// The name of the object of a log that leads readers to its newest checkpoint.
pub(crate) const HINT: &str = "_last_checkpoint";
const VERSION_DIGITS: usize = 20;
const CHECKPOINT_SUFFIX: &str = ".checkpoint.parquet";

/// Where the table of `workspace` lies.
pub(crate) fn table(workspace: &WorkspaceId) -> Path {
    Path::from(format!("{WORKSPACE_PREFIX}{workspace}"))
}

/// The object that says which store it is.
pub(crate) fn marker() -> Path {
    Path::from(MARKER)
}

/// The object that says whose backups a root holds.
pub(crate) fn backup_marker() -> Path {
    Path::from(BACKUP_MARKER)
}

/// The object that says which backup is being restored into a root.
pub(crate) fn restore_marker() -> Path {
    Path::from(RESTORE_MARKER)
}

/// Whether a directory of the root is one that only a store has.
pub(crate) fn is_data(directory: &Path) -> bool {
    let directories = [SEGMENTS_DIRECTORY, PARKED_DIRECTORY, SET_ASIDE_DIRECTORY];
    let is_named = |name: &str| directory.as_ref() == name;
    directories.into_iter().any(is_named) || workspace_of_table(directory).is_some()
}

/// The object that is written to find out whether writing works.
pub(crate) fn probe() -> Path {
    Path::from(PROBE)
}

/// An object by which a process that starts finds out what the object store can do.
pub(crate) fn start_probe() -> Path {
    Path::from(format!("{PROBE}-{}", Uuid::new_v4()))
}

/// Whether an object is one of these.
pub(crate) fn is_start_probe(path: &Path) -> bool {
    let name = path.as_ref().strip_prefix(PROBE);
    let id = name.and_then(|name| name.strip_prefix('-'));
    id.is_some_and(|id| id.parse::<Uuid>().is_ok())
}

/// Where nodes say what they know of the store.
pub(crate) fn heads() -> Path {
    Path::from(HEADS_DIRECTORY)
}

/// What the node of this name says.
pub(crate) fn head(node: Uuid) -> Path {
    heads().join(node.simple().to_string())
}

/// Where damaged objects are moved.
pub(crate) fn set_aside_directory() -> Path {
    Path::from(SET_ASIDE_DIRECTORY)
}

/// Where an object of a table, or a head, is moved by a repair at a time in Unix milliseconds.
pub(crate) fn set_aside_of_table(repaired_ms: i64, path: &Path) -> Path {
    let directory = set_aside_directory().join(repaired_ms.to_string());
    let parts = path.parts();
    parts.fold(directory, |aside, part| aside.join(part))
}

/// The directories of all segments, in the order in which events move: from the first to the second, never
/// back. A listing in this order misses none.
pub(crate) fn segments() -> [Path; 2] {
    [SEGMENTS_DIRECTORY, PARKED_DIRECTORY].map(Path::from)
}

/// Where the segment of this key lies.
pub(crate) fn segment(key: &SegmentKey) -> Path {
    let [segments, parked] = segments();
    let directory = if key.is_parked() { parked } else { segments };
    directory.join(key.to_string())
}

/// Where the damaged segment of this key is moved.
pub(crate) fn set_aside(key: &SegmentKey) -> Path {
    all_set_aside().join(key.to_string())
}

/// The directory of everything that was moved out of the way.
pub(crate) fn all_set_aside() -> Path {
    Path::from(SET_ASIDE_DIRECTORY)
}

/// The key of the segment at `path`; `None` for other objects.
pub(crate) fn segment_key(path: &Path) -> Option<SegmentKey> {
    let key = path.filename()?.parse().ok()?;
    (segment(&key) == *path).then_some(key)
}

/// The workspace of the table at `path`; `None` when this is not the path of a table.
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

/// The checkpoint that sums up the log of `workspace` up to `version`.
pub(crate) fn checkpoint(workspace: &WorkspaceId, version: u64) -> Path {
    log(workspace).join(format!("{version:020}{CHECKPOINT_SUFFIX}"))
}

/// The object that leads readers of the table of `workspace` to its newest checkpoint.
pub(crate) fn last_checkpoint(workspace: &WorkspaceId) -> Path {
    log(workspace).join(HINT)
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

/// Whether a log object is a checkpoint that is complete by itself, as opposed to a part of one.
pub(crate) fn is_checkpoint(path: &Path) -> bool {
    version_of(path).is_some()
        && path.filename().is_some_and(|name| {
            name.len() == VERSION_DIGITS + CHECKPOINT_SUFFIX.len()
                && name.ends_with(CHECKPOINT_SUFFIX)
        })
}

/// Whether an object is in the folder of a day, as data files are.
pub(crate) fn is_of_day(path: &Path) -> bool {
    let is_day = |part: &str| {
        let rest = part.strip_prefix(DAY_COLUMN);
        rest.is_some_and(|rest| rest.starts_with('='))
    };
    path.parts().any(|part| is_day(part.as_ref()))
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

/// The day of the data file at the path `relative_path` inside its table, if it has a name as
/// [`data_file_in_table`] returns it; `None` for any other object.
pub(crate) fn day_of_data_file(relative_path: &str) -> Option<NaiveDate> {
    let (directory, name) = relative_path.split_once('/')?;
    let day = parse_day(directory.strip_prefix(DAY_COLUMN)?.strip_prefix('=')?)?;
    let name = name.strip_suffix(".parquet")?.parse().ok()?;
    (data_file_in_table(day, name) == relative_path).then_some(day)
}

/// The path inside the table of `workspace` of an object below it; `None` for other objects.
pub(crate) fn relative_path(workspace: &WorkspaceId, path: &Path) -> Option<String> {
    let parts: Vec<String> = path
        .prefix_match(&table(workspace))?
        .map(|part| part.as_ref().to_owned())
        .collect();
    Some(parts.join("/"))
}

/// The path under the root of a file that the log of the table of `workspace` names.
pub(crate) fn data_file(workspace: &WorkspaceId, relative_path: &str) -> Path {
    let mut path = table(workspace);
    for part in relative_path.split('/').filter(|part| !part.is_empty()) {
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
        assert!(is_checkpoint(&entry(&format!(
            "{version}.checkpoint.parquet"
        ))));
        let part = "checkpoint.0000000001.0000000002.parquet";
        assert!(!is_checkpoint(&entry(&format!("{version}.{part}"))));
        assert!(!is_checkpoint(&entry(&format!("{version}.json"))));
    }

    #[test]
    fn data_files_are_known_by_their_names() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let ours = data_file_in_table(day, Uuid::new_v4());
        assert_eq!(day_of_data_file(&ours), Some(day));
        let path = data_file(&workspace(), &ours);
        assert_eq!(relative_path(&workspace(), &path), Some(ours.clone()));
        assert_eq!(relative_path(&"other".parse().unwrap(), &path), None);
        for other in [
            ours.to_uppercase(),
            ours.replace("day=", ""),
            format!("workspace=w/{ours}"),
            ours.replace(".parquet", ".parquet.crc"),
            "day=2026-11-21/part-00000-c000.snappy.parquet".to_owned(),
            "day=2026-11-21/a%20b.parquet".to_owned(),
            "notes.txt".to_owned(),
        ] {
            assert_eq!(day_of_data_file(&other), None, "{other}");
        }
    }

    #[test]
    fn a_listing_after_the_offset_includes_the_version() {
        for version in [0, 1, 10] {
            let offset = before_version(&workspace(), version);
            assert!(offset < commit(&workspace(), version));
        }
    }
}
