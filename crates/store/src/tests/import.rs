//! Imports.

mod concurrent;
mod visibility;
