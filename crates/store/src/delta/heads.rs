//! What each node says about the store, apart from the store's own logs and segments: a removed newest log entry or
//! unfolded segment is noticed by it.
//!
//! A node puts its head, `heads/<node>`, at most once a minute and when it stops. A head is one line of JSON, and a line
//! with its BLAKE3 digest. Heads of nodes that have vanished are merged into one by maintenance. A head only ever
//! adds statements, so that any order of merging and deleting loses none.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::delta::log;
use crate::error::StoreError;
use crate::root::paths;
use crate::root::segment_key::SegmentKey;
use crate::store::Store;

/// How many segments and how many tables a head names at most: the newest.
const MAX_STATEMENTS: usize = 4_096;

/// A head that was not put for so long belongs to a node that has vanished.
const VANISHED_AFTER: TimeDelta = TimeDelta::hours(1);

/// The newest version of a table that a node knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownVersion {
    /// The id of the table: of another table under the same path this says nothing.
    pub(crate) table: String,
    pub(crate) version: u64,
    /// The digest of the log entry of that version; `None` when only a checkpoint was there.
    pub(crate) entry: Option<String>,
}

/// The statements of a node about the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The incarnation of the store; what was said about another one is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<String>,
    /// By the clock of the node, Unix milliseconds.
    pub(crate) written_ms: i64,
    /// Segments of the node that it had not folded.
    pub(crate) unfolded: BTreeSet<SegmentKey>,
    /// Versions that the node has committed or read.
    pub(crate) tables: BTreeMap<WorkspaceId, KnownVersion>,
}

/// A head as it was found.
#[derive(Debug)]
pub(crate) struct FoundHead {
    pub(crate) path: Path,
    modified: DateTime<Utc>,
    /// What it says; the error is what is wrong with it.
    pub(crate) head: Result<Head, String>,
}

impl Head {
    fn encode(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        let digest = blake3::hash(json.as_bytes());
        Ok(format!("{json}\n{digest}\n"))
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (json, digest) = text
            .strip_suffix('\n')
            .and_then(|text| text.split_once('\n'))
            .ok_or("it is cut off")?;
        if blake3::hash(json.as_bytes()).to_string() != digest {
            return Err("its content has changed".to_owned());
        }
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Adds what another head says.
    fn merge(&mut self, other: Self) {
        self.unfolded.extend(other.unfolded);
        for (workspace, known) in other.tables {
            match self.tables.get(&workspace) {
                // Of two tables under one path the one that was seen last counts.
                Some(present) if present.table != known.table => {
                    if other.written_ms > self.written_ms {
                        self.tables.insert(workspace, known);
                    }
                }
                Some(present) if present.version >= known.version => {}
                _ => drop(self.tables.insert(workspace, known)),
            }
        }
        self.written_ms = self.written_ms.max(other.written_ms);
    }

    fn says_nothing(&self) -> bool {
        self.unfolded.is_empty() && self.tables.is_empty()
    }

    fn limit(&mut self) {
        while self.unfolded.len() > MAX_STATEMENTS {
            self.unfolded.pop_first();
        }
        while self.tables.len() > MAX_STATEMENTS {
            self.tables.pop_last();
        }
    }
}

/// The versions of tables that heads name, each with the path of the head.
pub(crate) type NamedVersions = BTreeMap<WorkspaceId, Vec<(KnownVersion, Path)>>;

impl Store {
    /// The versions that heads name, as they were when this process first asked. It notices by itself when a log loses
    /// versions that it has read since then.
    ///
    /// # Errors
    ///
    /// When the heads cannot be listed or read. A damaged head names nothing; `verify` finds it.
    pub(crate) async fn named_versions(&self) -> Result<&NamedVersions, StoreError> {
        let named = self.known_named_versions();
        let read = named.get_or_try_init(|| async {
            let mut named = NamedVersions::new();
            for FoundHead { path, head, .. } in self.heads().await? {
                for (workspace, known) in head.map(|head| head.tables).unwrap_or_default() {
                    let of_workspace = named.entry(workspace).or_default();
                    of_workspace.push((known, path.clone()));
                }
            }
            Ok(named)
        });
        read.await
    }

    /// Brings the head of a node up to date and puts it: what this process has read and `committed` of tables, and
    /// the segments of the node.
    pub(crate) async fn put_head(
        &self,
        node: Uuid,
        committed: &BTreeMap<WorkspaceId, u64>,
        head: &mut Head,
    ) -> Result<(), StoreError> {
        for (workspace, table, version) in self.loaded_versions() {
            let version = version.max(committed.get(&workspace).copied().unwrap_or_default());
            let known = head.tables.get(&workspace);
            if known.is_some_and(|known| known.table == table && known.version >= version) {
                continue;
            }
            let entry = log::entry_digest_of(self.location(), &workspace, version).await?;
            let known = KnownVersion {
                table,
                version,
                entry: entry.map(|digest| digest.to_string()),
            };
            head.tables.insert(workspace, known);
        }
        let unfolded = self
            .known_segments()
            .all_keys_of(node)
            .into_iter()
            .collect();
        head.unfolded = unfolded;
        head.incarnation = self.location().incarnation().await?;
        head.written_ms = self.location().now_ms();
        head.limit();
        match head.says_nothing() {
            true => Ok(()),
            false => self.write_head(node, head).await,
        }
    }

    async fn write_head(&self, name: Uuid, head: &Head) -> Result<(), StoreError> {
        let path = paths::head(name);
        let text = head.encode().map_err(|error| StoreError::Corrupt {
            path: path.to_string(),
            reason: format!("it cannot be encoded: {error}"),
        })?;
        self.location().check_writable().await?;
        self.location().objects.put(&path, text.into()).await?;
        Ok(())
    }

    /// The heads of all nodes, except those of another incarnation of the store.
    pub(crate) async fn heads(&self) -> Result<Vec<FoundHead>, StoreError> {
        let objects = &self.location().objects;
        let listed: Vec<ObjectMeta> = objects.list(Some(&paths::heads())).try_collect().await?;
        let incarnation = self.location().incarnation().await?;
        let mut heads = Vec::with_capacity(listed.len());
        for object in listed {
            let head = match self.location().bytes_of(&object.location).await {
                Ok(bytes) => Head::decode(&bytes),
                // It was merged into another one after it was listed.
                Err(StoreError::NotFound { .. }) => continue,
                Err(StoreError::Corrupt { reason, .. }) => Err(reason),
                Err(error) => return Err(error),
            };
            if head
                .as_ref()
                .is_ok_and(|head| head.incarnation != incarnation)
            {
                continue;
            }
            heads.push(FoundHead {
                path: object.location,
                modified: object.last_modified,
                head,
            });
        }
        Ok(heads)
    }

    /// Merges the heads of nodes that have vanished into one, without the segments that were folded since. To be called
    /// before old entries of the log are deleted, which name those segments.
    ///
    /// # Errors
    ///
    /// When the object store fails. A statement is in the old or in the new head, or in both.
    pub async fn merge_heads(&self) -> Result<(), StoreError> {
        let heads = self.heads().await?;
        let before = self.location().now() - VANISHED_AFTER;
        // With a wrong clock here this may be the head of a node that is alive, which soon puts it again.
        let (vanished, live): (Vec<_>, Vec<_>) =
            heads.into_iter().partition(|head| head.modified < before);
        let mut merged = Head {
            incarnation: self.location().incarnation().await?,
            ..Head::default()
        };
        let mut gone = Vec::new();
        for FoundHead { path, head, .. } in vanished {
            match head {
                Ok(head) => {
                    merged.merge(head);
                    gone.push(path);
                }
                Err(reason) => tracing::error!(%path, %reason, "a head is damaged and stays"),
            }
        }
        let unfolded = merged.unfolded.clone();
        merged.unfolded = self.without_folded(unfolded.clone()).await?;
        if gone.len() < 2 && merged.unfolded == unfolded {
            return Ok(());
        }
        for known in live.iter().filter_map(|head| head.head.as_ref().ok()) {
            let is_said = |workspace: &WorkspaceId, known: &KnownVersion, live: &Head| {
                let live = live.tables.get(workspace);
                live.is_some_and(|live| live.table == known.table && live.version >= known.version)
            };
            merged
                .tables
                .retain(|workspace, version| !is_said(workspace, version, known));
        }
        merged.limit();
        if !merged.says_nothing() {
            self.write_head(Uuid::new_v4(), &merged).await?;
        }
        for path in gone {
            match self.location().objects.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head comes back, and any change of a byte of it is noticed.
    #[test]
    fn a_changed_head_is_noticed() {
        let mut head = Head::default();
        head.unfolded.insert(SegmentKey::parked(5));
        let known = KnownVersion {
            table: "t".to_owned(),
            version: 3,
            entry: None,
        };
        head.tables.insert("w".parse().unwrap(), known);
        let text = head.encode().unwrap();
        assert_eq!(Head::decode(text.as_bytes()), Ok(head));
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] ^= 1;
            assert!(Head::decode(&changed).is_err(), "byte {index}");
            assert!(Head::decode(&text.as_bytes()[..index]).is_err());
        }
    }

    /// Merging takes the newest version of each table, in any order.
    #[test]
    fn merged_heads_say_the_newest() {
        let head = |written_ms, table: &str, version| Head {
            written_ms,
            tables: BTreeMap::from([(
                "w".parse().unwrap(),
                KnownVersion {
                    table: table.to_owned(),
                    version,
                    entry: None,
                },
            )]),
            ..Head::default()
        };
        for (one, other, table, version) in [
            (head(1, "a", 3), head(2, "a", 2), "a", 3),
            (head(1, "a", 3), head(2, "b", 1), "b", 1),
        ] {
            for (mut first, second) in [(one.clone(), other.clone()), (other, one)] {
                first.merge(second);
                let known = &first.tables["w"];
                assert_eq!((known.table.as_str(), known.version), (table, version));
            }
        }
    }
}
