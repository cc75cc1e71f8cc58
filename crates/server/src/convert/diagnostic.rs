//! Diagnostics of a query text.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dql::{Diagnostic, Origin, Severity, Span};

use crate::proto;

/// Diagnostics as messages; `query` is their text.
pub(crate) fn diagnostics_to_messages(
    query: &str,
    diagnostics: &[Diagnostic],
) -> Vec<proto::Diagnostic> {
    diagnostics
        .iter()
        .map(|finding| to_message(query, finding))
        .collect()
}

fn to_message(query: &str, finding: &Diagnostic) -> proto::Diagnostic {
    let severity = match finding.severity {
        Severity::Error => proto::Severity::Error,
        Severity::Warning => proto::Severity::Warning,
    };
    let query = finding
        .origin
        .as_ref()
        .map_or(query, |origin| origin.text.as_str());
    proto::Diagnostic {
        code: finding.code.to_owned(),
        severity: severity.into(),
        message: finding.message.clone(),
        place: finding.span.map(|span| place(query, span)),
        label: finding.label.as_ref().map(|(span, text)| proto::Label {
            place: Some(place(query, *span)),
            text: text.clone(),
        }),
        hint: finding.hint.clone(),
        origin: finding.origin.as_ref().map(|origin| origin.name.clone()),
    }
}

/// A part of a text.
pub(crate) fn place(query: &str, span: Span) -> proto::Place {
    let position = dql::position(query, span.start);
    proto::Place {
        offset: span.start as u64,
        end_offset: span.end as u64,
        line: u32::try_from(position.line).unwrap_or(u32::MAX),
        column: u32::try_from(position.column).unwrap_or(u32::MAX),
    }
}

/// The diagnostic of a message.
pub(crate) fn diagnostic_from_message(message: proto::Diagnostic) -> Diagnostic {
    let severity = match message.severity() {
        proto::Severity::Warning => Severity::Warning,
        proto::Severity::Error | proto::Severity::Unspecified => Severity::Error,
    };
    let label = message
        .label
        .and_then(|label| Some((span(&label.place?), label.text)));
    Diagnostic {
        code: known_code(message.code),
        severity,
        message: message.message,
        span: message.place.as_ref().map(span),
        label,
        hint: message.hint,
        origin: message.origin.map(|name| Origin {
            name,
            text: String::new(),
        }),
    }
}

fn span(place: &proto::Place) -> Span {
    let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
    let end = usize::try_from(place.end_offset).unwrap_or(usize::MAX);
    Span::new(start, end.max(start))
}

const MAX_KNOWN_CODES: usize = 1_000;
const MAX_CODE_BYTES: usize = 64;

/// A code from a service, with the static lifetime of the codes of the program.
///
/// There are few codes, so each is kept once for the rest of the process. Beyond a bound, and for texts that are not
/// codes, the result is `unknown_code`.
pub(crate) fn known_code(code: String) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = known.get(code.as_str()) {
        return code;
    }
    if known.len() >= MAX_KNOWN_CODES || code.len() > MAX_CODE_BYTES {
        return "unknown_code";
    }
    let code: &'static str = Box::leak(code.into_boxed_str());
    known.insert(code);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_comes_back_with_its_places() {
        let query = "TAE::audit:(ü)\n{ x }";
        let finding = Diagnostic::warning("unknown_field", "unknown field `x`", Span::new(18, 19))
            .with_hint("did you mean `y`?")
            .with_label(Span::new(12, 14), "first here");
        let message = to_message(query, &finding);
        let place = message.place.unwrap();
        assert_eq!((place.offset, place.end_offset), (18, 19));
        assert_eq!((place.line, place.column), (2, 3));

        let back = diagnostic_from_message(message);
        assert_eq!(back, finding);
        let span = back.span.unwrap();
        assert_eq!((span.start, span.end), (18, 19));
        let (label, _) = back.label.unwrap();
        assert_eq!((label.start, label.end), (12, 14));
    }

    #[test]
    fn a_finding_about_the_request_has_no_place() {
        let finding = Diagnostic::new(Severity::Error, "unknown_workspace", "no such", None);
        let message = to_message("", &finding);
        assert_eq!(message.place, None);
        assert_eq!(diagnostic_from_message(message), finding);
    }

    #[test]
    fn a_code_is_kept_once() {
        let first = known_code("some_code".to_owned());
        let second = known_code("some_code".to_owned());
        assert!(std::ptr::eq(first, second));
        assert_eq!(known_code("x".repeat(65)), "unknown_code");
    }

    #[test]
    fn an_unknown_severity_is_an_error() {
        let message = proto::Diagnostic {
            severity: 77,
            ..Default::default()
        };
        assert_eq!(diagnostic_from_message(message).severity, Severity::Error);
    }
}
