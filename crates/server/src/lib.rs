//! The doors of Vouch: how questions and events come in over the network and answers go out.
//!
//! The only crate that knows a wire format. The interfaces are in `proto/`.
//!
//! | module | holds |
//! |---|---|
//! | [`proto`] | the messages and services, generated from the interface |
//! | [`Server`] | listening, health, reflection, graceful shutdown |
//! | `connections` | how many connections there may be, and how long they may be idle |
//! | `admin` | the port for what must not be done through the others |
//! | `web` | the HTTP port: its connections, its paths, and who may send |
//! | `readiness` | whether the service can do what it is for |
//! | `metrics` | what the service counts, as Prometheus reads it |
//! | `tally` | what happens often, in few lines of the log |
//! | `service` | each method of `QueryService`: message in, engine, message out |
//! | `questions` | where questions run: a runtime of their own, for how long |
//! | `turns` | how many questions run at a time, and whose is next |
//! | `ingest` | events on their way in: gRPC, HTTP, OTLP |
//! | `workspace` | each method of `WorkspaceService`: message in, store, message out |
//! | `convert` | the engine's types to messages and back |
//! | `arrow_stream` | batches to the bytes of an Arrow IPC stream and back |
//! | `sending` | answers on their way out, counted until they are sent |
//! | `status` | the engine's errors to gRPC statuses, and back |
//! | [`Client`] | asks a running service and gives back the engine's own types |
//!
//! To add a field to an answer: `query.proto`, then `convert` in both directions.

mod admin;
mod arrow_stream;
mod client;
mod connections;
mod convert;
mod ingest;
mod metrics;
pub mod proto;
mod questions;
mod readiness;
mod sending;
mod serve;
mod service;
mod status;
mod tally;
mod turns;
mod web;
mod workspace;

pub use admin::AdminAddress;
pub use client::{Client, ClientError};
pub use connections::{ConnectionLimits, raise_descriptor_limit};
pub use ingest::{IngestConfig, IngestLimits, IngestQuotas};
pub use questions::QuestionLimits;
pub use serve::{Server, ServerConfig, ServerError, stop_signal};

/// The largest message that a service or a [`Client`] takes or sends, in bytes: 64 MiB.
///
/// A streamed answer is cut into messages far below it, see `query.proto`.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The largest question that a service takes, in bytes: 1 MiB. The texts of a question have a limit of
/// their own, `dql::limits::TEXT_BYTES`; the rest are options and workspaces.
pub const MAX_QUESTION_BYTES: usize = 1 << 20;
