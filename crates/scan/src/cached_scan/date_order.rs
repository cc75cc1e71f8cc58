//! Orders of files, row groups and rows by date.

use std::cmp::Reverse;
use std::sync::Arc;

use store::DataFile;

use super::predicate::Predicate;
use crate::column_cache::RowSelection;
use crate::date_range::DateRange;

/// An order of rows by their dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateOrder {
    NewestFirst,
    OldestFirst,
}

impl DateOrder {
    /// Sorts files. Those without a date range come first, because they may have the first row.
    pub(super) fn sort(self, files: &mut [Arc<DataFile>]) {
        match self {
            Self::NewestFirst => files
                .sort_by_key(|file| Reverse(file.date_range_ms.map_or(i64::MAX, |(_, last)| last))),
            Self::OldestFirst => {
                files.sort_by_key(|file| file.date_range_ms.map(|(first, _)| first));
            }
        }
    }

    /// Prunes a file by its date range: whether it may have rows that match. `None` stops the scan, because no later
    /// file can match either.
    pub(super) fn prune(self, file: &DataFile, predicate: &Predicate) -> Option<bool> {
        let (Ok(wanted), Some(dates)) = (predicate.dates(), DateRange::of_file(file)) else {
            // An error occurs again when the file is evaluated, and is reported there.
            return Some(true);
        };
        let is_older = dates.last < wanted.first;
        let is_newer = dates.first > wanted.last;
        match (self, is_older, is_newer) {
            (Self::NewestFirst, true, _) | (Self::OldestFirst, _, true) => None,
            _ => Some(!is_older && !is_newer && !wanted.is_empty()),
        }
    }

    /// Items with ascending dates, in this order.
    pub(super) fn apply<T>(self, mut items: Vec<T>) -> Vec<T> {
        if self == Self::NewestFirst {
            items.reverse();
        }
        items
    }

    /// The first `count` of the rows, and the others.
    pub(super) fn split(self, rows: &RowSelection, count: usize) -> (RowSelection, RowSelection) {
        let others = rows.len().saturating_sub(count);
        match self {
            Self::NewestFirst => (rows.slice(others, count), rows.slice(0, others)),
            Self::OldestFirst => (rows.slice(0, count), rows.slice(count, others)),
        }
    }
}
