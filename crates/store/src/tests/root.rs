//! The root of a store: its marker, its disk, and its objects that cannot be read.

pub(super) mod marker;
#[cfg(unix)]
mod power_cut;
mod unreadable;
