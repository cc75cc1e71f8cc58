//! Events on their way in: the doors of ingest, and their common parts.
//!
//! | module | is |
//! |---|---|
//! | `pace` | the minimum rates of bodies and of answers |
//! | `admission` | a layer before gRPC services that counts memory and refuses requests |
//! | `incoming` | the body of a gRPC request, read within the limits |
//! | `messages` | gRPC messages, decompressed and decoded within the limits |
//! | `body` | the body of an HTTP request, read and decompressed within the limits |
//! | `status` | failed requests as gRPC statuses |
//! | `service` | `IngestService` |
//! | `http` | `POST /v1/events` |
//! | `otlp` | OTLP logs, over gRPC and HTTP |

pub(crate) mod admission;
mod body;
pub(crate) mod http;
mod incoming;
mod messages;
pub(crate) mod otlp;
mod pace;
pub(crate) mod service;
mod status;

pub(crate) use pace::{LONGEST_STALL, Pace};
