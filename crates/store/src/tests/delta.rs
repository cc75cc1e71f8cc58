//! Tables: other readers of the format, and damaged logs.

mod damaged;
mod log_damage;
mod readers;
pub(super) mod removed;
