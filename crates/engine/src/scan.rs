//! Reading events for questions that come again and again: on columns that are kept in memory, text with
//! few different values as codes of a dictionary.
//!
//! | module | holds |
//! |---|---|
//! | `rule` | which parts of a plan read so |
//! | `source` | files, the condition on their rows, what a row gives |
//! | `chunk` | a row group while a question looks at it |
//! | `expression` | expressions over columns, evaluated once for each different value where that is enough |
//! | `ascending` | functions of ascending numbers, evaluated for some of these only |
//! | `predicate` | the rows of a row group for which a condition holds |
//! | `ordered` | the newest rows first, or the oldest |
//! | `aggregate` | the first half of an aggregation |
//! | `groups` | which rows of a row group belong to the same group |
//! | `reduce` | aggregates fed with no more of a row group than they need |

mod aggregate;
mod ascending;
mod chunk;
mod expression;
mod groups;
mod ordered;
mod predicate;
mod reduce;
mod rule;
mod source;

pub(crate) use rule::with_columns_in_memory;
