//! The list of what belongs to a backup, written last.
//!
//! It has one JSON object a line: what the backup is, each object, and in the end the digest of all lines before.

use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::StoreError;
use crate::file::digest::Digest;
use crate::root::location::Location;
use crate::root::paths;

use super::copies;

/// The newest format that this version reads.
const FORMAT: u32 = 1;

/// The oldest version of Vouch that reads [`FORMAT`].
const PROGRAM: &str = "0.2.0";

const DIRECTORY: &str = "manifests";

/// What belongs to a backup, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    pub(super) format: u32,
    pub(super) program: String,
    /// Counted from 1 for each root of backups.
    pub number: u64,
    /// The id of the store.
    pub store: Uuid,
    /// Its incarnation.
    pub incarnation: Uuid,
    /// When the backup began, Unix milliseconds by the clock of the machine that made it. Every event that was
    /// acknowledged before is in it.
    pub begun_ms: i64,
    /// The largest `vouch_received` in it, Unix milliseconds.
    pub newest_received_ms: Option<i64>,
    /// The tables.
    pub workspaces: Vec<CopiedWorkspace>,
    /// How many segments it has: events that were in no table yet.
    pub segments: u64,
    /// How many events those hold. Some may be in a table too.
    pub segment_events: u64,
    /// How many objects it has.
    pub objects: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// What is damaged or missing. With any, the backup is incomplete.
    pub faults: Vec<BackupFault>,
}

/// A table in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedWorkspace {
    /// Whose table it is.
    pub workspace: WorkspaceId,
    /// The version that was copied.
    pub version: u64,
    /// How many files that has.
    pub files: u64,
    /// How many events those hold.
    pub events: u64,
}

/// Something that is wrong with an object of a store, or with a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFault {
    /// The object's path under the root of the store.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl BackupSummary {
    /// A summary with nothing in it yet.
    pub(super) fn new(number: u64, store: Uuid, incarnation: Uuid, begun_ms: i64) -> Self {
        Self {
            format: FORMAT,
            program: PROGRAM.to_owned(),
            number,
            store,
            incarnation,
            begun_ms,
            newest_received_ms: None,
            workspaces: Vec::new(),
            segments: 0,
            segment_events: 0,
            objects: 0,
            size_bytes: 0,
            faults: Vec::new(),
        }
    }

    /// Whether it has all that the store needs.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.faults.is_empty()
    }
}

/// An object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    /// Its path under the root of the store.
    pub(super) path: String,
    /// The run that has copied it.
    pub(super) run: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// The digest of its bytes.
    pub(super) blake3: String,
    /// When it was written, by the object store, Unix milliseconds; `None` of a data file that was compared
    /// with the digest in the log: its name is never used again.
    pub(super) modified_ms: Option<i64>,
}

impl Object {
    /// Where its copy is under the root of backups.
    pub(super) fn copy_path(&self) -> Path {
        copies::path(&self.path, &self.run)
    }

    pub(super) fn has_digest(&self, digest: Digest) -> bool {
        self.blake3 == digest.to_string()
    }
}

/// The end of a manifest.
#[derive(Serialize, Deserialize)]
struct End {
    blake3: String,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) summary: BackupSummary,
    /// Sorted by their paths.
    pub(super) objects: Vec<Object>,
}

/// Where the manifest of a backup lies.
pub(super) fn path(number: u64) -> Path {
    Path::from(DIRECTORY).join(format!("{number:020}.json"))
}

/// The numbers of all manifests, ascending.
pub(super) async fn numbers(location: &Location) -> Result<Vec<u64>, StoreError> {
    let listed = location.objects.list(Some(&Path::from(DIRECTORY)));
    let listed: Vec<_> = listed.try_collect().await?;
    let names = listed.iter().filter_map(|object| {
        let number = object.location.filename()?.strip_suffix(".json")?;
        let number = number.parse().ok()?;
        (path(number) == object.location).then_some(number)
    });
    let mut numbers: Vec<u64> = names.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

impl Manifest {
    pub(super) async fn read(location: &Location, number: u64) -> Result<Self, StoreError> {
        let path = path(number);
        let bytes = location.bytes_of(&path).await?;
        let manifest = Self::decode(&bytes).map_err(|reason| StoreError::Corrupt {
            path: path.to_string(),
            reason,
        })?;
        if manifest.summary.format > FORMAT {
            return Err(StoreError::NewerFormat {
                format: manifest.summary.format,
                program: manifest.summary.program,
            });
        }
        Ok(manifest)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let invalid = |error: serde_json::Error| StoreError::NotBackedUp {
            reason: format!("its manifest cannot be encoded: {error}"),
        };
        let mut bytes = Vec::new();
        let mut add = |line: serde_json::Result<Vec<u8>>| {
            bytes.extend(line.map_err(invalid)?);
            bytes.push(b'\n');
            Ok::<_, StoreError>(())
        };
        add(serde_json::to_vec(&self.summary))?;
        for object in &self.objects {
            add(serde_json::to_vec(object))?;
        }
        let end = End {
            blake3: blake3::hash(&bytes).to_string(),
        };
        bytes.extend(serde_json::to_vec(&end).map_err(invalid)?);
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let cut = || "it is cut off".to_owned();
        let body = bytes.strip_suffix(b"\n").ok_or_else(cut)?;
        let end = body.iter().rposition(|byte| *byte == b'\n');
        let (lines, end) = body.split_at(end.ok_or_else(cut)? + 1);
        let end: End = line(end)?;
        if end.blake3 != blake3::hash(lines).to_string() {
            return Err("its content is not what was written".to_owned());
        }
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        let mut lines = lines.split(|byte| *byte == b'\n');
        let summary: BackupSummary = line(lines.next().unwrap_or_default())?;
        let objects: Result<Vec<Object>, String> = lines.map(line).collect();
        let objects = objects?;
        match objects.iter().find(|object| !is_of_a_store(&object.path)) {
            None => Ok(Self { summary, objects }),
            Some(object) => Err(format!("`{}` is no object of a store", object.path)),
        }
    }

    /// Its identity.
    pub(super) fn digest(&self) -> Result<String, StoreError> {
        Ok(blake3::hash(&self.encode()?).to_string())
    }
}

fn line<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("a line cannot be understood: {error}"))
}

/// Whether an object may lie at `path` in a store, so that restoring it overwrites nothing else.
fn is_of_a_store(path: &str) -> bool {
    let Ok(path) = Path::parse(path) else {
        return false;
    };
    let mut parts = path.parts();
    let directory = parts.next().map(|first| Path::from_iter([first]));
    directory.is_some_and(|directory| paths::is_data(&directory)) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let object = |path: &str| Object {
            path: path.to_owned(),
            run: "1-abc".to_owned(),
            size: 5,
            blake3: blake3::hash(b"12345").to_string(),
            modified_ms: None,
        };
        Manifest {
            summary: BackupSummary::new(7, Uuid::nil(), Uuid::nil(), 1),
            objects: vec![object("segments/a"), object("workspace=w/day=2026-11-21/b")],
        }
    }

    #[test]
    fn any_damage_of_a_manifest_is_noticed() {
        let manifest = manifest();
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(Manifest::decode(&changed).is_err(), "{index}");
            assert!(Manifest::decode(&bytes[..index]).is_err(), "{index}");
        }
    }

    #[test]
    fn a_manifest_names_objects_of_a_store_only() {
        for path in [
            "vouch-store.json",
            "../segments/a",
            "segments",
            "etc/passwd",
            "",
        ] {
            let mut manifest = manifest();
            manifest.objects[0].path = path.to_owned();
            let bytes = manifest.encode().unwrap();
            assert!(Manifest::decode(&bytes).is_err(), "{path}");
        }
    }
}
