#![doc = include_str!("../README.md")]

mod cells;
mod charge;
mod charged_scan;
mod complete;
mod delivery;
mod describe;
mod engine;
mod error;
mod event_source;
mod explain;
mod ordered_conditions;
mod overrides;
mod paging;
mod prepare;
mod prepared;
mod rows;
mod scan;
mod series;
mod series_batch;
mod series_functions;
mod session;
mod show;
mod sliced;
mod spill;
mod stream;
mod summary;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod timeout;
mod validate;

pub use engine::Engine;
pub use error::EngineError;
pub use prepare::require_workspace;
pub use prepared::Prepared;
pub use session::EngineConfig;
pub use validate::validate;
