//! The error type that the nom parsers carry.

use nom::IResult;
use nom::error::{ErrorKind, ParseError};

use crate::diagnostic::Diagnostic;
use crate::token::Tokens;

/// The result of a parser: the tokens after those it read, and the value.
pub(crate) type Parsed<'a, T> = IResult<Tokens<'a>, T, Failure>;

/// The error of a parser.
pub(crate) type Failed = nom::Err<Failure>;

/// Why a parser returns no value.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It does not start here; another one may. Always a recoverable error, so it costs nothing.
    Elsewhere,
    /// It starts here and goes wrong. Always final.
    Diagnosed(Box<Diagnostic>),
}

impl Failure {
    /// The final error with this diagnostic.
    pub(crate) fn diagnosed(diagnostic: Diagnostic) -> Failed {
        nom::Err::Failure(Failure::Diagnosed(Box::new(diagnostic)))
    }

    /// The recoverable error.
    pub(crate) fn elsewhere() -> Failed {
        nom::Err::Error(Failure::Elsewhere)
    }
}

impl ParseError<Tokens<'_>> for Failure {
    fn from_error_kind(_input: Tokens<'_>, _kind: ErrorKind) -> Self {
        Failure::Elsewhere
    }

    fn append(_input: Tokens<'_>, _kind: ErrorKind, other: Self) -> Self {
        other
    }
}
