//! The statistics of the row groups of a file in its footer.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringViewArray, UInt64Array};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::RowGroupMetaData;
use datafusion::parquet::file::statistics::Statistics;
use events::fields::DATE;
use events::{Delivery, ValueRef};
use store::Footer;

use crate::date_range::DateRange;

/// The statistics of all row groups of a file.
#[derive(Debug)]
pub(crate) struct RowGroupStatistics<'f> {
    pub(crate) footer: &'f Footer,
    /// Sets columns of all rows.
    pub(crate) delivery: Option<&'f Delivery>,
}

impl RowGroupStatistics<'_> {
    /// The dates of a row group.
    pub(crate) fn dates(&self, group: usize) -> Option<DateRange> {
        let column = self.footer.column_index(DATE)?;
        match self.row_groups()[group].column(column).statistics()? {
            Statistics::Int64(dates) => Some(DateRange {
                first: *dates.min_opt()?,
                last: *dates.max_opt()?,
            }),
            _ => None,
        }
    }

    fn row_groups(&self) -> &[RowGroupMetaData] {
        self.footer.metadata().row_groups()
    }

    /// The value that the delivery sets in all rows of a column.
    fn delivered(&self, column: &str) -> Option<ValueRef<'_>> {
        self.delivery?.value(column)
    }

    /// A bound of a column in each row group.
    fn bounds(
        &self,
        column: &str,
        bounds: impl Fn(&StatisticsConverter<'_>, &[RowGroupMetaData]) -> Result<ArrayRef>,
    ) -> Option<ArrayRef> {
        let groups = self.row_groups();
        match self.delivered(column) {
            Some(ValueRef::Int(number)) => {
                Some(Arc::new(Int64Array::from_value(number, groups.len())))
            }
            Some(ValueRef::Text(text)) => {
                let texts = groups.iter().map(|_| Some(text));
                Some(Arc::new(texts.collect::<StringViewArray>()))
            }
            None => bounds(&self.converter(column)?, groups).ok(),
        }
    }

    /// What converts the statistics of a column; `None` when the file does not have the column.
    fn converter(&self, column: &str) -> Option<StatisticsConverter<'_>> {
        let index = self.footer.column_index(column)?;
        let reader = self.footer.reader();
        let field = reader.schema().field_with_name(column).ok()?;
        StatisticsConverter::from_column_index(index, field, reader.parquet_schema()).ok()
    }
}

impl PruningStatistics for RowGroupStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(&column.name, |converter, groups| {
            converter.row_group_mins(groups)
        })
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(&column.name, |converter, groups| {
            converter.row_group_maxes(groups)
        })
    }

    fn num_containers(&self) -> usize {
        self.footer.groups()
    }

    /// No row has a column that the file does not have, unless the delivery sets it.
    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if self.delivered(&column.name).is_some() {
            return Some(Arc::new(UInt64Array::from_value(0, self.footer.groups())));
        }
        if self.footer.column_index(&column.name).is_none() {
            return self.row_counts();
        }
        let converter = self.converter(&column.name)?;
        let converter = converter.with_missing_null_counts_as_zero(false);
        let counts = converter.row_group_null_counts(self.row_groups()).ok()?;
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let groups = 0..self.footer.groups();
        let counts = groups.map(|group| Some(self.footer.rows(group) as u64));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
