//! Retention, compaction, vacuum, verification and scrubbing.

mod compaction;
mod model;
mod retention;
mod scrub;
mod vacuum;
mod vacuum_races;
mod verify;
