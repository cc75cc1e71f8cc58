//! The errors of the doors themselves: of messages, and of answers on their way out.

use std::time::Duration;

use api::{Error, ErrorCode, MAX_MESSAGE_BYTES};

/// A request whose message is too large.
pub(crate) fn request_too_large(limit: usize) -> Error {
    let message = format!(
        "the request has more than one message or more than {limit} bytes, the most that this service takes"
    );
    Error::new(ErrorCode::RequestTooLarge, message)
}

/// A request or an answer without available memory.
pub(crate) fn no_memory() -> Error {
    Error::new(
        ErrorCode::Overloaded,
        "requests and answers that wait for their clients take the memory that the service has for \
         them; ask again later",
    )
}

/// A client that does not read its answer.
pub(crate) fn stalled_reader(stall: Duration) -> Error {
    let message = format!(
        "the reader took too little of the answer for {} s, so the service ended it",
        stall.as_secs()
    );
    Error::new(ErrorCode::TimedOut, message)
}

/// An answer that exceeds the limit of a message.
pub(crate) fn answer_too_large(size_bytes: usize) -> Error {
    let message = format!(
        "the answer takes {size_bytes} bytes, more than the {MAX_MESSAGE_BYTES} of one message; lower LIMIT, \
         name fewer columns, or use QueryStream"
    );
    Error::new(ErrorCode::AnswerTooLarge, message)
}

/// A failure of the service itself while it writes an answer.
pub(crate) fn not_encoded(error: &(dyn std::error::Error + 'static)) -> Error {
    let public = "the answer could not be written";
    service::incident(ErrorCode::ExecutionFailed, error, public)
}
