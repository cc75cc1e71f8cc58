//! Queries.

use chrono_tz::Tz;
use dql::Code;
use events::time::TimeError;
use events::workspace::WorkspaceIdError;
use events::{InvalidToken, TimeRange, WorkspaceId};

use super::cursor::{cursor_from_message, cursor_to_message};
use super::options::{options_from_message, options_to_message};
use crate::proto::{self, query_request};
use crate::{Error, ErrorCode, QueryOptions, QueryRequest, Scope, Stage};

/// Why a request is invalid before its text is parsed.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// No scope.
    #[error(
        "the request does not say whose events it is about; set `workspaces` or `all_workspaces`"
    )]
    NoScope,
    /// An empty list of workspaces.
    #[error("`workspaces` names none; name at least one, or set `all_workspaces`")]
    NoWorkspaces,
    /// A name that is not a workspace id.
    #[error(transparent)]
    Workspace(#[from] WorkspaceIdError),
    /// An invalid cursor.
    #[error("search_after is no place in an answer: {0}")]
    Place(String),
    /// A text that is not a write token.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// A window that ends before it begins.
    #[error(transparent)]
    TimeRange(#[from] TimeError),
    /// A name that is not a time zone.
    #[error(
        "`{0}` is no time zone; give a name of the IANA database such as `Europe/Berlin`, or an offset in whole hours such as `+08:00`"
    )]
    TimeZone(String),
    /// An option that has no meaning here.
    #[error("`{option}` is not supported: {reason}")]
    Unsupported {
        /// The field of the request.
        option: &'static str,
        /// The reason, and an alternative if there is one.
        reason: &'static str,
    },
    /// An option with an invalid value.
    #[error("`{value}` is no value for `{option}`: {wanted}")]
    Value {
        /// The field of the request.
        option: &'static str,
        /// The value.
        value: String,
        /// The expected values.
        wanted: &'static str,
    },
    /// A hold without a selection of events.
    #[error(
        "the request does not say what to hold; set `events`, without any field for the whole workspace"
    )]
    NothingHeld,
    /// A request to explain without a query.
    #[error("the request holds no question; set `request`")]
    NoQuestion,
    /// A stage that this version does not know.
    #[error("unknown stage {0}; use one of the enum `Stage`")]
    UnknownStage(i32),
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        let code = match error {
            RequestError::Unsupported { .. } => ErrorCode::Query(Code::NotSupported),
            RequestError::NoScope
            | RequestError::NoWorkspaces
            | RequestError::Workspace(_)
            | RequestError::Place(_)
            | RequestError::Token(_)
            | RequestError::TimeRange(_)
            | RequestError::TimeZone(_)
            | RequestError::Value { .. }
            | RequestError::NothingHeld
            | RequestError::NoQuestion
            | RequestError::UnknownStage(_) => ErrorCode::InvalidRequest,
        };
        Self::new(code, error.to_string())
    }
}

/// The query of a message.
pub fn request_from_message(message: proto::QueryRequest) -> Result<QueryRequest, RequestError> {
    let asked = options_from_message(&message)?;
    let scope = match message.scope.ok_or(RequestError::NoScope)? {
        query_request::Scope::AllWorkspaces(_) => Scope::All,
        query_request::Scope::Workspaces(chosen) if chosen.ids.is_empty() => {
            return Err(RequestError::NoWorkspaces);
        }
        query_request::Scope::Workspaces(chosen) => {
            let ids: Result<Vec<WorkspaceId>, _> = chosen.ids.iter().map(|id| id.parse()).collect();
            Scope::Workspaces(ids?)
        }
    };
    let range = |range: proto::TimeRange| TimeRange::new(range.from_ms, range.to_ms);
    let options = QueryOptions {
        time_range: message.time_range.map(range).transpose()?,
        time_zone: time_zone(message.time_zone)?,
        now_ms: None,
        exact_total_hits: message.exact_total_hits,
        search_after: message
            .search_after
            .map(cursor_from_message)
            .transpose()
            .map_err(|error| RequestError::Place(error.to_string()))?,
        cursor_time: message.cursor_time,
        after: message
            .after
            .iter()
            .map(|token| token.parse())
            .collect::<Result<_, _>>()?,
        ..asked
    };
    Ok(QueryRequest {
        query: message.query,
        scope,
        options,
    })
}

/// The query of a message that is not run, so its scope does not matter.
pub fn unscoped_request_from_message(
    mut message: proto::QueryRequest,
) -> Result<QueryRequest, RequestError> {
    let all = query_request::Scope::AllWorkspaces(proto::AllWorkspaces {});
    message.scope = Some(all);
    request_from_message(message)
}

fn time_zone(name: String) -> Result<Option<Tz>, RequestError> {
    if name.is_empty() {
        return Ok(None);
    }
    match crate::time_zone(&name) {
        Some(zone) => Ok(Some(zone)),
        None => Err(RequestError::TimeZone(name)),
    }
}

/// A query as a message, without `now_ms`: the service uses its own clock.
pub fn request_to_message(request: &QueryRequest) -> proto::QueryRequest {
    let scope = match &request.scope {
        Scope::All => query_request::Scope::AllWorkspaces(proto::AllWorkspaces {}),
        Scope::Workspaces(ids) => query_request::Scope::Workspaces(proto::Workspaces {
            ids: ids.iter().map(ToString::to_string).collect(),
        }),
    };
    let options = &request.options;
    proto::QueryRequest {
        query: request.query.clone(),
        scope: Some(scope),
        time_range: options.time_range.map(|range| proto::TimeRange {
            from_ms: range.from_ms,
            to_ms: range.to_ms,
        }),
        time_zone: options
            .time_zone
            .map(|zone| zone.name().to_owned())
            .unwrap_or_default(),
        exact_total_hits: options.exact_total_hits,
        search_after: options.search_after.clone().map(cursor_to_message),
        cursor_time: options.cursor_time,
        after: options.after.iter().map(ToString::to_string).collect(),
        ..options_to_message(options)
    }
}

/// The stage of a message; the physical one when none is set.
pub fn stage_from_message(stage: i32) -> Result<Stage, RequestError> {
    match proto::Stage::try_from(stage) {
        Ok(proto::Stage::Ast) => Ok(Stage::Ast),
        Ok(proto::Stage::Bound) => Ok(Stage::Bound),
        Ok(proto::Stage::Logical) => Ok(Stage::Logical),
        Ok(proto::Stage::Physical | proto::Stage::Unspecified) => Ok(Stage::Physical),
        Ok(proto::Stage::Analyze) => Ok(Stage::Analyze),
        Err(_) => Err(RequestError::UnknownStage(stage)),
    }
}

/// A stage as a message.
pub fn stage_to_message(stage: Stage) -> proto::Stage {
    match stage {
        Stage::Ast => proto::Stage::Ast,
        Stage::Bound => proto::Stage::Bound,
        Stage::Logical => proto::Stage::Logical,
        Stage::Physical => proto::Stage::Physical,
        Stage::Analyze => proto::Stage::Analyze,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "1795000000000-00000000000000000000000000000007-0000000005";

    fn message() -> proto::QueryRequest {
        proto::QueryRequest {
            query: "TAE::audit:(*)".into(),
            scope: Some(query_request::Scope::Workspaces(proto::Workspaces {
                ids: vec!["a".into(), "b-2".into()],
            })),
            time_range: Some(proto::TimeRange {
                from_ms: -5,
                to_ms: 9,
            }),
            time_zone: "Europe/Berlin".into(),
            exact_total_hits: true,
            search_after: Some(proto::Position {
                date_ms: 7,
                event_id: "e".into(),
                workspace: "a".into(),
                order: vec![],
            }),
            cursor_time: Some(9),
            after: vec![TOKEN.to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn a_request_comes_back() {
        let request = request_from_message(message()).unwrap();
        assert_eq!(
            request.options.time_range,
            Some(TimeRange::new(-5, 9).unwrap())
        );
        assert_eq!(request.options.time_zone, Some(Tz::Europe__Berlin));
        assert_eq!(request_to_message(&request), message());

        let all = proto::QueryRequest {
            scope: Some(query_request::Scope::AllWorkspaces(proto::AllWorkspaces {})),
            time_range: None,
            time_zone: String::new(),
            ..message()
        };
        let request = request_from_message(all.clone()).unwrap();
        assert_eq!(request.scope, Scope::All);
        assert_eq!(request.options.time_zone, None);
        assert_eq!(request_to_message(&request), all);
    }

    #[test]
    fn a_request_without_a_scope_is_refused_rather_than_taken_for_all() {
        let refused = |message| request_from_message(message).unwrap_err();
        let scope = None;
        assert_eq!(
            refused(proto::QueryRequest { scope, ..message() }),
            RequestError::NoScope
        );
        let scope = Some(query_request::Scope::Workspaces(
            proto::Workspaces::default(),
        ));
        assert_eq!(
            refused(proto::QueryRequest { scope, ..message() }),
            RequestError::NoWorkspaces
        );
        let ids = vec!["../etc".to_owned()];
        let scope = Some(query_request::Scope::Workspaces(proto::Workspaces { ids }));
        assert!(matches!(
            refused(proto::QueryRequest { scope, ..message() }),
            RequestError::Workspace(_)
        ));
    }

    #[test]
    fn a_wrong_window_or_time_zone_is_refused() {
        let time_range = Some(proto::TimeRange {
            from_ms: 9,
            to_ms: 8,
        });
        let error = request_from_message(proto::QueryRequest {
            time_range,
            ..message()
        });
        assert!(matches!(error, Err(RequestError::TimeRange(_))));
        let time_zone = "Mars/Olympus".to_owned();
        let error = request_from_message(proto::QueryRequest {
            time_zone,
            ..message()
        });
        assert!(error.unwrap_err().to_string().contains("`Mars/Olympus`"));
        let error = request_from_message(proto::QueryRequest {
            after: vec!["yesterday".to_owned()],
            ..message()
        });
        assert!(error.unwrap_err().to_string().contains("no token"));
    }

    #[test]
    fn every_stage_comes_back() {
        for stage in [
            Stage::Ast,
            Stage::Bound,
            Stage::Logical,
            Stage::Physical,
            Stage::Analyze,
        ] {
            assert_eq!(
                stage_from_message(stage_to_message(stage).into()),
                Ok(stage)
            );
        }
        assert_eq!(stage_from_message(0), Ok(Stage::Physical));
        assert_eq!(stage_from_message(99), Err(RequestError::UnknownStage(99)));
    }
}
