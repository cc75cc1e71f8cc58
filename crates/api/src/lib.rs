#![doc = include_str!("../README.md")]

mod answer;
mod arrow_stream;
mod batches;
pub mod convert;
mod editor;
mod error;
mod error_code;
mod error_kind;
mod json;
pub mod proto;
mod request;
pub mod status;

pub use answer::{Answer, Cursor, Explanation, QueryParse, Series, StreamItem, Summary, TotalHits};
pub use arrow_stream::{ArrowStreamDecoder, ArrowStreamEncoder};
pub use batches::{BatchFormat, BatchWriter, EncodeError, batch_writer};
pub use convert::{MessageError, RequestError};
pub use editor::{Candidate, CandidateKind, Candidates, StatementKind, ValidStatement, Validation};
pub use error::Error;
pub use error_code::ErrorCode;
pub use error_kind::{ErrorKind, exit_status, fault_of_status};
pub use json::{content_json, warnings_text};
pub use request::{
    ClauseOptions, Density, OrderOption, QueryOptions, QueryRequest, Scope, Stage, StepOption,
    time_zone,
};

/// The largest message that a service or a client takes or sends, in bytes: 64 MiB.
///
/// A streamed answer has much smaller messages, see `query.proto`.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
