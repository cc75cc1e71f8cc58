//! Segments.

pub(super) mod damage;
