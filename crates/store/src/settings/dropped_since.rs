//! What retention runs have dropped since a version, read from the log.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};
use events::Delivery;
use events::settings::{HeldEvents, Hold};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;

use crate::delta::delivery;
use crate::delta::snapshot::Snapshot;
use crate::error::StoreError;
use crate::file::blocks;
use crate::file::decoded;
use crate::file::digest;
use crate::file::reader::FileRef;
use crate::root::location::Location;
use crate::root::paths;
use crate::settings::held_rows::rows_held;

/// Events that are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The first day that they are of.
    pub(crate) first_day: NaiveDate,
    /// The last day that they are of.
    pub(crate) last_day: NaiveDate,
    /// How many.
    pub(crate) events: u64,
}

/// The events among `held` that commits after the version `first` have dropped, up to `newest`.
///
/// The removed files are still there: they are read to find which of their events the hold covers.
pub(crate) async fn dropped_since(
    location: &Location,
    newest: &Snapshot,
    first: u64,
    held: &HeldEvents,
) -> Result<Option<Lost>, StoreError> {
    let hold = Arc::new(Hold {
        name: String::new(),
        reason: String::new(),
        placed_by: String::new(),
        placed_at: DateTime::UNIX_EPOCH,
        events: held.clone(),
    });
    let mut by_day: BTreeMap<NaiveDate, i128> = BTreeMap::new();
    for version in first + 1..=newest.version {
        for file in changed_files(location, newest, version).await? {
            if held.may_hold(file.day) {
                let rows = rows_held(location, &file.place, &hold).await?;
                *by_day.entry(file.day).or_default() += file.sign * i128::from(rows);
            }
        }
    }
    by_day.retain(|_, lost| *lost > 0);
    let days = by_day.first_key_value().zip(by_day.last_key_value());
    Ok(days.map(|((first_day, _), (last_day, _))| Lost {
        first_day: *first_day,
        last_day: *last_day,
        events: u64::try_from(by_day.values().sum::<i128>()).unwrap_or(u64::MAX),
    }))
}

/// A file that a dropping commit took out (sign 1) or added instead (sign -1).
pub(crate) struct ChangedFile {
    pub(crate) place: FileRef,
    pub(crate) day: NaiveDate,
    pub(crate) sign: i128,
    /// What its writer has recorded of it that this version does not know.
    pub(crate) tags: BTreeMap<String, String>,
}

/// The files of a commit that has removed events; none of any other commit.
async fn changed_files(
    location: &Location,
    newest: &Snapshot,
    version: u64,
) -> Result<Vec<ChangedFile>, StoreError> {
    let path = paths::commit(&newest.workspace, version);
    let bytes = location.objects.get(&path).await?.bytes().await?;
    let actions = actions(&path, &bytes)?;
    files_of_drop(newest, &path, &actions)
}

/// The actions of the entry at `path`.
pub(crate) fn actions(path: &Path, bytes: &[u8]) -> Result<Vec<Value>, StoreError> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line).map_err(|_| StoreError::Corrupt {
                path: path.to_string(),
                reason: "it is not JSON".to_owned(),
            })
        })
        .collect()
}

/// The files of the commit at `path` when it has removed events; none of any other commit.
pub(crate) fn files_of_drop(
    newest: &Snapshot,
    path: &Path,
    actions: &[Value],
) -> Result<Vec<ChangedFile>, StoreError> {
    let corrupt = |reason: &str| StoreError::Corrupt {
        path: path.to_string(),
        reason: reason.to_owned(),
    };
    let mut files = Vec::new();
    let mut drops = false;
    for action in actions {
        for (kind, sign) in [("remove", 1), ("add", -1)] {
            let Some(file) = action.get(kind).filter(|file| file["dataChange"] == true) else {
                continue;
            };
            drops |= sign > 0;
            let place = file["path"].as_str().zip(file["size"].as_u64());
            let (relative_path, size_bytes) =
                place.ok_or_else(|| corrupt("it does not tell the path and size of a file"))?;
            let day = file["partitionValues"][paths::DAY_COLUMN].as_str();
            files.push(ChangedFile {
                place: FileRef {
                    digest: tag(file, digest::TAG),
                    tail: tag(file, blocks::TAG),
                    decoded: tag(file, decoded::TAG),
                    delivery: delivery_of(file),
                    ..FileRef::unproved(
                        paths::data_file(&newest.workspace, relative_path),
                        size_bytes,
                    )
                },
                day: day
                    .and_then(paths::parse_day)
                    .ok_or_else(|| corrupt("it does not tell the day of a file"))?,
                sign,
                tags: other_tags(file),
            });
        }
    }
    if !drops {
        files.clear();
    }
    Ok(files)
}

/// How the events of a file came, as far as the log has it.
fn delivery_of(file: &Value) -> Option<Arc<Delivery>> {
    let text = file["tags"][delivery::TAG].as_str()?;
    delivery::parse(text).ok()
}

/// What the log has for a file under keys that this version does not know.
fn other_tags(file: &Value) -> BTreeMap<String, String> {
    const KNOWN: [&str; 4] = [digest::TAG, blocks::TAG, decoded::TAG, delivery::TAG];
    let tags = file["tags"].as_object().into_iter().flatten();
    let others = tags.filter(|(key, _)| !KNOWN.contains(&key.as_str()));
    let others = others.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    others.collect()
}

/// What the log has under a key for a file.
fn tag<T: FromStr>(file: &Value, key: &str) -> Option<T> {
    file["tags"][key].as_str()?.parse().ok()
}
