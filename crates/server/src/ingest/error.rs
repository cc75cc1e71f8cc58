//! Why a request to store events failed, for gRPC and for HTTP.

use std::time::Duration;

use axum::http::StatusCode;
use events::MappingError;
use store::StoreError;
use tonic::{Code, Status};

use crate::proto::ErrorInfo;
use crate::status;

/// Why nothing of a request is acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// A part of the request that has no meaning.
    #[error("{0}")]
    Request(String),
    /// A mapping that the service does not have.
    #[error("no mapping is called `{name}`; this service has {known}")]
    UnknownMapping {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The mapping cannot be used.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The body cannot be read.
    #[error("the body cannot be read: {0}")]
    Body(String),
    /// The body did not go on.
    #[error("nothing more of the body came for {} s; send the request again", .0.as_secs())]
    BodyStalled(Duration),
    /// More bytes than the service takes.
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
    /// More records than the service takes at a time.
    #[error(
        "the request has more than {limit} records or events, the most that this service takes at a time (--max-events); split it"
    )]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
    /// A form of the body that the door does not read.
    #[error("{0}")]
    Unsupported(String),
    /// Too much waits already.
    #[error(
        "the service holds as many events as it may until the storage takes them, and this request waited {} s; send it again later",
        .waited.as_secs()
    )]
    Overloaded {
        /// How long it waited.
        waited: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of the service.
    #[error("the request could not be worked on: {0}")]
    Defect(String),
}

/// What a failure means to the one who sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is wrong.
    Invalid,
    /// The request is too large.
    TooLarge,
    /// The body has a form that is not read here.
    Unsupported,
    /// The body did not come in time.
    Stalled,
    /// The number of the batch does not fit what is stored.
    Conflict,
    /// Send the same again, later.
    Overloaded,
    /// Send the same again.
    Unavailable,
    /// The store is damaged.
    DataLoss,
    /// A defect of the service.
    Internal,
}

impl Failure {
    /// The status of gRPC. Collectors send again after UNAVAILABLE, and give up after INVALID_ARGUMENT.
    pub(crate) fn grpc_code(self) -> Code {
        match self {
            Self::Invalid | Self::TooLarge | Self::Unsupported => Code::InvalidArgument,
            Self::Conflict => Code::FailedPrecondition,
            Self::Overloaded | Self::Unavailable | Self::Stalled => Code::Unavailable,
            Self::DataLoss => Code::DataLoss,
            Self::Internal => Code::Internal,
        }
    }

    /// The status of HTTP.
    pub(crate) fn http_status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DataLoss | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how many seconds the same request may be sent again; `None` when that does not help.
    pub(crate) fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Overloaded => Some(5),
            Self::Unavailable => Some(1),
            _ => None,
        }
    }
}

impl WriteError {
    /// What it means to the sender, and what the sender is told. What the sender can do nothing about is
    /// logged under an id, and the id is told instead.
    pub(crate) fn told(&self) -> (Failure, ErrorInfo) {
        let (failure, code) = match self {
            Self::Request(_) => (Failure::Invalid, "invalid_request"),
            Self::UnknownMapping { .. } => (Failure::Invalid, "unknown_mapping"),
            Self::Mapping(_) => (Failure::Invalid, "invalid_mapping"),
            Self::Body(_) => (Failure::Invalid, "malformed_body"),
            Self::BodyStalled(_) => (Failure::Stalled, "body_stalled"),
            Self::TooLarge { .. } => (Failure::TooLarge, "request_too_large"),
            Self::TooManyEvents { .. } => (Failure::TooLarge, "too_many_events"),
            Self::Unsupported(_) => (Failure::Unsupported, "unsupported_media_type"),
            Self::Overloaded { .. } => (Failure::Overloaded, "overloaded"),
            Self::Store(error) => return told_of_store(error),
            Self::Defect(_) => {
                let public = "the request could not be worked on";
                let info = status::incident("execution_failed", self, public);
                return (Failure::Internal, info);
            }
        };
        (failure, info(code, self.to_string()))
    }

    /// The status of gRPC.
    pub(crate) fn status(&self) -> Status {
        let (failure, info) = self.told();
        status::with_info(failure.grpc_code(), info)
    }
}

/// What tonic says about a message that is too large, in the words and with the code of this service.
/// Collectors would send the same again after tonic's own.
pub(super) fn of_message(status: Status, limit: usize) -> Status {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => WriteError::TooLarge {
            limit,
            decompressed: true,
            option: "--max-decompressed-bytes",
        }
        .status(),
        _ => status,
    }
}

fn told_of_store(error: &StoreError) -> (Failure, ErrorInfo) {
    let told = |code| info(code, error.to_string());
    match error {
        StoreError::Shared(error) => return told_of_store(error),
        StoreError::SequenceGap { expected, .. } => {
            let mut info = told("sequence_gap");
            info.expected_number = Some(*expected);
            return (Failure::Conflict, info);
        }
        StoreError::SequenceConflict { .. } => {
            return (Failure::Conflict, told("sequence_conflict"));
        }
        StoreError::Overloaded { .. } => return (Failure::Overloaded, told("overloaded")),
        StoreError::Parked { .. } => return (Failure::Overloaded, told("workspace_overloaded")),
        StoreError::Closed => return (Failure::Unavailable, told("stopping")),
        StoreError::OutcomeUnknown { .. } => {
            let public = "it is unknown whether the events were stored; send them again, those that \
                          were are not stored twice";
            let info = status::incident("outcome_unknown", error, public);
            return (Failure::Unavailable, info);
        }
        _ => {}
    }
    let (code, public) = status::of_store_error(error);
    let failure = match code {
        Code::Unavailable => Failure::Unavailable,
        Code::DataLoss => Failure::DataLoss,
        _ => Failure::Internal,
    };
    (failure, status::incident("store_error", error, public))
}

fn info(code: &str, message: String) -> ErrorInfo {
    ErrorInfo {
        code: code.to_owned(),
        message,
        ..ErrorInfo::default()
    }
}
