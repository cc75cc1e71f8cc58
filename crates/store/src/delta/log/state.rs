//! What a commit states about the whole log up to it, so that damage anywhere is noticed at its end.
//!
//! The table property `vouch.log` of version *n* is a JSON object:
//!
//! | key | is |
//! |---|---|
//! | `version` | *n* |
//! | `previous` | the BLAKE3 digest of the log entry of version *n* − 1, or null when only a checkpoint was left |
//! | `files`, `rows` | the number of active files, and of their rows |
//! | `sum` | the sum modulo 2^256 of the digests of the active files, each over path, size, modification time, day, statistics and tags |
//! | `metadata` | the digest of the schema and of all other properties |
//! | `check` | the first 8 bytes of the digest of all of the above |
//!
//! The property is part of every checkpoint too, so a checkpoint by any writer can be verified by adding
//! up, also when the entries before it are deleted. A commit of other software leaves the property as it
//! was; then it states an older version, and the next commit of Vouch states the sum anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::metadata::TableMetadata;
use crate::delta::snapshot::DataFile;
use crate::file::digest::Digest;

/// The table property.
pub(crate) const PROPERTY: &str = "vouch.log";

const LIMBS: usize = 4;

/// A sum of digests modulo 2^256: it does not depend on the order, and can be subtracted from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DigestSum([u64; LIMBS]);

impl DigestSum {
    pub(crate) fn add(&mut self, digest: &blake3::Hash) {
        let mut carry = false;
        for (limb, added) in self.0.iter_mut().zip(limbs(digest)) {
            let (sum, first) = limb.overflowing_add(added);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first | second;
        }
    }

    pub(crate) fn subtract(&mut self, digest: &blake3::Hash) {
        let mut borrow = false;
        for (limb, removed) in self.0.iter_mut().zip(limbs(digest)) {
            let (difference, first) = limb.overflowing_sub(removed);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            *limb = difference;
            borrow = first | second;
        }
    }
}

impl std::fmt::Display for DigestSum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut limbs = self.0.iter().rev();
        limbs.try_for_each(|limb| write!(formatter, "{limb:016x}"))
    }
}

/// The digest as a number, the least significant limb first.
fn limbs(digest: &blake3::Hash) -> [u64; LIMBS] {
    let mut limbs = [0; LIMBS];
    for (limb, bytes) in limbs.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(bytes);
        *limb = u64::from_le_bytes(word);
    }
    limbs
}

/// The totals of the active files of a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileTotals {
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) sum: DigestSum,
}

impl FileTotals {
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a DataFile>) -> Self {
        let mut totals = Self::default();
        files.for_each(|file| totals.add(file.rows, &file.entry_digest));
        totals
    }

    pub(crate) fn add(&mut self, rows: u64, entry_digest: &blake3::Hash) {
        self.files = self.files.wrapping_add(1);
        self.rows = self.rows.wrapping_add(rows);
        self.sum.add(entry_digest);
    }

    pub(crate) fn subtract(&mut self, rows: u64, entry_digest: &blake3::Hash) {
        self.files = self.files.wrapping_sub(1);
        self.rows = self.rows.wrapping_sub(rows);
        self.sum.subtract(entry_digest);
    }
}

/// The digest of what the log says about a file; statistics are compared as values, since a checkpoint may
/// hold them in another form than an entry.
pub(crate) fn entry_digest(
    relative_path: &str,
    size_bytes: u64,
    modified_ms: i64,
    day: &str,
    statistics: &Value,
    tags: &BTreeMap<String, String>,
) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hash_text(&mut hasher, relative_path);
    hasher.update(&size_bytes.to_le_bytes());
    hasher.update(&modified_ms.to_le_bytes());
    hash_text(&mut hasher, day);
    hash_value(&mut hasher, statistics);
    for (key, value) in tags {
        hash_text(&mut hasher, key);
        hash_text(&mut hasher, value);
    }
    hasher.finalize()
}

fn hash_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// Hashes a value independently of the order of keys; keys without a value do not count.
fn hash_value(hasher: &mut blake3::Hasher, value: &Value) {
    let Value::Object(members) = value else {
        hash_text(hasher, &value.to_string());
        return;
    };
    let mut members: Vec<(&String, &Value)> = members
        .iter()
        .filter(|(_, value)| !is_empty(value))
        .collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    hasher.update(&(members.len() as u64).to_le_bytes());
    for (key, value) in members {
        hash_text(hasher, key);
        hash_value(hasher, value);
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The content of the property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogState {
    pub(crate) version: u64,
    pub(crate) previous: Option<String>,
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) sum: String,
    pub(crate) metadata: String,
    pub(crate) check: String,
}

impl LogState {
    /// The state to commit as `version`.
    pub(crate) fn new(
        version: u64,
        previous: Option<Digest>,
        totals: &FileTotals,
        metadata: &TableMetadata,
    ) -> Self {
        let mut state = Self {
            version,
            previous: previous.map(|digest| digest.to_string()),
            files: totals.files,
            rows: totals.rows,
            sum: totals.sum.to_string(),
            metadata: metadata_digest(metadata),
            check: String::new(),
        };
        state.check = state.computed_check();
        state
    }

    /// The state in the properties of a table; `None` when no version of Vouch that writes it has
    /// committed to the table. The error is what is wrong with it.
    pub(crate) fn read(metadata: &TableMetadata) -> Result<Option<Self>, String> {
        let Some(text) = metadata.property(PROPERTY) else {
            return Ok(None);
        };
        let state: Self = serde_json::from_str(text)
            .map_err(|error| format!("its property `{PROPERTY}` cannot be read: {error}"))?;
        if state.computed_check() != state.check {
            return Err(format!("its property `{PROPERTY}` has changed"));
        }
        Ok(Some(state))
    }

    /// Writes the state into the properties that it describes.
    pub(crate) fn write_to(&self, metadata: &mut TableMetadata) -> Result<(), serde_json::Error> {
        metadata.set_property(PROPERTY, Some(serde_json::to_string(self)?));
        Ok(())
    }

    /// Compares what was read with what was stated; the error is the difference.
    pub(crate) fn verify(
        &self,
        totals: &FileTotals,
        metadata: &TableMetadata,
    ) -> Result<(), String> {
        let stated = [
            ("files", self.files, totals.files),
            ("events", self.rows, totals.rows),
        ];
        if let Some((name, stated, found)) = stated
            .into_iter()
            .find(|(_, stated, found)| stated != found)
        {
            return Err(format!(
                "the log names {found} {name}, and its last commit states {stated}"
            ));
        }
        if self.sum != totals.sum.to_string() {
            return Err("what the log says about a file has changed".to_owned());
        }
        if !self.has(metadata) {
            return Err("the settings of the table have changed".to_owned());
        }
        Ok(())
    }

    /// Whether the schema and the other properties are those that were stated.
    pub(crate) fn has(&self, metadata: &TableMetadata) -> bool {
        self.metadata == metadata_digest(metadata)
    }

    fn computed_check(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.version.to_le_bytes());
        hash_text(&mut hasher, self.previous.as_deref().unwrap_or_default());
        hasher.update(&self.files.to_le_bytes());
        hasher.update(&self.rows.to_le_bytes());
        hash_text(&mut hasher, &self.sum);
        hash_text(&mut hasher, &self.metadata);
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

fn metadata_digest(metadata: &TableMetadata) -> String {
    let mut hasher = blake3::Hasher::new();
    hash_text(&mut hasher, &metadata.id);
    hash_text(&mut hasher, &metadata.schema_string);
    for (name, value) in &metadata.configuration {
        if name != PROPERTY {
            hash_text(&mut hasher, name);
            hash_text(&mut hasher, value);
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_can_be_taken_back() {
        let digests: Vec<blake3::Hash> = (0_u64..50)
            .map(|number| blake3::hash(&number.to_le_bytes()))
            .collect();
        let mut sum = DigestSum::default();
        digests.iter().for_each(|digest| sum.add(digest));
        let mut reversed = DigestSum::default();
        digests.iter().rev().for_each(|digest| reversed.add(digest));
        assert_eq!(sum, reversed);
        digests[1..].iter().for_each(|digest| sum.subtract(digest));
        let mut first = DigestSum::default();
        first.add(&digests[0]);
        assert_eq!(sum, first);
        assert_eq!(first.to_string().len(), 64);
    }

    #[test]
    fn a_change_of_anything_changes_the_entry_digest() {
        let digest = |path: &str, size, day: &str, statistics: Value, tag: &str| {
            let tags = BTreeMap::from([("vouch.blake3".to_owned(), tag.to_owned())]);
            entry_digest(path, size, 7, day, &statistics, &tags)
        };
        let statistics = json!({"numRecords": 1, "minValues": {"date": 5}, "maxValues": {}});
        let reordered = json!({"minValues": {"date": 5, "x": null}, "numRecords": 1});
        let first = digest("a", 1, "2026-11-21", statistics.clone(), "t");
        assert_eq!(first, digest("a", 1, "2026-11-21", reordered, "t"));
        let moved = json!({"numRecords": 1, "minValues": {"date": 4}});
        for other in [
            digest("b", 1, "2026-11-21", statistics.clone(), "t"),
            digest("a", 2, "2026-11-21", statistics.clone(), "t"),
            digest("a", 1, "2026-11-22", statistics.clone(), "t"),
            digest("a", 1, "2026-11-21", moved, "t"),
            digest("a", 1, "2026-11-21", statistics, "u"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_changed_state_is_noticed() {
        let totals = FileTotals::default();
        let mut metadata = TableMetadata::new(1);
        let state = LogState::new(3, None, &totals, &metadata);
        state.write_to(&mut metadata).unwrap();
        let read = LogState::read(&metadata).unwrap().unwrap();
        assert_eq!(read.verify(&totals, &metadata), Ok(()));
        let text = metadata.property(PROPERTY).unwrap().to_owned();
        metadata.set_property(
            PROPERTY,
            Some(text.replace("\"version\":3", "\"version\":2")),
        );
        assert!(LogState::read(&metadata).is_err());
        metadata.set_property(PROPERTY, Some(text));
        metadata.set_property("vouch.retention", Some("1d".to_owned()));
        assert!(read.verify(&totals, &metadata).is_err());
    }
}
