#![doc = include_str!("../README.md")]

mod admin;
mod answer_error;
mod connections;
mod ingest;
mod metrics;
mod query;
mod sending;
mod serve;
mod web;
mod workspaces;

pub use admin::AdminAddress;
pub use connections::{ConnectionLimits, raise_descriptor_limit};
pub use serve::{Server, ServerConfig, ServerError, stop_signal};

/// The largest query message that a service accepts, in bytes: 1 MiB. The texts of a query have a limit of their own,
/// `dql::limits::TEXT_BYTES`; the rest are options and workspaces.
pub const MAX_QUESTION_BYTES: usize = 1 << 20;
