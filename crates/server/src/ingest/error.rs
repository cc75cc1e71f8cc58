//! Why a request to store events failed, for gRPC and for HTTP.

use std::time::Duration;

use axum::http::StatusCode;
use events::{MappingError, Rejection, WorkspaceId};
use store::{IngestError, StoreError};
use tonic::{Code, Status};

use crate::proto::ErrorInfo;
use crate::status;

/// Why nothing of a request is acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// An invalid part of the request.
    #[error("{0}")]
    Request(String),
    /// A mapping that the service does not have.
    #[error("no mapping is called `{name}`; this service has {known}")]
    UnknownMapping {
        /// The requested name.
        name: String,
        /// The known names.
        known: String,
    },
    /// The mapping cannot be used.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The body cannot be read.
    #[error("the body cannot be read: {0}")]
    Body(String),
    /// The body stalled.
    #[error(
        "only {bytes} bytes of the body came within {} s; send the request again, over a better line",
        .within.as_secs()
    )]
    BodyStalled {
        /// The bytes that arrived.
        bytes: usize,
        /// The time that the service has waited.
        within: Duration,
    },
    /// The body took too long.
    #[error(
        "the body did not come within {} s; send less at a time, or compress it",
        .0.as_secs()
    )]
    BodyLate(Duration),
    /// The body was slow while other requests had no memory.
    #[error(
        "the service is short of memory for requests, and the body of this one came slowly; send it again later, and less at a time"
    )]
    GaveWay,
    /// The request has too many bytes.
    #[error(
        "the request has more than {limit} bytes{}, the most that this service takes ({option}); split it",
        if *.decompressed { " when decompressed" } else { "" }
    )]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Whether it counts decompressed bytes.
        decompressed: bool,
        /// The option of `vouch serve` that sets it.
        option: &'static str,
    },
    /// A message of a stream is too large.
    #[error(
        "a message of a stream has at most {limit} bytes; send more and smaller ones, or use Write"
    )]
    MessageTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The events of the request are too large.
    #[error(
        "the events of the request take more than {limit} bytes, with what each of them takes from its resource, scope or mapping: the most that this service takes (--max-decompressed-bytes); send fewer records at a time"
    )]
    EventsTooLarge {
        /// The limit.
        limit: usize,
    },
    /// A workspace that cannot be created now.
    #[error("{}", .0.message)]
    TooManyWorkspaces(Rejection),
    /// A day that events cannot be written to now.
    #[error("{}", .0.message)]
    TooManyDays(Rejection),
    /// More producers than a workspace may have.
    #[error(
        "workspace `{workspace}` has {limit} producers already, the most that this service takes (--max-producers); use the names of producers again, one for each sender"
    )]
    TooManyProducers {
        /// The workspace.
        workspace: WorkspaceId,
        /// The limit.
        limit: usize,
    },
    /// The request has too many records.
    #[error(
        "the request has more than {limit} records or events, the most that this service takes at a time (--max-events); split it"
    )]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
    /// A format of the body that the door does not support.
    #[error("{0}")]
    Unsupported(String),
    /// Too many requests wait.
    #[error(
        "the service holds as many events as it may until the storage takes them, and this request waited {} s; send it again later",
        .waited.as_secs()
    )]
    Overloaded {
        /// The time that the request waited.
        waited: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] IngestError),
    /// A defect of the service.
    #[error("the request could not be worked on: {0}")]
    Defect(String),
}

/// The meaning of a failure for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is wrong.
    Invalid,
    /// The request is too large.
    TooLarge,
    /// The format of the body is not supported.
    Unsupported,
    /// The body did not arrive in time.
    Stalled,
    /// The number of the batch does not follow the stored ones.
    Conflict,
    /// The request would create too many workspaces or producers.
    Quota,
    /// The same request can succeed later.
    Overloaded,
    /// The same request can succeed at once.
    Unavailable,
    /// The store is damaged.
    DataLoss,
    /// A defect of the service.
    Internal,
}

impl Failure {
    /// The gRPC status. Collectors retry after UNAVAILABLE, and give up after INVALID_ARGUMENT.
    pub(crate) fn grpc_code(self) -> Code {
        match self {
            Self::Invalid | Self::TooLarge | Self::Unsupported => Code::InvalidArgument,
            Self::Conflict => Code::FailedPrecondition,
            Self::Quota => Code::ResourceExhausted,
            Self::Overloaded | Self::Unavailable | Self::Stalled => Code::Unavailable,
            Self::DataLoss => Code::DataLoss,
            Self::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    pub(crate) fn http_status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Overloaded | Self::Quota => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DataLoss | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The failure for a collector, which retries only after 429, 502, 503 and 504 (specification of OTLP/HTTP,
    /// "Retryable Response Codes"). An operator has to repair a damaged store or a defect, and a body that was too
    /// slow may arrive in time on a retry.
    pub(crate) fn for_collector(self) -> Self {
        match self {
            Self::DataLoss | Self::Internal | Self::Stalled => Self::Unavailable,
            other => other,
        }
    }

    /// The seconds after which a retry may succeed; `None` when a retry does not help.
    pub(crate) fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Overloaded => Some(5),
            Self::Quota => Some(600),
            Self::Unavailable => Some(1),
            _ => None,
        }
    }
}

impl WriteError {
    /// The meaning for the sender, and the stable code.
    pub(crate) fn kind(&self) -> (Failure, dql::Code) {
        match self {
            Self::Request(_) => (Failure::Invalid, dql::Code::InvalidRequest),
            Self::UnknownMapping { .. } => (Failure::Invalid, dql::Code::UnknownMapping),
            Self::Mapping(_) => (Failure::Invalid, dql::Code::InvalidMapping),
            Self::Body(_) => (Failure::Invalid, dql::Code::MalformedBody),
            Self::BodyStalled { .. } | Self::BodyLate(_) => {
                (Failure::Stalled, dql::Code::BodyStalled)
            }
            Self::TooLarge { .. } | Self::MessageTooLarge { .. } | Self::EventsTooLarge { .. } => {
                (Failure::TooLarge, dql::Code::RequestTooLarge)
            }
            Self::TooManyEvents { .. } => (Failure::TooLarge, dql::Code::TooManyEvents),
            Self::TooManyWorkspaces(_) => (Failure::Quota, dql::Code::TooManyWorkspaces),
            Self::TooManyDays(_) => (Failure::Quota, dql::Code::TooManyDays),
            Self::TooManyProducers { .. } => (Failure::Quota, dql::Code::TooManyProducers),
            Self::Unsupported(_) => (Failure::Unsupported, dql::Code::UnsupportedMediaType),
            Self::Overloaded { .. } | Self::GaveWay => (Failure::Overloaded, dql::Code::Overloaded),
            Self::Store(error) => kind_of_ingest(error),
            Self::Defect(_) => (Failure::Internal, dql::Code::ExecutionFailed),
        }
    }

    /// The meaning for the sender, and the public details. An error that the sender cannot act on is logged under an
    /// id, and the details have the id instead.
    pub(crate) fn classify(&self) -> (Failure, ErrorInfo) {
        let (failure, code) = self.kind();
        let told = match self {
            Self::Store(error) => ingest_info(code, error),
            Self::Defect(_) => status::incident(code, self, "the request could not be worked on"),
            _ => info(code, self.to_string()),
        };
        (failure, told)
    }

    /// The gRPC status.
    pub(crate) fn status(&self) -> Status {
        let (failure, info) = self.classify();
        status::with_info(failure.grpc_code(), info)
    }

    /// The gRPC status for a collector.
    pub(crate) fn collector_status(&self) -> Status {
        let (failure, info) = self.classify();
        status::with_info(failure.for_collector().grpc_code(), info)
    }
}

fn kind_of_ingest(error: &IngestError) -> (Failure, dql::Code) {
    match error {
        IngestError::SequenceGap { .. } => (Failure::Conflict, dql::Code::SequenceGap),
        IngestError::SequenceConflict { .. } => (Failure::Conflict, dql::Code::SequenceConflict),
        IngestError::Overloaded { .. } => (Failure::Overloaded, dql::Code::Overloaded),
        IngestError::Parked { .. } => (Failure::Overloaded, dql::Code::WorkspaceOverloaded),
        IngestError::Closed => (Failure::Unavailable, dql::Code::Stopping),
        IngestError::Store(error) => kind_of_store(error),
    }
}

fn kind_of_store(error: &StoreError) -> (Failure, dql::Code) {
    match error {
        StoreError::OutcomeUnknown { .. } => (Failure::Unavailable, dql::Code::OutcomeUnknown),
        other => match status::from_store_error(other).0 {
            Code::Unavailable => (Failure::Unavailable, dql::Code::StoreError),
            Code::DataLoss => (Failure::DataLoss, dql::Code::StoreError),
            _ => (Failure::Internal, dql::Code::StoreError),
        },
    }
}

fn ingest_info(code: dql::Code, error: &IngestError) -> ErrorInfo {
    match error {
        IngestError::SequenceGap { expected, .. } => ErrorInfo {
            expected_number: Some(*expected),
            ..info(code, error.to_string())
        },
        IngestError::SequenceConflict { .. }
        | IngestError::Overloaded { .. }
        | IngestError::Parked { .. }
        | IngestError::Closed => info(code, error.to_string()),
        IngestError::Store(error) => {
            let public = match &**error {
                StoreError::OutcomeUnknown { .. } => {
                    "it is unknown whether the events were stored; send them again, those that \
                     were are not stored twice"
                }
                other => status::from_store_error(other).1,
            };
            status::incident(code, error, public)
        }
    }
}

fn info(code: dql::Code, message: String) -> ErrorInfo {
    ErrorInfo {
        code: code.as_str().to_owned(),
        message,
        ..ErrorInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collector drops records that it does not retry, so only faults of the request itself may be final.
    #[test]
    fn collectors_send_again_what_the_service_could_not_do() {
        for failure in [
            Failure::Stalled,
            Failure::Overloaded,
            Failure::Quota,
            Failure::Unavailable,
            Failure::DataLoss,
            Failure::Internal,
        ] {
            let status = failure.for_collector().http_status().as_u16();
            assert!(
                [429, 502, 503, 504].contains(&status),
                "{failure:?}: {status}"
            );
        }
    }
}
