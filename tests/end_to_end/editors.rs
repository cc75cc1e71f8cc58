//! The calls for editors: what is wrong with a text, and what may stand at a place of it.

use api::proto::{
    Candidate, CandidateKind, CompleteRequest, CompleteResponse, QueryRequest, Severity,
    StatementKind, TimeRange, ValidateRequest, ValidateResponse,
};
use tonic::Code;

use crate::program::Vouch;
use crate::service::{Service, error_info, of_workspace, question};

async fn validated(service: &Service, request: QueryRequest) -> ValidateResponse {
    let request = ValidateRequest {
        request: Some(request),
    };
    let response = service.client().await.validate(request).await.unwrap();
    response.into_inner()
}

fn unscoped(query: &str) -> QueryRequest {
    QueryRequest {
        query: query.to_owned(),
        ..QueryRequest::default()
    }
}

fn codes(found: &ValidateResponse) -> Vec<(&str, Severity, u64)> {
    let code = |finding: &api::proto::Diagnostic| finding.place.map_or(0, |place| place.offset);
    found
        .diagnostics
        .iter()
        .map(|finding| (finding.code.as_str(), finding.severity(), code(finding)))
        .collect()
}

#[tokio::test]
async fn a_text_is_looked_through_without_running_it() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let text = "tae::audit:(count(*)); E::audit:( COUNT(`*`) as n ) by df_title ; cumsum((TAE::*:(count(*)) [1d::1h])); show_event_source()";
    let found = validated(&service, unscoped(text)).await;
    assert_eq!(
        codes(&found)[..1],
        [("unknown_namespace", Severity::Error, 0)]
    );
    let kinds: Vec<StatementKind> = found.statements.iter().map(|one| one.kind()).collect();
    assert_eq!(
        kinds,
        [
            StatementKind::Query,
            StatementKind::Query,
            StatementKind::Outer,
            StatementKind::Show
        ]
    );
    let second = &found.statements[1];
    assert_eq!(second.canonical, "E::audit:(count(*) AS n) BY df_title");
    assert_eq!(second.place.unwrap().offset, 23);
    let warnings = found.diagnostics[1..].iter();
    assert!(
        warnings.clone().any(|one| one.code == "assumed_window"),
        "{found:?}"
    );
    assert!(
        warnings
            .clone()
            .all(|one| one.severity() == Severity::Warning)
    );
}

#[tokio::test]
async fn a_wrong_text_is_an_answer_with_places() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    for (text, code, offset) in [
        ("", "empty_query", 0),
        ("TAE::audit:(count(*)", "parse_error", 20),
        ("TAE::audit:(cuont(*)) [1d]", "unknown_function", 12),
        (
            "TAE::audit:(*) {df_date_range = 'x'} [1d]",
            "type_mismatch",
            16,
        ),
        (
            "eval(A, A = \"TAE::audit:(cuont(*)) [1d]\")",
            "unknown_function",
            12,
        ),
        (
            "cumsum('TAE::audit:(df_title + 1) [1d]')",
            "type_mismatch",
            7,
        ),
        ("show_nothing()", "unknown_function", 0),
    ] {
        let found = validated(&service, unscoped(text)).await;
        assert_eq!(codes(&found)[0], (code, Severity::Error, offset), "{text}");
    }
    let request = QueryRequest {
        conditions: "df_date_range = 'x'".to_owned(),
        ..unscoped("TAE::audit:(*) [1d]")
    };
    let found = validated(&service, request).await;
    assert_eq!(found.diagnostics[0].origin.as_deref(), Some("conditions"));
    assert_eq!(
        found.statements[0].canonical,
        "TAE::audit:(*) {df_date_range = 'x'} [1d]"
    );
    let right = validated(&service, unscoped("TAE::audit:(*) [1d]")).await;
    assert_eq!(codes(&right), []);
}

/// What may stand where `|` is.
async fn completed(service: &Service, request: QueryRequest) -> CompleteResponse {
    let at = request.query.find('|').unwrap();
    let request = CompleteRequest {
        offset: at as u64,
        request: Some(QueryRequest {
            query: request.query.replacen('|', "", 1),
            ..request
        }),
        max_candidates: 500,
    };
    let response = service.client().await.complete(request).await.unwrap();
    response.into_inner()
}

fn of_kind(found: &CompleteResponse, kind: CandidateKind) -> Vec<&str> {
    let is_kind = |one: &&Candidate| one.kind() == kind;
    let fitting = found.candidates.iter().filter(is_kind);
    fitting.map(|one| one.text.as_str()).collect()
}

/// A question whose window is that of the newest events.
fn typed(query: &str) -> QueryRequest {
    QueryRequest {
        time_range: None,
        ..question(query)
    }
}

#[tokio::test]
async fn names_of_the_language_and_the_catalogue_are_offered() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let found = completed(&service, typed("|")).await;
    assert_eq!(
        of_kind(&found, CandidateKind::Namespace),
        ["TAE::", "E::", "event::"]
    );

    let found = completed(&service, typed("TAE::audit:(cou|)")).await;
    assert!(of_kind(&found, CandidateKind::Function).starts_with(&["count("]));
    let fields = of_kind(&found, CandidateKind::Field);
    assert_eq!(fields, ["country", "df_hit_count"]);
    let place = found.replace.unwrap();
    assert_eq!((place.offset, place.end_offset), (12, 15));
    let count = found.candidates.iter().find(|one| one.text == "count(");
    let count = count.unwrap();
    assert_eq!(
        (count.kind(), count.detail.starts_with("count(")),
        (CandidateKind::Function, true)
    );

    let found = completed(&service, typed("TAE::audit:(*) {df_user_em|")).await;
    assert_eq!(found.candidates[0].text, "df_user_email");
    assert!(found.candidates[0].detail.contains("e-mail address"));

    let found = completed(
        &service,
        typed("TAE::audit:(count(*) AS total) BY df_title SORDER BY tot|"),
    )
    .await;
    assert_eq!(of_kind(&found, CandidateKind::Alias), ["total"]);
    let found = completed(&service, typed("TAE::audit:(*) OR|")).await;
    assert_eq!(of_kind(&found, CandidateKind::Keyword), ["ORDER BY"]);
    let found = completed(&service, typed("TAE::audit:(*) # a comment |")).await;
    assert_eq!(found.candidates, []);
    let found = completed(&service, typed("show_|")).await;
    assert_eq!(
        of_kind(&found, CandidateKind::Function),
        [
            "show_workspaces()",
            "show_event_source()",
            "show_event_field(",
            "show_audit_event_source()",
            "show_audit_event_field("
        ]
    );
}

#[tokio::test]
async fn what_events_hold_is_offered() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let found = completed(&service, typed("TAE::|")).await;
    assert_eq!(
        of_kind(&found, CandidateKind::Source),
        ["audit", "monitor", "custom", "system"]
    );
    let found = completed(&service, typed("TAE::monitor:(*) {|")).await;
    assert_eq!(
        of_kind(&found, CandidateKind::Attribute)[..2],
        ["cpu.cores", "cpu.usage"]
    );
    let found = completed(&service, typed("TAE::system:(*) {`old|")).await;
    assert_eq!(of_kind(&found, CandidateKind::Attribute), ["`old.version`"]);

    let found = completed(&service, typed("TAE::audit:(*) {action = |")).await;
    let values = of_kind(&found, CandidateKind::Value);
    assert_eq!(values[0], "'user.login'");
    assert_eq!(found.candidates[0].detail, "in 11 of the newest events");
    assert!(!values.contains(&"'monitor.alert'"), "{values:?}");
    for text in [
        "TAE::audit:(*) {action IN ['key.rotate', 'user.log|",
        "TAE::audit:(*) {action = 'user.log|'} [1d]",
        "TAE::*:(count(*)) {match(action, 'USER.LOG|",
    ] {
        let found = completed(&service, typed(text)).await;
        let values = of_kind(&found, CandidateKind::Value);
        assert_eq!(values[0], "'user.login'", "{text}");
        assert!(
            values.iter().all(|value| value.starts_with("'user.log")),
            "{text}"
        );
        let place = found.replace.unwrap();
        assert_eq!(&text[place.offset as usize..][..1], "'", "{text}");
    }
    let found = completed(&service, typed("TAE::audit:(*) {df_title = '登|'}")).await;
    assert_eq!(of_kind(&found, CandidateKind::Value), ["'登录'"]);
    let found = completed(&service, typed("TAE::*:(*) {mfa = |")).await;
    assert!(
        of_kind(&found, CandidateKind::Value).contains(&"true"),
        "{found:?}"
    );
}

#[tokio::test]
async fn nothing_is_offered_of_other_workspaces_and_times() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let of_acme = |query: &str| QueryRequest {
        time_range: None,
        ..of_workspace("acme", query)
    };
    let found = completed(&service, of_acme("TAE::|")).await;
    assert_eq!(of_kind(&found, CandidateKind::Source), ["audit"]);
    let found = completed(&service, of_acme("TAE::*:(*) {df_workspace = |")).await;
    assert_eq!(of_kind(&found, CandidateKind::Value), ["'acme'"]);
    let found = completed(&service, of_acme("TAE::*:(*) {cpu|")).await;
    assert_eq!(of_kind(&found, CandidateKind::Attribute), [""; 0]);

    let early = QueryRequest {
        time_range: Some(TimeRange {
            from_ms: 0,
            to_ms: 1_790_900_000_000,
        }),
        ..question("TAE::*:(*) {df_user_name = |")
    };
    let found = completed(&service, early).await;
    assert_eq!(of_kind(&found, CandidateKind::Value), ["'alice'"]);
}

#[tokio::test]
async fn a_place_inside_a_character_is_an_error() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    for offset in [13, 99] {
        let request = CompleteRequest {
            request: Some(question("TAE::audit:(ü)")),
            offset,
            max_candidates: 0,
        };
        let status = service.client().await.complete(request).await.unwrap_err();
        assert_eq!(
            (status.code(), error_info(&status).code.as_str()),
            (Code::InvalidArgument, "invalid_offset")
        );
    }
    let unscoped = CompleteRequest {
        request: Some(unscoped("TAE::")),
        offset: 5,
        max_candidates: 1,
    };
    let status = service.client().await.complete(unscoped).await.unwrap_err();
    assert_eq!(error_info(&status).code, "invalid_request");
    let few = CompleteRequest {
        request: Some(question("TAE::")),
        offset: 5,
        max_candidates: 1,
    };
    let found = service
        .client()
        .await
        .complete(few)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((found.candidates.len(), found.has_more), (1, true));
}
