//! Data files as a DataFusion data source.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::config::{ConfigOptions, TableParquetOptions};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSource;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use events::Delivery;
use futures::{StreamExt, stream};
use object_store::ObjectMeta;
use store::{DataFile, Store};

use crate::delivery;
use crate::filter_stages::FilterStages;
use crate::memory::charged;
use crate::metered_reader::MeteredReader;
use crate::metrics::{FileMetrics, bytes_scanned};
use crate::pruning::Pruning;

/// The name under which the store's objects are registered with DataFusion.
pub const STORE_URL: &str = "vouch://store";

/// Data files, the conditions on their rows, and the expressions that the scan returns for each row. Cheap to clone,
/// because planning makes many copies of it.
#[derive(Debug, Clone)]
pub(crate) struct EventDataSource {
    /// The columns of the files.
    pub(crate) table: SchemaRef,
    pub(crate) projection: ProjectionExprs,
    pub(crate) filters: FilterStages,
    files: Arc<[Arc<DataFile>]>,
    partitions: usize,
    /// The template of DataFusion's scans, whose metrics all of them share.
    parquet: Arc<ParquetSource>,
}

impl EventDataSource {
    /// Some columns of all rows of files, in at most `partitions` partitions.
    pub(crate) fn new(
        files: Arc<[Arc<DataFile>]>,
        table: SchemaRef,
        columns: &[usize],
        partitions: usize,
    ) -> Self {
        Self {
            projection: ProjectionExprs::from_indices(columns, &table),
            parquet: Arc::new(ParquetSource::new(Arc::clone(&table))),
            table,
            filters: FilterStages::default(),
            partitions: partitions.clamp(1, files.len().max(1)),
            files,
        }
    }

    /// The same with only those rows for which a condition on the columns of the files holds.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn filtered(mut self, condition: &Arc<dyn PhysicalExpr>) -> Result<Self> {
        self.filters.add(condition)?;
        Ok(self)
    }

    /// The number of partitions.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// The files of a partition. Neighbouring partitions have files of neighbouring days and similar sizes.
    pub(crate) fn files_of(&self, partition: usize) -> impl Iterator<Item = &Arc<DataFile>> {
        self.files.iter().skip(partition).step_by(self.partitions)
    }

    /// The number of rows to read at a time, at most `most`, of each file of a partition.
    pub(crate) fn batch_rows(&self, partition: usize, most: usize) -> usize {
        let rows = self.files_of(partition).map(|file| file.batch_rows(most));
        rows.min().unwrap_or(most)
    }

    /// The conditions as far as statistics may exclude them.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn pruning(&self) -> Result<Pruning> {
        Pruning::new(&self.filters, &self.table)
    }

    /// DataFusion's scans of the files of a partition. Of files with larger events, fewer rows are read at a time.
    fn parquet_scans(
        &self,
        partition: usize,
        session: &SessionConfig,
    ) -> Result<Vec<Arc<dyn DataSource>>> {
        let outputs = self.projection.iter().map(|output| &output.expr);
        let mut exprs = self.filters.conditions().chain(outputs);
        let needs_delivery = exprs.any(delivery::is_needed);
        let mut files: BTreeMap<_, HashMap<_, Vec<PartitionedFile>>> = BTreeMap::new();
        let metrics = FileMetrics::new(self.parquet.metrics(), partition);
        let pruning = self.pruning()?;
        for file in pruning.prune_files(self.files_of(partition), &metrics) {
            let rows = match file.batch_rows(session.batch_size()) {
                all if all == session.batch_size() => all,
                fewer => 1 << fewer.ilog2(),
            };
            let delivery = file.delivery.clone().filter(|_| needs_delivery);
            let files = files.entry(rows).or_default().entry(delivery);
            files.or_default().push(partitioned(file));
        }
        let mut scans = Vec::new();
        for (rows, files) in files.into_iter().rev() {
            for (delivery, files) in files {
                let source = self.with_delivery(delivery.as_deref())?;
                scans.push(source.parquet_scan(files.into(), rows, session)?);
            }
        }
        Ok(scans)
    }

    /// The same for files whose events came by one delivery.
    fn with_delivery(&self, delivery: Option<&Delivery>) -> Result<Cow<'_, Self>> {
        let Some(delivery) = delivery else {
            return Ok(Cow::Borrowed(self));
        };
        let mut source = self.clone();
        let with_values = |expr| delivery::with_values(expr, delivery);
        source.filters = source.filters.try_map(with_values)?;
        source.projection = source.projection.try_map_exprs(with_values)?;
        Ok(Cow::Owned(source))
    }

    fn parquet_scan(
        &self,
        files: FileGroup,
        batch_rows: usize,
        session: &SessionConfig,
    ) -> Result<Arc<dyn DataSource>> {
        let config = session.options();
        let Some(store) = session.get_extension::<Store>() else {
            return internal_err!("the session does not know the store");
        };
        let options = TableParquetOptions {
            global: config.execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let parquet = ParquetSource::clone(&self.parquet)
            .with_parquet_file_reader_factory(Arc::new(StoreReaders { store }));
        let mut source: Arc<dyn FileSource> = Arc::new(parquet.with_table_parquet_options(options));
        if let Some(condition) = self.filters.conjunction() {
            let pushed = source.try_pushdown_filters(vec![Arc::clone(&condition)], config)?;
            source = match (pushed.filters.as_slice(), pushed.updated_node) {
                ([PushedDown::Yes], Some(source)) => source,
                _ => return internal_err!("a scan of Parquet files does not take `{condition}`"),
            };
        }
        let Some(source) = source.try_pushdown_projection(&self.projection)? else {
            return internal_err!("a scan of Parquet files does not take {}", self.projection);
        };
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, source)
            .with_file_groups(vec![files])
            .with_batch_size(Some(batch_rows));
        Ok(Arc::new(scan.build()))
    }

    /// Whether a projection above would compute something several times that is computed once.
    fn would_repeat(&self, projection: &ProjectionExprs) -> Result<bool> {
        let mut counts = vec![0; self.projection.iter().count()];
        for output in projection.iter() {
            output.expr.apply(|part| {
                if let Some(column) = part.downcast_ref::<Column>()
                    && let Some(count) = counts.get_mut(column.index())
                {
                    *count += 1;
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        let mut inner = self.projection.iter().zip(counts);
        Ok(inner.any(|(output, count)| {
            let is_cheap = output.expr.placement().should_push_to_leaves();
            count > 1 && (is_volatile(&output.expr) || !is_cheap)
        }))
    }
}

impl DataSource for EventDataSource {
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let scans = self.parquet_scans(partition, context.session_config())?;
        let opened = scans.iter().map(|scan| scan.open(0, Arc::clone(&context)));
        let opened: Vec<_> = opened.collect::<Result<_>>()?;
        let schema = Arc::new(self.projection.project_schema(&self.table)?);
        let batches = stream::iter(opened).flatten();
        let batches = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
        Ok(charged(batches, &context))
    }

    fn fmt_as(&self, _format: DisplayFormatType, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{self}")
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions)
    }

    /// The equalities among the outputs. None follows from the conditions, because a column that a plan is sorted by
    /// must not count as constant.
    fn eq_properties(&self) -> EquivalenceProperties {
        let of_table = EquivalenceProperties::new(Arc::clone(&self.table));
        let schema = self.projection.project_schema(&self.table);
        let mapping = self.projection.projection_mapping(&self.table);
        match (schema, mapping) {
            (Ok(schema), Ok(mapping)) => of_table.project(&mapping, Arc::new(schema)),
            // Both were possible when the projection was made.
            _ => of_table,
        }
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, _partition: Option<usize>) -> Result<Arc<Statistics>> {
        let schema = self.projection.project_schema(&self.table)?;
        Ok(Arc::new(Statistics::new_unknown(&schema)))
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.parquet.metrics().clone()
    }

    fn with_fetch(&self, _limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        None
    }

    fn fetch(&self) -> Option<usize> {
        None
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        if self.would_repeat(projection)? {
            return Ok(None);
        }
        let mut projected = self.clone();
        projected.projection = self.projection.try_merge(projection)?;
        Ok(Some(Arc::new(projected)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let taken = vec![PushedDown::Yes; filters.len()];
        let mut source = self.clone();
        for filter in filters {
            let filter = self.projection.unproject_expr(&filter)?;
            source = source.filtered(&reassign_expr_columns(filter, &self.table)?)?;
        }
        let pushed = FilterPushdownPropagation::with_parent_pushdown_result(taken);
        Ok(pushed.with_updated_node(Arc::new(source)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut recursion = TreeNodeRecursion::Continue;
        let outputs = self.projection.iter().map(|output| &output.expr);
        for expr in self.filters.conditions().chain(outputs) {
            recursion = recursion.visit_sibling(|| f(expr))?;
        }
        Ok(recursion)
    }
}

impl fmt::Display for EventDataSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.len();
        write!(formatter, "files={files}, projection={}", self.projection)?;
        match self.filters.conjunction() {
            Some(condition) => write!(formatter, ", predicate={condition}"),
            None => Ok(()),
        }
    }
}

fn partitioned(file: &Arc<DataFile>) -> PartitionedFile {
    let named = PartitionedFile::new_from_meta(ObjectMeta {
        location: file.path.clone(),
        last_modified: file.modified,
        size: file.size_bytes,
        e_tag: None,
        version: None,
    });
    named.with_extension(DataFile::clone(file))
}

/// Opens files through the store, which compares the bytes with the digests of their writer.
#[derive(Debug)]
struct StoreReaders {
    store: Arc<Store>,
}

impl ParquetFileReaderFactory for StoreReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _footer_bytes: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        match file.extensions.get::<DataFile>() {
            Some(file) => Ok(Box::new(MeteredReader {
                reader: self.store.file_reader(file),
                bytes_scanned: bytes_scanned(metrics, partition),
            })),
            None => internal_err!("`{}` is no file of the store", file.object_meta.location),
        }
    }
}
