//! The marker of a store: the object at its root that says which store it is.
//!
//! Without it a root that is not there (a volume that is not mounted, a mistyped address) cannot be distinguished from
//! an empty store. So an empty listing is believed only while the marker is there, and nothing is written
//! without it. The rules are in `docs/store.md`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::delta::table::Table;
use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;
use crate::root::synced_fs;
use crate::segment;
use crate::store::Store;

/// The newest format of a store that this version can use. It is raised only when older versions must not use
/// a store any more.
const FORMAT: u32 = 1;

/// The oldest version of Vouch that can use a store of [`FORMAT`].
const PROGRAM: &str = "0.2.0";

/// A writer looks for the marker again after this time.
const CHECK_AFTER: Duration = Duration::from_secs(2);

/// Which store it is. A key that a newer version of Vouch writes is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The format of the store.
    format: u32,
    /// The oldest version of Vouch that can use this format.
    program: String,
    /// Distinguishes the store from any other.
    id: Uuid,
    /// Distinguishes the store from what it was before a backup was restored.
    incarnation: Uuid,
}

impl Marker {
    pub(crate) fn new() -> Self {
        Self {
            format: FORMAT,
            program: PROGRAM.to_owned(),
            id: Uuid::new_v4(),
            incarnation: Uuid::new_v4(),
        }
    }

    /// The id of the store, which it keeps for ever.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The incarnation of the store, a new one after each restore.
    #[must_use]
    pub fn incarnation(&self) -> Uuid {
        self.incarnation
    }

    /// The marker of the same store when a backup of it is restored.
    #[must_use]
    pub fn restored(&self) -> Self {
        Self {
            incarnation: Uuid::new_v4(),
            ..self.clone()
        }
    }

    /// The bytes of the object.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec_pretty(self).map_err(|error| corrupt(error.to_string()))
    }

    /// Reads the bytes of the object.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        /// What every version understands.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
            program: Option<String>,
        }
        let unreadable = |error: serde_json::Error| corrupt(error.to_string());
        let found: Format = serde_json::from_slice(bytes).map_err(unreadable)?;
        if found.format > FORMAT {
            return Err(StoreError::NewerFormat {
                format: found.format,
                program: found.program.unwrap_or_else(|| "a newer one".to_owned()),
            });
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt {
        path: paths::marker().to_string(),
        reason,
    }
}

/// The marker as this process knows it; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownMarker {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    marker: Option<Marker>,
    /// When the marker was last there.
    checked: Option<Instant>,
    /// Since when it is missing, or another one.
    missing: Option<Instant>,
}

impl KnownMarker {
    fn marker(&self) -> Option<Marker> {
        self.state().marker.clone()
    }

    fn is_checked_within(&self, age: Duration) -> bool {
        let checked = self.state().checked;
        checked.is_some_and(|checked| checked.elapsed() <= age)
    }

    /// Notes a marker that was just read, or will be written when a restore is done.
    pub(crate) fn note(&self, marker: Marker) {
        let mut state = self.state();
        state.marker = Some(marker);
        state.checked = Some(Instant::now());
        state.missing = None;
    }

    fn note_missing(&self) {
        let mut state = self.state();
        state.checked = None;
        state.missing.get_or_insert_with(Instant::now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Location {
    /// Whether the root is in the memory of this process, so that it is always there, and no other process
    /// takes it for something else. Such a store needs no marker.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.url.scheme() == "memory"
    }

    /// Reads the marker; `None` when there is none.
    pub(crate) async fn read_marker(&self) -> Result<Option<Marker>, StoreError> {
        match self.objects.get(&paths::marker()).await {
            Ok(found) => {
                // It is never overwritten, unlike what clocks are compared by.
                self.saw_object_of(found.meta.last_modified);
                Marker::decode(&found.bytes().await?).map(Some)
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The marker as it is now, which must be the one that this process knows; `None` when it has not known one
    /// and there is none.
    async fn check_marker(&self) -> Result<Option<Marker>, StoreError> {
        let known = self.marker.marker();
        match (self.read_marker().await?, known) {
            (None, None) => Ok(None),
            (None, Some(known)) => {
                self.marker.note_missing();
                Err(StoreError::Gone {
                    url: self.url.to_string(),
                    id: known.id,
                })
            }
            (Some(found), Some(known)) if found != known => {
                self.marker.note_missing();
                Err(StoreError::Replaced {
                    url: self.url.to_string(),
                    id: known.id,
                    incarnation: known.incarnation,
                })
            }
            (Some(found), _) => {
                self.marker.note(found.clone());
                Ok(Some(found))
            }
        }
    }

    /// Makes sure that the store is there. To be asked whenever a listing is empty, before that is believed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gone`], [`StoreError::Replaced`] and [`StoreError::NoStore`].
    pub(crate) async fn check_present(&self) -> Result<(), StoreError> {
        if self.is_in_memory() || self.check_marker().await?.is_some() {
            return Ok(());
        }
        self.refuse_other_marks().await?;
        match self.has_data().await? {
            true => Ok(()),
            false => Err(self.no_store()),
        }
    }

    /// What `list` lists. That nothing is there is believed only while the store is; on a local disk it is listed
    /// again then, as the volume may have come back in between.
    ///
    /// # Errors
    ///
    /// Those of `list`, and as for [`Location::check_present`].
    pub(crate) async fn listed<T, F>(&self, list: impl Fn() -> F) -> Result<Vec<T>, StoreError>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        let listed = list().await?;
        if !listed.is_empty() {
            return Ok(listed);
        }
        self.check_present().await?;
        match self.directory() {
            Some(_) => list().await,
            None => Ok(listed),
        }
    }

    /// Makes sure that the store is there before something is written. A store of version 0.1.0 has no marker;
    /// it gets one.
    ///
    /// # Errors
    ///
    /// As for [`Location::check_present`]; [`StoreError::MarkerMissing`] when the marker was lost.
    pub(crate) async fn check_writable(&self) -> Result<Option<Marker>, StoreError> {
        if self.is_in_memory() {
            return Ok(None);
        }
        if let Some(marker) = self.marker.marker()
            && self.marker.is_checked_within(CHECK_AFTER)
        {
            return Ok(Some(marker));
        }
        if let Some(marker) = self.check_marker().await? {
            return Ok(Some(marker));
        }
        self.refuse_other_marks().await?;
        if !self.has_data().await? {
            return Err(self.no_store());
        }
        self.refuse_marked_objects().await?;
        match self.create_marker(&Marker::new()).await {
            // Another process was faster.
            Ok(()) | Err(StoreError::StoreExists { .. }) => self.check_marker().await,
            Err(error) => Err(error),
        }
    }

    /// Makes sure that `object` belongs to this store, where `id` is the id of the store that it names.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherStore`], and [`StoreError::MarkerMissing`] when there is no marker.
    pub(crate) async fn check_owner(
        &self,
        object: impl FnOnce() -> String,
        id: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(id) = id else {
            return Ok(());
        };
        let marker = match self.marker.marker() {
            Some(marker) => Some(marker),
            None => self.check_marker().await?,
        };
        match marker {
            Some(marker) if marker.id.to_string() == id => Ok(()),
            Some(marker) => Err(StoreError::OtherStore {
                object: object(),
                found: id.to_owned(),
                id: marker.id,
            }),
            None => Err(StoreError::MarkerMissing {
                object: object(),
                found: id.to_owned(),
            }),
        }
    }

    /// The incarnation of the store; `None` of a store without a marker.
    pub(crate) async fn incarnation(&self) -> Result<Option<String>, StoreError> {
        let marker = match self.marker.marker() {
            Some(marker) => Some(marker),
            None if self.is_in_memory() => None,
            None => self.check_marker().await?,
        };
        Ok(marker.map(|marker| marker.incarnation.to_string()))
    }

    /// Whether an object was written since the store was made, or restored from a backup; `incarnation` is what it
    /// says.
    pub(crate) fn is_of_incarnation(&self, incarnation: Option<&str>) -> bool {
        let known = self.marker.marker();
        let known = known.map(|marker| marker.incarnation.to_string());
        known.as_deref() == incarnation
    }

    /// Makes sure that no object names a store. What is damaged does not count: its error is reported when it is used.
    async fn refuse_marked_objects(&self) -> Result<(), StoreError> {
        let is_refusal = |error: &StoreError| !error.may_be_damage();
        for listed in segment::listed(self).await? {
            match segment::fetch(self, &listed).await {
                Err(error) if is_refusal(&error) => return Err(error),
                _ => {}
            }
        }
        let root = self.objects.list_with_delimiter(None).await?;
        let prefixes = root.common_prefixes.iter();
        for workspace in prefixes.filter_map(paths::workspace_of_table) {
            match Table::load(self, &workspace).await {
                Err(error) if is_refusal(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether there are objects that only a store has.
    async fn has_data(&self) -> Result<bool, StoreError> {
        let root = self.objects.list_with_delimiter(None).await?;
        let prefixes = root.common_prefixes.iter();
        for prefix in prefixes.filter(|path| paths::is_data(path)) {
            // A local disk shows empty directories too.
            if self.objects.list(Some(prefix)).try_next().await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes sure that nothing at the root is of a store whose marker is missing, of a backup, or of a restore.
    pub(crate) async fn refuse_data(&self) -> Result<(), StoreError> {
        if self.read_marker().await?.is_some() {
            return Ok(());
        }
        self.refuse_other_marks().await?;
        match self.has_data().await? {
            false => Ok(()),
            true => Err(StoreError::StoreExists {
                url: self.url.to_string(),
                found: "events".to_owned(),
            }),
        }
    }

    /// Makes the marker, and on a local disk the directory. Elsewhere it is tried before whether a second marker
    /// would be refused.
    pub(crate) async fn create_marker(&self, marker: &Marker) -> Result<(), StoreError> {
        let bytes = marker.encode()?;
        match self.directory() {
            Some(directory) => synced_fs::create_root(directory).await?,
            None => self.probe_object_store().await?,
        }
        let options = PutMode::Create.into();
        match self
            .objects
            .put_opts(&paths::marker(), bytes.into(), options)
            .await
        {
            Ok(_) => Ok(()),
            // An earlier attempt, whose answer was lost, may have made it.
            Err(error) => match self.read_marker().await? {
                Some(found) if found == *marker => Ok(()),
                Some(found) => Err(StoreError::StoreExists {
                    url: self.url.to_string(),
                    found: format!("the marker of store {}", found.id),
                }),
                None => Err(error.into()),
            },
        }
    }

    fn no_store(&self) -> StoreError {
        StoreError::NoStore {
            url: self.url.to_string(),
        }
    }
}

impl Store {
    /// Makes a new, empty store at the root. On a local disk the directory is made when it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::StoreExists`] when there is a store, or events of one whose marker is missing.
    pub async fn init(&self) -> Result<Marker, StoreError> {
        let marker = Marker::new();
        let location = self.location();
        location.refuse_data().await?;
        location.create_marker(&marker).await?;
        location.marker.note(marker.clone());
        Ok(marker)
    }

    /// Whether the root is a directory of a local disk that does not exist, so that no volume can be missing
    /// there.
    #[must_use]
    pub fn is_missing_directory(&self) -> bool {
        let directory = self.location().directory();
        directory.is_some_and(|directory| !directory.exists())
    }

    /// The marker of the store, read anew; `None` when it has none: it is in memory, not there, or of version
    /// 0.1.0 and was not written to since.
    ///
    /// # Errors
    ///
    /// When it cannot be read, and [`StoreError::NewerFormat`].
    pub async fn marker(&self) -> Result<Option<Marker>, StoreError> {
        self.location().read_marker().await
    }

    /// Makes sure that there is a store at the root.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoStore`], [`StoreError::NewerFormat`], or when the root cannot be read.
    pub async fn check_present(&self) -> Result<(), StoreError> {
        self.location().check_present().await
    }

    /// Makes sure that there is a store at the root and that it may be written to. A store of version 0.1.0 gets
    /// its marker.
    ///
    /// # Errors
    ///
    /// As for [`Store::check_present`]; [`StoreError::MarkerMissing`] when the marker was lost.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        self.location().check_writable().await.map(drop)
    }

    /// For how long the marker has been missing, as far as this process has noticed; `None` while it is there.
    #[must_use]
    pub fn missing_for(&self) -> Option<Duration> {
        let missing = self.location().marker.state().missing;
        missing.map(|since| since.elapsed())
    }
}
