#![doc = include_str!("../README.md")]

mod analyze;
mod cells;
mod charge;
mod complete;
mod describe;
mod engine;
mod error;
mod explain;
mod overrides;
mod paging;
mod prepare;
mod prepared;
mod rows;
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
