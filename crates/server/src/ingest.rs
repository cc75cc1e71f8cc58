//! Events on their way in: what all doors of ingest have in common, and the doors themselves.
//!
//! | module | is |
//! |---|---|
//! | `limits` | how large requests and events may be, and what waits in memory |
//! | `quotas` | how many workspaces, days and producers senders may make |
//! | `budget` | the memory that requests share |
//! | `pace` | how fast a body has to come, and an answer has to go |
//! | `admission` | gRPC requests on their way to a service: the memory that they take, and the refusals |
//! | `incoming` | the body of a gRPC request, read within the limits |
//! | `messages` | gRPC messages, decompressed and decoded within the limits |
//! | `body` | the body of an HTTP request, read and decompressed within the limits |
//! | `memory` | what a request takes in memory when it is decoded |
//! | `decode` | records into events, with what is refused of them |
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

/// How events are taken in.
#[derive(Debug, Clone, Default)]
pub struct IngestConfig {
    /// How much is taken at a time.
    pub limits: IngestLimits,
    /// How many workspaces, days and producers senders may make.
    pub quotas: IngestQuotas,
    /// Mappings that requests may name, beside those that come with Vouch. Of two with one name the
    /// first counts, and it goes before a shipped one.
    pub mappings: Vec<MappingSource>,
    /// The mapping for log records that come by OTLP.
    pub otlp_mapping: Option<MappingSource>,
}
