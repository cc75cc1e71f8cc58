//! The rows for which a condition is true.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;

/// The rows for which a condition is true.
#[derive(Debug)]
pub(super) enum FilterMask {
    /// All rows.
    All,
    /// No row.
    None,
    /// Some rows: one bit per row.
    Some(BooleanBuffer),
}

impl FilterMask {
    pub(super) fn new(mask: BooleanBuffer) -> Self {
        match mask.count_set_bits() {
            0 => Self::None,
            all if all == mask.len() => Self::All,
            _ => Self::Some(mask),
        }
    }

    /// The rows whose key has its bit set in a mask of the dictionary.
    pub(super) fn from_keys(keys: &[u32], dictionary: &BooleanBuffer) -> Self {
        let is_true = |row: usize| dictionary.value(keys[row] as usize);
        Self::new(BooleanBuffer::collect_bool(keys.len(), is_true))
    }

    /// Whether the condition is true for the row at an index.
    pub(super) fn contains(&self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(mask) => mask.value(index),
        }
    }

    /// The rows for which both conditions are true.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (other, Self::All) => other,
            (Self::None, _) | (_, Self::None) => Self::None,
            (Self::Some(left), Self::Some(right)) => Self::new(&left & &right),
        }
    }

    /// As a filter of `rows` rows; `None` when all pass.
    pub(super) fn into_filter(self, rows: usize) -> Option<BooleanArray> {
        match self {
            Self::All => None,
            Self::None => Some(BooleanArray::from(vec![false; rows])),
            Self::Some(mask) => Some(BooleanArray::from(mask)),
        }
    }
}

/// For each value whether it is true and not null.
pub(super) fn true_values(conditions: &ArrayRef) -> BooleanBuffer {
    let Some(conditions) = conditions.as_boolean_opt() else {
        return BooleanBuffer::new_unset(conditions.len());
    };
    match conditions.nulls() {
        Some(nulls) => conditions.values() & nulls.inner(),
        None => conditions.values().clone(),
    }
}
