//! Events in data files, and events that no data file has yet, as a DataFusion table.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, internal_datafusion_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;
use store::DataFile;

use crate::event_data_source::EventDataSource;

/// The columns of events, for expressions over them.
static COLUMNS: LazyLock<Result<DFSchema>> =
    LazyLock::new(|| DFSchema::try_from(events::view_schema()));

/// A set of events of a store.
#[derive(Debug, Default)]
pub struct Events {
    /// The data files of tables.
    pub files: Arc<[Arc<DataFile>]>,
    /// Events in memory, in the columns of [`events::view_schema`].
    pub recent: Vec<RecordBatch>,
}

impl Events {
    /// The number of events.
    #[must_use]
    pub fn count(&self) -> u64 {
        let in_files: u64 = self.files.iter().map(|file| file.rows).sum();
        let recent: usize = self.recent.iter().map(RecordBatch::num_rows).sum();
        in_files + recent as u64
    }
}

/// Events as one table.
#[derive(Debug)]
pub struct EventTable {
    events: Events,
    schema: SchemaRef,
}

impl EventTable {
    /// A table of these events. Each file has the columns of the catalogue, or some of them.
    #[must_use]
    pub fn new(events: Events) -> Self {
        Self {
            events,
            schema: events::view_schema(),
        }
    }

    /// Scans the events in files.
    fn scan_files(
        &self,
        columns: &[usize],
        condition: Option<&Arc<dyn PhysicalExpr>>,
        partitions: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = Arc::clone(&self.events.files);
        let source = EventDataSource::new(files, Arc::clone(&self.schema), columns, partitions);
        let source = condition
            .into_iter()
            .try_fold(source, EventDataSource::filtered)?;
        Ok(DataSourceExec::from_data_source(source))
    }

    /// Scans the events in memory.
    fn scan_recent(
        &self,
        columns: &[usize],
        condition: Option<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let events = std::slice::from_ref(&self.events.recent);
        let schema = Arc::clone(&self.schema);
        let Some(condition) = condition else {
            let columns = Some(columns.to_vec());
            return Ok(MemorySourceConfig::try_new_exec(events, schema, columns)?);
        };
        let all = MemorySourceConfig::try_new_exec(events, schema, None)?;
        let filter = FilterExecBuilder::new(condition, all);
        let filter = filter.apply_projection(Some(columns.to_vec()))?.build()?;
        Ok(Arc::new(filter))
    }
}

#[async_trait]
impl TableProvider for EventTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let columns = projection.map_or_else(all, Vec::clone);
        let condition = conjunction_of(state, filters)?;
        let partitions = state.config().target_partitions();
        let files = self.scan_files(&columns, condition.as_ref(), partitions)?;
        if self.events.recent.is_empty() {
            return Ok(files);
        }
        UnionExec::try_new(vec![files, self.scan_recent(&columns, condition)?])
    }
}

/// The conjunction of the filters, each once; `None` without filters.
fn conjunction_of(state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let columns = COLUMNS.as_ref();
    let columns = columns.map_err(|error| internal_datafusion_err!("{error}"))?;
    let context = PhysicalPlanningContext::default();
    let mut known = HashSet::new();
    let filters = filters.iter().filter(|filter| known.insert(*filter));
    let physical = filters
        .map(|filter| create_physical_expr(filter, columns, state.execution_props(), &context));
    let physical: Vec<_> = physical.collect::<Result<_>>()?;
    Ok((!physical.is_empty()).then(|| conjunction(physical)))
}
