//! Groups the rows of a row group by the keys of their columns.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Int64Type, Schema};
use datafusion::common::{HashMap, HashSet, Result};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use std::sync::Arc;

use super::column_expr::Values;

/// The most entries of a lookup table; with more combinations, a hash map is used.
const TABLE_ENTRIES: usize = 1 << 20;

/// The groups of the rows of a row group.
#[derive(Debug)]
pub(super) struct RowGroupGroups {
    /// The group of each row; empty when there is one group.
    of_row: Vec<u32>,
    /// The number of rows of each group, which may be zero.
    pub(super) sizes: Vec<u32>,
    /// For each key an array of its values, one for each group that has rows.
    pub(super) keys: Vec<ArrayRef>,
}

/// A key of the grouping, as keys of a dictionary.
struct Key {
    /// Empty when all rows have the same value.
    keys: Vec<u32>,
    dictionary: ArrayRef,
}

impl RowGroupGroups {
    /// The groups of at least one row by these keys; without keys there is one group.
    pub(super) fn new(keys: Vec<Values>, rows: usize) -> Result<Self> {
        let keys: Vec<Key> = keys.into_iter().map(Key::new).collect::<Result<_>>()?;
        let varying = keys.iter().enumerate();
        let mut varying = varying.filter(|(_, key)| !key.keys.is_empty());
        match (varying.next(), varying.next()) {
            (None, _) => Ok(Self::single(&keys, rows)),
            (Some((varying, _)), None) => Self::from_key(keys, varying),
            _ => Self::from_combinations(&keys, rows),
        }
    }

    /// The group of the row at an index.
    pub(super) fn group(&self, index: usize) -> usize {
        self.of_row.get(index).copied().unwrap_or_default() as usize
    }

    /// The groups that have rows.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> + '_ {
        let sizes = self.sizes.iter().enumerate();
        sizes.filter(|(_, size)| **size > 0).map(|(group, _)| group)
    }

    /// One group.
    fn single(keys: &[Key], rows: usize) -> Self {
        Self {
            of_row: Vec::new(),
            // A row group has less than 2³² rows.
            sizes: vec![rows as u32],
            keys: keys.iter().map(|key| key.dictionary.slice(0, 1)).collect(),
        }
    }

    /// A group for each value of the only key with several values.
    fn from_key(mut keys: Vec<Key>, varying: usize) -> Result<Self> {
        let of_row = std::mem::take(&mut keys[varying].keys);
        let sizes = sizes(&of_row, keys[varying].dictionary.len());
        let used = (0_u32..).zip(&sizes).filter(|(_, size)| **size > 0);
        let used: UInt32Array = used.map(|(key, _)| key).collect();
        let firsts = UInt32Array::from(vec![0; used.len()]);
        let values = keys.iter().enumerate().map(|(index, key)| {
            let keys = if index == varying { &used } else { &firsts };
            take(&key.dictionary, keys, None)
        });
        Ok(Self {
            keys: values.collect::<std::result::Result<_, _>>()?,
            of_row,
            sizes,
        })
    }

    /// A group for each combination of values that some row has.
    fn from_combinations(keys: &[Key], rows: usize) -> Result<Self> {
        let mut of_row = vec![0; rows];
        let mut first_rows = vec![0];
        for key in keys.iter().filter(|key| !key.keys.is_empty()) {
            first_rows = split(&mut of_row, first_rows.len(), key);
        }
        let values = keys.iter().map(|key| {
            let key_of = |row: &u32| key.keys.get(*row as usize).copied().unwrap_or_default();
            let keys = first_rows.iter().map(key_of);
            take(&key.dictionary, &keys.collect::<UInt32Array>(), None)
        });
        Ok(Self {
            sizes: sizes(&of_row, first_rows.len()),
            keys: values.collect::<std::result::Result<_, _>>()?,
            of_row,
        })
    }
}

/// The number of rows of each group.
fn sizes(of_row: &[u32], groups: usize) -> Vec<u32> {
    let mut sizes = vec![0; groups];
    for group in of_row {
        sizes[*group as usize] += 1;
    }
    sizes
}

/// Splits groups by another key. Returns the first row of each new group.
fn split(of_row: &mut [u32], groups: usize, key: &Key) -> Vec<u32> {
    let values = key.dictionary.len();
    let combinations = groups.saturating_mul(values);
    let mut interner = match combinations <= TABLE_ENTRIES {
        true => GroupInterner::Table(vec![u32::MAX; combinations]),
        false => GroupInterner::Map(HashMap::new()),
    };
    let mut first_rows: Vec<u32> = Vec::new();
    let rows = 0_u32..;
    for ((row, group), value) in rows.zip(of_row.iter_mut()).zip(&key.keys) {
        let combination = u64::from(*group) * values as u64 + u64::from(*value);
        let next = first_rows.len() as u32;
        *group = interner.intern(combination, next);
        if *group == next {
            first_rows.push(row);
        }
    }
    first_rows
}

/// Numbers combinations of a group and a value in the order of their first rows.
enum GroupInterner {
    Table(Vec<u32>),
    Map(HashMap<u64, u32>),
}

impl GroupInterner {
    /// The number of a combination, which becomes `next` when it had none.
    fn intern(&mut self, combination: u64, next: u32) -> u32 {
        match self {
            // The table has all combinations.
            Self::Table(numbers) => {
                let number = &mut numbers[combination as usize];
                if *number == u32::MAX {
                    *number = next;
                }
                *number
            }
            Self::Map(numbers) => *numbers.entry(combination).or_insert(next),
        }
    }
}

impl Key {
    fn new(values: Values) -> Result<Self> {
        match values {
            Values::Dictionary { keys, dictionary } => Ok(Self { keys, dictionary }),
            Values::Scalar(value) => Ok(Self {
                keys: Vec::new(),
                dictionary: value,
            }),
            Values::Array(array) => Self::from_array(&array),
        }
    }

    fn from_array(array: &ArrayRef) -> Result<Self> {
        if let Some(numbers) = array.as_primitive_opt::<Int64Type>()
            && numbers.null_count() == 0
        {
            return Ok(Self::from_numbers(numbers.values()));
        }
        let field = Field::new("key", array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let mut values = new_group_values(schema, &GroupOrdering::None)?;
        let mut groups = Vec::new();
        values.intern(&[Arc::clone(array)], &mut groups)?;
        let mut emitted = values.emit(EmitTo::All)?;
        let dictionary = match emitted.pop() {
            Some(dictionary) => dictionary,
            None => arrow::array::new_null_array(array.data_type(), 0),
        };
        Ok(Self {
            // A row group has less than 2³² rows.
            keys: groups.into_iter().map(|group| group as u32).collect(),
            dictionary,
        })
    }

    /// Interns numbers. Consecutive ones are often equal, such as the steps of sorted times.
    fn from_numbers(numbers: &[i64]) -> Self {
        let mut known: HashMap<i64, u32> = HashMap::new();
        let mut distinct: Vec<i64> = Vec::new();
        let mut keys = Vec::with_capacity(numbers.len());
        let mut last = None;
        for number in numbers {
            let key = match last {
                Some((last_number, key)) if last_number == *number => key,
                _ => *known.entry(*number).or_insert_with(|| {
                    distinct.push(*number);
                    distinct.len() as u32 - 1
                }),
            };
            last = Some((*number, key));
            keys.push(key);
        }
        Self {
            keys,
            dictionary: Arc::new(arrow::array::Int64Array::from(distinct)),
        }
    }
}

/// Passes each combination of a group and a value once.
#[derive(Debug)]
pub(super) enum DistinctFilter {
    Table { values: usize, seen: Vec<bool> },
    Set(HashSet<(usize, u32)>),
}

impl DistinctFilter {
    /// A filter of `groups` groups and `values` values.
    pub(super) fn new(groups: usize, values: usize) -> Self {
        let combinations = groups.saturating_mul(values);
        match combinations <= TABLE_ENTRIES {
            true => Self::Table {
                values,
                seen: vec![false; combinations],
            },
            false => Self::Set(HashSet::new()),
        }
    }

    /// Inserts a combination. Returns whether it is new.
    pub(super) fn insert(&mut self, group: usize, value: u32) -> bool {
        match self {
            Self::Table { values, seen } => {
                let seen = &mut seen[group * *values + value as usize];
                !std::mem::replace(seen, true)
            }
            Self::Set(seen) => seen.insert((group, value)),
        }
    }
}
