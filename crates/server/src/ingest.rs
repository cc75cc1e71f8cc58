//! Events on their way in: the doors of ingest, and their common parts.
//!
//! | module | is |
//! |---|---|
//! | `limits` | the sizes of requests and events, and the memory of waiting ones |
//! | `quotas` | the workspaces, days and producers that senders may create |
//! | `budget` | the memory that requests share |
//! | `pace` | the minimum rates of bodies and of answers |
//! | `admission` | a layer before gRPC services that counts memory and refuses requests |
//! | `incoming` | the body of a gRPC request, read within the limits |
//! | `messages` | gRPC messages, decompressed and decoded within the limits |
//! | `body` | the body of an HTTP request, read and decompressed within the limits |
//! | `memory` | the memory of a decoded request, estimated before decoding |
//! | `decode` | records into events and refusals |
//! | `writer` | a request of any door, stored |
//! | `error` | why a request failed, for gRPC and for HTTP |
//! | `service` | `IngestService` |
//! | `http` | `POST /v1/events` |
//! | `otlp` | OTLP logs, over gRPC and HTTP |

pub(crate) mod admission;
mod body;
mod budget;
mod decode;
mod error;
pub(crate) mod http;
mod incoming;
mod limits;
mod memory;
mod messages;
pub(crate) mod otlp;
mod pace;
mod quotas;
pub(crate) mod service;
mod writer;

use events::MappingSource;

pub(crate) use budget::{Budget, Reservation, Share};
pub(crate) use error::WriteError;
pub use limits::IngestLimits;
pub(crate) use pace::{LONGEST_STALL, Pace};
pub use quotas::IngestQuotas;
pub(crate) use writer::{Door, Writer};

/// The configuration of ingest.
#[derive(Debug, Clone, Default)]
pub struct IngestConfig {
    /// The limits of requests.
    pub limits: IngestLimits,
    /// The workspaces, days and producers that senders may create.
    pub quotas: IngestQuotas,
    /// Mappings that requests may name, besides the shipped ones. Of two with one name the first is used, and it
    /// takes precedence over a shipped one.
    pub mappings: Vec<MappingSource>,
    /// The mapping for OTLP log records.
    pub otlp_mapping: Option<MappingSource>,
}
