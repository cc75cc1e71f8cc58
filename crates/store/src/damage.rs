//! Finds what is wrong with a log that could not be read.

use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::Value;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::location::Location;
use crate::log;
use crate::paths;

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

/// Reads the whole log, checks each object by itself, and each entry against the one after it, which has
/// the digest of the one before.
pub(crate) async fn find(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<Option<StoreError>, StoreError> {
    let mut log: Vec<Path> = location
        .objects
        .list(Some(&paths::log(workspace)))
        .map_ok(|object| object.location)
        .try_collect()
        .await?;
    log.sort_unstable();
    let mut previous: Option<(u64, Digest)> = None;
    for path in log {
        let Some(version) = paths::version_of(&path) else {
            continue;
        };
        let content = location.objects.get(&path).await?.bytes().await?;
        let reason = if paths::is_commit(&path) {
            let before = previous.replace((version, blake3::hash(&content).into()));
            if let Some((before, digest)) = before {
                if before + 1 < version {
                    return Ok(Some(StoreError::NotFound {
                        path: paths::commit(workspace, before + 1).to_string(),
                    }));
                }
                if log::previous_of(&content).is_some_and(|stated| stated != digest.to_string()) {
                    return Ok(Some(StoreError::Corrupt {
                        path: paths::commit(workspace, before).to_string(),
                        reason: "it is not the entry that the next one follows".to_owned(),
                    }));
                }
            }
            damage_of_commit(&content)
        } else {
            ParquetMetaDataReader::new()
                .parse_and_finish(&content)
                .err()
                .map(|error| error.to_string())
        };
        if let Some(reason) = reason {
            return Ok(Some(StoreError::Corrupt {
                path: path.to_string(),
                reason,
            }));
        }
    }
    Ok(None)
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
