#![doc = include_str!("../README.md")]

mod error;
mod metrics;
mod queries;
mod readiness;
mod scheduler;
mod tally;
mod turns;
mod workspaces;
pub mod write;

use engine::Engine;
use store::Ingest;

pub use error::incident;
pub use metrics::{Budgets, Gauges, METRICS_MEDIA_TYPE, Metrics};
pub use queries::Queries;
pub use readiness::{NotReady, READINESS_INTERVAL, Readiness};
pub use scheduler::{QueryLimits, QueryRuntime};
pub use tally::{Tally, TallyEvent};
pub use workspaces::{Access, Workspaces};
pub use write::{IngestConfig, IngestLimits, IngestQuotas, Writer};

/// The memory for incoming queries and for answers that are not sent yet, of all calls together.
const QUERY_BUDGET_BYTES: usize = 256 << 20;

/// The operations of a service, for all of its doors. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    queries: Queries,
    writer: Writer,
    metrics: Metrics,
    gauges: Gauges,
}

impl Service {
    /// A service that answers queries with `engine` on `runtime`, and stores events with `ingest`.
    pub fn new(
        engine: Engine,
        ingest: Ingest,
        runtime: &QueryRuntime,
        limits: QueryLimits,
        config: IngestConfig,
    ) -> Self {
        let metrics = Metrics::new();
        let writer = Writer::new(ingest, config, metrics.clone());
        let budgets = Budgets {
            writes: writer.budget().clone(),
            queries: write::Budget::new(QUERY_BUDGET_BYTES, api::MAX_MESSAGE_BYTES),
        };
        let store = engine.store().clone();
        Self {
            queries: Queries::new(engine, runtime, limits),
            writer,
            metrics,
            gauges: Gauges { store, budgets },
        }
    }

    /// Queries.
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// Writes of events.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Settings, holds and retention runs, with the access of a port.
    pub fn workspaces(&self, access: Access) -> Workspaces {
        Workspaces::new(self.gauges.store.clone(), access)
    }

    /// The readiness of the store.
    pub fn readiness(&self) -> Readiness {
        Readiness::new(self.gauges.store.clone())
    }

    /// The counters of writes.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The gauges of the store and of the memory of requests.
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// The memory that requests share.
    pub fn budgets(&self) -> &Budgets {
        &self.gauges.budgets
    }
}
