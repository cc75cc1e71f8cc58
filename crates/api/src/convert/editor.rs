//! Validation and completion.

use super::diagnostic::{diagnostics_to_messages, place};
use crate::{
    Candidate, CandidateKind, Candidates, StatementKind, ValidStatement, Validation, proto,
};

/// The validation of `query` as a message.
pub fn validation_to_message(query: &str, validation: &Validation) -> proto::ValidateResponse {
    let statement = |statement: &ValidStatement| proto::ValidatedStatement {
        kind: match statement.kind {
            StatementKind::Query => proto::StatementKind::Query,
            StatementKind::Show => proto::StatementKind::Show,
            StatementKind::Outer => proto::StatementKind::Outer,
        }
        .into(),
        canonical: statement.canonical.clone(),
        place: Some(place(query, statement.span)),
    };
    proto::ValidateResponse {
        diagnostics: diagnostics_to_messages(query, &validation.findings),
        statements: validation.statements.iter().map(statement).collect(),
    }
}

/// The candidates at a position of `query`, as a message.
pub fn candidates_to_message(query: &str, found: Candidates) -> proto::CompleteResponse {
    let candidate = |one: Candidate| proto::Candidate {
        text: one.text,
        kind: candidate_kind(one.kind).into(),
        detail: one.detail,
    };
    proto::CompleteResponse {
        candidates: found.candidates.into_iter().map(candidate).collect(),
        replace: Some(place(query, found.replace)),
        has_more: found.has_more,
    }
}

fn candidate_kind(kind: CandidateKind) -> proto::CandidateKind {
    match kind {
        CandidateKind::Keyword => proto::CandidateKind::Keyword,
        CandidateKind::Function => proto::CandidateKind::Function,
        CandidateKind::Field => proto::CandidateKind::Field,
        CandidateKind::Attribute => proto::CandidateKind::Attribute,
        CandidateKind::Source => proto::CandidateKind::Source,
        CandidateKind::Namespace => proto::CandidateKind::Namespace,
        CandidateKind::Value => proto::CandidateKind::Value,
        CandidateKind::Alias => proto::CandidateKind::Alias,
        CandidateKind::Operator => proto::CandidateKind::Operator,
        CandidateKind::Time => proto::CandidateKind::Time,
        CandidateKind::Literal => proto::CandidateKind::Literal,
    }
}
