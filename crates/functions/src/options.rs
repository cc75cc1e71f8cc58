//! What a session hands to every call of a function: the memory pool that texts are charged to, and the metrics that
//! what a call meets is counted in.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};

use crate::notes::NoteMetrics;

/// An extension of a session's options. Calls without it are charged to no pool and counted nowhere.
#[derive(Debug, Clone)]
pub struct FunctionOptions {
    /// The memory that texts are charged to.
    pub pool: Arc<dyn MemoryPool>,
    /// The metrics of the question.
    pub notes: NoteMetrics,
}

impl ConfigExtension for FunctionOptions {
    const PREFIX: &'static str = "vouch_functions";
}

impl ExtensionOptions for FunctionOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!(
            "`{}.{key}` is set by the program",
            Self::PREFIX
        )))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// A reservation of nothing yet, in the memory pool of the calls of a session.
pub(crate) fn reservation(config: &ConfigOptions, consumer: &str) -> MemoryReservation {
    let options = config.extensions.get::<FunctionOptions>();
    let pool = options.map_or_else(
        || Arc::new(UnboundedMemoryPool::default()) as Arc<dyn MemoryPool>,
        |options| Arc::clone(&options.pool),
    );
    MemoryConsumer::new(consumer).register(&pool)
}
