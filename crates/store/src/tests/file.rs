//! Data files: their digests, large events, and event ids.

mod blocks;
mod large_events;
mod same_id;
