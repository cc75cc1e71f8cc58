//! The stable codes of errors.

use std::fmt;

use dql::{Code, Fault, Severity};

use crate::error_kind::ErrorKind;

macro_rules! error_codes {
    ($(
        $code:ident = $text:literal, $fault:ident, $kind:ident, $meaning:literal, $hint:literal;
    )*) => {
        /// The stable code of an error, as clients see it in failures and in metrics.
        ///
        /// New versions add codes; the text of a code never changes.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            /// The code of a finding in a query, which is also the code of its error.
            Query(Code),
            $(#[doc = $meaning] $code,)*
        }

        impl ErrorCode {
            /// Every code of this version besides those of queries, [`Code::ALL`].
            pub const OF_SERVICE: &[Self] = &[$(Self::$code),*];

            /// The text of the code, such as `store_error`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Query(code) => code.as_str(),
                    $(Self::$code => $text,)*
                }
            }

            /// Who has to change something.
            pub const fn fault(self) -> Fault {
                match self {
                    Self::Query(code) => code.fault(),
                    $(Self::$code => Fault::$fault,)*
                }
            }

            /// The kind of the error. An error of the store may have another one than its code,
            /// [`ErrorKind::Unavailable`].
            pub fn kind(self) -> ErrorKind {
                match self {
                    Self::Query(Code::UnknownWorkspace) => ErrorKind::NotFound,
                    Self::Query(code) => match code.fault() {
                        Fault::Question | Fault::Request | Fault::Warning => ErrorKind::Invalid,
                        Fault::Service => ErrorKind::Exhausted,
                    },
                    $(Self::$code => ErrorKind::$kind,)*
                }
            }

            /// The meaning of the code, as users read it.
            pub fn meaning(self) -> &'static str {
                match self {
                    Self::Query(code) => code.meaning(Severity::Error),
                    $(Self::$code => $meaning,)*
                }
            }

            /// What helps; `None` for queries, whose findings have hints of their own.
            pub const fn hint(self) -> Option<&'static str> {
                match self {
                    Self::Query(_) => None,
                    $(Self::$code => Some($hint),)*
                }
            }
        }
    };
}

error_codes! {
    // Queries.
    AnswerTooLarge = "answer_too_large", Service, Exhausted,
        "the answer does not fit into one message; stream it, or lower LIMIT",
        "Lower LIMIT or SLIMIT, name fewer columns, or stream the answer.";
    BodyStalled = "body_stalled", Request, Stalled,
        "the request came too slowly; send it again",
        "Send the request again, over a better line or in smaller parts.";
    ExecutionFailed = "execution_failed", Service, Internal,
        "the engine failed on a sound question; a defect",
        "Report it, with the incident in the message.";
    InvalidRequest = "invalid_request", Request, Invalid,
        "a field of the request holds what it cannot hold",
        "Correct the field that the message names.";
    MissingFile = "missing_file", Service, DataLoss,
        "a file that the store names is gone",
        "Restore the file from a backup; `vouch verify` lists the missing files.";
    Overloaded = "overloaded", Service, Overloaded,
        "requests and answers that wait for their clients take the memory for them; ask again later",
        "Send the request again later.";
    RequestTooLarge = "request_too_large", Request, TooLarge,
        "the message is larger than its service takes",
        "Split the request.";
    StoreError = "store_error", Service, Unavailable,
        "the store cannot be reached or read",
        "Find the incident of the message in the log of the service.";
    TimedOut = "timed_out", Service, TimedOut,
        "the search took longer than the request or the service allows, or its reader took nothing for a minute",
        "Narrow the window, or allow more time.";
    TooManyQuestions = "too_many_questions", Service, Busy,
        "the service answers as many questions as it may, and no more can wait; ask again later",
        "Ask again later.";

    // Requests that store events.
    InvalidMapping = "invalid_mapping", Request, Invalid,
        "the mapping cannot be used",
        "Correct the mapping.";
    MalformedBody = "malformed_body", Request, Invalid,
        "the body cannot be read",
        "Send the body in the format that its headers name.";
    NothingStored = "nothing_stored", Request, Invalid,
        "events were refused, and nothing of the request is stored",
        "Correct the refused events, or send the others without `all_or_nothing`.";
    OutcomeUnknown = "outcome_unknown", Service, Unavailable,
        "it is unknown whether the events were stored; send them again",
        "Send the same events again; those that were stored are not stored twice.";
    SequenceConflict = "sequence_conflict", Request, Conflict,
        "another batch is stored under the number of this one",
        "Give each producer a name of its own.";
    SequenceGap = "sequence_gap", Request, Conflict,
        "a batch before this one is not stored",
        "Send the batch with the expected number.";
    Stopping = "stopping", Service, Unavailable,
        "the node is stopping; send the events again",
        "Send the events to another node, or again later.";
    TooManyDays = "too_many_days", Request, Quota,
        "a numbered batch has events of more days than the service takes",
        "Send the events of one day together, or import them.";
    TooManyEvents = "too_many_events", Request, TooLarge,
        "the request has more events than the service takes at a time",
        "Split the request.";
    TooManyProducers = "too_many_producers", Request, Quota,
        "the workspace has as many producers as the service takes",
        "Use the names of producers again.";
    TooManyWorkspaces = "too_many_workspaces", Request, Quota,
        "a numbered batch would create more workspaces than the service allows",
        "Check the names of the workspaces, or send the batch later.";
    UnknownMapping = "unknown_mapping", Request, Invalid,
        "the service has no mapping of this name",
        "Use a mapping of the service.";
    UnsupportedMediaType = "unsupported_media_type", Request, Unsupported,
        "the body has a type or an encoding that the service does not read",
        "Use a type and an encoding that the message names.";
    WorkspaceOverloaded = "workspace_overloaded", Service, Overloaded,
        "the table of a workspace cannot be written, and many of its events wait for that",
        "Repair the table of the workspace, then send the events again.";

    // Settings of workspaces.
    ClockDiffers = "clock_differs", Service, Conflict,
        "the clock of this node is wrong: nothing is dropped or deleted",
        "Set the clock of the node.";
    DropGone = "drop_gone", Request, Conflict,
        "files of the drop are deleted",
        "Restore the events from a backup.";
    HoldExists = "hold_exists", Request, Exists,
        "another hold has the name",
        "Choose another name, or release the other hold first.";
    HoldTooLate = "hold_too_late", Request, Conflict,
        "a retention run dropped events of the hold while it was being placed",
        "Restore the dropped events, then place the hold again.";
    InvalidSetting = "invalid_setting", Request, Invalid,
        "a retention, name, reason or range cannot be used",
        "Correct the value that the message names.";
    NothingToUndo = "nothing_to_undo", Request, Conflict,
        "there is no drop that could be undone",
        "Check the workspace and the version.";
    ReadOnlyPort = "read_only_port", Request, Denied,
        "the port shows settings only",
        "Use the administrative port, or the command with `--store`.";
    UnknownHold = "unknown_hold", Request, NotFound,
        "no hold has the name",
        "List the holds of the workspace.";

    // The HTTP port.
    ForeignOrigin = "foreign_origin", Request, Denied,
        "a page of another site caused the request",
        "Send the request from a program.";
    MethodNotAllowed = "method_not_allowed", Request, MethodNotAllowed,
        "the path does not take requests of this method",
        "Use POST for events and logs, GET for the others.";
    NotFound = "not_found", Request, NotFound,
        "the service has nothing at this path",
        "Use a path that the message names.";
    NotReady = "not_ready", Service, Unavailable,
        "the store of the service does not work",
        "Read the log of the service, and bring its store back.";
    TooManyConnections = "too_many_connections", Service, Unavailable,
        "as many connections are open as the service allows",
        "Close connections, or raise `--max-connections`.";
    UnknownHost = "unknown_host", Request, Denied,
        "the request calls the service by a name that it does not have",
        "Call the service by its address, or name it with `--allowed-host`.";
}

impl ErrorCode {
    /// The code with this text; `None` if this version has none.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut of_service = Self::OF_SERVICE.iter().copied();
        of_service
            .find(|code| code.as_str() == text)
            .or_else(|| Code::from_text(text).map(Self::Query))
    }
}

impl From<Code> for ErrorCode {
    fn from(code: Code) -> Self {
        Self::Query(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        let of_queries = Code::ALL.iter().copied().map(ErrorCode::Query);
        let all: Vec<ErrorCode> = of_queries
            .chain(ErrorCode::OF_SERVICE.iter().copied())
            .collect();
        let texts: BTreeSet<&str> = all.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), all.len());
        for code in all {
            assert_eq!(ErrorCode::from_text(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::from_text("no_code"), None);
    }
}
