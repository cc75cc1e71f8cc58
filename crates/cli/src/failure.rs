//! Errors of commands and their exit statuses.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use api::{EncodeError, exit_status};
use client::ClientError;
use dql::{Diagnostic, Fault};
use engine::EngineError;
use server::ServerError;
use store::{SettingsError, StoreError};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The query text is wrong.
    Question {
        /// The text.
        query: String,
        /// What is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
    /// Something that the command names does not exist, or an argument is invalid.
    Refused(String),
    /// Some of the input was not stored. The command has reported it.
    Partial,
    /// The command line is wrong.
    Usage(String),
    /// The engine, the store or the service failed.
    Engine(String),
    /// The answer could not be written.
    Output(io::Error),
}

impl Failure {
    /// The failure of an engine that ran `query`.
    pub(crate) fn from_engine(query: &str, error: EngineError) -> Self {
        match error {
            EngineError::Query(diagnostics) => Self::Question {
                query: query.to_owned(),
                diagnostics,
            },
            error => match error.code().fault() {
                Fault::Service => Self::Engine(with_causes(&error)),
                fault => Self::from_fault(fault, error.to_string()),
            },
        }
    }

    /// The failure of a service that ran `query`.
    pub(crate) fn from_client(query: &str, error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) if !refusal.diagnostics.is_empty() => Self::Question {
                query: query.to_owned(),
                diagnostics: refusal.diagnostics,
            },
            ClientError::Refused(refusal) => Self::from_fault(refusal.fault, refusal.message),
            ClientError::Address { .. } => Self::Usage(error.to_string()),
            error => Self::Engine(error.to_string()),
        }
    }

    fn from_fault(fault: Fault, message: String) -> Self {
        match fault {
            Fault::Question | Fault::Request | Fault::Warning => Self::Refused(message),
            Fault::Service => Self::Engine(message),
        }
    }

    /// The exit status: 1 for a wrong query, 2 for a wrong command line, 3 for a failed engine.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }

    fn status(&self) -> u8 {
        match self {
            Self::Question { .. } | Self::Refused(_) | Self::Partial => exit_status(Fault::Request),
            Self::Usage(_) => 2,
            Self::Engine(_) => exit_status(Fault::Service),
            // The reader closed the pipe, as in `vouch query … | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => exit_status(Fault::Service),
        }
    }

    /// Writes the message.
    pub(crate) fn report(&self, out: &mut impl Write) {
        let text = match self {
            Self::Question { query, diagnostics } => drawn(query, diagnostics),
            Self::Partial => return,
            Self::Refused(text) | Self::Engine(text) => format!("error: {text}\n"),
            Self::Usage(text) => format!("error: {text}\nsee `vouch --help`\n"),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Self::Output(error) => format!("error: cannot write the answer: {error}\n"),
        };
        // A closed standard error cannot be reported.
        let _ = out.write_all(text.as_bytes());
    }
}

/// Diagnostics with the lines of the query that they refer to.
pub(crate) fn drawn(query: &str, diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for finding in diagnostics {
        text.push_str(dql::render(query, finding).trim_end());
        text.push('\n');
    }
    text
}

/// An error and its causes, without repetitions.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Io(error) => Self::Output(error),
            EncodeError::Value(reason) => Self::Engine(reason),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InvalidUrl { .. }
            | StoreError::NoStore { .. }
            | StoreError::BackupHere { .. }
            | StoreError::RestoreUnfinished { .. }
            | StoreError::NoBackup { .. }
            | StoreError::StoreExists { .. } => Self::Usage(error.to_string()),
            error => Self::Engine(with_causes(&error)),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Store(error) => error.into(),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Engine(with_causes(&error))
    }
}

#[cfg(test)]
mod tests {
    use dql::{Code, Span};

    use super::*;

    fn reported(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.report(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn exit_statuses_tell_who_is_to_change_something() {
        let finding = Diagnostic::error(Code::ParseError, "expected `::`", Span::new(3, 4));
        let wrong = Failure::from_engine("TAE:x", EngineError::Query(vec![finding]));
        assert_eq!(wrong.status(), 1);
        let unknown = EngineError::UnknownWorkspace {
            name: "a".into(),
            suggestion: None,
        };
        assert_eq!(Failure::from_engine("", unknown).status(), 1);
        let missing = EngineError::MissingFile("x.parquet".into());
        assert_eq!(Failure::from_engine("", missing).status(), 3);
        let place = StoreError::InvalidUrl {
            url: "x:".into(),
            reason: "no".into(),
        };
        assert_eq!(Failure::from(place).status(), 2);
        assert_eq!(Failure::Partial.status(), 1);
    }

    #[test]
    fn a_broken_pipe_ends_quietly() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.status(), reported(&closed)), (0, String::new()));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.status(), 3);
        assert!(reported(&full).starts_with("error: cannot write the answer"));
    }

    #[test]
    fn a_wrong_question_is_drawn() {
        let finding = Diagnostic::error(Code::ParseError, "expected `::`", Span::new(3, 4));
        let failure = Failure::Question {
            query: "TAE:x".into(),
            diagnostics: vec![finding],
        };
        let text = reported(&failure);
        assert!(
            text.contains("parse_error") && text.contains("TAE:x"),
            "{text}"
        );
    }

    #[test]
    fn causes_are_not_repeated() {
        let inner = io::Error::other("disk on fire");
        let outer = io::Error::other(format!("cannot read: {inner}"));
        assert_eq!(with_causes(&outer), "cannot read: disk on fire");
    }
}
