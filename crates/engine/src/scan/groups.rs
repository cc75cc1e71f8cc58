//! Which rows of a row group belong to the same group.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Int64Type, Schema};
use datafusion::common::{HashMap, HashSet, Result};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use std::sync::Arc;

use super::expression::Values;

/// Up to so many combinations, a table tells about each.
const TABLE_PLACES: usize = 1 << 20;

/// The groups that rows of a row group make.
#[derive(Debug)]
pub(super) struct LocalGroups {
    /// The group of each row; empty when there is one group.
    of_row: Vec<u32>,
    /// How many rows each group has, which may be none.
    pub(super) sizes: Vec<u32>,
    /// The keys: an array for each, with a value for each group that has rows.
    pub(super) keys: Vec<ArrayRef>,
}

/// A key: the place of each row's value among the different values.
struct Key {
    /// Empty when all rows have the same value.
    codes: Vec<u32>,
    dictionary: ArrayRef,
}

impl LocalGroups {
    /// The groups of `rows` rows, of which there is at least one, with these keys; without keys there
    /// is one group.
    pub(super) fn new(keys: Vec<Values>, rows: usize) -> Result<Self> {
        let keys: Vec<Key> = keys.into_iter().map(Key::new).collect::<Result<_>>()?;
        let varying = keys.iter().enumerate();
        let mut varying = varying.filter(|(_, key)| !key.codes.is_empty());
        match (varying.next(), varying.next()) {
            (None, _) => Ok(Self::one(&keys, rows)),
            (Some((varying, _)), None) => Self::of_codes(keys, varying),
            _ => Self::of_combinations(&keys, rows),
        }
    }

    /// The group of the row at a place.
    pub(super) fn of(&self, place: usize) -> usize {
        self.of_row.get(place).copied().unwrap_or_default() as usize
    }

    /// The groups that have rows.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> + '_ {
        let sizes = self.sizes.iter().enumerate();
        sizes.filter(|(_, size)| **size > 0).map(|(group, _)| group)
    }

    /// One group.
    fn one(keys: &[Key], rows: usize) -> Self {
        Self {
            of_row: Vec::new(),
            // A row group has far less than 2³² rows.
            sizes: vec![rows as u32],
            keys: keys.iter().map(|key| key.dictionary.slice(0, 1)).collect(),
        }
    }

    /// A group for each value of the one key that has different ones.
    fn of_codes(mut keys: Vec<Key>, varying: usize) -> Result<Self> {
        let of_row = std::mem::take(&mut keys[varying].codes);
        let sizes = sizes(&of_row, keys[varying].dictionary.len());
        let used = (0_u32..).zip(&sizes).filter(|(_, size)| **size > 0);
        let used: UInt32Array = used.map(|(code, _)| code).collect();
        let firsts = UInt32Array::from(vec![0; used.len()]);
        let values = keys.iter().enumerate().map(|(place, key)| {
            let codes = if place == varying { &used } else { &firsts };
            take(&key.dictionary, codes, None)
        });
        Ok(Self {
            keys: values.collect::<std::result::Result<_, _>>()?,
            of_row,
            sizes,
        })
    }

    /// A group for each combination of values that some row has.
    fn of_combinations(keys: &[Key], rows: usize) -> Result<Self> {
        let mut of_row = vec![0; rows];
        let mut first_rows = vec![0];
        for key in keys.iter().filter(|key| !key.codes.is_empty()) {
            first_rows = split(&mut of_row, first_rows.len(), key);
        }
        let values = keys.iter().map(|key| {
            let code = |row: &u32| key.codes.get(*row as usize).copied().unwrap_or_default();
            let codes = first_rows.iter().map(code);
            take(&key.dictionary, &codes.collect::<UInt32Array>(), None)
        });
        Ok(Self {
            sizes: sizes(&of_row, first_rows.len()),
            keys: values.collect::<std::result::Result<_, _>>()?,
            of_row,
        })
    }
}
/// How many rows each group has.
fn sizes(of_row: &[u32], groups: usize) -> Vec<u32> {
    let mut sizes = vec![0; groups];
    for group in of_row {
        sizes[*group as usize] += 1;
    }
    sizes
}

/// Splits groups by a further key. Gives a row of each of the new groups.
fn split(of_row: &mut [u32], groups: usize, key: &Key) -> Vec<u32> {
    let values = key.dictionary.len();
    let places = groups.saturating_mul(values);
    let mut numbering = match places <= TABLE_PLACES {
        true => Numbering::Table(vec![u32::MAX; places]),
        false => Numbering::Map(HashMap::new()),
    };
    let mut first_rows: Vec<u32> = Vec::new();
    let rows = 0_u32..;
    for ((row, group), code) in rows.zip(of_row.iter_mut()).zip(&key.codes) {
        let place = u64::from(*group) * values as u64 + u64::from(*code);
        let next = first_rows.len() as u32;
        *group = numbering.number(place, next);
        if *group == next {
            first_rows.push(row);
        }
    }
    first_rows
}

enum Numbering {
    Table(Vec<u32>),
    Map(HashMap<u64, u32>),
}

impl Numbering {
    /// The number of a place, which is `next` when it had none.
    fn number(&mut self, place: u64, next: u32) -> u32 {
        match self {
            // The table has all places.
            Self::Table(numbers) => {
                let number = &mut numbers[place as usize];
                if *number == u32::MAX {
                    *number = next;
                }
                *number
            }
            Self::Map(numbers) => *numbers.entry(place).or_insert(next),
        }
    }
}

impl Key {
    fn new(values: Values) -> Result<Self> {
        match values {
            Values::Coded { codes, dictionary } => Ok(Self { codes, dictionary }),
            Values::Same(value) => Ok(Self {
                codes: Vec::new(),
                dictionary: value,
            }),
            Values::Plain(array) => Self::of_array(&array),
        }
    }

    fn of_array(array: &ArrayRef) -> Result<Self> {
        if let Some(numbers) = array.as_primitive_opt::<Int64Type>()
            && numbers.null_count() == 0
        {
            return Ok(Self::of_numbers(numbers.values()));
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
            // A row group has far less than 2³² rows.
            codes: groups.into_iter().map(|group| group as u32).collect(),
            dictionary,
        })
    }

    /// Numbers, of which equal ones mostly follow each other, as the steps of sorted times do.
    fn of_numbers(numbers: &[i64]) -> Self {
        let mut known: HashMap<i64, u32> = HashMap::new();
        let mut different: Vec<i64> = Vec::new();
        let mut codes = Vec::with_capacity(numbers.len());
        let mut last = None;
        for number in numbers {
            let code = match last {
                Some((last_number, code)) if last_number == *number => code,
                _ => *known.entry(*number).or_insert_with(|| {
                    different.push(*number);
                    different.len() as u32 - 1
                }),
            };
            last = Some((*number, code));
            codes.push(code);
        }
        Self {
            codes,
            dictionary: Arc::new(arrow::array::Int64Array::from(different)),
        }
    }
}

/// Which combinations of a group and a value were seen.
#[derive(Debug)]
pub(super) enum Seen {
    Table { values: usize, seen: Vec<bool> },
    Set(HashSet<(usize, u32)>),
}

impl Seen {
    /// Nothing was seen of so many groups and values.
    pub(super) fn new(groups: usize, values: usize) -> Self {
        let places = groups.saturating_mul(values);
        match places <= TABLE_PLACES {
            true => Self::Table {
                values,
                seen: vec![false; places],
            },
            false => Self::Set(HashSet::new()),
        }
    }

    /// Notes a combination. Gives whether it is new.
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
