//! What a scan of data files reads.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future, stream};
use store::{ColumnCache, DataFile, RowGroupRef, RowSelection};
use tokio::sync::Semaphore;

use super::chunk::{Chunk, external};
use super::expression::ColumnExpr;
use super::predicate::{Predicate, TextTest, file_dates};
use crate::event_source::EventSource;

/// How many row groups of all partitions are made ready at once, if these are few.
const READY_ROW_GROUPS: usize = 8;

/// The columns that are read for them take at most one in so many bytes of the memory of all questions, unless a
/// single row group of each partition takes more.
const READY_SHARE: usize = 8;
/// The most bytes that they take where that memory has no limit.
const READY_BYTES: usize = 128 << 20;
/// Their bytes are counted in units of this many.
const READY_UNIT_BYTES: usize = 1 << 10;

/// What to read, and what it is read with.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) columns: Arc<ColumnCache>,
    pub(super) events: EventSource,
}

/// An order of rows by their dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateOrder {
    NewestFirst,
    OldestFirst,
}

impl DateOrder {
    /// Files whose dates are not known come first, because any row of theirs may.
    fn sort(self, files: &mut [Arc<DataFile>]) {
        match self {
            Self::NewestFirst => files
                .sort_by_key(|file| Reverse(file.date_range_ms.map_or(i64::MAX, |(_, last)| last))),
            Self::OldestFirst => {
                files.sort_by_key(|file| file.date_range_ms.map(|(first, _)| first));
            }
        }
    }

    /// Whether rows of a file may fit a condition, as far as its dates tell; `None` when neither they nor those
    /// of any file behind it do.
    fn may_fit(self, file: &DataFile, predicate: &Predicate) -> Option<bool> {
        let (Ok(wanted), Some(dates)) = (predicate.dates(), file_dates(file)) else {
            // What fails here fails again where it can be told.
            return Some(true);
        };
        let is_older = dates.end() < wanted.start();
        let is_newer = dates.start() > wanted.end();
        match (self, is_older, is_newer) {
            (Self::NewestFirst, true, _) | (Self::OldestFirst, _, true) => None,
            _ => Some(!is_older && !is_newer && !wanted.is_empty()),
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
    pub(super) fn split(self, rows: &RowSelection, count: usize) -> (RowSelection, RowSelection) {
        let others = rows.len().saturating_sub(count);
        match self {
            Self::NewestFirst => (rows.slice(others, count), rows.slice(0, others)),
            Self::OldestFirst => (rows.slice(0, count), rows.slice(count, others)),
        }
    }
}

impl Source {
    /// What a plan reads, if it is a scan of events in files.
    pub(super) fn of_plan(
        plan: &Arc<dyn ExecutionPlan>,
        columns: &Arc<ColumnCache>,
    ) -> Option<Self> {
        let scan = plan.downcast_ref::<DataSourceExec>()?;
        Some(Self {
            columns: Arc::clone(columns),
            events: scan.data_source().downcast_ref::<EventSource>()?.clone(),
        })
    }

    /// The row groups of a partition that have rows for which the condition holds, with the columns that
    /// `needed` needs of these rows. Several are made ready at once, so that none is waited for while another
    /// could be worked on. A file comes as one, without being read, when the log has enough of it: that the
    /// condition holds for all rows, and `columns`, all those that rows are asked for.
    pub(super) fn all_fitting(
        &self,
        partition: usize,
        needed: Vec<ColumnExpr>,
        columns: BTreeSet<usize>,
        context: &TaskContext,
    ) -> Result<Fitting> {
        // Many partitions wait for each other's files less, and hold more in memory.
        let at_once = (READY_ROW_GROUPS / self.events.partitions()).max(2);
        let order = DateOrder::NewestFirst;
        self.fitting(partition, needed, Some(columns), (order, at_once), context)
    }

    /// The same in an order, and each row group is looked at when it is asked for: what is known by then may
    /// show that it is not needed.
    pub(super) fn fitting_in_order(
        &self,
        partition: usize,
        order: DateOrder,
        context: &TaskContext,
    ) -> Result<Fitting> {
        self.fitting(partition, Vec::new(), None, (order, 1), context)
    }

    fn fitting(
        &self,
        partition: usize,
        needed: Vec<ColumnExpr>,
        columns: Option<BTreeSet<usize>>,
        (order, at_once): (DateOrder, usize),
        context: &TaskContext,
    ) -> Result<Fitting> {
        let table = &self.events.table;
        let predicate = Arc::new(Predicate::new(self.events.condition.as_ref(), table)?);
        let mut files: Vec<_> = self.events.files_of(partition).cloned().collect();
        order.sort(&mut files);
        let memory = MemoryConsumer::new("columns of events").register(context.memory_pool());
        let reader = Reader {
            columns: Arc::clone(&self.columns),
            table: Arc::clone(table),
            predicate: Arc::clone(&predicate),
            needed: columns.map(Arc::new),
            memory: Arc::new(memory),
        };
        let ready = Ready::new(self.events.partitions(), &reader, context);
        let known = Arc::clone(&predicate);
        // What is known by the time that a file is asked for decides about it.
        let files = files.into_iter().map_while(move |file| {
            let may_fit = order.may_fit(&file, &known)?;
            Some(may_fit.then_some(file))
        });
        let row_groups = stream::iter(files.flatten())
            .map(move |file| reader.clone().row_groups(file))
            .buffered(at_once)
            .map_ok(move |row_groups| stream::iter(order.of_ascending(row_groups)).map(Ok))
            .try_flatten()
            .and_then(move |row_group| ready.clone().admit(row_group));
        let holds = Arc::clone(&predicate);
        let needed: Arc<[ColumnExpr]> = needed.into();
        let fitting = row_groups
            .map_ok(move |row_group| prepared(row_group, Arc::clone(&holds), Arc::clone(&needed)))
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
    columns: Arc<ColumnCache>,
    table: SchemaRef,
    predicate: Arc<Predicate>,
    /// All columns that rows are asked for; `None` when these are not known before.
    needed: Option<Arc<BTreeSet<usize>>>,
    /// What is like the reservation of each row group.
    memory: Arc<MemoryReservation>,
}

/// Lets row groups through as far as what is read for them fits into what may be ready at the same time; one is
/// let through whenever there is no other.
#[derive(Debug, Clone)]
struct Ready {
    columns: Arc<BTreeSet<usize>>,
    parts: Arc<Semaphore>,
    all_parts: usize,
}

impl Ready {
    /// For one of some partitions.
    fn new(partitions: usize, reader: &Reader, context: &TaskContext) -> Self {
        let bytes = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(limit) => limit / READY_SHARE,
            _ => READY_BYTES,
        };
        let all_parts = (bytes / partitions / READY_UNIT_BYTES).clamp(1, u32::MAX as usize);
        let needed = reader.needed.iter().flat_map(|needed| needed.iter());
        // Row groups in an order come one by one, and what is needed of each is not known before.
        let conditions = reader
            .predicate
            .columns()
            .filter(|_| reader.needed.is_some());
        Self {
            columns: Arc::new(needed.copied().chain(conditions).collect()),
            parts: Arc::new(Semaphore::new(all_parts)),
            all_parts,
        }
    }

    async fn admit(self, (chunk, file): (Chunk, Arc<DataFile>)) -> Result<(Chunk, Arc<DataFile>)> {
        let bytes = chunk.bytes_to_load(&self.columns).await?;
        let parts = bytes.div_ceil(READY_UNIT_BYTES).min(self.all_parts);
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        let part = self.parts.acquire_many_owned(parts).await;
        let part = part.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok((chunk.with_part(part), file))
    }
}

impl Reader {
    /// The row groups of a file, the oldest first, without those of which no row fits the condition as far as
    /// the log and bloom filters show.
    async fn row_groups(self, file: Arc<DataFile>) -> Result<Vec<(Chunk, Arc<DataFile>)>> {
        tokio::task::consume_budget().await;
        if !self.predicate.may_hold(&file) {
            return Ok(Vec::new());
        }
        if let Some(needed) = &self.needed
            && self.predicate.holds_for_all(&file)
            && let Some(chunk) =
                Chunk::of_log(&self.columns, &self.table, &file, needed, &self.memory)
        {
            return Ok(vec![(chunk, file)]);
        }
        let mut may_hold = Vec::new();
        for TextTest { column, text, .. } in self.predicate.wanted_texts() {
            let groups = self.columns.row_groups_that_may_hold(&file, column, text);
            let groups = groups.await.map_err(external)?;
            if groups.is_empty() {
                return Ok(Vec::new());
            }
            may_hold.push(groups);
        }
        let fits =
            |group: &RowGroupRef| may_hold.iter().all(|groups| groups.contains(&group.index));
        let groups = self.columns.row_groups(&file).await;
        let groups = groups.map_err(external)?.into_iter();
        let chunks = groups
            .filter(|(group, _)| fits(group))
            .map(|(group, rows)| {
                let chunk = Chunk::new(&self.columns, &self.table, group, rows, &self.memory);
                (chunk, Arc::clone(&file))
            });
        Ok(chunks.collect())
    }
}

/// The rows of a row group for which a condition holds, and of these what is needed.
async fn prepared(
    (mut chunk, file): (Chunk, Arc<DataFile>),
    predicate: Arc<Predicate>,
    needed: Arc<[ColumnExpr]>,
) -> Result<(Chunk, RowSelection)> {
    tokio::task::consume_budget().await;
    let rows = predicate.rows(&mut chunk, &file).await?;
    if !rows.is_empty() {
        chunk.prepare(needed.iter(), &rows).await?;
    }
    Ok((chunk, rows))
}

/// The row groups of one partition that have rows for which a condition holds.
pub(super) struct Fitting {
    predicate: Arc<Predicate>,
    row_groups: BoxStream<'static, Result<(Chunk, RowSelection)>>,
}

impl Fitting {
    /// The next row group, and the rows of it for which the condition held when it was looked at, at least
    /// one. The row group before has to be dropped by then, because this one may need its memory.
    pub(super) async fn next(&mut self) -> Result<Option<(Chunk, RowSelection)>> {
        self.row_groups.try_next().await
    }

    /// The condition.
    pub(super) fn predicate(&self) -> Arc<Predicate> {
        Arc::clone(&self.predicate)
    }
}
