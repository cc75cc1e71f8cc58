//! Which files are to be made into one. Nothing here reads or writes anything.
//!
//! Files are compared by their events, because these add up exactly, which bytes do not. With *base*
//! b, a file of n events is of rank ⌊log_b n⌋. Files of one day are merged, the smallest first, when
//! the result has a higher rank than each of them, or is of full size. So
//!
//! * an event is moved at most once for each rank, however often a day gets new files: a number of
//!   times that grows with the logarithm of the events of a file;
//! * what is left of a day has less than b files of each rank, because b of them would be merged.
//!
//! A day that still gets files is merged with a large base, which is little work and leaves a few
//! more files; one that is settled with base 2.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::delta::snapshot::DataFile;
use crate::root::paths;

/// The base for a day that still gets files.
const BASE: u64 = 8;

/// The base for a day that got no file for a while.
const SETTLED_BASE: u64 = 2;

/// How many files become one at a time, at most.
const MAX_FILES: usize = 256;

/// How large files are to become, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The bytes that a file is to have. One of half of it is left alone, and none is made that is
    /// more than half as large again.
    pub(crate) target_bytes: u64,
    /// For how long a day must not have got a file to be settled.
    pub(crate) settle_after: TimeDelta,
}

/// Files of one day that are to become one.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The day of all of them.
    pub(crate) day: NaiveDate,
    /// The files, two or more.
    pub(crate) files: Vec<DataFile>,
}

impl Job {
    /// The events of all files.
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The bytes of all files.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// What is to be done with the `files` of a table at the time `now`; no file is in two jobs.
pub(crate) fn choose<'a>(
    files: impl IntoIterator<Item = &'a DataFile>,
    now: DateTime<Utc>,
    rules: Rules,
) -> Vec<Job> {
    // Only what the log says the same of may become one file.
    let mut groups: BTreeMap<(NaiveDate, &BTreeMap<String, String>), Vec<&DataFile>> =
        BTreeMap::new();
    for file in files {
        if is_ours(file) && file.size_bytes < rules.target_bytes / 2 {
            let group = groups.entry((file.day, &file.tags)).or_default();
            group.push(file);
        }
    }
    groups
        .into_iter()
        .flat_map(|((day, _), files)| {
            choose_of_day(files, now, rules)
                .into_iter()
                .map(move |files| Job { day, files })
        })
        .collect()
}

/// Whether Vouch has written the file: it is sorted then, has no columns but those of events, and a
/// digest by which damage is noticed before it is copied. Files of other writers are left alone.
fn is_ours(file: &DataFile) -> bool {
    file.digest.is_some() && paths::day_of_data_file(&file.relative_path) == Some(file.day)
}

fn choose_of_day(
    mut files: Vec<&DataFile>,
    now: DateTime<Utc>,
    rules: Rules,
) -> Vec<Vec<DataFile>> {
    let newest = files.iter().map(|file| file.modified).max();
    let settled = newest.is_some_and(|newest| now - newest >= rules.settle_after);
    let base = if settled { SETTLED_BASE } else { BASE };
    files.sort_unstable_by(|one, other| (one.rows, &one.path).cmp(&(other.rows, &other.path)));
    let mut chosen = Vec::new();
    let mut rest = files.as_slice();
    while let Some(count) = mergeable(rest, base, rules.target_bytes) {
        let (files, larger) = rest.split_at(count);
        chosen.push(files.iter().copied().cloned().collect());
        rest = larger;
    }
    chosen
}

/// How many of the `files`, which are sorted by events, are to become one; `None` for none.
///
/// As many as possible, so that the result need not be merged again at once.
fn mergeable(files: &[&DataFile], base: u64, target_bytes: u64) -> Option<usize> {
    let (mut rows, mut bytes) = (0, 0);
    let mut best = None;
    for (index, file) in files.iter().enumerate().take(MAX_FILES) {
        rows += file.rows;
        bytes += file.size_bytes;
        if bytes > target_bytes + target_bytes / 2 {
            break;
        }
        let is_worth_it = rank(rows, base) > rank(file.rows, base) || bytes >= target_bytes;
        if index > 0 && is_worth_it {
            best = Some(index + 1);
        }
    }
    best
}

fn rank(rows: u64, base: u64) -> u32 {
    rows.max(1).ilog(base)
}

#[cfg(test)]
mod tests;
