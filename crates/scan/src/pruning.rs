//! Prunes data files by their statistics in the log.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringViewArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::utils::{collect_columns, conjunction_opt};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use events::fields::{DATE, RECEIVED};
use store::{Constant, DataFile};

use crate::date_range::DateRange;
use crate::filter_stages::FilterStages;
use crate::metrics::{FileMetrics, record_pruning};

/// The conditions of a scan as far as statistics of files and row groups may exclude them: the static ones without calls
/// of functions, whose results no statistics show.
#[derive(Debug, Clone)]
pub(crate) struct Pruning {
    dates: DateRange,
    /// All conditions on other columns than the date; `None` when statistics cannot exclude them.
    predicate: Option<Arc<PruningPredicate>>,
    /// The indices of the columns of the predicate.
    columns: Arc<[usize]>,
}

impl Pruning {
    /// The conditions of a scan over a table.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn new(filters: &FilterStages, table: &SchemaRef) -> Result<Self> {
        let date = table.index_of(DATE)?;
        let mut dates = DateRange::ALL;
        let mut conditions = Vec::new();
        for condition in filters.conditions() {
            let has_calls = condition.exists(|part| Ok(part.is::<ScalarFunctionExpr>()))?;
            if has_calls || DynamicFilterTracking::classify(condition).contains_dynamic_filter() {
                continue;
            }
            dates = dates.intersection(DateRange::accepted(condition, date));
            if DateRange::equivalent(condition, date).is_none() {
                conditions.push(Arc::clone(condition));
            }
        }
        let columns = conditions.iter().flat_map(collect_columns);
        let columns: HashSet<usize> = columns.map(|column| column.index()).collect();
        let predicate = conjunction_opt(conditions).and_then(|conditions| {
            PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(table))
                .build(conditions)
        });
        Ok(Self {
            dates,
            columns: match predicate {
                Some(_) => columns.into_iter().collect(),
                None => Arc::default(),
            },
            predicate,
        })
    }

    /// The columns of the conditions that statistics may exclude, without conditions on the date alone.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().copied()
    }

    /// Whether a container with these dates may have rows that match.
    pub(crate) fn may_match_dates(&self, dates: DateRange) -> bool {
        self.dates.overlaps(dates)
    }

    /// For each container whether it may have rows that match, by the statistics of other columns than the date.
    pub(crate) fn may_match(&self, statistics: &impl PruningStatistics) -> Vec<bool> {
        // Containers are read when their statistics cannot be evaluated.
        let kept = self
            .predicate
            .as_ref()
            .map(|predicate| predicate.prune(statistics));
        let kept = kept.and_then(Result::ok);
        kept.unwrap_or_else(|| vec![true; statistics.num_containers()])
    }

    /// The files that may have rows that match, by the log.
    pub(crate) fn prune_files<'f>(
        &self,
        files: impl Iterator<Item = &'f Arc<DataFile>>,
        metrics: &FileMetrics,
    ) -> Vec<&'f Arc<DataFile>> {
        let mut files: Vec<_> = files.collect();
        let count = files.len();
        files.retain(|file| {
            let dates = DateRange::of_file(file);
            dates.is_none_or(|dates| self.may_match_dates(dates))
        });
        record_pruning(&metrics.pruned_date, count, files.len());
        let count = files.len();
        let mut kept = self.may_match(&LogStatistics(&files)).into_iter();
        files.retain(|_| kept.next() != Some(false));
        record_pruning(&metrics.pruned_statistics, count, files.len());
        files
    }
}

/// The statistics of files in the log.
struct LogStatistics<'a>(&'a [&'a Arc<DataFile>]);

impl<'a> LogStatistics<'a> {
    /// Of a column a bound in each file, of those that the log has bounds of.
    fn bounds(&self, column: &str, bound: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        let numbers = |range: fn(&DataFile) -> Option<(i64, i64)>| -> ArrayRef {
            let ranges = self.0.iter().map(|file| range(file).map(&bound));
            Arc::new(ranges.collect::<Int64Array>())
        };
        match column {
            DATE => Some(numbers(|file| file.date_range_ms)),
            RECEIVED => Some(numbers(|file| file.received_range_ms)),
            _ => {
                let constants = self.constants(column)?;
                let texts = constants.map(|constant| constant?.text.as_deref());
                Some(Arc::new(texts.collect::<StringViewArray>()))
            }
        }
    }

    /// The constant of a column in each file; `None` when no file has one.
    fn constants(&self, column: &str) -> Option<impl Iterator<Item = Option<&'a Constant>>> {
        let constants = move |file: &&'a Arc<DataFile>| {
            let mut constants = file.constants.iter();
            constants.find(|constant| constant.column == column)
        };
        let mut files = self.0.iter();
        files
            .any(|file| constants(file).is_some())
            .then(|| self.0.iter().map(constants))
    }
}

impl PruningStatistics for LogStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(&column.name, |(first_ms, _)| first_ms)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(&column.name, |(_, last_ms)| last_ms)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts: UInt64Array = match column.name.as_str() {
            // A file has the range only when each event has a value.
            RECEIVED => {
                let files = self.0.iter();
                files
                    .map(|file| file.received_range_ms.map(|_| 0))
                    .collect()
            }
            name => {
                let constants = self.constants(name)?.zip(self.0);
                let nulls = constants.map(|(constant, file)| match constant?.text {
                    Some(_) => Some(0),
                    None => Some(file.rows),
                });
                nulls.collect()
            }
        };
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self.0.iter().map(|file| Some(file.rows));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
