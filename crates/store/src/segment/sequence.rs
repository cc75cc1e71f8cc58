//! The numbers of the batches that producers have sent.
//!
//! What is stored once is decided by event ids; numbers let a producer notice a batch that was lost, and
//! of one that is not the batch it was. The newest number of each producer is kept in the metadata of
//! the workspace's table, and changes in the same commit that brings the events.

use std::collections::BTreeMap;
use std::time::Duration;

use events::WorkspaceId;
use serde::{Deserialize, Serialize};

use crate::delta::log::TableMetadata;
use crate::error::StoreError;
use crate::segment::BatchSequence;
use crate::store::Store;

/// The property of the table that holds the numbers.
const PROPERTY: &str = "vouch.producers";

const FORGOTTEN_AFTER_MS: i64 = Store::PRODUCER_FORGOTTEN_AFTER.as_millis() as i64;

impl Store {
    /// A producer of numbered batches that is silent for this long is forgotten, and begins again with 1.
    pub const PRODUCER_FORGOTTEN_AFTER: Duration = Duration::from_hours(7 * 24);

    /// The names of the producers whose newest numbers the table of `workspace` has.
    ///
    /// # Errors
    ///
    /// As for [`Store::snapshot`], and [`StoreError::Unsupported`] when the numbers cannot be understood.
    pub async fn producers(&self, workspace: &WorkspaceId) -> Result<Vec<String>, StoreError> {
        let Some(snapshot) = self.snapshot(workspace).await? else {
            return Ok(Vec::new());
        };
        let numbers = ProducerState::of(&snapshot.metadata, workspace)?;
        Ok(numbers.0.into_keys().collect())
    }
}

/// The newest batch of a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastBatch {
    /// Its number.
    pub(crate) number: u64,
    /// Distinguishes it from another batch with this number.
    pub(crate) digest: String,
    /// When it was seen, in Unix milliseconds.
    pub(crate) seen_ms: i64,
}

/// The newest batches by the names of their producers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProducerState(BTreeMap<String, LastBatch>);

impl ProducerState {
    /// The numbers in the metadata of the table of `workspace`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] when they cannot be understood: taken for none, every batch that is
    /// sent again would be refused or taken for the first one.
    pub(crate) fn of(
        metadata: &TableMetadata,
        workspace: &WorkspaceId,
    ) -> Result<Self, StoreError> {
        let Some(text) = metadata.property(PROPERTY) else {
            return Ok(Self::default());
        };
        let numbers = serde_json::from_str(text);
        numbers.map(Self).map_err(|error| StoreError::Unsupported {
            workspace: workspace.clone(),
            reason: format!("has a property `{PROPERTY}` that cannot be understood ({error})"),
        })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest batch of a producer.
    pub(crate) fn newest(&self, producer: &str) -> Option<&LastBatch> {
        self.0.get(producer)
    }

    /// Takes a batch in, unless a later one is known.
    pub(crate) fn add(&mut self, number: &BatchSequence, seen_ms: i64) {
        let newest = LastBatch {
            number: number.number,
            digest: number.digest.clone(),
            seen_ms,
        };
        self.take(number.producer.clone(), newest);
    }

    /// The metadata of the table of `workspace` with these numbers besides those it has; `None` when it
    /// has them already, or there are none to add. No producer is forgotten when the time, `now_ms`, is not
    /// known.
    ///
    /// # Errors
    ///
    /// As for [`ProducerState::of`].
    pub(crate) fn merged_into(
        &self,
        metadata: &TableMetadata,
        workspace: &WorkspaceId,
        now_ms: Option<i64>,
    ) -> Result<Option<TableMetadata>, StoreError> {
        if self.is_empty() {
            return Ok(None);
        }
        let before = Self::of(metadata, workspace)?;
        let mut merged = before.clone();
        for (producer, newest) in &self.0 {
            merged.take(producer.clone(), newest.clone());
        }
        if merged == before {
            return Ok(None);
        }
        merged.0.retain(|_, newest| {
            now_ms.is_none_or(|now_ms| now_ms - newest.seen_ms < FORGOTTEN_AFTER_MS)
        });
        let text = serde_json::to_string(&merged.0).unwrap_or_default();
        let mut metadata = metadata.clone();
        metadata.set_property(PROPERTY, Some(text));
        Ok(Some(metadata))
    }

    fn take(&mut self, producer: String, newest: LastBatch) {
        match self.0.get(&producer) {
            Some(known) if known.number >= newest.number => {}
            _ => {
                self.0.insert(producer, newest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> WorkspaceId {
        "w".parse().unwrap()
    }

    fn merged(
        numbers: &ProducerState,
        metadata: &TableMetadata,
        now_ms: i64,
    ) -> Option<TableMetadata> {
        let merged = numbers.merged_into(metadata, &workspace(), Some(now_ms));
        merged.unwrap()
    }

    fn number(producer: &str, number: u64) -> BatchSequence {
        BatchSequence {
            workspace: "w".parse().unwrap(),
            producer: producer.to_owned(),
            number,
            digest: format!("digest {number}"),
        }
    }

    #[test]
    fn the_newest_number_of_each_producer_is_kept_until_it_is_silent_for_long() {
        let mut table = TableMetadata::new(0);
        table.set_property("other", Some("kept".to_owned()));
        let mut numbers = ProducerState::default();
        numbers.add(&number("a", 3), 10);
        numbers.add(&number("a", 2), 11);
        numbers.add(&number("b", 1), 12);
        let stored = merged(&numbers, &table, 20).unwrap();
        assert_eq!(stored.property("other"), Some("kept"));
        let read = ProducerState::of(&stored, &workspace()).unwrap();
        assert_eq!(read.newest("a").unwrap().number, 3);
        assert_eq!(read.newest("c"), None);
        assert_eq!(merged(&numbers, &stored, 30), None);

        let mut later = ProducerState::default();
        let later_ms = FORGOTTEN_AFTER_MS + 11;
        later.add(&number("b", 2), later_ms);
        let unknown = later.merged_into(&stored, &workspace(), None);
        let read = ProducerState::of(&unknown.unwrap().unwrap(), &workspace()).unwrap();
        assert_eq!(read.newest("a").unwrap().number, 3);
        let stored = merged(&later, &stored, later_ms).unwrap();
        let read = ProducerState::of(&stored, &workspace()).unwrap();
        assert_eq!(read.newest("a"), None);
        assert_eq!(read.newest("b").unwrap().digest, "digest 2");
    }

    #[test]
    fn numbers_that_cannot_be_understood_are_an_error() {
        assert_eq!(
            ProducerState::of(&TableMetadata::new(0), &workspace()).unwrap(),
            ProducerState::default()
        );
        let mut numbers = ProducerState::default();
        numbers.add(&number("a", 1), 10);
        for text in ["{", "[]", "", "5"] {
            let mut damaged = TableMetadata::new(0);
            damaged.set_property(PROPERTY, Some(text.to_owned()));
            for error in [
                ProducerState::of(&damaged, &workspace()).unwrap_err(),
                numbers
                    .merged_into(&damaged, &workspace(), None)
                    .unwrap_err(),
            ] {
                assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
                assert!(error.to_string().contains("vouch.producers"), "{error}");
            }
            // Imports without numbers go on.
            assert_eq!(merged(&ProducerState::default(), &damaged, 20), None);
        }
    }
}
