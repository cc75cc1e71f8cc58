//! Errors of the engine and of the store as clients see them.
//!
//! Errors that a client cannot act on are logged under an id, and the client receives the id instead.

use api::{Error, ErrorCode, ErrorKind};
use engine::EngineError;
use store::{SettingsError, StoreError};
use tokio::task::JoinError;
use uuid::Uuid;

/// An error about `query`.
pub(crate) fn from_engine(query: &str, error: &EngineError) -> Error {
    let told = || Error::new(error.code(), error.to_string());
    match error {
        EngineError::Query(diagnostics) => told()
            .with_kind(ErrorKind::Invalid)
            .with_diagnostics(query, diagnostics),
        EngineError::UnknownWorkspace { .. }
        | EngineError::ResourcesExhausted(_)
        | EngineError::AnswerTooLarge(_)
        | EngineError::TimedOut(_) => told(),
        EngineError::MissingFile(_) => incident(error.code(), error, INCOMPLETE),
        EngineError::Store(failed) => {
            let (kind, public) = kind_of_store(failed);
            incident(error.code(), error, public).with_kind(kind)
        }
        EngineError::Execution(_) => incident(error.code(), error, "the query could not be run"),
    }
}

const INCOMPLETE: &str =
    "an object of the store is missing or damaged, so there is no answer rather than half of one";

const NOT_THERE: &str = "the store is not there, so nothing is answered or stored; the volume or bucket of the service has to be brought back";

/// The kind of a failure of the store, and its public message.
pub(crate) fn kind_of_store(error: &StoreError) -> (ErrorKind, &'static str) {
    match error {
        _ if error.is_missing_object() => (ErrorKind::DataLoss, INCOMPLETE),
        StoreError::NotFound { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Parquet { .. }
        | StoreError::Delta { .. }
        | StoreError::LogMissing { .. }
        | StoreError::MarkerMissing { .. }
        | StoreError::OtherStore { .. } => (ErrorKind::DataLoss, INCOMPLETE),
        StoreError::NoStore { .. }
        | StoreError::BackupHere { .. }
        | StoreError::RestoreUnfinished { .. }
        | StoreError::Gone { .. }
        | StoreError::Replaced { .. } => (ErrorKind::Unavailable, NOT_THERE),
        StoreError::ObjectStore(_)
        | StoreError::CommitUnknown { .. }
        | StoreError::OutcomeUnknown { .. }
        | StoreError::StagedFileMissing { .. }
        | StoreError::Conflict { .. } => (
            ErrorKind::Unavailable,
            "the store could not be reached; try again",
        ),
        StoreError::ClockDiffers { .. } | StoreError::NotSetAside { .. } => (
            ErrorKind::Conflict,
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
        | StoreError::Arrow(_) => (
            ErrorKind::Internal,
            "the store cannot be read by this service",
        ),
    }
}

/// An error about the settings of a workspace.
pub(crate) fn from_settings(error: &SettingsError) -> Error {
    let code = match error {
        SettingsError::Invalid { .. } => ErrorCode::InvalidSetting,
        SettingsError::UnknownHold { .. } => ErrorCode::UnknownHold,
        SettingsError::HoldExists { .. } => ErrorCode::HoldExists,
        SettingsError::HoldTooLate { .. } => ErrorCode::HoldTooLate,
        SettingsError::NothingToUndo { .. } => ErrorCode::NothingToUndo,
        SettingsError::DropGone { .. } => ErrorCode::DropGone,
        SettingsError::Store(StoreError::ClockDiffers { .. }) => ErrorCode::ClockDiffers,
        SettingsError::Store(other) => {
            let (kind, public) = kind_of_store(other);
            return incident(ErrorCode::StoreError, other, public).with_kind(kind);
        }
    };
    Error::new(code, error.to_string())
}

/// The error of a query whose task ended without an answer: a defect, unless the service stops.
pub(crate) fn from_lost_query(error: &JoinError) -> Error {
    if error.is_cancelled() {
        return Error::new(ErrorCode::Stopping, "the service is stopping; ask again");
    }
    let public = "the question could not be answered";
    incident(ErrorCode::ExecutionFailed, error, public)
}

/// Logs an error under an id. Returns the public error with that id.
pub fn incident(code: ErrorCode, error: &(dyn std::error::Error + 'static), public: &str) -> Error {
    let incident = Uuid::new_v4().to_string();
    tracing::error!(incident, code = code.as_str(), error, "a request failed");
    let message = format!("{public}; the service logged the reason as incident {incident}");
    Error::new(code, message).with_incident(incident)
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
        let told = from_engine("TAE::audit:(cuont(*))", &error);
        assert_eq!(told.kind(), ErrorKind::Invalid);
        assert_eq!(told.info().message, "unknown function `cuont`");
        let info = told.info();
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
                ErrorKind::DataLoss,
                "missing_file",
            ),
            (
                EngineError::Store(StoreError::NotFound { path: path() }),
                ErrorKind::DataLoss,
                "store_error",
            ),
            (
                EngineError::Store(StoreError::Corrupt {
                    path: path(),
                    reason: "torn".into(),
                }),
                ErrorKind::DataLoss,
                "store_error",
            ),
        ];
        for (error, kind, code) in cases {
            let told = from_engine("TAE::audit:(*)", &error);
            assert_eq!(told.kind(), kind);
            let info = told.info();
            assert_eq!(info.code, code);
            let incident = info.incident.as_ref().unwrap();
            assert!(info.message.contains(incident));
            assert!(!format!("{info:?}").contains("secret"));
        }
    }

    #[test]
    fn settings_have_codes_of_their_own() {
        let name = || "case 4711".to_owned();
        let cases = [
            (
                SettingsError::HoldExists { name: name() },
                ErrorKind::Exists,
                "hold_exists",
            ),
            (
                SettingsError::UnknownHold {
                    name: name(),
                    standing: vec![],
                },
                ErrorKind::NotFound,
                "unknown_hold",
            ),
        ];
        for (error, kind, code) in cases {
            let told = from_settings(&error);
            assert_eq!(told.kind(), kind);
            assert!(told.info().message.contains("`case 4711`"));
            assert_eq!(told.info().code, code);
        }
        let path = "workspace=secret/x".to_owned();
        let told = from_settings(&StoreError::NotFound { path }.into());
        assert!(!told.info().message.contains("secret"));
    }

    #[test]
    fn an_unknown_workspace_is_named() {
        let error = EngineError::UnknownWorkspace {
            name: "acme-prod".into(),
            suggestion: Some("acme-production".into()),
        };
        let told = from_engine("", &error);
        assert_eq!(told.kind(), ErrorKind::NotFound);
        assert!(told.info().message.contains("`acme-production`"));
        assert_eq!(told.info().code, "unknown_workspace");
    }
}
