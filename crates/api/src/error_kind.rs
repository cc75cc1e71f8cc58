//! The kinds of errors, and their statuses: gRPC, HTTP, and the exit status of a process.
//!
//! This is the only module that maps errors to statuses.

use dql::Fault;
use tonic::Code;
use tonic::codegen::http::StatusCode;

/// The kind of an error: what it means for the sender of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    Invalid,
    /// The request names something that is not there.
    NotFound,
    /// The name is taken.
    Exists,
    /// The port or the origin may not do it.
    Denied,
    /// The state of the store does not allow it, such as a batch that does not follow the stored ones.
    Conflict,
    /// The path has no such method.
    MethodNotAllowed,
    /// The request is too large.
    TooLarge,
    /// The format of the body is not supported.
    Unsupported,
    /// The body did not arrive in time.
    Stalled,
    /// The request would create too many workspaces, days or producers.
    Quota,
    /// The answer needs more memory or space than it may have.
    Exhausted,
    /// Too many queries run and wait.
    Busy,
    /// The same request can succeed later.
    Overloaded,
    /// The same request can succeed at once.
    Unavailable,
    /// The time of the request is over.
    TimedOut,
    /// The store is damaged.
    DataLoss,
    /// A defect of the service.
    Internal,
}

impl ErrorKind {
    /// The gRPC status. Collectors retry after UNAVAILABLE, and give up after INVALID_ARGUMENT.
    pub fn grpc_code(self) -> Code {
        match self {
            Self::Invalid | Self::TooLarge | Self::Unsupported => Code::InvalidArgument,
            Self::NotFound => Code::NotFound,
            Self::Exists => Code::AlreadyExists,
            Self::Denied => Code::PermissionDenied,
            Self::Conflict => Code::FailedPrecondition,
            Self::MethodNotAllowed => Code::Unimplemented,
            Self::Stalled | Self::Overloaded | Self::Unavailable => Code::Unavailable,
            Self::Quota | Self::Exhausted | Self::Busy => Code::ResourceExhausted,
            Self::TimedOut => Code::DeadlineExceeded,
            Self::DataLoss => Code::DataLoss,
            Self::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Exists | Self::Conflict => StatusCode::CONFLICT,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Quota | Self::Busy | Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Exhausted => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::DataLoss | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The seconds after which a retry may succeed; `None` when a retry does not help.
    pub fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Overloaded => Some(5),
            Self::Quota => Some(600),
            Self::Busy | Self::Unavailable => Some(1),
            Self::Invalid
            | Self::NotFound
            | Self::Exists
            | Self::Denied
            | Self::Conflict
            | Self::MethodNotAllowed
            | Self::TooLarge
            | Self::Unsupported
            | Self::Stalled
            | Self::Exhausted
            | Self::TimedOut
            | Self::DataLoss
            | Self::Internal => None,
        }
    }

    /// The kind for a collector, which retries only after 429, 502, 503 and 504 (specification of OTLP/HTTP, "Retryable
    /// Response Codes"). An operator has to repair a damaged store or a defect, and a body that was too slow may arrive
    /// in time on a retry.
    pub fn for_collector(self) -> Self {
        match self {
            Self::DataLoss | Self::Internal | Self::Stalled => Self::Unavailable,
            other => other,
        }
    }
}

/// The exit status of a process that failed because of `fault`: 1 when its caller has to change something, 3 otherwise.
pub fn exit_status(fault: Fault) -> u8 {
    match fault {
        Fault::Question | Fault::Request | Fault::Warning => 1,
        Fault::Service => 3,
    }
}

/// Who has to change something after an error with a code of another version, by its gRPC status.
pub fn fault_of_status(code: Code) -> Fault {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition => Fault::Request,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Fault::Service,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collector drops records that it does not retry, so only faults of the request itself may be final.
    #[test]
    fn collectors_send_again_what_the_service_could_not_do() {
        for kind in [
            ErrorKind::Stalled,
            ErrorKind::Overloaded,
            ErrorKind::Quota,
            ErrorKind::Unavailable,
            ErrorKind::DataLoss,
            ErrorKind::Internal,
        ] {
            let status = kind.for_collector().http_status().as_u16();
            assert!([429, 502, 503, 504].contains(&status), "{kind:?}: {status}");
        }
    }
}
