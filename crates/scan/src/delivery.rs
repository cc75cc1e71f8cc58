//! The fields that Vouch sets, of files that have them in the log and not in columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column as ColumnName, Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use events::fields::RECEIVED;
use events::{Delivery, FIELDS, SetBy, ValueRef};
use store::DataFile;

/// Whether an expression uses a field that Vouch sets.
pub(crate) fn is_needed(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let is_set = |column: &Column| {
        let mut fields = FIELDS.iter().filter(|field| field.set_by == SetBy::Vouch);
        fields.any(|field| field.name == column.name())
    };
    collect_columns(expr).iter().any(is_set)
}

/// Replaces the columns that a delivery sets by its values.
pub(crate) fn with_values(
    expr: Arc<dyn PhysicalExpr>,
    delivery: &Delivery,
) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform(|part| {
        let column = part.downcast_ref::<Column>();
        let value = column.and_then(|column| delivery.value(column.name()));
        Ok(match value {
            None => Transformed::no(part),
            Some(ValueRef::Int(number)) => Transformed::yes(lit(number)),
            Some(ValueRef::Text(text)) => {
                let text = ScalarValue::Utf8View(Some(text.to_owned()));
                Transformed::yes(lit(text))
            }
        })
    })
    .data()
}

/// Prunes files by the times of receipt in the log.
pub(crate) fn pruned(
    files: Arc<[Arc<DataFile>]>,
    condition: &Arc<dyn PhysicalExpr>,
    table: &SchemaRef,
) -> Arc<[Arc<DataFile>]> {
    let columns = collect_columns(condition);
    if !columns.iter().any(|column| column.name() == RECEIVED) {
        return files;
    }
    let predicate = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(table))
        .build(Arc::clone(condition));
    // Files are read when pruning fails.
    match predicate.map(|predicate| predicate.prune(&Received(&files))) {
        Some(Ok(kept)) => {
            let kept = files.iter().zip(kept).filter(|(_, kept)| *kept);
            kept.map(|(file, _)| Arc::clone(file)).collect()
        }
        Some(Err(_)) | None => files,
    }
}

/// The ranges of `vouch_received` in the log.
struct Received<'a>(&'a [Arc<DataFile>]);

impl Received<'_> {
    fn bounds(&self, column: &ColumnName, bound: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        let ranges = self.0.iter().map(|file| file.received_range_ms.map(&bound));
        (column.name == RECEIVED).then(|| Arc::new(ranges.collect::<Int64Array>()) as ArrayRef)
    }
}

impl PruningStatistics for Received<'_> {
    fn min_values(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.bounds(column, |(first_ms, _)| first_ms)
    }

    fn max_values(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.bounds(column, |(_, last_ms)| last_ms)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    /// A file with a range has a value in each event.
    fn null_counts(&self, column: &ColumnName) -> Option<ArrayRef> {
        let counts = self.0.iter().map(|file| file.received_range_ms.map(|_| 0));
        (column.name == RECEIVED).then(|| Arc::new(counts.collect::<UInt64Array>()) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self.0.iter().map(|file| Some(file.rows));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &ColumnName, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
