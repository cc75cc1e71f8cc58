//! Events as they come: acknowledged when they are durable.

use std::fmt;
use std::str::FromStr;

use events::{Event, Rejection, WorkspaceId};

use crate::error::StoreError;
use crate::import::ImportOptions;
use crate::store::Store;

/// How events are taken in.
#[derive(Debug, Clone, Default)]
pub struct IngestOptions {}

/// Takes events in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    store: Store,
}

/// Events that are stored together.
#[derive(Debug, Clone)]
pub struct WriteBatch {
    /// The events.
    pub events: Vec<Event>,
    /// Which batch of its producer this is.
    pub number: Option<BatchNumber>,
    /// Whether one refused event refuses all.
    pub all_or_nothing: bool,
}

/// Which batch of its producer a batch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchNumber {
    /// Who numbers.
    pub producer: String,
    /// The workspace whose batches are numbered.
    pub workspace: WorkspaceId,
    /// From 1, without gaps.
    pub number: u64,
}

/// What a write has done.
#[derive(Debug, Clone)]
pub struct Written {
    /// The events that were not stored.
    pub refused: Vec<Refused>,
    /// Makes the write visible on any node, when it is given with a query.
    pub token: Option<WriteToken>,
}

/// An event that was not stored.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its position in the batch.
    pub index: usize,
    /// Why.
    pub rejection: Rejection,
}

/// Names a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteToken(String);

impl fmt::Display for WriteToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for WriteToken {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl Store {
    /// Takes events in.
    pub fn ingest(&self, _options: IngestOptions) -> Ingest {
        Ingest {
            store: self.clone(),
        }
    }
}

impl Ingest {
    /// Resolves when the events are durable and seen by later queries.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&self, batch: WriteBatch) -> Result<Written, StoreError> {
        let mut import = self.store.import(ImportOptions::default());
        for event in batch.events {
            import.push(event).await?;
        }
        import.finish().await?;
        Ok(Written {
            refused: Vec::new(),
            token: None,
        })
    }

    /// Stops.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}
