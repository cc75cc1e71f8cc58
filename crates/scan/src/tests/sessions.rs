//! The sessions of both scans, and their results as text.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{col, lit};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use events::fields::{DATE, EVENT_ID};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use store::{Store, StoreOptions};

use super::case::{Case, Shape, order};
use super::files;
use crate::{ColumnCache, ColumnCacheRule, EventTable, Events, OrderedConditionsRule, STORE_URL};

/// DataFusion's own scan.
pub(super) async fn reference(case: &Case) -> DataFrame {
    let mut config = SessionConfig::new();
    // The filter excludes rows that an aggregate without a value so far needs (apache/datafusion#25147).
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    let context = SessionContext::new_with_config(config);
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let url = ObjectStoreUrl::parse("reference://files").unwrap();
    for (index, bytes) in files::reference_files(case).into_iter().enumerate() {
        let path = Path::from(format!("{index}.parquet"));
        objects.put(&path, bytes.into()).await.unwrap();
    }
    context.register_object_store(url.as_ref(), objects);
    let table = ListingTableUrl::parse("reference://files/").unwrap();
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new(table)
        .with_listing_options(options.with_file_extension(".parquet"))
        .with_schema(events::view_schema());
    let table = ListingTable::try_new(config).unwrap();
    context.read_table(Arc::new(table)).unwrap()
}

/// This scan.
pub(super) struct Ours {
    context: SessionContext,
    files: Arc<[Arc<store::DataFile>]>,
}

/// How a case was run.
pub(super) struct PlanSummary {
    pub(super) text: String,
    /// Whether it reads cached columns.
    pub(super) is_cached: bool,
    /// The files and row groups that were pruned.
    pub(super) pruned: usize,
}

/// A session with the options and rules of the engine.
pub(super) fn session(store: &Store, config: SessionConfig, cache_bytes: usize) -> SessionContext {
    let mut config = config
        .with_extension(Arc::new(store.clone()))
        .with_extension(Arc::new(ColumnCache::new(store, cache_bytes)));
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.optimizer.repartition_file_scans = false;
    options.optimizer.enable_round_robin_repartition = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.execution.skip_physical_aggregate_schema_check = true;
    let left_out = ["aggregate_statistics", "CombinePartialFinalAggregate"];
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let mut rules: Vec<_> = rules
        .filter(|rule| !left_out.contains(&rule.name()))
        .collect();
    rules.push(Arc::new(OrderedConditionsRule));
    rules.push(Arc::new(ColumnCacheRule));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_physical_optimizer_rules(rules)
        .build();
    let context = SessionContext::new_with_state(state);
    let url = ObjectStoreUrl::parse(STORE_URL).unwrap();
    context.register_object_store(url.as_ref(), store.object_store());
    context
}

impl Ours {
    pub(super) async fn new(case: &Case) -> Self {
        let store = Store::open("memory:///audit", &StoreOptions::default()).unwrap();
        let files = files::write(case, &store).await;
        let config = SessionConfig::new()
            .with_target_partitions(case.partitions)
            .with_batch_size(case.batch_rows);
        Self {
            context: session(&store, config, case.cache_bytes),
            files: files.into(),
        }
    }

    pub(super) async fn run(&self, case: &Case) -> (Vec<String>, PlanSummary) {
        let table = EventTable::new(Events {
            files: Arc::clone(&self.files),
            recent: files::recent(case),
        });
        let table = self.context.read_table(Arc::new(table)).unwrap();
        let plan = query(case, &table).create_physical_plan().await.unwrap();
        let text = displayable(plan.as_ref()).indent(false).to_string();
        let batches = collect(Arc::clone(&plan), self.context.task_ctx()).await;
        let summary = PlanSummary {
            is_cached: text.contains("AggregateScanExec") || text.contains("OrderedScanExec"),
            pruned: pruned(&plan),
            text,
        };
        (texts(case, &batches.unwrap()), summary)
    }
}

/// The files and row groups that the operators of a plan pruned.
fn pruned(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let metrics = plan.metrics().unwrap_or_default();
    let own = metrics.iter().map(|metric| match metric.value() {
        MetricValue::PruningMetrics {
            pruning_metrics, ..
        } => pruning_metrics.pruned(),
        _ => 0,
    });
    own.sum::<usize>() + plan.children().into_iter().map(pruned).sum::<usize>()
}

/// The query of a case over a table of events.
fn query(case: &Case, table: &DataFrame) -> DataFrame {
    let mut table = table.clone();
    for filter in &case.filters {
        table = table.filter(filter.expr()).unwrap();
    }
    match &case.shape {
        Shape::Rows(columns) => {
            let columns = columns.iter().enumerate();
            let columns = columns.map(|(index, column)| col(*column).alias(format!("c{index}")));
            table.select(columns.chain([lit(1)])).unwrap()
        }
        Shape::Ordered {
            columns,
            is_newest_first,
            limit,
        } => {
            let columns = columns.iter().enumerate();
            let columns = columns.map(|(index, column)| col(*column).alias(format!("c{index}")));
            let columns = columns.chain([col(DATE), col(EVENT_ID)]);
            let table = table.select(columns).unwrap();
            let sorted = table.sort(order(*is_newest_first)).unwrap();
            sorted.limit(0, Some(*limit)).unwrap()
        }
        Shape::Aggregate { keys, aggregates } => {
            let keys = keys.iter().enumerate();
            let keys = keys.map(|(index, key)| key.expr().alias(format!("k{index}")));
            let aggregates = aggregates.iter().enumerate();
            let aggregates = aggregates.map(|(index, (aggregate, filter))| {
                aggregate.expr(filter.as_ref()).alias(format!("a{index}"))
            });
            table
                .aggregate(keys.collect(), aggregates.collect())
                .unwrap()
        }
    }
}

/// The rows of a case as texts.
pub(super) async fn rows_of(case: &Case, table: &DataFrame) -> Vec<String> {
    let batches = query(case, table).collect().await.unwrap();
    texts(case, &batches)
}

/// Rows as texts, sorted where the query does not sort them.
fn texts(case: &Case, batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut texts = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns: Vec<ArrayFormatter> = columns
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        texts.extend((0..batch.num_rows()).map(|row| {
            let values = columns
                .iter()
                .map(|column| format!("{:?}", column.value(row).to_string()));
            values.collect::<Vec<_>>().join(", ")
        }));
    }
    if !matches!(case.shape, Shape::Ordered { .. }) {
        texts.sort();
    }
    texts
}
