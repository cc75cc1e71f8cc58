//! Failed requests to store events as gRPC statuses.

use api::Error;
use service::write::WriteError;
use tonic::Status;

/// The status for a sender.
pub(crate) fn status(error: &WriteError) -> Status {
    error.public().into()
}

/// The error for a collector, which retries only some kinds.
pub(crate) fn collector_error(error: &WriteError) -> Error {
    let error = error.public();
    let kind = error.kind().for_collector();
    error.with_kind(kind)
}
