//! What is wrong with a query, and what to do about it.

use crate::code::Code;
use crate::span::Span;

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The query is not answered.
    Error,
    /// The query is answered; the reader of the answer should know this.
    Warning,
}

/// One finding about a query text, from any stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// Whether it stops the query.
    pub severity: Severity,
    /// What is wrong, in the words of the query's author: lower case, no full stop.
    pub message: String,
    /// The part of the text it is about; `None` when it is about the request.
    pub span: Option<Span>,
    /// A second part of the text with its own words, such as the first of two repeated clauses.
    pub label: Option<(Span, String)>,
    /// What to do.
    pub hint: Option<String>,
    /// The text that `span` and `label` are places of, where that is not the query.
    pub origin: Option<Origin>,
}

/// A text that came beside the query, such as the conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What it is called where it came from.
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

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn with_label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.label = Some((span, text.into()));
        self
    }
}

/// How many findings about one text are reported.
pub(crate) const MOST_FINDINGS: usize = 100;

/// The first [`MOST_FINDINGS`] findings, errors before warnings, and whether there are more.
pub(crate) fn limited(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if found.len() <= MOST_FINDINGS {
        return found;
    }
    found.sort_by_key(|finding| finding.severity == Severity::Warning);
    let dropped = found.split_off(MOST_FINDINGS);
    let severity = match dropped
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        true => Severity::Error,
        false => Severity::Warning,
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
