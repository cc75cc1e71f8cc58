//! Requests, answers and errors to protobuf messages and back.

mod answer;
mod cursor;
mod diagnostic;
mod editor;
mod options;
mod request;
mod value;
mod workspace;

pub use answer::{
    answer_from_message, answer_to_message, explanation_from_message, explanation_to_message,
    summary_from_message, summary_to_message,
};
pub use diagnostic::{diagnostic_from_message, diagnostics_to_messages, error_code_from_text};
pub use editor::{candidates_to_message, validation_to_message};
pub use request::{
    RequestError, request_from_message, request_to_message, stage_from_message, stage_to_message,
    unscoped_request_from_message,
};

pub use workspace::{
    hold_from_message, hold_to_message, new_hold_from_message, new_hold_to_message,
    placed_from_message, placed_to_message, retention_run_from_message, retention_run_to_message,
    settings_from_message, settings_to_message, undone_from_message, undone_to_message,
};

/// Why a message cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A required field is not set.
    #[error("the service's answer lacks `{0}`; it is not a Vouch service, or another version")]
    Missing(&'static str),
    /// A value of a kind that this version does not know.
    #[error("the service's answer has a value of an unknown kind; use a newer client")]
    UnknownKind,
    /// JSON text that is not JSON.
    #[error("the service's answer has a value that is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}
