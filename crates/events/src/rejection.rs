//! Why a record is not an event.

use std::fmt;

/// A stable name of the reason, for programs and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectionCode {
    /// Neither `date` nor `time`.
    MissingDate,
    /// `date` is later than a day from now.
    DateInFuture,
    /// The retention of the workspace has dropped the day of the event already.
    DayDropped,
    /// `date` is no timestamp, or lies outside the years 1 to 9999.
    InvalidDate,
    /// No workspace in the event, and none given with it.
    MissingWorkspace,
    /// `df_workspace` is no workspace id.
    InvalidWorkspace,
    /// The event names one workspace, the request another.
    WorkspaceContradiction,
    /// A field holds a value that its type cannot hold.
    InvalidType,
    /// A field is given twice, under two of its names, with different values.
    ConflictingFields,
    /// `attributes` is not a JSON object.
    InvalidAttributes,
    /// A key stands in the record and in its `attributes`, with different values.
    AttributesConflict,
    /// The event has no id, and none can be derived.
    MissingEventId,
    /// The text is not JSON.
    MalformedJson,
    /// A JSON object has a key twice.
    DuplicateKey,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// One line is longer than a reader takes.
    LineTooLong,
    /// The record is larger than the door lets through.
    EventTooLarge,
    /// The workspace is new, and the door makes no more new ones now.
    TooManyWorkspaces,
    /// The request has events of more days than the door takes.
    TooManyDays,
    /// The text is JSON, but not an object.
    NotAnObject,
    /// A CSV row that does not fit its header.
    MalformedCsv,
    /// A column of a file whose values have no JSON form.
    UnsupportedType,
    /// The mapping failed on this record.
    MappingFailed,
    /// The mapping gave nothing for this record.
    MappingEmpty,
    /// The mapping gave a key that the original record has with another value.
    MappingConflict,
}

impl RejectionCode {
    /// The name as it is reported, e.g. `missing_date`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingDate => "missing_date",
            Self::DateInFuture => "date_in_future",
            Self::DayDropped => "day_dropped",
            Self::InvalidDate => "invalid_date",
            Self::MissingWorkspace => "missing_workspace",
            Self::InvalidWorkspace => "invalid_workspace",
            Self::WorkspaceContradiction => "workspace_contradiction",
            Self::InvalidType => "invalid_type",
            Self::ConflictingFields => "conflicting_fields",
            Self::InvalidAttributes => "invalid_attributes",
            Self::AttributesConflict => "attributes_conflict",
            Self::MissingEventId => "missing_event_id",
            Self::MalformedJson => "malformed_json",
            Self::DuplicateKey => "duplicate_key",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::LineTooLong => "line_too_long",
            Self::EventTooLarge => "event_too_large",
            Self::TooManyWorkspaces => "too_many_workspaces",
            Self::TooManyDays => "too_many_days",
            Self::NotAnObject => "not_an_object",
            Self::MalformedCsv => "malformed_csv",
            Self::UnsupportedType => "unsupported_type",
            Self::MappingFailed => "mapping_failed",
            Self::MappingEmpty => "mapping_empty",
            Self::MappingConflict => "mapping_conflict",
        }
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A record refused: which rule it broke, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// Which rule.
    pub code: RejectionCode,
    /// What is wrong with this record, in words.
    pub message: String,
}

impl Rejection {
    /// A rejection with its message (lower case, no full stop).
    pub fn new(code: RejectionCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The refusal of a JSON object that has `key` twice.
pub(crate) fn duplicate_key(key: &str) -> Rejection {
    let message = format!(
        "an object has the key `{}` twice, and readers differ in which value counts; give it once",
        excerpt(key)
    );
    Rejection::new(RejectionCode::DuplicateKey, message)
}

/// The beginning of a text that may be long, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
