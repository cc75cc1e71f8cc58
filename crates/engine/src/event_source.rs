//! Events in data files, as plans read them.

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
use datafusion::physical_expr::utils::{conjunction, reassign_expr_columns};
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

use crate::charged_scan::charged;
use crate::delivery;
use crate::ordered_conditions::ordered;

/// The name under which the store's objects are registered with DataFusion.
pub(crate) const STORE_URL: &str = "vouch://store";

/// Files, a condition on their rows, and the expressions that a row gives. Cheap to clone: planning makes
/// many copies of it.
#[derive(Debug, Clone)]
pub(crate) struct EventSource {
    /// The columns of the files.
    pub(crate) table: SchemaRef,
    pub(crate) projection: ProjectionExprs,
    pub(crate) condition: Option<Arc<dyn PhysicalExpr>>,
    files: Arc<[Arc<DataFile>]>,
    partitions: usize,
}

impl EventSource {
    /// Some columns of all rows of files, in at most so many partitions.
    pub(crate) fn new(
        files: Arc<[Arc<DataFile>]>,
        table: SchemaRef,
        columns: &[usize],
        partitions: usize,
    ) -> Self {
        Self {
            projection: ProjectionExprs::from_indices(columns, &table),
            table,
            condition: None,
            partitions: partitions.clamp(1, files.len().max(1)),
            files,
        }
    }

    /// The same with only those rows for which a condition on the columns of the files holds.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn filtered(mut self, condition: Arc<dyn PhysicalExpr>) -> Result<Self> {
        self.files = delivery::pruned(self.files, &condition, &self.table);
        let condition = conjunction(self.condition.into_iter().chain([condition]));
        let tests = ordered(&condition)?.into_iter().flatten();
        self.condition = Some(conjunction(tests));
        Ok(self)
    }

    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// The files of a partition. Neighbours are of neighbouring days and similar in size.
    pub(crate) fn files_of(&self, partition: usize) -> impl Iterator<Item = &Arc<DataFile>> {
        self.files.iter().skip(partition).step_by(self.partitions)
    }

    /// How many rows of any file of a partition to read at a time, at most `most`.
    pub(crate) fn batch_rows(&self, partition: usize, most: usize) -> usize {
        let rows = self.files_of(partition).map(|file| file.batch_rows(most));
        rows.min().unwrap_or(most)
    }

    /// DataFusion's scans of the files of a partition: of files with larger events, fewer rows are read at a time.
    fn parquet_scans(
        &self,
        partition: usize,
        session: &SessionConfig,
    ) -> Result<Vec<Arc<dyn DataSource>>> {
        let outputs = self.projection.iter().map(|output| &output.expr);
        let is_delivery_asked = self.condition.iter().chain(outputs).any(delivery::is_asked);
        let mut files: BTreeMap<_, HashMap<_, Vec<PartitionedFile>>> = BTreeMap::new();
        for file in self.files_of(partition) {
            let rows = match file.batch_rows(session.batch_size()) {
                all if all == session.batch_size() => all,
                fewer => 1 << fewer.ilog2(),
            };
            let delivery = file.delivery.clone().filter(|_| is_delivery_asked);
            let files = files.entry(rows).or_default().entry(delivery);
            files.or_default().push(partitioned(file));
        }
        let mut scans = Vec::new();
        for (rows, files) in files.into_iter().rev() {
            for (delivery, files) in files {
                let source = self.of_delivery(delivery.as_deref())?;
                scans.push(source.parquet_scan(files.into(), rows, session)?);
            }
        }
        Ok(scans)
    }

    /// The same for files whose events have come by one delivery.
    fn of_delivery(&self, delivery: Option<&Delivery>) -> Result<Cow<'_, Self>> {
        let Some(delivery) = delivery else {
            return Ok(Cow::Borrowed(self));
        };
        let mut source = self.clone();
        let condition = source.condition.take();
        let condition = condition.map(|condition| delivery::with_values(condition, delivery));
        source.condition = condition.transpose()?;
        source.projection = source
            .projection
            .try_map_exprs(|expr| delivery::with_values(expr, delivery))?;
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
        let parquet = ParquetSource::new(Arc::clone(&self.table))
            .with_parquet_file_reader_factory(Arc::new(StoreReaders { store }));
        let mut source: Arc<dyn FileSource> = Arc::new(parquet.with_table_parquet_options(options));
        if let Some(condition) = &self.condition {
            let pushed = source.try_pushdown_filters(vec![Arc::clone(condition)], config)?;
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

    /// Whether another projection on top would compute something several times that is computed once.
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

impl DataSource for EventSource {
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

    /// Which outputs are equal. Nothing is concluded from the condition: what a plan is sorted by must not
    /// count as constant.
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
            source = source.filtered(reassign_expr_columns(filter, &self.table)?)?;
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
        for expr in self.condition.iter().chain(outputs) {
            recursion = recursion.visit_sibling(|| f(expr))?;
        }
        Ok(recursion)
    }
}

impl fmt::Display for EventSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.len();
        write!(formatter, "files={files}, projection={}", self.projection)?;
        match &self.condition {
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

/// Lets DataFusion's scan read files through the store, which compares what is read with what was written.
#[derive(Debug)]
struct StoreReaders {
    store: Arc<Store>,
}

impl ParquetFileReaderFactory for StoreReaders {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _footer_bytes: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        match file.extensions.get::<DataFile>() {
            Some(file) => Ok(Box::new(self.store.file_reader(file))),
            None => internal_err!("`{}` is no file of the store", file.object_meta.location),
        }
    }
}
