//! The segments of a root that are not folded yet, as far as this process knows them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Mutex as AsyncMutex;

use super::{Segment, SegmentKey};
use crate::error::StoreError;
use crate::location::Location;
use crate::paths;

/// How many segments are fetched at the same time.
const FETCH_CONCURRENCY: usize = 16;

/// How often the root is listed again when segments disappear while they are fetched.
const ATTEMPTS: usize = 10;

/// Segments that were listed or written by this process, in memory.
#[derive(Default)]
pub(crate) struct KnownSegments {
    state: Mutex<State>,
    /// Held by who lists, so that nobody lists for the same purpose at the same time.
    listing: AsyncMutex<()>,
}

#[derive(Default)]
struct State {
    segments: BTreeMap<SegmentKey, Known>,
    /// When the newest listing began.
    listed: Option<Instant>,
    /// Counts the segments that this process has added.
    additions: u64,
}

struct Known {
    segment: Arc<Segment>,
    /// The number of the addition; 0 of a listed one.
    addition: u64,
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
        let addition = state.additions;
        let key = segment.key;
        state.segments.insert(key, Known { segment, addition });
    }

    /// Forgets segments whose events are in their tables.
    pub(crate) fn remove<'a>(&self, keys: impl IntoIterator<Item = &'a SegmentKey>) {
        let mut state = self.state();
        for key in keys {
            state.segments.remove(key);
        }
    }

    /// Whether a segment is among them.
    pub(crate) fn contains(&self, key: &SegmentKey) -> bool {
        self.state().segments.contains_key(key)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.state().segments.len()
    }

    /// About how many bytes of memory all of them take.
    pub(crate) fn memory_bytes(&self) -> usize {
        let state = self.state();
        let segments = state.segments.values();
        segments.map(|known| known.segment.memory_bytes).sum()
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
            // Somebody else may have listed while this one waited.
            if !self.is_listed_since(asked, age) {
                self.list(location).await?;
            }
        }
        let state = self.state();
        let segments = state.segments.values();
        Ok(segments.map(|known| Arc::clone(&known.segment)).collect())
    }

    fn is_listed_since(&self, asked: Instant, age: Duration) -> bool {
        let listed = self.state().listed;
        listed.is_some_and(|listed| listed + age >= asked)
    }

    async fn list(&self, location: &Location) -> Result<(), StoreError> {
        let mut missing = None;
        for _ in 0..ATTEMPTS {
            let begun = Instant::now();
            let additions = self.state().additions;
            let keys = listed_keys(location).await?;
            match self.fetch(location, &keys).await {
                // It was folded after it was listed: a new listing does not show it.
                Err(StoreError::NotFound { path }) => missing = Some(path),
                Err(error) => return Err(error),
                Ok(fetched) => {
                    self.replace(fetched, additions, begun);
                    return Ok(());
                }
            }
        }
        let path = missing.unwrap_or_default();
        Err(StoreError::NotFound { path })
    }

    /// The segments of these keys, those that are not known from the object store.
    async fn fetch(
        &self,
        location: &Location,
        keys: &[SegmentKey],
    ) -> Result<Vec<Arc<Segment>>, StoreError> {
        let known: Vec<Option<Arc<Segment>>> = {
            let state = self.state();
            let known = keys.iter().map(|key| state.segments.get(key));
            known
                .map(|known| known.map(|known| Arc::clone(&known.segment)))
                .collect()
        };
        futures::stream::iter(keys.iter().copied().zip(known))
            .map(|(key, known)| async move {
                match known {
                    Some(segment) => Ok(segment),
                    None => fetch(location, key).await.map(Arc::new),
                }
            })
            .buffered(FETCH_CONCURRENCY)
            .try_collect()
            .await
    }

    /// Takes a listing in place of what was known, except what was added since it began.
    fn replace(&self, listed: Vec<Arc<Segment>>, additions: u64, begun: Instant) {
        let mut state = self.state();
        state.segments.retain(|_, known| known.addition > additions);
        for segment in listed {
            let known = Known {
                segment: Arc::clone(&segment),
                addition: 0,
            };
            state.segments.entry(segment.key).or_insert(known);
        }
        state.listed = Some(begun);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of all segments under the root, sorted.
pub(crate) async fn listed_keys(location: &Location) -> Result<Vec<SegmentKey>, StoreError> {
    let directory = paths::segments();
    let listing = location.objects.list(Some(&directory));
    let mut keys: Vec<SegmentKey> = listing
        .try_filter_map(|object| async move { Ok(paths::segment_key(&object.location)) })
        .try_collect()
        .await?;
    keys.sort_unstable();
    Ok(keys)
}

async fn fetch(location: &Location, key: SegmentKey) -> Result<Segment, StoreError> {
    let path = paths::segment(&key);
    let bytes = location.objects.get(&path).await?.bytes().await?;
    Segment::decode(key, &bytes).map_err(|reason| StoreError::Corrupt {
        path: path.to_string(),
        reason,
    })
}
