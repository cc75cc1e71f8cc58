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
mod ordered_conditions;
mod outer;
mod overrides;
mod paging;
mod prepare;
mod rows;
mod scan;
mod series;
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
mod whole;

pub use engine::Engine;
pub use error::EngineError;
pub use prepare::require_workspace;
pub use session::EngineConfig;
pub use validate::validate;
