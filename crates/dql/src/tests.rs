//! Tests of the whole language through its public functions.

mod canonical;
mod codes;
mod complete;
mod diagnostics;
mod generated;
mod limits;
mod recovery;
mod syntax;
mod texts;
mod tree;
