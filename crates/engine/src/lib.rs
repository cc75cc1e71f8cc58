//! Answers: from a question to series or batches, over a snapshot of the store.
//!
//! | module | is |
//! |---|---|
//! | [`mod@request`] | what is asked |
//! | [`mod@answer`] | what is answered |
//! | [`mod@error`] | why there is no answer |
//! | `table` | the files of a snapshot as a DataFusion table |
//! | `prepare` | text → bound query → physical plan |
//! | `cells` | columns of batches as values |
//! | `rows` | a plan's batches: sentinel rows noticed and taken away |
//! | `paging` | which questions have pages, and pages by time |
//! | `series` | rows into series |
//! | `show` | answers to SHOW statements |
//! | `stream` | rows into a stream of batches |
//! | `summary` | hits and warnings |
//! | `outer` | functions over the result of a query |
//! | `whole` | an answer computed as a whole, with types
//! | `json` | an answer as existing DQL clients read it |
//! | `engine` | the questions the engine takes |
//!
//! `plan` and `store` meet here and nowhere else.

mod answer;
mod cells;
mod engine;
mod error;
mod json;
mod outer;
mod paging;
mod prepare;
mod request;
mod rows;
mod series;
mod show;
mod stream;
mod summary;
mod table;
mod whole;

pub use answer::{Answer, Explanation, Series, StreamItem, Summary, TotalHits};
pub use engine::{Engine, EngineConfig};
pub use error::EngineError;
pub use json::{content_json, warnings_text};
pub use plan::Position;
pub use request::{QueryOptions, QueryRequest, Scope, Stage};
