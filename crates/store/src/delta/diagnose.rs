//! Finds what is wrong with a log that could not be read.

use std::collections::HashSet;

use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::Value;

use crate::delta::log::{self, LogState};
use crate::delta::table::Table;
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::file::digest::Digest;
use crate::root::location::Location;
use crate::root::paths;

/// The error of a log that could not be read because of `error`, with the object that is to blame when
/// one can be found.
pub(crate) async fn explain(
    location: &Location,
    workspace: &WorkspaceId,
    error: StoreError,
) -> StoreError {
    match find(location, workspace).await {
        Ok(Some(damage)) => damage,
        Ok(None) | Err(_) => error,
    }
}

/// The first damage of the log.
async fn find(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<Option<StoreError>, StoreError> {
    let log = objects(location, workspace).await?;
    let mut faults = of_objects(location, workspace, &log).await?;
    if faults.is_empty() {
        faults = of_versions(location, workspace, &paths_of(&log), &faults).await?;
    }
    Ok(faults
        .into_iter()
        .next()
        .map(|Fault { path, kind }| match kind {
            FaultKind::Missing => StoreError::NotFound { path },
            FaultKind::Unreadable(reason) => StoreError::Corrupt { path, reason },
            other => StoreError::Corrupt {
                path,
                reason: other.to_string(),
            },
        }))
}

/// The objects of a log, sorted by path.
pub(crate) async fn objects(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let listed = location.objects.list(Some(&paths::log(workspace)));
    let mut log: Vec<ObjectMeta> = listed.try_collect().await?;
    log.sort_unstable_by(|one, other| one.location.cmp(&other.location));
    Ok(log)
}

/// The paths of these objects.
pub(crate) fn paths_of(log: &[ObjectMeta]) -> Vec<Path> {
    log.iter().map(|object| object.location.clone()).collect()
}

/// Reads the objects of a log as [`objects`] has listed them, checks each object by itself, and each entry against the
/// one after it, which has the digest of the one before.
pub(crate) async fn of_objects(
    location: &Location,
    workspace: &WorkspaceId,
    log: &[ObjectMeta],
) -> Result<Vec<Fault>, StoreError> {
    let log = without_strays(log);
    let mut faults: Vec<Fault> = Vec::new();
    let mut previous: Option<(u64, Digest)> = None;
    for path in log.iter().map(|object| &object.location) {
        let Some(version) = paths::version_of(path) else {
            continue;
        };
        let content = match location.bytes_of(path).await {
            Ok(content) => content,
            Err(error) => {
                if paths::is_commit(path) {
                    previous = None;
                }
                match error {
                    // It was cleaned after it was listed.
                    StoreError::NotFound { .. } => {}
                    StoreError::Corrupt { path, reason } => {
                        faults.push(Fault::unreadable(path, reason))
                    }
                    error => return Err(error),
                }
                continue;
            }
        };
        let reason = if paths::is_commit(path) {
            let before = previous.replace((version, blake3::hash(&content).into()));
            let stated = log::stated_by(&content);
            if let Some((before, digest)) = before {
                faults.extend(fault_before(
                    workspace,
                    version,
                    before,
                    digest,
                    stated.as_ref(),
                ));
            }
            damage_of_commit(&content).or_else(|| {
                let other = stated.filter(|stated| stated.version != version)?.version;
                Some(format!("it is the entry of version {other}"))
            })
        } else {
            ParquetMetaDataReader::new()
                .parse_and_finish(&content)
                .err()
                .map(|error| error.to_string())
        };
        let path = path.to_string();
        faults.extend(reason.map(|reason| Fault::unreadable(path, reason)));
    }
    faults.sort_by(|one, other| one.path.cmp(&other.path));
    faults.dedup_by(|one, other| one.path == other.path);
    Ok(faults)
}

/// Reads versions of the table, and finds objects of which each by itself is sound, or that are gone: checkpoints that do
/// not hold what was committed, besides those that have `faults`; the one that the log begins with; the newest entry.
pub(crate) async fn of_versions(
    location: &Location,
    workspace: &WorkspaceId,
    log: &[Path],
    faults: &[Fault],
) -> Result<Vec<Fault>, StoreError> {
    let mut found = damaged_checkpoints(location, workspace, log, faults).await?;
    found.extend(missing_checkpoint(workspace, log));
    if faults.is_empty() && found.is_empty() {
        found.extend(damaged_newest(location, workspace, log).await?);
    }
    Ok(found)
}

/// The checkpoint that the log begins with, when it is gone: entries are deleted before one only. Cleaning keeps the entry
/// of its version, which other software may delete as well.
fn missing_checkpoint(workspace: &WorkspaceId, log: &[Path]) -> Option<Fault> {
    let (commits, others): (Vec<&Path>, _) = log.iter().partition(|path| paths::is_commit(path));
    let first = commits.into_iter().filter_map(paths::version_of).min()?;
    let needed = first.checked_sub(1)?;
    let mut checkpoints = others.into_iter().filter_map(paths::version_of);
    (!checkpoints.any(|version| version >= needed)).then(|| Fault {
        path: paths::checkpoint(workspace, first).to_string(),
        kind: FaultKind::Missing,
    })
}

/// The checkpoints that do not hold what was committed, besides those that have `faults` already.
async fn damaged_checkpoints(
    location: &Location,
    workspace: &WorkspaceId,
    log: &[Path],
    faults: &[Fault],
) -> Result<Vec<Fault>, StoreError> {
    let damaged: HashSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    let mut found = Vec::new();
    for path in log.iter().filter(|path| paths::is_checkpoint(path)) {
        let Some(version) = paths::version_of(path) else {
            continue;
        };
        if damaged.contains(path.as_ref()) {
            continue;
        }
        let others = log.iter().filter(|other| *other != path).cloned().collect();
        match Table::load_at(location, workspace, version, &others).await {
            Ok(_) => {}
            Err(StoreError::ObjectStore(error)) => return Err(error.into()),
            Err(error) => match location.objects.head(path).await {
                Ok(_) => found.push(Fault::unreadable(path.to_string(), error.to_string())),
                // It was cleaned after it was listed.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(found)
}

/// What is wrong with the newest entry of a log of which nothing else is damaged: no other entry has its digest, so it is
/// damaged when the version before it can be read and its own cannot.
async fn damaged_newest(
    location: &Location,
    workspace: &WorkspaceId,
    log: &[Path],
) -> Result<Option<Fault>, StoreError> {
    let commits = log.iter().filter(|path| paths::is_commit(path));
    let Some(newest) = commits.filter_map(paths::version_of).max() else {
        return Ok(None);
    };
    let hidden = HashSet::from([paths::last_checkpoint(workspace)]);
    let error = match Table::load_at(location, workspace, newest, &hidden).await {
        Ok(_) => return Ok(None),
        Err(StoreError::ObjectStore(error)) => return Err(error.into()),
        Err(error) if !error.is_lost_log() => return Ok(None),
        Err(error) => error,
    };
    if let Some(before) = newest.checked_sub(1) {
        match Table::load_at(location, workspace, before, &hidden).await {
            Ok(_) => {}
            Err(StoreError::ObjectStore(error)) => return Err(error.into()),
            Err(_) => return Ok(None),
        }
    }
    let path = paths::commit(workspace, newest).to_string();
    Ok(Some(Fault::unreadable(path, error.to_string())))
}

/// The log without entries that a writer has put where vacuum had made room, after it slept for very long: they
/// are before a checkpoint, older by version than the entry of it, and younger by time.
pub(crate) fn without_strays(log: &[ObjectMeta]) -> &[ObjectMeta] {
    let version = |object: &ObjectMeta| paths::version_of(&object.location);
    let is_begin = |index: &usize| {
        let object = &log[*index];
        if !paths::is_checkpoint(&object.location) {
            return false;
        }
        let same = log[*index..].iter();
        let mut same = same.take_while(|other| version(other) == version(object));
        let entry = same.find(|other| paths::is_commit(&other.location));
        let mut before = log[..*index].iter().rev();
        let before = before.find(|other| paths::is_commit(&other.location));
        let (Some(entry), Some(before)) = (entry, before) else {
            return false;
        };
        version(before).map(|version| version + 1) < version(object)
            && before.last_modified > entry.last_modified
    };
    let begin = (0..log.len()).rev().find(is_begin);
    &log[begin.unwrap_or_default()..]
}

/// What the entry of `version` shows to be wrong before it; `before` is the version of the entry that is there before
/// it, and `digest` that entry's digest.
fn fault_before(
    workspace: &WorkspaceId,
    version: u64,
    before: u64,
    digest: Digest,
    stated: Option<&LogState>,
) -> Option<Fault> {
    if before + 1 < version {
        return Some(Fault {
            path: paths::commit(workspace, before + 1).to_string(),
            kind: FaultKind::Missing,
        });
    }
    // The entry of another version says nothing about the one before it.
    let stated = stated.filter(|stated| stated.version == version)?;
    let is_other = *stated.previous.as_ref()? != digest.to_string();
    is_other.then(|| Fault {
        path: paths::commit(workspace, before).to_string(),
        kind: FaultKind::Unreadable("it is not the entry that the next one follows".to_owned()),
    })
}

/// A commit is one JSON object a line.
fn damage_of_commit(content: &[u8]) -> Option<String> {
    if content.is_empty() {
        return Some("it is empty".to_owned());
    }
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(Value::Object(_)) => {}
            Ok(_) => return Some(format!("line {} is not a JSON object", index + 1)),
            Err(error) => return Some(format!("line {} is not JSON: {error}", index + 1)),
        }
    }
    None
}
