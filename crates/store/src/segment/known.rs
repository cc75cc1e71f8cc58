//! The segments of a root that are not folded yet, as this process knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::WorkspaceId;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use super::{MAX_WITNESSED, Segment};
use crate::error::{StoreError, joined};
use crate::root::location::Location;
use crate::root::paths;
use crate::root::segment_key::SegmentKey;

/// How many segments are fetched at the same time.
const FETCH_CONCURRENCY: usize = 16;

/// The number of listings that must show a segment, which is missing each time, until it is lost.
const ATTEMPTS: usize = 10;

/// After this time a damaged segment is read again: it may be its transfer that was damaged.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A segment as it was listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) key: SegmentKey,
    pub(crate) object: ObjectMeta,
}

/// Segments that were listed or written by this process, in memory.
#[derive(Default)]
pub(crate) struct KnownSegments {
    state: Mutex<State>,
    /// Held by the task that lists, so that no two list for the same purpose at the same time.
    listing: AsyncMutex<()>,
}

#[derive(Default)]
struct State {
    segments: BTreeMap<SegmentKey, Known>,
    /// When the newest listing began.
    listed: Option<Instant>,
    /// Counts the segments that this process has added.
    additions: u64,
    /// When this process listed each segment for the first time.
    seen: BTreeMap<SegmentKey, Instant>,
    /// Of segments that stay although they were folded, the workspaces whose events are in their tables.
    folded: BTreeMap<SegmentKey, BTreeSet<WorkspaceId>>,
}

struct Known {
    segment: Arc<Segment>,
    /// The number of the addition; 0 of a listed one.
    addition: u64,
    /// The object that was read, and when; `None` of one that this process has written.
    read: Option<(ObjectMeta, Instant)>,
}

impl Known {
    /// Whether reading the listed object could show something else.
    fn is_outdated(&self, listed: &ObjectMeta) -> bool {
        let Some((object, at)) = &self.read else {
            return false;
        };
        self.segment.damage.loses_events() && (object != listed || at.elapsed() > READ_AGAIN_AFTER)
    }
}

impl fmt::Debug for KnownSegments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        formatter
            .debug_struct("KnownSegments")
            .field("segments", &state.segments.len())
            .field("listed", &state.listed)
            .finish()
    }
}

impl KnownSegments {
    /// Takes a segment in that this process has just written.
    pub(crate) fn add(&self, segment: Arc<Segment>) {
        let mut state = self.state();
        state.additions += 1;
        let known = Known {
            addition: state.additions,
            read: None,
            segment,
        };
        state.segments.insert(known.segment.key, known);
    }

    /// Forgets segments that are no longer there.
    pub(crate) fn remove<'a>(&self, keys: impl IntoIterator<Item = &'a SegmentKey>) {
        let mut state = self.state();
        for key in keys {
            state.segments.remove(key);
            state.folded.remove(key);
        }
    }

    /// Whether a segment is among them.
    pub(crate) fn contains(&self, key: &SegmentKey) -> bool {
        self.state().segments.contains_key(key)
    }

    /// How many segments of a node can be folded, and about how many bytes of memory they take.
    pub(crate) fn foldable_of(&self, node: Uuid) -> (usize, usize) {
        self.foldable(|key| key.node == node)
    }

    /// When the oldest of them was written, Unix ms.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        let state = self.state();
        state.segments.keys().map(|key| key.written_ms).min()
    }

    /// How many segments there are, parked ones too, and about how many bytes of memory they take.
    pub(crate) fn totals(&self) -> (usize, usize) {
        self.foldable(|_| true)
    }

    /// The same of all nodes.
    pub(crate) fn foldable_of_all(&self) -> (usize, usize) {
        self.foldable(|key| !key.is_parked())
    }

    fn foldable(&self, is_counted: impl Fn(&SegmentKey) -> bool) -> (usize, usize) {
        let state = self.state();
        let segments = state.segments.values().map(|known| &known.segment);
        segments
            .filter(|segment| is_counted(&segment.key) && !segment.damage.loses_events())
            .fold((0, 0), |(count, bytes), segment| {
                (count + 1, bytes + segment.memory_bytes)
            })
    }

    /// About how many bytes of memory the parked events of workspaces take.
    pub(crate) fn parked_bytes(&self) -> BTreeMap<WorkspaceId, usize> {
        let mut parked = BTreeMap::new();
        let state = self.state();
        let segments = state.segments.values().map(|known| &known.segment);
        for segment in segments.filter(|segment| segment.key.is_parked()) {
            for batch in &segment.batches {
                *parked.entry(batch.workspace.clone()).or_default() += segment.memory_bytes;
            }
        }
        parked
    }

    /// All segments of a node.
    pub(crate) fn all_keys_of(&self, node: Uuid) -> Vec<SegmentKey> {
        let state = self.state();
        let keys = state.segments.keys();
        keys.filter(|key| key.node == node).copied().collect()
    }

    /// The newest segments of a node, for the header of its next one.
    pub(crate) fn keys_of(&self, node: Uuid) -> Vec<SegmentKey> {
        let state = self.state();
        let own = state.segments.keys().filter(|key| key.node == node);
        let mut keys: Vec<SegmentKey> = own.rev().take(MAX_WITNESSED).copied().collect();
        keys.reverse();
        keys
    }

    /// Notes that the events of some workspaces are in their tables, of a segment that stays.
    pub(crate) fn note_folded(
        &self,
        key: SegmentKey,
        workspaces: impl IntoIterator<Item = WorkspaceId>,
    ) {
        let mut state = self.state();
        state.folded.entry(key).or_default().extend(workspaces);
    }

    /// The workspaces that [`KnownSegments::note_folded`] was given.
    pub(crate) fn folded(&self, key: &SegmentKey) -> BTreeSet<WorkspaceId> {
        self.state().folded.get(key).cloned().unwrap_or_default()
    }

    /// The segments in the order of their keys: all that there were at some moment that is at most
    /// `age` ago, and those that this process has written since.
    ///
    /// Tables must be loaded after this returns, not before: events move from segments to tables.
    pub(crate) async fn current(
        &self,
        location: &Location,
        age: Duration,
    ) -> Result<Vec<Arc<Segment>>, StoreError> {
        let asked = Instant::now();
        if !self.is_listed_since(asked, age) {
            let _guard = self.listing.lock().await;
            // Another task may have listed while this one waited.
            if !self.is_listed_since(asked, age) {
                self.list(location).await?;
            }
        }
        let state = self.state();
        let segments = state.segments.values();
        Ok(segments.map(|known| Arc::clone(&known.segment)).collect())
    }

    /// The segments that are there now and that `is_chosen` is true of, by the key and the time since this
    /// process has known of it. No other is fetched.
    pub(crate) async fn chosen(
        &self,
        location: &Location,
        is_chosen: impl Fn(&SegmentKey, Duration) -> bool,
    ) -> Result<Vec<Arc<Segment>>, StoreError> {
        let listed = listed(location).await?;
        self.note_seen(&listed);
        let mut chosen = Vec::new();
        for listed in listed {
            let seen = self.state().seen.get(&listed.key).copied();
            let known_for = seen.map_or(Duration::ZERO, |seen| seen.elapsed());
            if is_chosen(&listed.key, known_for) {
                chosen.push(listed);
            }
        }
        let fetched: Vec<Option<Known>> = futures::stream::iter(chosen)
            .map(|listed| async move {
                match self.known_or_fetched(location, listed).await {
                    Ok(known) => Ok(Some(known)),
                    // Another node has folded it.
                    Err(StoreError::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffered(FETCH_CONCURRENCY)
            .try_collect()
            .await?;
        let known = fetched.into_iter().flatten();
        Ok(known.map(|known| known.segment).collect())
    }

    fn is_listed_since(&self, asked: Instant, age: Duration) -> bool {
        let listed = self.state().listed;
        listed.is_some_and(|listed| listed + age >= asked)
    }

    async fn list(&self, location: &Location) -> Result<(), StoreError> {
        let mut fetched = BTreeMap::new();
        let mut misses: BTreeMap<SegmentKey, usize> = BTreeMap::new();
        loop {
            let begun = Instant::now();
            let additions = self.state().additions;
            let listed = listed(location).await?;
            self.note_seen(&listed);
            let missing = self.fetch_into(&mut fetched, location, &listed).await?;
            if missing.is_empty() {
                let listed = listed.iter().map(|listed| &listed.key);
                let listed = listed.filter_map(|key| fetched.remove(key)).collect();
                self.replace(listed, additions, begun);
                return Ok(());
            }
            for key in missing {
                let misses = misses.entry(key).or_default();
                *misses += 1;
                if *misses == ATTEMPTS {
                    let path = paths::segment(&key).to_string();
                    return Err(StoreError::NotFound { path });
                }
            }
        }
    }

    /// Adds what was listed and is not among the fetched yet; returns the segments that are not there.
    /// Those were folded after they were listed: a new listing does not show them.
    async fn fetch_into(
        &self,
        fetched: &mut BTreeMap<SegmentKey, Known>,
        location: &Location,
        listed: &[Listed],
    ) -> Result<Vec<SegmentKey>, StoreError> {
        let is_lacking = |listed: &&Listed| !fetched.contains_key(&listed.key);
        let lacking: Vec<Listed> = listed.iter().filter(is_lacking).cloned().collect();
        let mut found = futures::stream::iter(lacking)
            .map(
                |listed| async move { (listed.key, self.known_or_fetched(location, listed).await) },
            )
            .buffer_unordered(FETCH_CONCURRENCY);
        let mut missing = Vec::new();
        while let Some((key, known)) = found.next().await {
            match known {
                Ok(known) => drop(fetched.insert(key, known)),
                Err(StoreError::NotFound { .. }) => missing.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }

    async fn known_or_fetched(
        &self,
        location: &Location,
        listed: Listed,
    ) -> Result<Known, StoreError> {
        let known = {
            let state = self.state();
            let known = state.segments.get(&listed.key);
            let known = known.filter(|known| !known.is_outdated(&listed.object));
            known.map(|known| (Arc::clone(&known.segment), known.read.clone()))
        };
        let (segment, read) = match known {
            Some(known) => known,
            None => {
                let (location, object) = (location.clone(), listed.object.clone());
                // Each in a task of its own, so that many are decoded on all processors.
                let fetched = tokio::spawn(async move { fetch(&location, &listed).await });
                let segment = joined(fetched.await)??;
                (Arc::new(segment), Some((object, Instant::now())))
            }
        };
        Ok(Known {
            segment,
            addition: 0,
            read,
        })
    }

    /// Takes a listing instead of the known segments, except what was added since it began.
    fn replace(&self, listed: Vec<Known>, additions: u64, begun: Instant) {
        let mut state = self.state();
        state.segments.retain(|_, known| known.addition > additions);
        for known in listed {
            state.segments.entry(known.segment.key).or_insert(known);
        }
        state.listed = Some(begun);
    }

    fn note_seen(&self, listed: &[Listed]) {
        let now = Instant::now();
        let mut state = self.state();
        let seen = listed.iter().map(|listed| {
            let seen = state.seen.get(&listed.key).copied();
            (listed.key, seen.unwrap_or(now))
        });
        let seen = seen.collect();
        state.seen = seen;
        let State { seen, folded, .. } = &mut *state;
        folded.retain(|key, _| seen.contains_key(key));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All segments under the root, sorted by their keys. One that moves while they are listed is among them.
pub(crate) async fn listed(location: &Location) -> Result<Vec<Listed>, StoreError> {
    location.listed(|| listed_once(location)).await
}

async fn listed_once(location: &Location) -> Result<Vec<Listed>, StoreError> {
    let mut listed = Vec::new();
    for directory in paths::segments() {
        let mut objects = location.objects.list(Some(&directory));
        while let Some(object) = objects.try_next().await? {
            if let Some(key) = paths::segment_key(&object.location) {
                listed.push(Listed { key, object });
            }
        }
    }
    listed.sort_unstable_by_key(|listed| listed.key);
    Ok(listed)
}

/// Reads a segment, which must be of this store.
pub(crate) async fn fetch(location: &Location, listed: &Listed) -> Result<Segment, StoreError> {
    let path = paths::segment(&listed.key);
    let mut segment = match location.bytes_of(&path).await {
        Ok(bytes) => Segment::decode(listed.key, &bytes),
        Err(StoreError::Corrupt { reason, .. }) => Segment::lost(listed.key, reason),
        Err(error) => return Err(error),
    };
    if segment.damage != super::Damage::default() {
        tracing::error!(%path, damage = %segment.damage, "a segment is damaged");
    }
    location
        .check_owner(|| path.to_string(), segment.header.store.as_deref())
        .await?;
    // A copy that a restore has made is newer than the segment.
    if location.is_of_incarnation(segment.header.incarnation.as_deref()) {
        segment.stored_at(listed.object.last_modified.timestamp_millis())?;
    }
    Ok(segment)
}
