//! Why a request to store events failed.

use std::time::Duration;

use api::{Error, ErrorCode, ErrorKind};
use events::{MappingError, Rejection, WorkspaceId};
use store::{IngestError, StoreError};

use crate::error::{incident, kind_of_store};

/// Why nothing of a request is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
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

impl WriteError {
    /// The error of a request that came while the service is stopping.
    pub fn stopping() -> Self {
        Self::Store(IngestError::Closed)
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Request(_) => ErrorCode::InvalidRequest,
            Self::UnknownMapping { .. } => ErrorCode::UnknownMapping,
            Self::Mapping(_) => ErrorCode::InvalidMapping,
            Self::Body(_) => ErrorCode::MalformedBody,
            Self::BodyStalled { .. } | Self::BodyLate(_) => ErrorCode::BodyStalled,
            Self::TooLarge { .. } | Self::MessageTooLarge { .. } | Self::EventsTooLarge { .. } => {
                ErrorCode::RequestTooLarge
            }
            Self::TooManyEvents { .. } => ErrorCode::TooManyEvents,
            Self::TooManyWorkspaces(_) => ErrorCode::TooManyWorkspaces,
            Self::TooManyDays(_) => ErrorCode::TooManyDays,
            Self::TooManyProducers { .. } => ErrorCode::TooManyProducers,
            Self::Unsupported(_) => ErrorCode::UnsupportedMediaType,
            Self::Overloaded { .. } | Self::GaveWay => ErrorCode::Overloaded,
            Self::Store(error) => ingest_code(error),
            Self::Defect(_) => ErrorCode::ExecutionFailed,
        }
    }

    /// The error for the sender. An error that the sender cannot act on is logged under an id, and the sender receives
    /// the id instead.
    pub fn public(&self) -> Error {
        let code = self.code();
        match self {
            Self::Store(IngestError::Store(error)) => public_of_store(code, error),
            Self::Store(IngestError::SequenceGap { expected, .. }) => {
                Error::new(code, self.to_string()).with_expected_number(*expected)
            }
            Self::Defect(_) => incident(code, self, "the request could not be worked on"),
            _ => Error::new(code, self.to_string()),
        }
    }
}

fn ingest_code(error: &IngestError) -> ErrorCode {
    match error {
        IngestError::SequenceGap { .. } => ErrorCode::SequenceGap,
        IngestError::SequenceConflict { .. } => ErrorCode::SequenceConflict,
        IngestError::Overloaded { .. } => ErrorCode::Overloaded,
        IngestError::Parked { .. } => ErrorCode::WorkspaceOverloaded,
        IngestError::Closed => ErrorCode::Stopping,
        IngestError::Store(error) => match &**error {
            StoreError::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
            _ => ErrorCode::StoreError,
        },
    }
}

fn public_of_store(code: ErrorCode, error: &StoreError) -> Error {
    if let StoreError::OutcomeUnknown { .. } = error {
        let public = "it is unknown whether the events were stored; send them again, those that \
                      were are not stored twice";
        return incident(code, error, public);
    }
    let (kind, public) = kind_of_store(error);
    // A write does not depend on settings, so a state that does not allow it is a defect.
    let kind = match kind {
        ErrorKind::Conflict => ErrorKind::Internal,
        other => other,
    };
    incident(code, error, public).with_kind(kind)
}
