//! Columns of data files in memory, which the store keeps.

pub use store::ColumnCache;
pub(crate) use store::{Column, LoadedColumn, RowGroupRef, RowSelection};
