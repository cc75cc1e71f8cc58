//! The answers to editors: validations and completions.

use dql::{Diagnostic, Span};

/// The result of validating a text, without running it.
#[derive(Debug, Clone)]
pub struct Validation {
    /// The errors and the warnings.
    pub findings: Vec<Diagnostic>,
    /// The statements in the order of the text; empty when it cannot be parsed.
    pub statements: Vec<ValidStatement>,
}

/// A statement that can be parsed.
#[derive(Debug, Clone)]
pub struct ValidStatement {
    /// Its kind.
    pub kind: StatementKind,
    /// Its canonical text, with the clauses of the request.
    pub canonical: String,
    /// Its part of the text.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// A query.
    Query,
    /// A SHOW function.
    Show,
    /// A function over the result of a query.
    Outer,
}

/// The candidates at an offset of a text.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// The part of the text that a candidate replaces.
    pub replace: Span,
    /// The candidates, the most useful first.
    pub candidates: Vec<Candidate>,
    /// Whether there are more.
    pub has_more: bool,
}

/// A text that fits at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text to insert.
    pub text: String,
    /// Its kind.
    pub kind: CandidateKind,
    /// A line about it.
    pub detail: String,
}

/// The kinds of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// A word of the language.
    Keyword,
    /// A function.
    Function,
    /// A field of the catalogue.
    Field,
    /// A path into the attributes.
    Attribute,
    /// A source.
    Source,
    /// A namespace.
    Namespace,
    /// A value seen in events.
    Value,
    /// A name that the text defines.
    Alias,
    /// An operator or a bracket.
    Operator,
    /// A time, a duration or a step.
    Time,
    /// Another literal.
    Literal,
}
