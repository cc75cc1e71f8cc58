//! Errors of the engine and of the store as gRPC statuses, and back.

use engine::EngineError;
use prost::Message;
use prost::bytes::Bytes;
use store::{SettingsError, StoreError};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::convert::{RequestError, diagnostics_to_messages};
use crate::proto;

/// Statuses are sent in HTTP/2 headers, with details in base64. Some clients accept at most 8 KiB of headers.
const MAX_DETAILS_BYTES: usize = 4 << 10;
const MAX_MESSAGE_CHARACTERS: usize = 800;
const ERROR_INFO_TYPE: &str = "type.googleapis.com/vouch.v1.ErrorInfo";

/// The status for an error about `query`.
///
/// Errors that the client cannot act on are logged under an id, and the status has the id instead.
pub(crate) fn from_engine_error(query: &str, error: &EngineError) -> Status {
    match error {
        EngineError::Query(diagnostics) => {
            let info = proto::ErrorInfo {
                code: error.code().as_str().to_owned(),
                message: error.to_string(),
                diagnostics: diagnostics_to_messages(query, diagnostics),
                ..Default::default()
            };
            with_info(Code::InvalidArgument, info)
        }
        EngineError::UnknownWorkspace { .. } => to_status(Code::NotFound, error),
        EngineError::ResourcesExhausted(_) | EngineError::AnswerTooLarge(_) => {
            to_status(Code::ResourceExhausted, error)
        }
        EngineError::TimedOut(_) => to_status(Code::DeadlineExceeded, error),
        EngineError::MissingFile(_) => masked(Code::DataLoss, error, INCOMPLETE),
        EngineError::Store(failed) => {
            let (code, public) = from_store_error(failed);
            masked(code, error, public)
        }
        EngineError::Execution(_) => masked(Code::Internal, error, "the query could not be run"),
    }
}

const INCOMPLETE: &str =
    "an object of the store is missing or damaged, so there is no answer rather than half of one";

const NOT_THERE: &str = "the store is not there, so nothing is answered or stored; the volume or bucket of the service has to be brought back";

/// The status code for a failure of the store, and its public message.
pub(crate) fn from_store_error(error: &StoreError) -> (Code, &'static str) {
    match error {
        _ if error.is_missing_object() => (Code::DataLoss, INCOMPLETE),
        StoreError::NotFound { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Parquet { .. }
        | StoreError::Delta { .. }
        | StoreError::LogMissing { .. }
        | StoreError::MarkerMissing { .. }
        | StoreError::OtherStore { .. } => (Code::DataLoss, INCOMPLETE),
        StoreError::NoStore { .. }
        | StoreError::BackupHere { .. }
        | StoreError::RestoreUnfinished { .. }
        | StoreError::Gone { .. }
        | StoreError::Replaced { .. } => (Code::Unavailable, NOT_THERE),
        StoreError::ObjectStore(_)
        | StoreError::CommitUnknown { .. }
        | StoreError::OutcomeUnknown { .. }
        | StoreError::StagedFileMissing { .. }
        | StoreError::Conflict { .. } => (
            Code::Unavailable,
            "the store could not be reached; try again",
        ),
        StoreError::ClockDiffers { .. } | StoreError::NotSetAside { .. } => (
            Code::FailedPrecondition,
            "the settings of the workspace do not allow it",
        ),
        StoreError::InvalidUrl { .. }
        | StoreError::StoreExists { .. }
        | StoreError::NoBackup { .. }
        | StoreError::NotBackedUp { .. }
        | StoreError::NotRestored { .. }
        | StoreError::NewerFormat { .. }
        | StoreError::Lacking { .. }
        | StoreError::Unsupported { .. }
        | StoreError::AuditEvent { .. }
        | StoreError::Arrow(_) => (Code::Internal, "the store cannot be read by this service"),
    }
}

/// The status for an error about the settings of a workspace.
pub(crate) fn from_settings_error(error: &SettingsError) -> Status {
    let (code, stable_code) = match error {
        SettingsError::Invalid { .. } => (Code::InvalidArgument, dql::Code::InvalidSetting),
        SettingsError::UnknownHold { .. } => (Code::NotFound, dql::Code::UnknownHold),
        SettingsError::HoldExists { .. } => (Code::AlreadyExists, dql::Code::HoldExists),
        SettingsError::HoldTooLate { .. } => (Code::FailedPrecondition, dql::Code::HoldTooLate),
        SettingsError::NothingToUndo { .. } => (Code::FailedPrecondition, dql::Code::NothingToUndo),
        SettingsError::DropGone { .. } => (Code::FailedPrecondition, dql::Code::DropGone),
        SettingsError::Store(StoreError::ClockDiffers { .. }) => {
            (Code::FailedPrecondition, dql::Code::ClockDiffers)
        }
        SettingsError::Store(other) => {
            let (code, public) = from_store_error(other);
            return kept_back_as(code, dql::Code::StoreError, other, public);
        }
    };
    let info = proto::ErrorInfo {
        code: stable_code.as_str().to_owned(),
        message: error.to_string(),
        ..Default::default()
    };
    with_info(code, info)
}

/// The status for a change at a read-only port.
pub(crate) fn from_read_only() -> Status {
    let info = proto::ErrorInfo {
        code: dql::Code::ReadOnlyPort.as_str().to_owned(),
        message: "settings and holds are not changed through this port; start the service with \
                  `vouch serve --admin ADDR|unix:PATH` and ask there, or use the command with --store"
            .to_owned(),
        ..Default::default()
    };
    with_info(Code::PermissionDenied, info)
}

/// The status for an invalid request.
pub(crate) fn from_request_error(error: &RequestError) -> Status {
    let info = proto::ErrorInfo {
        code: error.code().as_str().to_owned(),
        message: error.to_string(),
        ..Default::default()
    };
    with_info(Code::InvalidArgument, info)
}

/// The status for a query beyond the limits of running and waiting queries.
pub(crate) fn from_too_many_questions(running: usize, waiting: usize) -> Status {
    let info = proto::ErrorInfo {
        code: dql::Code::TooManyQuestions.as_str().to_owned(),
        message: format!(
            "the service answers {running} questions of this kind at a time, and {waiting} more may \
             wait for at most {} s; ask again later",
            crate::turns::LONGEST_WAIT.as_secs()
        ),
        ..Default::default()
    };
    with_info(Code::ResourceExhausted, info)
}

/// The status for a query whose task ended without an answer: a defect, unless the service stops.
pub(crate) fn from_lost_question(error: &tokio::task::JoinError) -> Status {
    if error.is_cancelled() {
        return Status::unavailable("the service is stopping; ask again");
    }
    let public = "the question could not be answered";
    kept_back_as(Code::Internal, dql::Code::ExecutionFailed, error, public)
}

/// The status for a request whose message is too large.
pub(crate) fn from_request_too_large(limit: usize) -> Status {
    let info = proto::ErrorInfo {
        code: dql::Code::RequestTooLarge.as_str().to_owned(),
        message: format!(
            "the request has more than one message or more than {limit} bytes, the most that this service takes"
        ),
        ..Default::default()
    };
    with_info(Code::InvalidArgument, info)
}

/// The status for a request or an answer without available memory.
pub(crate) fn from_no_memory() -> Status {
    let info = proto::ErrorInfo {
        code: dql::Code::Overloaded.as_str().to_owned(),
        message: "requests and answers that wait for their clients take the memory that the service has for \
                  them; ask again later"
            .to_owned(),
        ..Default::default()
    };
    with_info(Code::Unavailable, info)
}

/// The status for a client that does not read its answer.
pub(crate) fn from_stalled_reader(stall: std::time::Duration) -> Status {
    let info = proto::ErrorInfo {
        code: dql::Code::TimedOut.as_str().to_owned(),
        message: format!(
            "the reader took too little of the answer for {} s, so the service ended it",
            stall.as_secs()
        ),
        ..Default::default()
    };
    with_info(Code::DeadlineExceeded, info)
}

/// The status for an answer that exceeds the limit of a message.
pub(crate) fn from_answer_too_large(size_bytes: usize) -> Status {
    let info = proto::ErrorInfo {
        code: dql::Code::AnswerTooLarge.as_str().to_owned(),
        message: format!(
            "the answer takes {size_bytes} bytes, more than the {} of one message; lower LIMIT, \
             name fewer columns, or use QueryStream",
            crate::MAX_MESSAGE_BYTES
        ),
        ..Default::default()
    };
    with_info(Code::ResourceExhausted, info)
}

/// The status for a failure of the service itself while it writes an answer.
pub(crate) fn from_encoding_error(error: &arrow::error::ArrowError) -> Status {
    kept_back_as(
        Code::Internal,
        dql::Code::ExecutionFailed,
        error,
        "the answer could not be written",
    )
}

/// The details of a status that a service of this crate sent.
pub(crate) fn error_info(status: &Status) -> Option<proto::ErrorInfo> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let info = details
        .iter()
        .find(|detail| detail.type_url == ERROR_INFO_TYPE)?;
    proto::ErrorInfo::decode(info.value.as_slice()).ok()
}

fn to_status(code: Code, error: &EngineError) -> Status {
    let info = proto::ErrorInfo {
        code: error.code().as_str().to_owned(),
        message: error.to_string(),
        ..Default::default()
    };
    with_info(code, info)
}

fn masked(code: Code, error: &EngineError, public: &str) -> Status {
    kept_back_as(code, error.code(), error, public)
}

fn kept_back_as(
    code: Code,
    stable_code: dql::Code,
    error: &(dyn std::error::Error + 'static),
    public: &str,
) -> Status {
    with_info(code, incident(stable_code, error, public))
}

/// Logs an error under an id. Returns the public details with that id.
pub(crate) fn incident(
    stable_code: dql::Code,
    error: &(dyn std::error::Error + 'static),
    public: &str,
) -> proto::ErrorInfo {
    let incident = Uuid::new_v4().to_string();
    tracing::error!(
        incident,
        code = stable_code.as_str(),
        error,
        "a request failed"
    );
    proto::ErrorInfo {
        code: stable_code.as_str().to_owned(),
        message: format!("{public}; the service logged the reason as incident {incident}"),
        incident: Some(incident),
        ..Default::default()
    }
}

/// The status with the details `info`, shortened to fit into a header.
pub(crate) fn with_info(code: Code, mut info: proto::ErrorInfo) -> Status {
    info.message = truncated(&info.message);
    let found = info.diagnostics.len();
    while info.encoded_len() > MAX_DETAILS_BYTES && info.diagnostics.len() > 1 {
        info.diagnostics.pop();
    }
    let left_out = found - info.diagnostics.len();
    if left_out > 0 {
        info.message = format!("{} ({left_out} more findings are left out)", info.message);
    }
    if let (true, [finding]) = (
        info.encoded_len() > MAX_DETAILS_BYTES,
        &mut info.diagnostics[..],
    ) {
        finding.message = truncated(&finding.message);
        finding.hint = finding.hint.as_deref().map(truncated);
        finding.label = None;
    }
    let details = RpcStatus::new(code, &info).encode_to_vec();
    Status::with_details(code, info.message, Bytes::from(details))
}

/// A text, truncated to fit into a header.
fn truncated(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// google.rpc.Status, the format of `grpc-status-details-bin`. Clients in other languages refuse any other format.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

impl RpcStatus {
    /// The status with the details `info`.
    pub(crate) fn new(code: Code, info: &proto::ErrorInfo) -> Self {
        Self {
            code: code.into(),
            message: info.message.clone(),
            details: vec![Any {
                type_url: ERROR_INFO_TYPE.to_owned(),
                value: info.encode_to_vec(),
            }],
        }
    }
}

/// google.protobuf.Any.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use dql::{Diagnostic, Span};

    use super::*;

    #[test]
    fn a_wrong_question_carries_its_findings() {
        let finding = Diagnostic::error(
            dql::Code::UnknownFunction,
            "unknown function `cuont`",
            Span::new(12, 17),
        )
        .with_hint("did you mean `count`?");
        let error = EngineError::Query(vec![finding]);
        let status = from_engine_error("TAE::audit:(cuont(*))", &error);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "unknown function `cuont`");
        let info = error_info(&status).unwrap();
        assert_eq!(info.code, "unknown_function");
        let [finding] = &info.diagnostics[..] else {
            panic!("{info:?}")
        };
        assert_eq!(finding.place.as_ref().unwrap().column, 13);
        assert_eq!(finding.hint.as_deref(), Some("did you mean `count`?"));
    }

    #[test]
    fn what_the_store_says_is_not_sent() {
        let path = || "workspace=secret/day=2026-11-21/x.parquet".to_owned();
        let cases = [
            (
                EngineError::MissingFile(path()),
                Code::DataLoss,
                "missing_file",
            ),
            (
                EngineError::Store(StoreError::NotFound { path: path() }),
                Code::DataLoss,
                "store_error",
            ),
            (
                EngineError::Store(StoreError::Corrupt {
                    path: path(),
                    reason: "torn".into(),
                }),
                Code::DataLoss,
                "store_error",
            ),
        ];
        for (error, code, stable_code) in cases {
            let status = from_engine_error("TAE::audit:(*)", &error);
            assert_eq!(status.code(), code);
            let info = error_info(&status).unwrap();
            assert_eq!(info.code, stable_code);
            let incident = info.incident.unwrap();
            assert!(status.message().contains(&incident));
            let sent = String::from_utf8_lossy(status.details()).into_owned();
            assert!(!sent.contains("secret") && !status.message().contains("secret"));
        }
    }

    #[test]
    fn settings_have_codes_of_their_own() {
        let name = || "case 4711".to_owned();
        let cases = [
            (
                SettingsError::HoldExists { name: name() },
                Code::AlreadyExists,
                "hold_exists",
            ),
            (
                SettingsError::UnknownHold {
                    name: name(),
                    standing: vec![],
                },
                Code::NotFound,
                "unknown_hold",
            ),
        ];
        for (error, code, stable_code) in cases {
            let status = from_settings_error(&error);
            assert_eq!(status.code(), code);
            assert!(status.message().contains("`case 4711`"));
            assert_eq!(error_info(&status).unwrap().code, stable_code);
        }
        let path = "workspace=secret/x".to_owned();
        let status = from_settings_error(&StoreError::NotFound { path }.into());
        assert!(!status.message().contains("secret"));
    }

    #[test]
    fn an_unknown_workspace_is_named() {
        let error = EngineError::UnknownWorkspace {
            name: "acme-prod".into(),
            suggestion: Some("acme-production".into()),
        };
        let status = from_engine_error("", &error);
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains("`acme-production`"));
        assert_eq!(error_info(&status).unwrap().code, "unknown_workspace");
    }

    #[test]
    fn a_request_error_has_a_code() {
        let status = from_request_error(&RequestError::NoScope);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(error_info(&status).unwrap().code, "invalid_request");
    }

    #[test]
    fn details_fit_into_a_header_and_say_what_is_left_out() {
        let finding = |number: usize| {
            Diagnostic::error(
                dql::Code::ParseError,
                format!("{number} {}", "ü".repeat(300)),
                Span::new(0, 1),
            )
        };
        let error = EngineError::Query((0..50).map(finding).collect());
        let status = from_engine_error("x", &error);
        assert!(status.details().len() < 6_000, "{}", status.details().len());
        assert!(status.message().contains("more findings are left out"));
        assert!(!error_info(&status).unwrap().diagnostics.is_empty());

        let huge = Diagnostic::error(dql::Code::ParseError, "ü".repeat(50_000), Span::new(0, 1));
        let status = from_engine_error("x", &EngineError::Query(vec![huge]));
        assert!(status.details().len() < 6_000, "{}", status.details().len());
    }

    #[test]
    fn a_status_of_somebody_else_has_no_details() {
        assert_eq!(error_info(&Status::unavailable("gone")), None);
        let other = Status::with_details(Code::Internal, "x", Bytes::from_static(b"\xff\xff"));
        assert_eq!(error_info(&other), None);
    }
}
