//! Errors as clients see them.

use std::fmt;

use dql::Diagnostic;

use crate::convert::diagnostics_to_messages;
use crate::proto::ErrorInfo;
use crate::{ErrorCode, ErrorKind};

/// An error as clients see it, without anything that belongs to the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    code: ErrorCode,
    kind: ErrorKind,
    info: Box<ErrorInfo>,
}

impl Error {
    /// An error of the kind of its code.
    pub fn new(code: impl Into<ErrorCode>, message: impl Into<String>) -> Self {
        let code = code.into();
        Self {
            code,
            kind: code.kind(),
            info: Box::new(ErrorInfo {
                code: code.as_str().to_owned(),
                message: message.into(),
                ..ErrorInfo::default()
            }),
        }
    }

    /// The same error of another kind.
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// The same error with the findings in `query`.
    pub fn with_diagnostics(mut self, query: &str, diagnostics: &[Diagnostic]) -> Self {
        self.info.diagnostics = diagnostics_to_messages(query, diagnostics);
        self
    }

    /// The same error with the id of its line in the log.
    pub fn with_incident(mut self, incident: String) -> Self {
        self.info.incident = Some(incident);
        self
    }

    /// The same error with the number of the batch that is expected.
    pub fn with_expected_number(mut self, number: u64) -> Self {
        self.info.expected_number = Some(number);
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The kind, which decides the status.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The details as a message.
    pub fn info(&self) -> &ErrorInfo {
        &self.info
    }

    /// The details as a message.
    pub fn into_info(self) -> ErrorInfo {
        *self.info
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.info.message)
    }
}

impl std::error::Error for Error {}
