//! The dates that conditions accept.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use store::DataFile;

/// Dates in Unix milliseconds, both ends included as in the statistics of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateRange {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl DateRange {
    /// All dates.
    pub(crate) const ALL: Self = Self {
        first: i64::MIN,
        last: i64::MAX,
    };

    /// The range of a file in the log.
    pub(crate) fn of_file(file: &DataFile) -> Option<Self> {
        let (first, last) = file.date_range_ms?;
        Some(Self { first, last })
    }

    /// A range that contains all dates for which a condition holds; `date` is the index of the date in the table.
    pub(crate) fn accepted(condition: &Arc<dyn PhysicalExpr>, date: usize) -> Self {
        if let Some(range) = Self::equivalent(condition, date) {
            return range;
        }
        let Some(binary) = condition.downcast_ref::<BinaryExpr>() else {
            return Self::ALL;
        };
        let sides = || [binary.left(), binary.right()].map(|side| Self::accepted(side, date));
        match binary.op() {
            Operator::And => {
                let [left, right] = sides();
                left.intersection(right)
            }
            Operator::Or => {
                let [left, right] = sides();
                left.hull(right)
            }
            _ => Self::ALL,
        }
    }

    /// The range that is equivalent to a condition; `None` when it is no comparison of the date with a number.
    pub(crate) fn equivalent(condition: &Arc<dyn PhysicalExpr>, date: usize) -> Option<Self> {
        let comparison = Comparison::new(condition)?;
        let ScalarValue::Int64(Some(value)) = *comparison.value else {
            return None;
        };
        if comparison.column != date {
            return None;
        }
        let (first, last) = match comparison.operator {
            Operator::Eq => (value, value),
            Operator::Lt => (i64::MIN, value.checked_sub(1)?),
            Operator::LtEq => (i64::MIN, value),
            Operator::Gt => (value.checked_add(1)?, i64::MAX),
            Operator::GtEq => (value, i64::MAX),
            _ => return None,
        };
        Some(Self { first, last })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub(crate) fn contains(self, inner: Self) -> bool {
        self.first <= inner.first && inner.last <= self.last
    }

    /// Whether the two have a date in common.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    /// The smallest range that contains both.
    fn hull(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self {
                first: self.first.min(other.first),
                last: self.last.max(other.last),
            },
        }
    }
}

/// A comparison of a column with a literal.
pub(crate) struct Comparison<'e> {
    pub(crate) column: usize,
    pub(crate) operator: Operator,
    pub(crate) value: &'e ScalarValue,
}

impl<'e> Comparison<'e> {
    /// The comparison that an expression is, if it is one.
    pub(crate) fn new(expr: &'e Arc<dyn PhysicalExpr>) -> Option<Self> {
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        let (left, right) = (binary.left(), binary.right());
        if let Some(column) = left.downcast_ref::<Column>() {
            return Some(Self {
                column: column.index(),
                operator: *binary.op(),
                value: right.downcast_ref::<Literal>()?.value(),
            });
        }
        Some(Self {
            column: right.downcast_ref::<Column>()?.index(),
            operator: binary.op().swap()?,
            value: left.downcast_ref::<Literal>()?.value(),
        })
    }
}
