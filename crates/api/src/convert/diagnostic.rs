//! Diagnostics of a query text.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dql::{Code, Diagnostic, Origin, Severity, Span};

use crate::{ErrorCode, proto};

/// Diagnostics as messages; `query` is their text.
pub fn diagnostics_to_messages(query: &str, diagnostics: &[Diagnostic]) -> Vec<proto::Diagnostic> {
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
        code: finding.code.as_str().to_owned(),
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
pub(super) fn place(query: &str, span: Span) -> proto::Place {
    let position = dql::position(query, span.start);
    proto::Place {
        offset: span.start as u64,
        end_offset: span.end as u64,
        line: u32::try_from(position.line).unwrap_or(u32::MAX),
        column: u32::try_from(position.column).unwrap_or(u32::MAX),
    }
}

/// The diagnostic of a message.
pub fn diagnostic_from_message(message: proto::Diagnostic) -> Diagnostic {
    let severity = match message.severity() {
        proto::Severity::Warning => Severity::Warning,
        proto::Severity::Error | proto::Severity::Unspecified => Severity::Error,
    };
    let label = message
        .label
        .and_then(|label| Some((span(&label.place?), label.text)));
    Diagnostic {
        code: code_from_text(message.code),
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

const MAX_UNKNOWN_CODES: usize = 1_000;
const MAX_CODE_BYTES: usize = 64;

/// The code of an error with this text, as for [`code_from_text`].
pub fn error_code_from_text(text: String) -> ErrorCode {
    ErrorCode::from_text(&text).unwrap_or_else(|| ErrorCode::Query(code_from_text(text)))
}

/// The code of a finding with this text.
///
/// Services of other versions have other codes. There are few, so the text of each is kept once for the rest of the
/// process. Beyond a bound, and for texts that are not codes, the result is `unknown_code`.
fn code_from_text(text: String) -> Code {
    static UNKNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if let Some(code) = Code::from_text(&text) {
        return code;
    }
    let mut unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = unknown.get(text.as_str()) {
        return Code::Unknown(text);
    }
    if unknown.len() >= MAX_UNKNOWN_CODES || text.len() > MAX_CODE_BYTES {
        return Code::Unknown("unknown_code");
    }
    let text: &'static str = Box::leak(text.into_boxed_str());
    unknown.insert(text);
    Code::Unknown(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_comes_back_with_its_places() {
        let query = "TAE::audit:(ü)\n{ x }";
        let finding =
            Diagnostic::warning(Code::UnknownField, "unknown field `x`", Span::new(18, 19))
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
        let finding = Diagnostic::new(Severity::Error, Code::UnknownWorkspace, "no such", None);
        let message = to_message("", &finding);
        assert_eq!(message.place, None);
        assert_eq!(diagnostic_from_message(message), finding);
    }

    #[test]
    fn the_code_of_another_version_keeps_its_text() {
        let read = |text: &str| code_from_text(text.to_owned());
        assert_eq!(read("parse_error"), Code::ParseError);
        let (first, second) = (read("some_code"), read("some_code"));
        assert_eq!(first, Code::Unknown("some_code"));
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
        assert_eq!(read(&"x".repeat(65)).as_str(), "unknown_code");
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
