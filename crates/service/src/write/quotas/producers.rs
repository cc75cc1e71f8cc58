//! Quotas on the producers of numbered batches of a workspace.
//!
//! Every commit of a table has the newest number of each producer, so each producer adds to the size of every commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::WorkspaceId;
use store::{BatchNumber, Store};
use tokio::time::Instant;

use super::HOUR;
use crate::write::error::WriteError;

/// A producer that stores nothing for this long no longer counts. The store forgets its number as well.
const IDLE: Duration = Store::PRODUCER_FORGOTTEN_AFTER;

/// The producers of each workspace that this node knows.
#[derive(Debug)]
pub(super) struct Producers {
    store: Store,
    limit: usize,
    state: Mutex<State>,
}

/// The time of the newest batch of each producer of a workspace.
#[derive(Debug, Default)]
struct State {
    seen: HashMap<WorkspaceId, HashMap<String, Instant>>,
    /// The time of the last removal of idle producers.
    pruned: Option<Instant>,
}

/// A producer that counts. If it is new and its batch is not stored, it stops counting when this is dropped.
#[derive(Debug)]
pub(crate) struct CountedProducer {
    producers: Arc<Producers>,
    number: BatchNumber,
    is_new: bool,
}

impl Producers {
    pub(super) fn new(store: Store, limit: usize) -> Self {
        Self {
            store,
            limit,
            state: Mutex::default(),
        }
    }

    /// Counts the producer of a batch.
    ///
    /// # Errors
    /// [`WriteError::TooManyProducers`] when the quota is reached.
    pub(super) async fn count(
        self: &Arc<Self>,
        number: &BatchNumber,
    ) -> Result<CountedProducer, WriteError> {
        if !self.state().seen.contains_key(&number.workspace) {
            self.learn(&number.workspace).await;
        }
        let mut state = self.state();
        if state.pruned.is_none_or(|pruned| pruned.elapsed() > HOUR) {
            state.forget_idle();
        }
        let of_workspace = state.seen.entry(number.workspace.clone()).or_default();
        let is_new = !of_workspace.contains_key(&number.producer);
        if is_new && of_workspace.len() >= self.limit {
            return Err(WriteError::TooManyProducers {
                workspace: number.workspace.clone(),
                limit: self.limit,
            });
        }
        of_workspace.insert(number.producer.clone(), Instant::now());
        Ok(CountedProducer {
            producers: Arc::clone(self),
            number: number.clone(),
            is_new,
        })
    }

    /// Reads the producers whose numbers are in the table of a workspace.
    async fn learn(&self, workspace: &WorkspaceId) {
        match self.store.producers(workspace).await {
            Ok(names) => {
                let now = Instant::now();
                let mut state = self.state();
                let of_workspace = state.seen.entry(workspace.clone()).or_default();
                of_workspace.extend(names.into_iter().map(|name| (name, now)));
            }
            Err(error) => {
                tracing::warn!(%workspace, %error, "the producers of a workspace are not known; new ones are counted");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_idle(&mut self) {
        self.pruned = Some(Instant::now());
        self.seen.retain(|_, of_workspace| {
            of_workspace.retain(|_, seen| seen.elapsed() < IDLE);
            !of_workspace.is_empty()
        });
    }
}

impl CountedProducer {
    /// Marks the batch as stored.
    pub(crate) fn stored(mut self) {
        self.is_new = false;
    }
}

impl Drop for CountedProducer {
    fn drop(&mut self) {
        if self.is_new {
            let mut state = self.producers.state();
            if let Some(of_workspace) = state.seen.get_mut(&self.number.workspace) {
                of_workspace.remove(&self.number.producer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use store::StoreOptions;

    use super::*;

    fn number(producer: &str) -> BatchNumber {
        BatchNumber {
            producer: producer.to_owned(),
            workspace: "w".parse().unwrap(),
            number: 1,
        }
    }

    /// Concurrent requests do not exceed the limit together, and a batch that is not stored does not count.
    #[tokio::test]
    async fn producers_count_from_when_they_are_admitted() {
        let store = Store::open("memory://", &StoreOptions::default()).unwrap();
        let producers = Arc::new(Producers::new(store, 2));
        let first = producers.count(&number("a")).await.unwrap();
        let second = producers.count(&number("b")).await.unwrap();
        let third = producers.count(&number("c")).await;
        assert!(matches!(
            third,
            Err(WriteError::TooManyProducers { limit: 2, .. })
        ));
        first.stored();
        drop(second);
        producers.count(&number("c")).await.unwrap().stored();
        producers.count(&number("a")).await.unwrap().stored();
        assert!(producers.count(&number("b")).await.is_err());
    }
}
