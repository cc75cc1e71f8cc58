#![doc = include_str!("../README.md")]

mod analyze;
mod answer;
mod cells;
mod charge;
mod complete;
mod describe;
mod engine;
mod error;
mod explain;
mod json;
mod overrides;
mod paging;
mod prepare;
mod prepared;
mod request;
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

pub use answer::{Answer, Explanation, QueryParse, Series, StreamItem, Summary, TotalHits};
pub use complete::{Candidate, CandidateKind, Candidates};
pub use engine::Engine;
pub use error::EngineError;
pub use json::{content_json, warnings_text};
pub use plan::{Position, duration_ms};
pub use prepare::require_workspace;
pub use prepared::Prepared;
pub use request::{
    ClauseOptions, Density, OrderOption, QueryOptions, QueryRequest, Scope, Stage, StepOption,
    time_zone,
};
pub use session::EngineConfig;
pub use validate::{StatementKind, ValidStatement, Validation, validate};
