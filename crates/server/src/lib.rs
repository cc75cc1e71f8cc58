#![doc = include_str!("../README.md")]

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
/// A streamed answer has much smaller messages, see `query.proto`.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The largest query message that a service accepts, in bytes: 1 MiB. The texts of a query have a limit of their own,
/// `dql::limits::TEXT_BYTES`; the rest are options and workspaces.
pub const MAX_QUESTION_BYTES: usize = 1 << 20;
