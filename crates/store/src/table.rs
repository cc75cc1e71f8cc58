//! The log of one workspace's table, as it was read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::DateTime;
use deltalake_core::kernel::LogicalFileView;
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableError};
use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore};
use serde_json::Value;
use url::Url;

use crate::damage;
use crate::digest::{self, Digest};
use crate::error::StoreError;
use crate::location::Location;
use crate::paths;
use crate::schema;
use crate::snapshot::{DataFile, Snapshot};
use crate::statistics::FileStatistics;

/// The only reader version of the Delta protocol whose tables are plain Parquet files: later ones
/// allow rows that are marked as deleted and columns under other names.
const READER_VERSION: i32 = 1;

/// The latest writer version whose rules commits keep: later ones ask for constraints to be checked
/// and for changes to be recorded.
const WRITER_VERSION: i32 = 2;

/// The root as the Delta library sees it: it takes only the path of an address, and finds it in the
/// objects that it is given. Of a file address it would look at the disk by itself.
pub(crate) const DELTA_ROOT: &str = "memory:///";

/// A loaded table that can be brought up to date cheaply.
pub(crate) struct Table {
    workspace: WorkspaceId,
    delta: DeltaTable,
    /// The commit of the loaded version; `None` when only a checkpoint of it was left.
    commit: Option<ObjectMeta>,
    snapshot: Snapshot,
}

/// What a look at the log says about a loaded table.
enum Freshness {
    Newest,
    Outdated,
    /// The log no longer holds the loaded commit: it was cleaned up, or it is another table.
    Replaced,
}

impl Table {
    /// Loads the newest version of the table of `workspace`; `None` when there is no such table.
    pub(crate) async fn load(
        location: &Location,
        workspace: &WorkspaceId,
    ) -> Result<Option<Self>, StoreError> {
        let log = list_from(location, workspace, 0).await?;
        if !log.iter().any(is_versioned) {
            return Ok(None);
        }
        refuse_empty_commits(&log)?;
        let mut delta = open(location, workspace)?;
        if let Err(error) = delta.load().await {
            return Err(damage::explain(location, workspace, error).await);
        }
        Self::read(location, workspace, delta).await.map(Some)
    }

    /// Brings the table up to date; `None` when it is gone.
    pub(crate) async fn refresh(mut self, location: &Location) -> Result<Option<Self>, StoreError> {
        let log = list_from(location, &self.workspace, self.snapshot.version).await?;
        match self.freshness(&log) {
            Freshness::Newest => Ok(Some(self)),
            Freshness::Replaced => Self::load(location, &self.workspace).await,
            Freshness::Outdated => {
                refuse_empty_commits(&log)?;
                if let Err(error) = self.delta.update_state().await {
                    return Err(damage::explain(location, &self.workspace, error).await);
                }
                Self::read(location, &self.workspace, self.delta)
                    .await
                    .map(Some)
            }
        }
    }

    /// The table at the loaded version.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The table as the Delta library sees it.
    pub(crate) fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    async fn read(
        location: &Location,
        workspace: &WorkspaceId,
        delta: DeltaTable,
    ) -> Result<Self, StoreError> {
        let mut snapshot = read_snapshot(workspace, &delta)?;
        let version = snapshot.version;
        let commit = list_from(location, workspace, version)
            .await?
            .into_iter()
            .find(|object| object.location == paths::commit(workspace, version));
        snapshot.committed = commit.as_ref().map(|commit| commit.last_modified);
        Ok(Self {
            workspace: workspace.clone(),
            delta,
            commit,
            snapshot,
        })
    }

    /// A listing of the log from the loaded version on tells whether there is a newer one.
    fn freshness(&self, log: &[ObjectMeta]) -> Freshness {
        let version = self.snapshot.version;
        let commit_path = paths::commit(&self.workspace, version);
        let commit = log.iter().find(|object| object.location == commit_path);
        if commit != self.commit.as_ref() {
            Freshness::Replaced
        } else if log
            .iter()
            .any(|object| paths::version_of(&object.location) > Some(version))
        {
            Freshness::Outdated
        } else {
            Freshness::Newest
        }
    }
}

/// What a table held at a version in the past.
#[derive(Debug)]
pub(crate) struct Past {
    /// The files of that version.
    pub(crate) files: HashSet<Path>,
    /// Files that earlier versions had and that one no longer has; those that were removed more than
    /// a week before may be left out.
    pub(crate) removed: HashSet<Path>,
}

impl Past {
    /// Reads the table of `workspace` as it was at `version`.
    pub(crate) async fn load(
        location: &Location,
        workspace: &WorkspaceId,
        version: u64,
    ) -> Result<Self, StoreError> {
        let mut delta = open(location, workspace)?;
        if let Err(error) = delta.load_version(version).await {
            return Err(damage::explain(location, workspace, error).await);
        }
        let snapshot = read_snapshot(workspace, &delta)?;
        let failed = |error: DeltaTableError| StoreError::Delta {
            workspace: workspace.clone(),
            source: Box::new(error),
        };
        let state = delta.snapshot().map_err(failed)?;
        let removed = state
            .all_tombstones(delta.log_store().as_ref())
            .map_ok(|file| paths::data_file(workspace, &file.path()))
            .try_collect()
            .await
            .map_err(failed)?;
        Ok(Self {
            files: snapshot
                .files
                .iter()
                .map(|file| file.path.clone())
                .collect(),
            removed,
        })
    }
}

/// Whether anything was ever committed to the table of `workspace`.
pub(crate) async fn exists(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<bool, StoreError> {
    let mut log = location.objects.list(Some(&paths::log(workspace)));
    while let Some(object) = log.try_next().await? {
        if is_versioned(&object) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_versioned(object: &ObjectMeta) -> bool {
    paths::version_of(&object.location).is_some()
}

/// The Delta library takes an empty commit for one that changes nothing, but it is one that got
/// lost.
fn refuse_empty_commits(log: &[ObjectMeta]) -> Result<(), StoreError> {
    let empty = log
        .iter()
        .find(|object| object.size == 0 && paths::is_commit(&object.location));
    match empty {
        None => Ok(()),
        Some(object) => Err(StoreError::Corrupt {
            path: object.location.to_string(),
            reason: "it is empty".to_owned(),
        }),
    }
}

/// The objects of the log from `version` on.
pub(crate) async fn list_from(
    location: &Location,
    workspace: &WorkspaceId,
    version: u64,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let offset = paths::before_version(workspace, version);
    let listing = location
        .objects
        .list_with_offset(Some(&paths::log(workspace)), &offset);
    Ok(listing.try_collect().await?)
}

/// The table of `workspace`, with nothing loaded.
fn open(location: &Location, workspace: &WorkspaceId) -> Result<DeltaTable, StoreError> {
    let path = paths::table(workspace);
    let url = Url::parse(DELTA_ROOT)
        .and_then(|root| root.join(&format!("{path}/")))
        .map_err(|error| StoreError::InvalidUrl {
            url: path.to_string(),
            reason: error.to_string(),
        })?;
    let objects: Arc<dyn ObjectStore> =
        Arc::new(PrefixStore::new(Arc::clone(&location.objects), path));
    Ok(DeltaTable::new(default_logstore(
        objects,
        Arc::clone(&location.objects),
        &url,
        &StorageConfig::default(),
    )))
}

fn read_snapshot(workspace: &WorkspaceId, delta: &DeltaTable) -> Result<Snapshot, StoreError> {
    let failed = |error: DeltaTableError| StoreError::Delta {
        workspace: workspace.clone(),
        source: Box::new(error),
    };
    let state = delta.snapshot().map_err(failed)?;
    let unsupported = |reason: String| StoreError::Unsupported {
        workspace: workspace.clone(),
        reason,
    };
    let reader_version = state.protocol().min_reader_version();
    let writer_version = state.protocol().min_writer_version();
    if reader_version != READER_VERSION || writer_version > WRITER_VERSION {
        return Err(unsupported(format!(
            "asks for reader version {reader_version} and writer version {writer_version} of the delta protocol"
        )));
    }
    if state.metadata().partition_columns() != paths::PARTITION_COLUMNS {
        return Err(unsupported(format!(
            "is not partitioned by `{}`",
            paths::PARTITION_COLUMNS.join("` and `")
        )));
    }
    let log = state.snapshot().try_log_data().map_err(failed)?;
    let mut files = log
        .iter()
        .map(|file| data_file(workspace, &file))
        .map(|file| file.map(Arc::new))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let metadata = serde_json::to_value(state.metadata());
    let metadata = metadata.map_err(|error| unsupported(error.to_string()))?;
    files.sort_unstable_by(|one, other| (one.day, &one.path).cmp(&(other.day, &other.path)));
    Ok(Snapshot {
        workspace: workspace.clone(),
        version: state.version(),
        files: files.into(),
        committed: None,
        newer_metadata: newer_metadata(&metadata)
            .map_err(&unsupported)?
            .map(Arc::new),
        metadata: Arc::new(metadata),
    })
}

/// The metadata with the columns that events have and the table lacks; `None` when it lacks none.
fn newer_metadata(metadata: &Value) -> Result<Option<Value>, String> {
    let schema = metadata["schemaString"].as_str().unwrap_or_default();
    let newer = schema::with_missing_columns(schema).map_err(|error| error.to_string())?;
    Ok(newer.map(|schema| {
        let mut newer = metadata.clone();
        newer["schemaString"] = Value::String(schema);
        newer
    }))
}

fn data_file(workspace: &WorkspaceId, file: &LogicalFileView) -> Result<DataFile, StoreError> {
    let path = paths::data_file(workspace, file.path().as_ref());
    let corrupt = |reason: &str| StoreError::Corrupt {
        path: path.to_string(),
        reason: format!("the log of its table does not tell {reason}"),
    };
    let partition = file.partition_values_map();
    let value_of = |column: &str| partition.get(column).and_then(Option::as_deref);
    let day = value_of(paths::DAY_COLUMN)
        .and_then(paths::parse_day)
        .ok_or_else(|| corrupt("its day"))?;
    if value_of(paths::WORKSPACE_COLUMN) != Some(workspace.as_str()) {
        return Err(corrupt(&format!("that it belongs to `{workspace}`")));
    }
    let statistics = file
        .stats()
        .and_then(|text| FileStatistics::parse(&text))
        .ok_or_else(|| corrupt("how many events it holds"))?;
    let size_bytes = u64::try_from(file.size()).map_err(|_| corrupt("its size"))?;
    let modified = DateTime::from_timestamp_millis(file.modification_time())
        .ok_or_else(|| corrupt("when it was written"))?;
    let mut tags = tags(file);
    let digest: Option<Digest> = tags
        .remove(digest::TAG)
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| corrupt("its digest"))?;
    Ok(DataFile {
        digest,
        tags,
        size_bytes,
        day,
        rows: statistics.rows,
        date_range_ms: statistics.date_range_ms,
        modified,
        in_table: file.path().into_owned(),
        path,
    })
}

/// What the writer of the file has recorded beside what every reader needs.
fn tags(file: &LogicalFileView) -> BTreeMap<String, String> {
    #[expect(
        deprecated,
        reason = "the library gives the tags of a file in no other way"
    )]
    let tags = file.add_action().tags;
    let tags = tags.into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key, value?)))
        .collect()
}
