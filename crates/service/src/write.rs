//! Storing the events of requests, through whichever door they came.
//!
//! | module | is |
//! |---|---|
//! | `limits` | the sizes of requests and events, and the memory of waiting ones |
//! | `quotas` | the workspaces, days and producers that senders may create |
//! | `budget` | the memory that requests share |
//! | `memory` | the memory of a decoded request, estimated before decoding |
//! | `decode` | records into events and refusals |
//! | `writer` | a request of any door, stored |
//! | `error` | why a request failed |

mod budget;
mod decode;
mod error;
mod limits;
pub mod memory;
mod quotas;
mod writer;

use events::MappingSource;

pub use budget::{Budget, Reservation, Share, Turn};
pub use decode::{Decoder, RefusedRecord};
pub use error::WriteError;
pub use limits::IngestLimits;
pub use quotas::IngestQuotas;
pub use writer::{AskedOptions, Door, Source, WriteOptions, WriteReceipt, Writer, workspace};

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
