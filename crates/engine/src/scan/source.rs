//! What a scan of data files reads.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future, stream};
use store::{Columns, DataFile, RowGroup, Rows};

use super::chunk::{Chunk, external};
use super::expression::ColumnExpr;
use super::predicate::{Predicate, TextTest, file_dates};
use crate::event_source::EventSource;

/// How many row groups of all partitions are made ready at once, if these are few.
const READY_ROW_GROUPS: usize = 8;

/// What to read, and what it is read with.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) columns: Arc<Columns>,
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
    pub(super) fn split(self, rows: &Rows, count: usize) -> (Rows, Rows) {
        let others = rows.len().saturating_sub(count);
        match self {
            Self::NewestFirst => (rows.slice(others, count), rows.slice(0, others)),
            Self::OldestFirst => (rows.slice(0, count), rows.slice(count, others)),
        }
    }
}

impl Source {
    /// What a plan reads, if it is a scan of events in files.
    pub(super) fn of_plan(plan: &Arc<dyn ExecutionPlan>, columns: &Arc<Columns>) -> Option<Self> {
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
    ) -> Result<Fitting> {
        // Many partitions wait for each other's files less, and hold more in memory.
        let at_once = (READY_ROW_GROUPS / self.events.partitions()).max(2);
        let order = DateOrder::NewestFirst;
        self.fitting(partition, needed, Some(columns), order, at_once)
    }

    /// The same in an order, and each row group is looked at when it is asked for: what is known by then may
    /// show that it is not needed.
    pub(super) fn fitting_in_order(&self, partition: usize, order: DateOrder) -> Result<Fitting> {
        self.fitting(partition, Vec::new(), None, order, 1)
    }

    fn fitting(
        &self,
        partition: usize,
        needed: Vec<ColumnExpr>,
        columns: Option<BTreeSet<usize>>,
        order: DateOrder,
        at_once: usize,
    ) -> Result<Fitting> {
        let table = &self.events.table;
        let predicate = Arc::new(Predicate::new(self.events.condition.as_ref(), table)?);
        let mut files: Vec<_> = self.events.files_of(partition).cloned().collect();
        order.sort(&mut files);
        let reader = Reader {
            columns: Arc::clone(&self.columns),
            table: Arc::clone(table),
            predicate: Arc::clone(&predicate),
            needed: columns.map(Arc::new),
        };
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
    /// All columns that rows are asked for; `None` when these are not known before.
    needed: Option<Arc<BTreeSet<usize>>>,
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
            && let Some(chunk) = Chunk::of_log(&self.columns, &self.table, &file, needed)
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
        let fits = |group: &RowGroup| may_hold.iter().all(|groups| groups.contains(&group.index));
        let groups = self.columns.row_groups(&file).await;
        let groups = groups.map_err(external)?.into_iter();
        let chunks = groups
            .filter(|(group, _)| fits(group))
            .map(|(group, rows)| {
                let chunk = Chunk::new(&self.columns, &self.table, group, rows);
                (chunk, Arc::clone(&file))
            });
        Ok(chunks.collect())
    }
}

/// The rows of a row group for which a condition holds, and of these what is needed.
async fn ready(
    (mut chunk, file): (Chunk, Arc<DataFile>),
    predicate: Arc<Predicate>,
    needed: Arc<[ColumnExpr]>,
) -> Result<(Chunk, Rows)> {
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
