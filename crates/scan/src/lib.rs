#![doc = include_str!("../README.md")]

mod cached_scan;
mod column_cache;
mod column_cache_rule;
mod date_range;
mod delivery;
mod event_data_source;
mod event_table;
mod filter_stages;
mod memory;
mod metered_reader;
mod metrics;
mod ordered_conditions;
mod pruning;
#[cfg(test)]
mod tests;

pub use column_cache::ColumnCache;
pub use column_cache_rule::ColumnCacheRule;
pub use event_data_source::STORE_URL;
pub use event_table::{EventTable, Events};
pub use memory::column_bytes;
pub use ordered_conditions::OrderedConditionsRule;
