//! Columns of data files in memory, which the store keeps.

pub use store::Columns as ColumnCache;
pub(crate) use store::{
    Column, Part as LoadedColumn, RowGroup as RowGroupRef, Rows as RowSelection,
};
