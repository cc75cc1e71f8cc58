//! The log of one workspace's table, as it was read.
//!
//! What was read is compared with what the newest commit states about the whole log ([`LogState`]), so
//! that no damage in entries or checkpoints is answered.

mod alone;
mod at_version;
mod read;
mod watched;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableError};
use events::WorkspaceId;
use futures::{FutureExt, StreamExt, TryStreamExt, future};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Url;

use crate::delta::diagnose;
use crate::delta::heads::KnownVersion;
use crate::delta::log::{self, LogState};
use crate::delta::snapshot::Snapshot;
use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;

pub(crate) use alone::{alone, checkpoint_of};
pub(crate) use at_version::TableAt;
use read::read_snapshot;
use watched::{Failures, watched};

/// The root as the Delta library sees it: it takes only the path of an address, and finds it in the
/// objects that it is given. For a file address it would access the disk directly.
pub(crate) const DELTA_ROOT: &str = "memory:///";

/// A loaded table that can be brought up to date cheaply.
pub(crate) struct Table {
    workspace: WorkspaceId,
    delta: DeltaTable,
    /// The failures of the object store for `delta`.
    failures: Failures,
    /// The commit of the loaded version; `None` when only a checkpoint of it was left.
    commit: Option<ObjectMeta>,
    snapshot: Snapshot,
}

/// The state of a loaded table compared with its log.
enum Freshness {
    Newest,
    Outdated,
    /// The log no longer holds the loaded commit: it was cleaned up, or it is another table.
    Replaced,
}

impl Table {
    /// Loads the newest version of the table of `workspace`; `None` when there is no such table. Data files without a
    /// log are a log that was lost.
    pub(crate) async fn load(
        location: &Location,
        workspace: &WorkspaceId,
    ) -> Result<Option<Self>, StoreError> {
        let log = location.listed(|| whole_log(location, workspace)).await?;
        if log.is_empty() {
            log::refuse_beside_data(location, workspace).await?;
            return Ok(None);
        }
        refuse_empty_commits(&log)?;
        let failures = Failures::default();
        let is_worth_trying = |error: &StoreError| {
            error.may_be_damage() || error.is_of_object_store() && failures.is_of_checkpoint()
        };
        let nothing = HashSet::new();
        let loaded = Self::load_without(location, workspace, &nothing, &failures);
        let error = match loaded.await {
            Ok(table) => return Ok(Some(table)),
            Err(error) if !is_worth_trying(&error) => {
                return Err(failures.explain(location, error).await);
            }
            Err(error) => error,
        };
        for hidden in watched::candidates(workspace, &log) {
            match Self::load_without(location, workspace, &hidden, &failures).await {
                Ok(table) => {
                    let version = table.snapshot.version;
                    tracing::warn!(
                        %workspace, version, %error,
                        "a checkpoint or its hint is damaged; the table was read without it"
                    );
                    return Ok(Some(table));
                }
                Err(StoreError::ObjectStore(error)) if !failures.is_of_checkpoint() => {
                    return Err(failures.explain(location, error.into()).await);
                }
                Err(_) => {}
            }
        }
        Err(diagnose::explain(location, workspace, error).await)
    }

    /// Brings the table up to date; `None` when it is gone.
    pub(crate) async fn refresh(mut self, location: &Location) -> Result<Option<Self>, StoreError> {
        let known = self.snapshot.version;
        match self.freshness(location).await? {
            Freshness::Newest => Ok(Some(self)),
            Freshness::Replaced => {
                let id = self.snapshot.table_id().to_owned();
                let table = Self::load(location, &self.workspace).await?;
                match &table {
                    Some(table) if table.is_behind(&id, known) => Err(StoreError::NotFound {
                        path: paths::commit(&self.workspace, known).to_string(),
                    }),
                    _ => Ok(table),
                }
            }
            Freshness::Outdated => {
                let log = list_from(location, &self.workspace, known).await?;
                refuse_empty_commits(&log)?;
                let workspace = self.workspace.clone();
                let failures = self.failures;
                let updated = match guarded(&workspace, &failures, self.delta.update_state()).await
                {
                    Ok(()) => Self::read(location, &workspace, self.delta, &failures).await,
                    Err(error) => Err(error),
                };
                match updated {
                    // A load from the start can do without what is damaged, or names it.
                    Err(error) if error.may_be_damage() || error.is_of_object_store() => {
                        Self::load(location, &workspace).await
                    }
                    updated => updated.map(Some),
                }
            }
        }
    }

    async fn load_without(
        location: &Location,
        workspace: &WorkspaceId,
        hidden: &HashSet<Path>,
        failures: &Failures,
    ) -> Result<Self, StoreError> {
        let mut delta = open(&watched(&location.objects, hidden, failures), workspace)?;
        guarded(workspace, failures, delta.load()).await?;
        Self::read(location, workspace, delta, failures).await
    }

    /// Loads the table at a version, without some objects of its log.
    pub(crate) async fn load_at(
        location: &Location,
        workspace: &WorkspaceId,
        version: u64,
        hidden: &HashSet<Path>,
    ) -> Result<Self, StoreError> {
        let failures = Failures::default();
        let mut delta = open(&watched(&location.objects, hidden, &failures), workspace)?;
        guarded(workspace, &failures, delta.load_version(version)).await?;
        Self::read(location, workspace, delta, &failures).await
    }

    /// Whether the table has lost versions since it was read as version `known` of the table `id`.
    fn is_behind(&self, id: &str, known: u64) -> bool {
        self.snapshot.table_id() == id && self.snapshot.version < known
    }

    /// That the log has lost a version of this table that a head names, as an error.
    pub(crate) fn lost_version(&self, named: &[(KnownVersion, Path)]) -> Option<StoreError> {
        let mut named = named.iter();
        let (known, head) = named.find(|(known, _)| self.is_behind(&known.table, known.version))?;
        Some(StoreError::Corrupt {
            path: paths::commit(&self.workspace, known.version).to_string(),
            reason: format!("it is missing, and `{head}` names it"),
        })
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
        failures: &Failures,
    ) -> Result<Self, StoreError> {
        let mut snapshot = read_snapshot(workspace, &delta)?;
        check_state(location, &snapshot).await?;
        let log = || paths::log(workspace).to_string();
        location
            .check_owner(log, snapshot.metadata.store_id())
            .await?;
        let commit = head(location, &paths::commit(workspace, snapshot.version)).await?;
        snapshot.committed = commit.as_ref().map(|commit| commit.last_modified);
        if let Some(committed) = snapshot.committed {
            location.saw_object_of(committed);
        }
        Ok(Self {
            workspace: workspace.clone(),
            delta,
            failures: failures.clone(),
            commit,
            snapshot,
        })
    }

    /// Compares the loaded version with the log. This costs two requests, however long the log is.
    async fn freshness(&self, location: &Location) -> Result<Freshness, StoreError> {
        let version = self.snapshot.version;
        let loaded = paths::commit(&self.workspace, version);
        let next = paths::commit(&self.workspace, version + 1);
        let (loaded, next) = futures::try_join!(head(location, &loaded), head(location, &next))?;
        Ok(if loaded != self.commit {
            Freshness::Replaced
        } else if next.is_some() {
            Freshness::Outdated
        } else {
            Freshness::Newest
        })
    }
}

/// The object at `path`; `None` when there is none.
async fn head(location: &Location, path: &Path) -> Result<Option<ObjectMeta>, StoreError> {
    match location.objects.head(path).await {
        Ok(object) => Ok(Some(object)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Compares what was read with what the newest commit states about the whole log.
async fn check_state(location: &Location, snapshot: &Snapshot) -> Result<(), StoreError> {
    let newest = paths::commit(&snapshot.workspace, snapshot.version);
    let damaged = |reason: String| StoreError::Corrupt {
        path: newest.to_string(),
        reason,
    };
    let state = LogState::read(&snapshot.metadata).map_err(damaged)?;
    match state {
        Some(state) if state.version == snapshot.version => state
            .verify(&snapshot.totals, &snapshot.metadata)
            .map_err(damaged),
        Some(state) if state.version > snapshot.version => Err(damaged(format!(
            "the log ends here, and one of its commits made version {}",
            state.version
        ))),
        // Other software, or a version of Vouch that states nothing, has committed last.
        _ => match log::states_itself(location, &newest).await? {
            true => Err(damaged(
                "what it states about the log is missing".to_owned(),
            )),
            false => Ok(()),
        },
    }
}

/// Runs a part of the Delta library that reads the log: it panics on some damaged checkpoints. An object store that
/// has failed meanwhile is the error then, as the log may be whole.
async fn guarded<T>(
    workspace: &WorkspaceId,
    failures: &Failures,
    reading: impl Future<Output = Result<T, DeltaTableError>>,
) -> Result<T, StoreError> {
    failures.clear();
    let error = match AssertUnwindSafe(reading).catch_unwind().await {
        Ok(Ok(read)) => return Ok(read),
        Ok(Err(error)) => error,
        Err(_) => DeltaTableError::generic("the log cannot be decoded"),
    };
    Err(match failures.take() {
        Some(error) => StoreError::ObjectStore(error),
        None => unreadable(workspace, error),
    })
}

fn unreadable(workspace: &WorkspaceId, error: DeltaTableError) -> StoreError {
    StoreError::Delta {
        workspace: workspace.clone(),
        source: Box::new(error),
    }
}

/// Whether there is anything of the table of `workspace`: a log or a data file.
pub(crate) async fn has_objects(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<bool, StoreError> {
    let mut objects = location.objects.list(Some(&paths::table(workspace)));
    Ok(objects.try_next().await?.is_some())
}

/// Whether anything was ever committed to the table of `workspace`.
pub(crate) async fn exists(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<bool, StoreError> {
    // The hint costs one request; on a disk a listing reads the metadata of every object of the log. A hint
    // that cannot be read is
    // not needed.
    let hint = paths::last_checkpoint(workspace);
    if location.objects.head(&hint).await.is_ok() {
        return Ok(true);
    }
    let log = location.listed(|| first_versioned(location, workspace));
    Ok(!log.await?.is_empty())
}

/// One object that belongs to a version; none when there is no log.
async fn first_versioned(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let log = location.objects.list(Some(&paths::log(workspace)));
    let versioned = log.try_filter(|object| future::ready(is_versioned(object)));
    Ok(versioned.take(1).try_collect().await?)
}

/// The objects of the log; none when none of them belongs to a version.
async fn whole_log(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let mut log = list_from(location, workspace, 0).await?;
    if !log.iter().any(is_versioned) {
        log.clear();
    }
    Ok(log)
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
fn open(root: &Arc<dyn ObjectStore>, workspace: &WorkspaceId) -> Result<DeltaTable, StoreError> {
    let path = paths::table(workspace);
    let url = Url::parse(DELTA_ROOT)
        .and_then(|root| root.join(&format!("{path}/")))
        .map_err(|error| StoreError::InvalidUrl {
            url: path.to_string(),
            reason: error.to_string(),
        })?;
    let objects: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(root), path));
    Ok(DeltaTable::new(default_logstore(
        objects,
        Arc::clone(root),
        &url,
        &StorageConfig::default(),
    )))
}
