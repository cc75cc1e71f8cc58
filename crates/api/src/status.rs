//! Errors as gRPC statuses and back: `google.rpc.Status` with [`proto::ErrorInfo`] as its detail.

use prost::Message;
use prost::bytes::Bytes;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::{Error, proto};

/// Statuses are sent in HTTP/2 headers, with details in base64. Some clients accept at most 8 KiB of headers.
const MAX_DETAILS_BYTES: usize = 4 << 10;
const MAX_MESSAGE_CHARACTERS: usize = 800;
const ERROR_INFO_TYPE: &str = "type.googleapis.com/vouch.v1.ErrorInfo";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        with_info(error.kind().grpc_code(), error.into_info())
    }
}

/// The status with the details `info`, shortened to fit into a header.
fn with_info(code: Code, mut info: proto::ErrorInfo) -> Status {
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
    let details = rpc_status(code, &info).encode_to_vec();
    Status::with_details(code, info.message, Bytes::from(details))
}

/// A text, truncated to fit into a header.
fn truncated(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// `google.rpc.Status`, the format of `grpc-status-details-bin`, with the details `info`. Clients in other languages
/// refuse any other format.
pub fn rpc_status(code: Code, info: &proto::ErrorInfo) -> pb::Status {
    let detail = prost_types::Any {
        type_url: ERROR_INFO_TYPE.to_owned(),
        value: info.encode_to_vec(),
    };
    pb::Status {
        code: code.into(),
        message: info.message.clone(),
        details: vec![detail],
    }
}

/// The details of a status that a Vouch service sent.
pub fn error_info(status: &Status) -> Option<proto::ErrorInfo> {
    let details = pb::Status::decode(status.details()).ok()?.details;
    let info = details
        .iter()
        .find(|detail| detail.type_url == ERROR_INFO_TYPE)?;
    proto::ErrorInfo::decode(info.value.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use dql::{Diagnostic, Span};

    use super::*;

    fn status_with(findings: &[Diagnostic]) -> Status {
        let error = Error::new(dql::Code::ParseError, "wrong");
        Status::from(error.with_diagnostics("x", findings))
    }

    #[test]
    fn a_status_of_somebody_else_has_no_details() {
        assert_eq!(error_info(&Status::unavailable("gone")), None);
        let other = Status::with_details(Code::Internal, "x", Bytes::from_static(b"\xff\xff"));
        assert_eq!(error_info(&other), None);
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
        let findings: Vec<Diagnostic> = (0..50).map(finding).collect();
        let status = status_with(&findings);
        assert!(status.details().len() < 6_000, "{}", status.details().len());
        assert!(status.message().contains("more findings are left out"));
        assert!(!error_info(&status).unwrap().diagnostics.is_empty());

        let huge = Diagnostic::error(dql::Code::ParseError, "ü".repeat(50_000), Span::new(0, 1));
        let status = status_with(&[huge]);
        assert!(status.details().len() < 6_000, "{}", status.details().len());
    }
}
