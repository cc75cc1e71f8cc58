//! Answers: from a question to series or batches, over a snapshot of the store.
//!
//! | module | is |
//! |---|---|
//! | [`mod@request`] | what is asked |
//! | [`mod@answer`] | what is answered |
//! | [`mod@error`] | why there is no answer |
//! | `session` | what plans are made and run with |
//! | `table` | the events of a question as a DataFusion table |
//! | `event_source` | those of them that are in files, as plans read them |
//! | `delivery` | fields that Vouch sets, of files that have them in the log only |
//! | `overrides` | the clauses of a request, put into the syntax tree |
//! | `prepare` | text → bound query → physical plan |
//! | `cells` | columns of batches as values |
//! | `charge`, `charged_scan`, `spill` | the memory of an answer and of batches; the disk of temporary files |
//! | `sliced` | results with many computed columns, of few rows at a time |
//! | `syntax` | ways through a syntax tree |
//! | `describe` | the text that was run and the names in it |
//! | `rows` | a plan's batches: sentinel rows noticed and taken away |
//! | `paging` | which questions have pages, and pages by time |
//! | `series` | rows into series |
//! | `show` | answers to SHOW statements |
//! | `stream` | rows into a stream of batches |
//! | `summary` | hits and warnings |
//! | `outer` | functions over the result of a query |
//! | `whole` | an answer computed as a whole, with types
//! | `json` | an answer as existing DQL clients read it |
//! | `timeout` | the time that a search may take |
//! | `validate` | what is wrong with a text, found without a store |
//! | `complete` | what may stand at a place of a text |
//! | `engine` | the questions the engine takes |
//!
//! `plan` and `store` meet here and nowhere else.

mod answer;
mod cells;
mod charge;
mod charged_scan;
mod complete;
mod delivery;
mod describe;
mod engine;
mod error;
mod event_source;
mod json;
mod outer;
mod overrides;
mod paging;
mod prepare;
mod request;
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

pub use answer::{Answer, Explanation, QueryParse, Series, StreamItem, Summary, TotalHits};
pub use complete::{Candidate, CandidateKind, Candidates};
pub use engine::Engine;
pub use error::EngineError;
pub use json::{content_json, warnings_text};
pub use plan::{Position, duration_ms};
pub use prepare::require_workspace;
pub use request::{
    ClauseOptions, Density, OrderOption, QueryOptions, QueryRequest, Scope, Stage, StepOption,
    time_zone,
};
pub use session::EngineConfig;
pub use validate::{StatementKind, ValidStatement, Validation, validate};
