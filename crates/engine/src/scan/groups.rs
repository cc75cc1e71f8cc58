//! Which rows of a row group belong to the same group.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Int64Type, Schema};
use datafusion::common::{HashMap, Result};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use std::sync::Arc;

use super::expression::Values;

/// Up to so many combinations of keys, a table tells the group of each.
const TABLE_PLACES: usize = 1 << 20;

/// The groups that the rows of a row group make.
#[derive(Debug)]
pub(super) struct LocalGroups {
    /// The group of each row.
    pub(super) of_row: Vec<u32>,
    /// How many groups there are.
    pub(super) count: usize,
    /// The keys: an array for each, with a value for each group.
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
        let mut of_row = vec![0; rows];
        let mut first_rows = vec![0];
        for key in keys.iter().filter(|key| !key.codes.is_empty()) {
            first_rows = split(&mut of_row, first_rows.len(), key);
        }
        let values = |key: &Key| {
            let code = |row: &u32| key.codes.get(*row as usize).copied().unwrap_or_default();
            let codes = first_rows.iter().map(code);
            take(&key.dictionary, &codes.collect::<UInt32Array>(), None)
        };
        Ok(Self {
            of_row,
            count: first_rows.len(),
            keys: keys
                .iter()
                .map(values)
                .collect::<std::result::Result<_, _>>()?,
        })
    }
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
