//! Files of the store, and events that are in no file yet, as a DataFusion table.

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
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;
use store::DataFile;

use crate::event_source::EventSource;

/// The columns of events, for expressions over them.
static COLUMNS: LazyLock<Result<DFSchema>> =
    LazyLock::new(|| DFSchema::try_from(events::view_schema()));

/// Some events of a store.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Those in files of tables.
    pub(crate) files: Arc<[Arc<DataFile>]>,
    /// Those in memory, in the columns of [`events::view_schema`].
    pub(crate) recent: Vec<RecordBatch>,
}

impl Events {
    /// How many events there are.
    pub(crate) fn count(&self) -> u64 {
        let in_files: u64 = self.files.iter().map(|file| file.rows).sum();
        let recent: usize = self.recent.iter().map(RecordBatch::num_rows).sum();
        in_files + recent as u64
    }
}

/// Events read as one table.
#[derive(Debug)]
pub(crate) struct EventTable {
    events: Events,
    schema: SchemaRef,
}

impl EventTable {
    /// A table of these events, whose files all hold the catalogue's columns or fewer.
    pub(crate) fn new(events: Events) -> Self {
        Self {
            events,
            schema: events::view_schema(),
        }
    }

    /// Columns of the events that are in files.
    fn files(
        &self,
        columns: &[usize],
        condition: Option<Arc<dyn PhysicalExpr>>,
        partitions: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = Arc::clone(&self.events.files);
        let source = EventSource::new(files, Arc::clone(&self.schema), columns, partitions);
        let mut conditions = condition.into_iter();
        let source = conditions.try_fold(source, EventSource::filtered)?;
        Ok(DataSourceExec::from_data_source(source))
    }

    /// Columns of the events that are in memory.
    fn recent(
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
        let condition = condition(state, filters)?;
        let partitions = state.config().target_partitions();
        let files = self.files(&columns, condition.clone(), partitions)?;
        if self.events.recent.is_empty() {
            return Ok(files);
        }
        UnionExec::try_new(vec![files, self.recent(&columns, condition)?])
    }
}

/// What has to hold so that all filters do.
fn condition(state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(condition) = plan::all_of(filters.iter().cloned()) else {
        return Ok(None);
    };
    let columns = COLUMNS.as_ref();
    let columns = columns.map_err(|error| internal_datafusion_err!("{error}"))?;
    let context = PhysicalPlanningContext::default();
    create_physical_expr(&condition, columns, state.execution_props(), &context).map(Some)
}
