//! What a scan of data files reads.

use std::cmp::Reverse;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future, stream};
use object_store::path::Path;
use store::{Columns, Rows};

use super::chunk::{Chunk, external};
use super::expression::ColumnExpr;
use super::predicate::Predicate;
use crate::table::Dates;

/// How many row groups of all partitions are made ready at once, if these are few.
const READY_ROW_GROUPS: usize = 8;

/// Files, a condition on their rows, and the expressions that a row gives.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) columns: Arc<Columns>,
    /// The columns of the files.
    pub(super) table: SchemaRef,
    /// The files of each partition.
    pub(super) partitions: Vec<Vec<File>>,
    pub(super) projection: ProjectionExprs,
    pub(super) condition: Option<Arc<dyn PhysicalExpr>>,
}

/// A data file, and what the log says about it.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: Path,
    size_bytes: u64,
    /// The range that the dates of its rows are known to lie in.
    dates: Option<RangeInclusive<i64>>,
}

/// An order of rows by their dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateOrder {
    NewestFirst,
    OldestFirst,
}

impl DateOrder {
    fn sort(self, files: &mut [File]) {
        let dates = |file: &File| file.dates.clone().map(RangeInclusive::into_inner);
        match self {
            Self::NewestFirst => {
                files.sort_by_key(|file| Reverse(dates(file).map(|(_, last)| last)));
            }
            Self::OldestFirst => files.sort_by_key(|file| dates(file).map(|(first, _)| first)),
        }
    }

    /// What comes with ascending dates.
    fn of_ascending<T>(self, mut items: Vec<T>) -> Vec<T> {
        if self == Self::NewestFirst {
            items.reverse();
        }
        items
    }

    /// The first of some rows, at most `count`, and the others.
    pub(super) fn split(self, rows: &Rows, count: usize) -> (Rows, Rows) {
        let others = rows.len().saturating_sub(count);
        match self {
            Self::NewestFirst => (rows.slice(others, count), rows.slice(0, others)),
            Self::OldestFirst => (rows.slice(0, count), rows.slice(count, others)),
        }
    }
}

impl Source {
    /// What DataFusion's scan of Parquet files would read, if `plan` is one of whole files.
    pub(super) fn of_plan(plan: &Arc<dyn ExecutionPlan>, columns: &Arc<Columns>) -> Option<Self> {
        let (config, parquet) = plan
            .downcast_ref::<DataSourceExec>()?
            .downcast_to_file_source::<ParquetSource>()?;
        let is_whole = |file: &PartitionedFile| file.range.is_none();
        let mut files = config.file_groups.iter().flat_map(|group| group.iter());
        if config.limit.is_some() || !files.all(is_whole) {
            return None;
        }
        let groups = config.file_groups.iter();
        let source = config.file_source();
        let table = Arc::clone(source.table_schema().table_schema());
        Some(Self {
            columns: Arc::clone(columns),
            partitions: groups
                .map(|group| group.iter().map(file).collect())
                .collect(),
            projection: source.projection()?.clone(),
            condition: parquet.filter(),
            table,
        })
    }

    /// The row groups of a partition that have rows for which the condition holds, with the columns that
    /// `needed` needs of these rows. Several are made ready at once, so that none is waited for while another
    /// could be worked on.
    pub(super) fn all_fitting(&self, partition: usize, needed: Vec<ColumnExpr>) -> Result<Fitting> {
        // Many partitions wait for each other's files less, and hold more in memory.
        let at_once = (READY_ROW_GROUPS / self.partitions.len().max(1)).max(2);
        self.fitting(partition, needed, DateOrder::NewestFirst, at_once)
    }

    /// The same in an order, and each row group is looked at when it is asked for: what is known by then may
    /// show that it is not needed.
    pub(super) fn fitting_in_order(&self, partition: usize, order: DateOrder) -> Result<Fitting> {
        self.fitting(partition, Vec::new(), order, 1)
    }

    fn fitting(
        &self,
        partition: usize,
        needed: Vec<ColumnExpr>,
        order: DateOrder,
        at_once: usize,
    ) -> Result<Fitting> {
        let predicate = Arc::new(Predicate::new(self.condition.as_ref(), &self.table)?);
        let mut files = self.partitions.get(partition).cloned().unwrap_or_default();
        order.sort(&mut files);
        let reader = Reader {
            columns: Arc::clone(&self.columns),
            table: Arc::clone(&self.table),
            predicate: Arc::clone(&predicate),
        };
        let row_groups = stream::iter(files)
            .map(move |file| reader.clone().row_groups(file))
            .buffered(at_once)
            .map_ok(move |row_groups| stream::iter(order.of_ascending(row_groups)).map(Ok))
            .try_flatten();
        let holds = Arc::clone(&predicate);
        let needed: Arc<[ColumnExpr]> = needed.into();
        let fitting = row_groups
            .map_ok(move |row_group| ready(row_group, Arc::clone(&holds), Arc::clone(&needed)))
            .try_buffered(at_once)
            .try_filter(|(_, rows)| future::ready(!rows.is_empty()));
        Ok(Fitting {
            predicate,
            row_groups: fitting.boxed(),
        })
    }
}

/// What row groups are read with.
#[derive(Debug, Clone)]
struct Reader {
    columns: Arc<Columns>,
    table: SchemaRef,
    predicate: Arc<Predicate>,
}

impl Reader {
    /// The row groups of a file, the oldest first; none when no row of it fits the condition.
    async fn row_groups(self, file: File) -> Result<Vec<(Chunk, File)>> {
        tokio::task::consume_budget().await;
        if !file.may_fit(&self.predicate)? {
            return Ok(Vec::new());
        }
        let groups = self.columns.row_groups(&file.path, file.size_bytes).await;
        let chunks = groups.map_err(external)?.into_iter().map(|(group, rows)| {
            let chunk = Chunk::new(&self.columns, &self.table, group, rows);
            (chunk, file.clone())
        });
        Ok(chunks.collect())
    }
}

/// The rows of a row group for which a condition holds, and of these what is needed.
async fn ready(
    (mut chunk, file): (Chunk, File),
    predicate: Arc<Predicate>,
    needed: Arc<[ColumnExpr]>,
) -> Result<(Chunk, Rows)> {
    tokio::task::consume_budget().await;
    let rows = predicate.rows(&mut chunk, file.dates).await?;
    if !rows.is_empty() {
        chunk.prepare(needed.iter(), &rows).await?;
    }
    Ok((chunk, rows))
}

/// The row groups of one partition that have rows for which a condition holds.
pub(super) struct Fitting {
    predicate: Arc<Predicate>,
    row_groups: BoxStream<'static, Result<(Chunk, Rows)>>,
}

impl Fitting {
    /// The next row group, and the rows of it for which the condition held when it was looked at, at least
    /// one.
    pub(super) async fn next(&mut self) -> Result<Option<(Chunk, Rows)>> {
        self.row_groups.try_next().await
    }

    /// The condition.
    pub(super) fn predicate(&self) -> Arc<Predicate> {
        Arc::clone(&self.predicate)
    }
}

impl File {
    /// Whether rows of it may fit a condition, as far as its dates tell.
    fn may_fit(&self, predicate: &Predicate) -> Result<bool> {
        let wanted = predicate.dates()?;
        Ok(self.dates.as_ref().is_none_or(|dates| {
            dates.start() <= wanted.end() && wanted.start() <= dates.end() && !wanted.is_empty()
        }))
    }
}

fn file(file: &PartitionedFile) -> File {
    File {
        path: file.object_meta.location.clone(),
        size_bytes: file.object_meta.size,
        dates: file.extension::<Dates>().map(|dates| dates.0.clone()),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.partitions.iter().map(Vec::len).sum();
        write!(formatter, "files={files}, projection={}", self.projection)?;
        match &self.condition {
            Some(condition) => write!(formatter, ", predicate={condition}"),
            None => Ok(()),
        }
    }
}
