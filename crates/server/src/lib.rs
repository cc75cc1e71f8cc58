//! The doors of Vouch: how questions and events come in over the network and answers go out.
//!
//! The only crate that knows a wire format. The interfaces are in `proto/`.
//!
//! | module | holds |
//! |---|---|
//! | [`proto`] | the messages and services, generated from the interface |
//! | [`Server`] | listening, health, reflection, graceful shutdown |
//! | `service` | each method of `QueryService`: message in, engine, message out |
//! | `questions` | where questions run: a runtime of their own, how many at a time, how long |
//! | `ingest` | events on their way in: gRPC, HTTP, OTLP |
//! | `workspace` | each method of `WorkspaceService`: message in, store, message out |
//! | `convert` | the engine's types to messages and back |
//! | `arrow_stream` | batches to the bytes of an Arrow IPC stream and back |
//! | `status` | the engine's errors to gRPC statuses, and back |
//! | [`Client`] | asks a running service and gives back the engine's own types |
//!
//! To add a field to an answer: `query.proto`, then `convert` in both directions.

mod arrow_stream;
mod client;
mod convert;
mod ingest;
pub mod proto;
mod questions;
mod serve;
mod service;
mod status;
mod workspace;

pub use client::{Client, ClientError};
pub use ingest::{IngestConfig, IngestLimits};
pub use questions::QuestionLimits;
pub use serve::{Server, ServerConfig, ServerError, stop_signal};

/// The largest message that a service or a [`Client`] takes or sends, in bytes: 64 MiB.
///
/// A streamed answer is cut into messages far below it, see `query.proto`.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The largest question that a service takes, in bytes: 1 MiB. The texts of a question have a limit of
/// their own, `dql::limits::TEXT_BYTES`; the rest are options and workspaces.
pub const MAX_QUESTION_BYTES: usize = 1 << 20;
