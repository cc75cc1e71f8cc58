//! The store itself: one root with the tables of all workspaces.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deltalake_core::checkpoints::create_checkpoint;
use events::WorkspaceId;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use url::Url;

use crate::delta::heads::NamedVersions;
use crate::delta::log;
use crate::delta::snapshot::{DataFile, Snapshot};
use crate::delta::table::{self, Table};
use crate::error::StoreError;
use crate::file::footer::Footer;
use crate::file::reader::{FileCaches, FileReader};
use crate::import::{Import, ImportOptions};
use crate::maintenance::activity::Activity;
use crate::read_view::LISTING_AGE;
use crate::root::clock::{Clock, Comparison};
use crate::root::location::{Location, StoreOptions};
use crate::root::marker::KnownMarker;
use crate::root::paths;
use crate::segment::{KnownSegments, RecentEvents, Segment};

/// A checkpoint is written at each version that is a multiple of this.
const CHECKPOINT_VERSIONS: u64 = 20;

/// With more loaded tables than this, those that no reader uses at the moment are forgotten. A table takes about
/// 170 kB, and more with many files.
const MAX_TABLES: usize = 1_024;

/// The number of workspaces that are read concurrently.
const WORKSPACE_CONCURRENCY: usize = 16;

/// The events of all workspaces under one root; cheap to clone, clones share what they have read.
///
/// Everything lasting is in the root: any number of processes may open the same one and write to
/// it at the same time.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    location: Location,
    tables: Mutex<HashMap<WorkspaceId, Arc<TableSlot>>>,
    named: OnceCell<NamedVersions>,
    segments: KnownSegments,
    recent: RecentEvents,
    activity: Activity,
}

/// A table that was loaded once and is brought up to date by its next reader.
type TableSlot = AsyncMutex<Option<Table>>;

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Store")
            .field(&self.inner.location.url.as_str())
            .finish()
    }
}

impl Store {
    /// Opens the store at `url`: the path of a directory, or an address that starts with
    /// `file://`, `s3://`, `gs://`, `az://` or `memory://` (every `memory://` store is a new one).
    ///
    /// Nothing is read or written yet. Whether there is a store is found out by whatever is done first, or by
    /// [`Store::check_present`]; [`Store::init`] makes a new one. A `memory://` store need not be made.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidUrl`] when `url` cannot hold a store, for instance because it is a
    /// file.
    pub fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        Location::open(url, options).map(Self::from_location)
    }

    /// The store whose objects are `objects`, by paths relative to its root; `url` is what the root
    /// calls itself.
    ///
    /// A test or a tool can wrap the objects of a store with it, for instance to count, delay or
    /// break writes: wrap the [`Store::object_store`] of an opened store, so that what it promises about
    /// durability and order stays. `objects` must list in the order of paths, refuse
    /// [`PutMode::Create`](object_store::PutMode::Create) where an object is, and show a write as a
    /// whole or not at all.
    #[must_use]
    pub fn with_object_store(objects: Arc<dyn ObjectStore>, url: Url) -> Self {
        Self::from_location(Location {
            url,
            objects,
            clock: Clock::System,
            comparison: Comparison::default(),
            caches: FileCaches::default(),
            marker: KnownMarker::default(),
        })
    }

    /// The same store with another clock. Nothing that was read is kept.
    #[must_use]
    pub fn with_clock(&self, clock: Clock) -> Self {
        Self::from_location(Location {
            clock,
            ..self.location().clone()
        })
    }

    /// The store at a root that was found already.
    pub(crate) fn from_location(location: Location) -> Self {
        let inner = Inner {
            location: Location {
                caches: FileCaches::default(),
                marker: KnownMarker::default(),
                comparison: Comparison::default(),
                ..location
            },
            tables: Mutex::default(),
            named: OnceCell::default(),
            segments: KnownSegments::default(),
            recent: RecentEvents::default(),
            activity: Activity::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The absolute address of the root.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.inner.location.url
    }

    /// The objects under the root; [`DataFile::path`](crate::DataFile::path) is valid in it.
    #[must_use]
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner.location.objects)
    }

    /// Reads parts of a file of a table. What is read is compared with what was written; a file that is damaged or
    /// missing is a [`StoreError`], boxed in the errors of the reader.
    #[must_use]
    pub fn file_reader(&self, file: &DataFile) -> FileReader {
        FileReader::new(self.location(), &file.file_ref())
    }

    /// The footer of a file of a table, which the store keeps in memory.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is damaged.
    pub async fn footer(&self, file: &DataFile) -> Result<Arc<Footer>, StoreError> {
        let location = self.location();
        location.caches.footers.of(location, &file.file_ref()).await
    }

    /// The workspaces that have events, or had some, sorted.
    ///
    /// # Errors
    ///
    /// When the root cannot be listed, and [`StoreError::Corrupt`] when a segment is so damaged that it may
    /// hold events of workspaces that are known from nowhere else.
    pub async fn workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        for segment in self.segments(LISTING_AGE).await? {
            segment.check_workspaces()?;
        }
        self.known_workspaces().await
    }

    /// Like [`Store::workspaces`], as far as they are known, for the maintenance of a store with damaged segments.
    ///
    /// # Errors
    ///
    /// When the root cannot be listed.
    pub async fn known_workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let segments = self.segments(LISTING_AGE).await?;
        let mut workspaces = BTreeSet::new();
        for segment in &segments {
            let whole = segment.batches.iter();
            let whole = whole.filter(|batch| batch.events.is_some());
            workspaces.extend(whole.map(|batch| batch.workspace.clone()));
            let lost = segment.damage.lost.iter();
            workspaces.extend(lost.map(|lost| lost.workspace.clone()));
        }
        workspaces.extend(self.workspaces_with_table().await?);
        Ok(workspaces.into_iter().collect())
    }

    /// The workspaces that have a table.
    ///
    /// # Errors
    ///
    /// When the root cannot be listed.
    pub async fn workspaces_with_table(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let location = &self.inner.location;
        location.listed(|| self.listed_tables()).await
    }

    async fn listed_tables(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let location = &self.inner.location;
        let found: Vec<Option<WorkspaceId>> = futures::stream::iter(self.listed_folders().await?)
            .map(|workspace| async move {
                // Data files without a log are a table that has lost its log.
                let exists = table::exists(location, &workspace).await?
                    || log::refuse_beside_data(location, &workspace).await.is_err();
                Ok::<_, StoreError>(exists.then_some(workspace))
            })
            .buffered(WORKSPACE_CONCURRENCY)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The workspaces that have a folder under the root, whether or not there is a table in it.
    ///
    /// Costs one listing, however many workspaces there are; unlike [`Store::workspaces`].
    ///
    /// # Errors
    ///
    /// When the root cannot be listed.
    pub async fn workspace_folders(&self) -> Result<BTreeSet<WorkspaceId>, StoreError> {
        let folders = self.location().listed(|| self.listed_folders()).await?;
        Ok(folders.into_iter().collect())
    }

    async fn listed_folders(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let root = self.location().objects.list_with_delimiter(None).await?;
        let folders = root.common_prefixes.iter();
        Ok(folders.filter_map(paths::workspace_of_table).collect())
    }

    /// The newest version of the table of `workspace`; `None` when there is no such table.
    ///
    /// Costs one listing when nothing has changed since the last call.
    ///
    /// # Errors
    ///
    /// When the table cannot be read in full. A table whose log is damaged never counts as an
    /// empty one: the error names the object.
    pub async fn snapshot(&self, workspace: &WorkspaceId) -> Result<Option<Snapshot>, StoreError> {
        let slot = self.slot(workspace);
        let mut slot = slot.lock().await;
        *slot = self.newest(workspace, slot.take()).await?;
        if slot.is_none() {
            // Names without stored events must not fill the memory.
            self.tables().remove(workspace);
        }
        Ok(slot.as_ref().map(|table| table.snapshot().clone()))
    }

    /// Begins to store events; nothing is seen by readers before [`Import::finish`].
    #[must_use]
    pub fn import(&self, options: ImportOptions) -> Import {
        Import::new(self.clone(), options)
    }

    /// Sums up the log of `workspace` in a checkpoint when `version`, which was just committed, is to
    /// have one. The commit is valid whether or not this works, and a later one will try again.
    pub(crate) async fn checkpoint_if_due(&self, workspace: &WorkspaceId, version: u64) {
        if !version.is_multiple_of(CHECKPOINT_VERSIONS) {
            return;
        }
        if let Err(error) = self.checkpoint(workspace).await {
            tracing::warn!(%workspace, version, %error, "no checkpoint was written");
        }
    }

    /// Sums up the log of `workspace` in a checkpoint of its newest version.
    pub(crate) async fn checkpoint(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let slot = self.slot(workspace);
        let mut slot = slot.lock().await;
        *slot = self.newest(workspace, slot.take()).await?;
        let Some(table) = slot.as_ref() else {
            return Ok(());
        };
        create_checkpoint(table.delta(), None)
            .await
            .map_err(|error| StoreError::Delta {
                workspace: workspace.clone(),
                source: Box::new(error),
            })
    }

    pub(crate) fn location(&self) -> &Location {
        &self.inner.location
    }

    /// The segments under the root as they were at most `age` ago, and those that this process has
    /// written since. Tables must be loaded after this, not before.
    pub(crate) async fn segments(&self, age: Duration) -> Result<Vec<Arc<Segment>>, StoreError> {
        let segments = self.inner.segments.current(self.location(), age).await;
        self.inner.activity.listings.record(segments.is_ok());
        segments
    }

    pub(crate) fn activities(&self) -> &Activity {
        &self.inner.activity
    }

    pub(crate) fn known_segments(&self) -> &KnownSegments {
        &self.inner.segments
    }

    pub(crate) fn recent_events(&self) -> &RecentEvents {
        &self.inner.recent
    }

    async fn newest(
        &self,
        workspace: &WorkspaceId,
        loaded: Option<Table>,
    ) -> Result<Option<Table>, StoreError> {
        let location = &self.inner.location;
        match loaded {
            Some(table) => table.refresh(location).await,
            None => self.load(workspace).await,
        }
    }

    /// Loads the newest version of the table of `workspace`, unless a head names a later one: a log whose newest
    /// entries were removed is neither answered nor written to, as a commit would replace a removed one.
    async fn load(&self, workspace: &WorkspaceId) -> Result<Option<Table>, StoreError> {
        let location = &self.inner.location;
        let load = || Table::load(location, workspace);
        let (table, named) = futures::join!(load(), self.named_versions());
        let named = named?.get(workspace).map_or(&[][..], Vec::as_slice);
        match table? {
            // The version may have been made after the log was listed, and before the heads were.
            Some(table) if table.lost_version(named).is_some() => {
                let table = load().await?;
                match table.as_ref().and_then(|table| table.lost_version(named)) {
                    Some(lost) => Err(lost),
                    None => Ok(table),
                }
            }
            table => Ok(table),
        }
    }

    /// The id and the version of each table that is in memory and not being read at the moment.
    pub(crate) fn loaded_versions(&self) -> Vec<(WorkspaceId, String, u64)> {
        let tables = self.tables();
        let loaded = tables.iter().filter_map(|(workspace, slot)| {
            let table = slot.try_lock().ok()?;
            let snapshot = table.as_ref()?.snapshot();
            let id = snapshot.table_id().to_owned();
            Some((workspace.clone(), id, snapshot.version))
        });
        loaded.collect()
    }

    pub(crate) fn known_named_versions(&self) -> &OnceCell<NamedVersions> {
        &self.inner.named
    }

    fn slot(&self, workspace: &WorkspaceId) -> Arc<TableSlot> {
        let mut tables = self.tables();
        if let Some(slot) = tables.get(workspace) {
            return Arc::clone(slot);
        }
        if tables.len() >= MAX_TABLES {
            // What is read at the moment stays.
            tables.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let slot = Arc::new(TableSlot::default());
        tables.insert(workspace.clone(), Arc::clone(&slot));
        slot
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Arc<TableSlot>>> {
        self.inner
            .tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
