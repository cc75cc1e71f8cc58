//! Options of requests to the service: each is honoured, or refused by name.

use api::proto::query_stream_response::Item;
use api::proto::{
    Answer, Density, Direction, ExplainRequest, OrderKey, QueryRequest, Stage, TimeRange,
};
use prost::Message;
use tonic::Code;

use crate::program::Vouch;
use crate::service::{Service, error_info, question};

async fn answer(service: &Service, request: QueryRequest) -> Answer {
    let response = service.client().await.query(request).await.unwrap();
    let [answer] = <[Answer; 1]>::try_from(response.into_inner().content).unwrap();
    answer
}

fn rows(answer: &Answer) -> usize {
    answer.series.iter().map(|series| series.rows.len()).sum()
}

#[tokio::test]
async fn clauses_of_a_request_change_the_query_and_are_told() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let request = QueryRequest {
        conditions: "df_user_name IN ['alice', 'bob'] OR action = 'key.rotate'".to_owned(),
        order_by: vec![OrderKey {
            column: "df_title".to_owned(),
            direction: Direction::Desc.into(),
        }],
        limit: Some(3),
        offset: Some(1),
        echo_explain: true,
        ..question("TAE::audit:(df_title) {result = 'Success'} LIMIT 1")
    };
    let found = answer(&service, request.clone()).await;
    assert_eq!(rows(&found), 3);
    let summary = found.summary.unwrap();
    let ran = "TAE::audit:(df_title) {result = 'Success', df_user_name IN ['alice', 'bob'] OR action = \
               'key.rotate'} [1790812800000:1795219200000] ORDER BY df_title DESC LIMIT 3 OFFSET 1";
    assert_eq!(summary.raw_query.as_deref(), Some(ran));
    let parse = summary.query_parse.unwrap();
    assert_eq!(
        (parse.namespace.as_str(), parse.sources["audit"].as_str()),
        ("TAE", "exact")
    );
    let mut fields: Vec<&String> = parse.fields.keys().collect();
    fields.sort();
    assert_eq!(fields, ["action", "df_title", "df_user_name", "result"]);

    // The text that was told answers the same on its own.
    let again = QueryRequest {
        time_range: None,
        disable_query_parse: true,
        ..question(ran)
    };
    let again = answer(&service, again).await;
    assert_eq!(again.series, found.series);
    assert_eq!(again.summary.unwrap().query_parse, None);

    // A stream, and an explanation, are of the same query.
    let items = service.client().await.query_stream(request.clone()).await;
    let mut items = items.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = items.message().await.unwrap() {
        last = message.item;
    }
    let Some(Item::Summary(summary)) = last else {
        panic!("{last:?}")
    };
    assert_eq!((summary.rows, summary.raw_query.as_deref()), (3, Some(ran)));
    let explain = ExplainRequest {
        request: Some(request),
        stage: Stage::Logical.into(),
    };
    let explained = service.client().await.explain(explain).await.unwrap();
    assert!(explained.into_inner().text.contains("key.rotate"));
}

#[tokio::test]
async fn steps_of_a_request_make_points() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let day = || QueryRequest {
        time_range: Some(TimeRange {
            from_ms: 1_795_046_400_000,
            to_ms: 1_795_132_800_000,
        }),
        ..question("TAE::audit:(count(*)) [::1m]")
    };
    let step = |answer: Answer| answer.summary.unwrap().step_ms;
    let every = QueryRequest {
        interval_ms: 7_200_000,
        density: Density::High.into(),
        ..day()
    };
    assert_eq!(step(answer(&service, every).await), Some(7_200_000));
    let dense = QueryRequest {
        density: Density::Lower.into(),
        align_time: true,
        ..day()
    };
    assert_eq!(step(answer(&service, dense).await), Some(1_800_000));
    let few = QueryRequest {
        max_point: 4,
        density: Density::Lower.into(),
        ..day()
    };
    let few = answer(&service, few).await;
    assert_eq!(
        few.summary.as_ref().unwrap().warnings[0].code,
        "step_widened"
    );
    assert!(rows(&few) <= 4);
    assert_eq!(step(few), Some(21_600_000));
}

#[tokio::test]
async fn findings_about_an_option_name_it_and_have_its_places() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    let request = QueryRequest {
        conditions: "city = 'Zürich' AND\n  cuont(x) = 1".to_owned(),
        ..question("TAE::audit:(count(*))")
    };
    let status = client.query(request).await.unwrap_err();
    let finding = &error_info(&status).diagnostics[0];
    assert_eq!(
        (finding.code.as_str(), finding.origin.as_deref()),
        ("unknown_function", Some("conditions"))
    );
    let place = finding.place.unwrap();
    assert_eq!(
        (place.offset, place.end_offset, place.line, place.column),
        (23, 28, 2, 3)
    );

    let request = QueryRequest {
        conditions: "resutl = 'x'".to_owned(),
        ..question("TAE::audit:(count(*))")
    };
    let found = answer(&service, request).await.summary.unwrap();
    let finding = &found.warnings[0];
    assert_eq!(
        (finding.code.as_str(), finding.origin.as_deref()),
        ("unknown_field", Some("conditions"))
    );
    assert_eq!(finding.place.unwrap().offset, 0);
}

/// Requests that are refused, each with the code and a word of the message.
fn refused(text: &str) -> Vec<(QueryRequest, &'static str, &'static str)> {
    vec![
        (
            QueryRequest {
                max_duration: "1d".to_owned(),
                ..question(text)
            },
            "window_too_wide",
            "1d",
        ),
        (
            QueryRequest {
                disable_multiple_field: true,
                ..question(text)
            },
            "several_fields",
            "one field",
        ),
        (
            QueryRequest {
                max_duration: "1mo".to_owned(),
                ..question(text)
            },
            "invalid_request",
            "`max_duration`",
        ),
        (
            QueryRequest {
                highlight: true,
                ..question(text)
            },
            "not_supported",
            "`highlight`",
        ),
        (
            QueryRequest {
                rules: vec!["result = 'x'".to_owned()],
                ..question(text)
            },
            "not_supported",
            "`rules`",
        ),
        (
            QueryRequest {
                time_zone: "+05:30".to_owned(),
                ..question(text)
            },
            "invalid_request",
            "`+05:30`",
        ),
    ]
}

#[tokio::test]
async fn what_a_request_forbids_or_cannot_have_is_refused() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    let text = "TAE::audit:(df_title, result)";
    for (request, code, word) in refused(text) {
        let status = client.query(request).await.unwrap_err();
        assert_eq!(
            (status.code(), error_info(&status).code.as_str()),
            (Code::InvalidArgument, code)
        );
        assert!(status.message().contains(word), "{}", status.message());
    }
    let status = client
        .query(QueryRequest {
            search_timeout: "1ns".to_owned(),
            ..question(text)
        })
        .await
        .unwrap_err();
    assert_eq!(error_info(&status).code, "invalid_request");
    let allowed = QueryRequest {
        max_duration: "1y".to_owned(),
        search_timeout: "1h".to_owned(),
        disable_sampling: true,
        mask_visible: true,
        time_zone: "+08:00".to_owned(),
        ..question(text)
    };
    assert!(rows(&answer(&service, allowed).await) > 0);
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_given_up() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    // Planning alone takes longer than a millisecond.
    let request = QueryRequest {
        search_timeout: "1ms".to_owned(),
        ..question(
            "TAE::(TAE::audit:(p95(df_date_range) AS p) BY df_title, df_user_name):(count(*), max(p))",
        )
    };
    let status = client.query(request.clone()).await.unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::DeadlineExceeded, "timed_out")
    );
    let mut items = match client.query_stream(request).await {
        Ok(items) => items.into_inner(),
        Err(status) => panic!("{status}"),
    };
    let status = loop {
        match items.message().await {
            Ok(Some(message)) => assert!(message.encoded_len() > 0),
            Ok(None) => panic!("the stream ended"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
}
