//! Which rows of sorted batches the limits of groups let pass.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, UInt64Array};
use arrow::compute::{concat, filter_record_batch, partition};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;

use super::Wanted;

/// Takes the batches of sorted rows one after the other.
#[derive(Debug)]
pub(super) struct Limiter {
    wanted: Wanted,
    /// The columns of the rows that pass.
    schema: SchemaRef,
    /// The keys of the group of the last row.
    last_keys: Option<Vec<ArrayRef>>,
    /// How many rows of that group were there.
    rows: u64,
    /// Whether that group is counted.
    is_counted: bool,
    /// How many groups were counted.
    groups: u64,
    /// The rows that passed of the last batch with any: the next row may show that a group has more.
    pending: Option<Passed>,
}

/// Rows that passed.
#[derive(Debug)]
struct Passed {
    rows: RecordBatch,
    numbers: Vec<u64>,
    is_cut: Vec<bool>,
    ranks: Vec<u64>,
}

/// The rows of a batch that pass: their indices with the number of the first in its group, whether the last is the last
/// that passes of a group that has more, and the number of the group.
struct Span {
    indices: Range<usize>,
    first_number: u64,
    is_cut: bool,
    rank: u64,
}

impl Limiter {
    /// Returns batches of these columns.
    pub(super) fn new(wanted: Wanted, schema: SchemaRef) -> Self {
        Self {
            wanted,
            schema,
            last_keys: None,
            rows: 0,
            is_counted: false,
            groups: 0,
            pending: None,
        }
    }

    /// Whether no later row can pass.
    pub(super) fn is_done(&self) -> bool {
        let groups = self.wanted.groups.as_ref();
        groups.is_some_and(|wanted| wanted.is_empty() || self.groups > *wanted.end())
    }

    /// Takes a batch of at least one row, with the keys of its rows, and returns the rows of earlier batches that passed.
    pub(super) fn add(
        &mut self,
        batch: &RecordBatch,
        keys: Vec<ArrayRef>,
    ) -> Result<Option<RecordBatch>> {
        let continues = match &self.last_keys {
            Some(last) => is_same(last, &keys)?,
            None => false,
        };
        if continues
            && self.has_all_rows()
            && let Some(pending) = &mut self.pending
        {
            // The pending rows end with this group's last row that passes, or it was returned before.
            pending.cut_last();
        }
        let mut spans = Vec::new();
        for (index, range) in partition(&keys)?.ranges().into_iter().enumerate() {
            if index > 0 || !continues {
                self.rows = 0;
                self.is_counted = false;
            }
            spans.extend(self.span(range));
            if self.is_done() {
                break;
            }
        }
        let last = batch.num_rows() - 1;
        self.last_keys = Some(keys.iter().map(|key| key.slice(last, 1)).collect());
        match Passed::new(batch, &spans)? {
            Some(passed) => match self.pending.replace(passed) {
                Some(before) => self.complete(before).map(Some),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    /// The pending rows, after the last batch.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        let pending = self.pending.take();
        pending.map(|pending| self.complete(pending)).transpose()
    }

    /// The span of further rows of the current group.
    fn span(&mut self, indices: Range<usize>) -> Option<Span> {
        let first = self.rows + 1;
        self.rows += indices.len() as u64;
        let (from, to) = match &self.wanted.rows {
            Some(wanted) => (first.max(*wanted.start()), self.rows.min(*wanted.end())),
            None => (first, self.rows),
        };
        if from > to {
            return None;
        }
        if !self.is_counted {
            self.is_counted = true;
            self.groups += 1;
        }
        let groups = self.wanted.groups.as_ref();
        if groups.is_some_and(|wanted| !wanted.contains(&self.groups)) {
            return None;
        }
        // Both are inside the batch.
        let start = indices.start + (from - first) as usize;
        Some(Span {
            indices: start..start + (to - from + 1) as usize,
            first_number: from,
            is_cut: to < self.rows,
            rank: self.groups,
        })
    }

    /// Whether the current group has no more rows that pass.
    fn has_all_rows(&self) -> bool {
        let wanted = self.wanted.rows.as_ref();
        wanted.is_some_and(|wanted| self.rows >= *wanted.end())
    }

    fn complete(&self, passed: Passed) -> Result<RecordBatch> {
        let mut columns = passed.rows.columns().to_vec();
        if self.wanted.rows.is_some() {
            columns.push(Arc::new(UInt64Array::from(passed.numbers)));
            columns.push(Arc::new(BooleanArray::from(passed.is_cut)));
        }
        if self.wanted.groups.is_some() {
            columns.push(Arc::new(UInt64Array::from(passed.ranks)));
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

impl Passed {
    /// `None` when nothing passes.
    fn new(batch: &RecordBatch, spans: &[Span]) -> Result<Option<Self>> {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return Ok(None);
        };
        let (start, end) = (first.indices.start, last.indices.end);
        let count = spans.iter().map(|span| span.indices.len()).sum();
        let mut passed = Self {
            rows: batch.slice(start, end - start),
            numbers: Vec::with_capacity(count),
            is_cut: Vec::with_capacity(count),
            ranks: Vec::with_capacity(count),
        };
        for span in spans {
            let numbers = span.first_number..;
            passed.numbers.extend(numbers.take(span.indices.len()));
            passed.is_cut.resize(passed.numbers.len(), false);
            passed.ranks.resize(passed.numbers.len(), span.rank);
            if span.is_cut {
                passed.cut_last();
            }
        }
        if count < end - start {
            let mut passes = BooleanBufferBuilder::new(end - start);
            for span in spans {
                passes.append_n(span.indices.start - start - passes.len(), false);
                passes.append_n(span.indices.len(), true);
            }
            let passes = BooleanArray::new(passes.finish(), None);
            passed.rows = filter_record_batch(&passed.rows, &passes)?;
        }
        Ok(Some(passed))
    }

    fn cut_last(&mut self) {
        if let Some(is_cut) = self.is_cut.last_mut() {
            *is_cut = true;
        }
    }
}

/// Whether the first of some keys are those of a group.
fn is_same(group: &[ArrayRef], keys: &[ArrayRef]) -> Result<bool> {
    let pairs = group.iter().zip(keys);
    let pairs = pairs.map(|(one, other)| concat(&[one.as_ref(), other.slice(0, 1).as_ref()]));
    let pairs: Vec<ArrayRef> = pairs.collect::<std::result::Result<_, _>>()?;
    Ok(partition(&pairs)?.ranges().len() == 1)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int64Array};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type};

    use super::super::node::added;
    use super::*;

    /// The groups of ten rows.
    const KEYS: [Option<i64>; 10] = [
        Some(1),
        Some(1),
        Some(1),
        Some(2),
        Some(3),
        Some(3),
        Some(3),
        Some(3),
        None,
        None,
    ];

    type Row = (Option<i64>, u64, bool, u64);

    /// What passes when the rows come in batches that end where `ends` has a bit.
    fn passed(ends: u32, rows: (u64, u64), groups: (u64, u64)) -> Vec<Row> {
        let wanted = Wanted {
            rows: Some(rows.0..=rows.1),
            groups: Some(groups.0..=groups.1),
        };
        let key = Field::new("k0", DataType::Int64, true);
        let input = Arc::new(Schema::new(vec![key.clone()]));
        let fields: Vec<Field> = std::iter::once(key).chain(added(&wanted)).collect();
        let schema = Arc::new(Schema::new(fields));
        let mut limiter = Limiter::new(wanted, Arc::clone(&schema));
        let (mut batches, mut start) = (Vec::new(), 0);
        for end in 1..=KEYS.len() {
            if end == KEYS.len() || ends & (1 << (end - 1)) != 0 {
                let keys: ArrayRef = Arc::new(Int64Array::from(KEYS[start..end].to_vec()));
                let batch = RecordBatch::try_new(Arc::clone(&input), vec![Arc::clone(&keys)]);
                batches.extend(limiter.add(&batch.unwrap(), vec![keys]).unwrap());
                start = end;
            }
            if limiter.is_done() {
                break;
            }
        }
        batches.extend(limiter.finish().unwrap());
        let all = concat_batches(&schema, &batches).unwrap();
        let number =
            |column: usize, row| all.column(column).as_primitive::<UInt64Type>().value(row);
        let keys = all.column(0).as_primitive::<Int64Type>();
        let cuts = all.column(2).as_boolean();
        let row = |row| {
            let key = keys.is_valid(row).then(|| keys.value(row));
            (key, number(1, row), cuts.value(row), number(3, row))
        };
        (0..all.num_rows()).map(row).collect()
    }

    #[test]
    fn rows_and_groups_are_numbered_and_cut() {
        let all = u64::MAX;
        let firsts = [
            (Some(1), 1, true, 1),
            (Some(2), 1, false, 2),
            (Some(3), 1, true, 3),
            (None, 1, true, 4),
        ];
        assert_eq!(passed(0, (1, 1), (1, all)), firsts);
        assert_eq!(passed(0, (1, 1), (2, 3)), firsts[1..3]);
        // A group without rows after the skipped ones is not counted.
        let seconds = [
            (Some(1), 2, false, 1),
            (Some(1), 3, false, 1),
            (Some(3), 2, false, 2),
            (Some(3), 3, true, 2),
            (None, 2, false, 3),
        ];
        assert_eq!(passed(0, (2, 3), (1, all)), seconds);
        assert_eq!(passed(0, (1, all), (1, all)).len(), KEYS.len());
        assert_eq!(passed(0, (1, 0), (1, all)), []);
        assert_eq!(passed(0, (1, all), (1, 0)), []);
    }

    #[test]
    fn batches_make_no_difference() {
        for rows in [(1, 1), (1, 2), (2, 3), (3, 4), (1, u64::MAX)] {
            for groups in [(1, 2), (2, 3), (1, u64::MAX)] {
                let expected = passed(0, rows, groups);
                for ends in 0..1 << (KEYS.len() - 1) {
                    let found = passed(ends, rows, groups);
                    assert_eq!(found, expected, "{rows:?} {groups:?} {ends:b}");
                }
            }
        }
    }
}
