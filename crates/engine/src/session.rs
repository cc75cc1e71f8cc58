//! What plans are made and run with.

use std::sync::Arc;

use datafusion::config::ConfigNonZeroUsize;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};
use functions::{FunctionOptions, NoteMetrics};
use plan::{BoundQuery, BoundSource};
use scan::{ColumnCache, ColumnCacheRule, OrderedConditionsRule, STORE_URL};
use store::Store;

use crate::error::EngineError;
use crate::sliced::SlicedResultRule;
use crate::spill::default_spill_bytes;

/// With more columns than these a step takes fewer rows at once.
const FULL_COLUMNS: usize = 64;

/// How much a query may use.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// Memory of all queries together in bytes; beyond it sorts and groups spill to disk.
    pub memory_bytes: usize,
    /// The bytes that the series of an answer may take in a message. Streamed answers have no such bound.
    pub answer_bytes: usize,
    /// The bytes of temporary files of all queries together; `None` for a tenth of what is free, and no
    /// more than leaves 5 GiB free.
    pub spill_bytes: Option<u64>,
    /// Memory for columns of data files that were read before, in bytes.
    pub cache_bytes: usize,
    /// The parts in which a query runs at once, if it is about so many events.
    pub partitions: usize,
    /// How many events are worth another part: handing over between parts costs time too.
    pub partition_events: u64,
    /// How many rows a step of a query takes at once. The answer does not depend on it.
    pub batch_rows: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let partitions = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            memory_bytes: 1 << 30,
            answer_bytes: 64 << 20,
            spill_bytes: None,
            cache_bytes: 384 << 20,
            partitions,
            partition_events: 400_000,
            batch_rows: 8192,
        }
    }
}

/// What all questions over a store share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Session {
    context: SessionContext,
    config: EngineConfig,
}

impl Session {
    /// For questions over a store.
    ///
    /// # Errors
    /// When the place for spilled data cannot be set up.
    pub(crate) fn new(config: EngineConfig, store: &Store) -> Result<Self, EngineError> {
        let mut options = SessionConfig::new()
            .with_target_partitions(config.partitions)
            .with_batch_size(config.batch_rows)
            .with_extension(Arc::new(store.clone()))
            .with_extension(Arc::new(ColumnCache::new(store, config.cache_bytes)));
        options.options_mut().execution.parquet.pushdown_filters = true;
        // The table spreads its files itself, as wholes.
        options.options_mut().optimizer.repartition_file_scans = false;
        // DataFusion 55 would also spread sorted rows that way, and nothing would put them in order again.
        options
            .options_mut()
            .optimizer
            .enable_round_robin_repartition = false;
        // Minima and maxima may be wrong otherwise: the filter leaves out aggregates without a value so far
        // (apache/datafusion#25147), and those of expressions (apache/datafusion#24816).
        options
            .options_mut()
            .optimizer
            .enable_aggregate_dynamic_filter_pushdown = false;
        // A second pass leaves nearly all plans of DQL as they are, and a few with a projection more.
        options.options_mut().optimizer.max_passes = 1;
        // Each spilled batch of a repartition is a file of its own: its reader takes the files in turn, and
        // DataFusion 55 would let it wait for more of the first one while what it waits for is in another.
        options.options_mut().execution.max_spill_file_size_bytes = ConfigNonZeroUsize::try_new(1)?;
        // DataFusion 55 refuses some plans because it does not know the same columns as never missing
        // before and after it has optimised them.
        options
            .options_mut()
            .execution
            .skip_physical_aggregate_schema_check = true;
        let default_spill = || default_spill_bytes(&std::env::temp_dir());
        let runtime = RuntimeEnvBuilder::new()
            .with_max_temp_directory_size(config.spill_bytes.unwrap_or_else(default_spill))
            .with_memory_pool(Arc::new(FairSpillPool::new(config.memory_bytes)))
            .build_arc()?;
        let context = SessionContext::new_with_state(planning(options, runtime));
        let url = ObjectStoreUrl::parse(STORE_URL)?;
        context.register_object_store(url.as_ref(), store.object_store());
        Ok(Self { context, config })
    }

    /// The memory of all questions.
    pub(crate) fn memory(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.context.runtime_env().memory_pool)
    }

    /// What expressions over values that are there are evaluated with.
    pub(crate) fn evaluating(&self, notes: &NoteMetrics) -> SessionState {
        self.configured(self.context.copied_config(), notes)
    }

    /// The state of one run.
    fn configured(&self, mut config: SessionConfig, notes: &NoteMetrics) -> SessionState {
        config.options_mut().extensions.insert(FunctionOptions {
            pool: self.memory(),
            notes: notes.clone(),
        });
        let mut state = self.context.state();
        *state.config_mut() = config;
        let options = Arc::clone(state.config_options());
        // What functions are called with; without this, plans would have the defaults.
        state.execution_props_mut().mark_start_execution(options);
        state
    }

    /// What a question about so many events is planned and run with.
    pub(crate) fn state(
        &self,
        query: &BoundQuery,
        events: u64,
        notes: &NoteMetrics,
    ) -> SessionState {
        // The values of a batch are bounded, not only its rows.
        let columns = query.columns.len().max(FULL_COLUMNS);
        let batch_rows = (self.config.batch_rows * FULL_COLUMNS / columns).max(1);
        let mut config = self.context.copied_config().with_batch_size(batch_rows);
        if is_nested(query) {
            // What the first rows of a sort show is handed down to the scan, rewritten for each query on the
            // way: `concat(a, a) AS a` doubles it each time.
            let optimizer = &mut config.options_mut().optimizer;
            optimizer.enable_topk_dynamic_filter_pushdown = false;
        }
        let parts = events.div_ceil(self.config.partition_events.max(1));
        let parts = usize::try_from(parts).unwrap_or(usize::MAX);
        if parts < self.config.partitions {
            config.options_mut().execution.target_partitions = parts.max(1);
        }
        self.configured(config, notes)
    }
}

/// Whether the rows of a query are those of a query inside a query.
fn is_nested(query: &BoundQuery) -> bool {
    match &query.source {
        BoundSource::Query(inner) => matches!(inner.source, BoundSource::Query(_)),
        BoundSource::Events => false,
    }
}

fn planning(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let left_out = [
        // Summaries of what is known to be nothing lose columns in DataFusion 55 by this rule; others it does
        // not change, because every scan has a window.
        "aggregate_statistics",
        // The halves of an aggregation in one partition stay two, because the first is done by the scan.
        "CombinePartialFinalAggregate",
    ];
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let mut rules: Vec<_> = rules
        .filter(|rule| !left_out.contains(&rule.name()))
        .collect();
    // In this order, and after the rules that push filters and projections into scans.
    rules.push(Arc::new(OrderedConditionsRule));
    rules.push(Arc::new(ColumnCacheRule));
    rules.push(Arc::new(SlicedResultRule));
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_physical_optimizer_rules(rules)
        .with_query_planner(Arc::new(plan::VouchQueryPlanner))
        .build()
}
