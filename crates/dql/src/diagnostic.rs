//! Findings about a query, with hints.

use crate::code::Code;
use crate::span::Span;

/// The severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The query is not answered.
    Error,
    /// The query is answered; the finding explains the answer.
    Warning,
}

/// One finding about a query text, from any stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// Whether it stops the query.
    pub severity: Severity,
    /// The message, in the words of the query's author: lower case, no full stop.
    pub message: String,
    /// The part of the text it is about; `None` when it is about the request.
    pub span: Option<Span>,
    /// A second part of the text with its own words, such as the first of two repeated clauses.
    pub label: Option<(Span, String)>,
    /// A way to correct it.
    pub hint: Option<String>,
    /// The text that `span` and `label` are in, if that is not the query.
    pub origin: Option<Origin>,
}

/// A text that came beside the query, such as the conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name in the request.
    pub name: String,
    /// The text; empty where only its name is known.
    pub text: String,
}

impl Diagnostic {
    /// An error about `span`.
    pub fn error(code: Code, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Error, code, message, Some(span))
    }

    /// A warning about `span`.
    pub fn warning(code: Code, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Warning, code, message, Some(span))
    }

    /// A finding about `span`, or about the whole request.
    pub fn new(
        severity: Severity,
        code: Code,
        message: impl Into<String>,
        span: Option<Span>,
    ) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            span,
            label: None,
            hint: None,
            origin: None,
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a second span.
    #[must_use]
    pub fn with_label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.label = Some((span, text.into()));
        self
    }
}

/// The number of findings about one text that are reported.
pub(crate) const MOST_FINDINGS: usize = 100;

/// The first [`MOST_FINDINGS`] findings, errors before warnings, and whether there are more.
pub(crate) fn limited(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if found.len() <= MOST_FINDINGS {
        return found;
    }
    found.sort_by_key(|finding| finding.severity == Severity::Warning);
    let dropped = found.split_off(MOST_FINDINGS);
    let is_error = |finding: &Diagnostic| finding.severity == Severity::Error;
    let severity = if dropped.iter().any(is_error) {
        Severity::Error
    } else {
        Severity::Warning
    };
    found.sort_by_key(|finding| finding.span.map(|span| span.start));
    found.push(
        Diagnostic::new(
            severity,
            Code::TooManyFindings,
            format!("{MOST_FINDINGS} findings are shown, there are more"),
            dropped.first().and_then(|finding| finding.span),
        )
        .with_hint("mend these first"),
    );
    found
}
