//! Files of the store, and events that are in no file yet, as a DataFusion table.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use object_store::ObjectMeta;
use store::DataFile;

/// The name under which the store's objects are registered with DataFusion.
pub(crate) const STORE_URL: &str = "vouch://store";

/// Some events of a store.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Those in files of tables.
    pub(crate) files: Vec<DataFile>,
    /// Those in memory, in the columns of [`events::view_schema`].
    pub(crate) recent: Vec<RecordBatch>,
}

/// The range that the dates of a file lie in, as the table's log says, beside a file of a scan. Statistics as
/// DataFusion has them would have room for every column, and take more time than all else about a file.
#[derive(Debug)]
pub(crate) struct Dates(pub(crate) RangeInclusive<i64>);

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

    /// The files, spread over partitions. Neighbours are of neighbouring days and similar in size.
    fn groups(&self, partitions: usize) -> Vec<FileGroup> {
        let mut groups = vec![Vec::new(); partitions];
        for (index, file) in self.events.files.iter().enumerate() {
            groups[index % partitions].push(self.partitioned(file));
        }
        groups.into_iter().map(FileGroup::new).collect()
    }

    fn partitioned(&self, file: &DataFile) -> PartitionedFile {
        let partitioned = PartitionedFile::new_from_meta(ObjectMeta {
            location: file.path.clone(),
            last_modified: file.modified,
            size: file.size_bytes,
            e_tag: None,
            version: None,
        });
        match file.date_range_ms {
            Some((first, last)) => partitioned.with_extension(Dates(first..=last)),
            None => partitioned,
        }
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

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = state.config().options().execution.parquet.clone();
        let source = ParquetSource::new(Arc::clone(&self.schema)).with_table_parquet_options(
            datafusion::config::TableParquetOptions {
                global: options,
                ..Default::default()
            },
        );
        let partitions = state.config().target_partitions();
        let groups = self.groups(partitions.max(1));
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
                .with_file_groups(groups)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        let files = DataSourceExec::from_data_source(config);
        if self.events.recent.is_empty() {
            return Ok(files);
        }
        let recent = MemorySourceConfig::try_new_exec(
            std::slice::from_ref(&self.events.recent),
            Arc::clone(&self.schema),
            projection.cloned(),
        )?;
        UnionExec::try_new(vec![files, recent])
    }
}
