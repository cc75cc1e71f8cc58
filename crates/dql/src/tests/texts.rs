//! The texts of a request: the query, queries in quotes inside it, and clauses beside it.

use crate::ast::{Call, ExprKind, Quoted, Statement};
use crate::code::Code;
use crate::limits::TEXT_BYTES;
use crate::{Diagnostic, TextId, check, parse, parse_conditions, parse_duration, parse_expression};

/// The call of the only statement.
fn call(statements: &[Statement]) -> &Call {
    match statements {
        [Statement::Outer(outer)] => &outer.call,
        other => panic!("{other:?}"),
    }
}

fn quoted(call: &Call, argument: usize) -> &Quoted {
    match &call.args[argument].value.kind {
        ExprKind::Quoted(quoted) => quoted,
        other => panic!("{other:?}"),
    }
}

/// Code, text and span of findings.
fn told(findings: &[Diagnostic]) -> Vec<(Code, &str, (usize, usize))> {
    let findings = findings.iter();
    findings
        .map(|finding| {
            let span = finding.span.expect("it is about a part of the text");
            let place = (span.start, span.end);
            (finding.code, finding.message.as_str(), place)
        })
        .collect()
}

#[test]
fn a_query_in_quotes_is_a_part_of_the_tree() {
    let script = parse("cumsum('rate(`TAE::audit:(count(*))`)')").expect("it parses");
    let Quoted::Query(outside, Statement::Outer(outer)) = quoted(call(&script.statements), 0)
    else {
        panic!("{script:?}")
    };
    let Quoted::Query(inside, Statement::Select(select)) = quoted(&outer.call, 0) else {
        panic!("{script:?}")
    };
    assert_eq!(select.to_string(), "TAE::audit:(count(*))");
    let ids = [TextId::QUERY, *outside, *inside];
    assert_eq!(
        [
            script.statements[0].span().text,
            outer.span.text,
            select.span.text
        ],
        ids
    );
    assert!(ids.is_sorted() && ids[1] != ids[2]);
}

#[test]
fn what_is_wrong_in_quotes_is_found_by_checking_and_located_at_the_quotes() {
    for (text, message, place) in [
        (
            "cumsum('TAE::x:(cuont(*))')",
            "unknown function `cuont`",
            (7, 26),
        ),
        ("cumsum('TAE::x:(')", "", (7, 17)),
        (
            "cumsum('TAE::*; TAE::*')",
            "one statement is answered at a time here",
            (7, 23),
        ),
        (
            "cumsum('show_workspaces()')",
            "a SHOW function has no series to compute with",
            (7, 26),
        ),
        (
            "eval(A, A = 'rate(\"TAE::x:(cuont(*))\")')",
            "unknown function `cuont`",
            (12, 39),
        ),
    ] {
        let script = parse(text).expect("the text around it parses");
        let findings = check(&script).into_iter();
        let located: Vec<_> = findings
            .map(|finding| script.texts.located(finding))
            .collect();
        let (_, found, span) = told(&located)[0];
        assert!(
            found.starts_with("in the query in quotes: ") && found.ends_with(message),
            "{found}"
        );
        assert_eq!(span, place, "{text}");
    }
}

#[test]
fn queries_in_quotes_nest_up_to_a_depth_and_need_little_stack() {
    let nested = |levels: usize, calls: usize| {
        (0..levels).fold("TAE::audit:(count(*))".to_owned(), |inner, _| {
            let escaped = inner.replace('\\', "\\\\").replace('\'', "\\'");
            format!("{}'{escaped}'{}", "rate(".repeat(calls), ")".repeat(calls))
        })
    };
    let work = move || {
        for (levels, calls, is_allowed) in
            [(1, 25, true), (8, 7, true), (9, 1, false), (8, 25, false)]
        {
            let script = parse(&nested(levels, calls)).expect("it parses");
            assert_eq!(check(&script).is_empty(), is_allowed, "{levels} {calls}");
            assert_eq!(parse(&script.to_string()).as_ref(), Ok(&script));
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(768 * 1024)
        .spawn(work);
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn clauses_are_texts_with_spans_of_their_own() {
    let mut script = parse("TAE::audit:(count(*))").expect("it parses");
    let texts = &mut script.texts;
    let conditions = parse_conditions("conditions", "a = 1, # all\n b = 2 # both", texts);
    let conditions = conditions.expect("they parse");
    assert_eq!(conditions.len(), 2);
    let key = parse_expression("order_by[0]", "max(a) / 2", texts).expect("it parses");
    assert_eq!(key.to_string(), "max(a) / 2");
    assert!(texts.is_clause(conditions[0].span) && texts.is_clause(key.span));
    assert!(
        conditions[1].span.text != key.span.text && !texts.is_clause(script.statements[0].span())
    );

    let error = Diagnostic::error(Code::ParseError, "wrong", key.span);
    let located = texts.located(error);
    let origin = located.origin.as_ref().expect("it has one");
    assert_eq!(
        (origin.name.as_str(), origin.text.as_str()),
        ("order_by[0]", "max(a) / 2")
    );
    assert_eq!(told(&[located]), [(Code::ParseError, "wrong", (0, 10))]);
}

#[test]
fn what_is_no_clause_is_refused() {
    let mut script = parse("TAE::audit:(count(*))").expect("it parses");
    let texts = &mut script.texts;
    for text in [
        "a = 1} LIMIT 1",
        "a = 1}; TAE::*{b = 1",
        "a = 'x",
        "a ==",
        "}{",
    ] {
        let errors = parse_conditions("conditions", text, texts).expect_err(text);
        let origin = errors[0].origin.as_ref();
        assert_eq!(origin.map(|origin| origin.text.as_str()), Some(text));
        assert!(
            errors
                .iter()
                .all(|error| error.span.is_some_and(|span| span.end <= text.len()))
        );
        assert!(
            errors.iter().all(|error| error.label.is_none()),
            "{errors:?}"
        );
    }
    for text in ["", "a, b", "a AS b", "a) {b = 1", "a SHIFT 1d"] {
        parse_expression("order_by[0]", text, texts).expect_err(text);
    }
}

#[test]
fn the_texts_of_a_request_are_limited_together() {
    let query = "TAE::audit:(count(*))";
    let mut script = parse(query).expect("it parses");
    let half = format!("a = '{}'", "x".repeat(TEXT_BYTES.most / 2));
    let texts = &mut script.texts;
    parse_conditions("conditions", &half, texts).expect("half is allowed");
    let errors = parse_conditions("conditions", &half, texts).expect_err("twice is too long");
    assert_eq!(errors[0].code, Code::QuestionTooLarge);
}

#[test]
fn a_duration_is_a_length_of_time_alone() {
    assert!(parse_duration("1h30m").is_some() && parse_duration("500ms").is_some());
    for text in ["", "1", "1h 1", "1h]", "a", "'1h'"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn chains_and_quotes_together_do_not_make_a_deep_tree() {
    let mut text = "TAE::audit:(count(*))".to_owned();
    for _ in 0..8 {
        let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
        text = (0..20).fold(format!("'{escaped}'"), |inner, level| {
            format!("abs({inner}){}", ".abs()".repeat(60 - 2 * level))
        });
    }
    let work = move || {
        if let Ok(script) = parse(&text) {
            let found = check(&script);
            assert!(
                found.iter().any(|finding| finding.code == Code::TooDeep),
                "{found:?}"
            );
            script.to_string();
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn texts_in_other_arguments_are_no_queries() {
    for text in [
        "count_filter((TAE::audit:(last(flag)) [1d::1h]), last('flag'))",
        "window(eval(A, A = 'TAE::audit:(count(*)) [1d::1h]'), '5m')",
        "cumsum(eval(A, A = 'TAE::audit:(count(*)) [1d::1h]', alias = 'n').window('5m'))",
    ] {
        let script = parse(text).expect("it parses");
        assert_eq!(check(&script), [], "{text}");
    }
}

#[test]
fn findings_are_in_the_order_of_the_text() {
    let script = parse("TAE::audit:(count(*), cuont(*)); cumsum('T::x:(cuont(*))')");
    let script = script.expect("it parses");
    let texts = check(&script).into_iter();
    let ids: Vec<bool> = texts
        .map(|finding| finding.span.is_some_and(|span| span.text == TextId::QUERY))
        .collect();
    assert_eq!(ids, [true, false]);
}

#[test]
fn mistakes_in_a_clause_do_not_hide_others() {
    let mut script = parse("TAE::audit:(count(*))").expect("it parses");
    let errors = parse_conditions("conditions", "cuont(x) = 1, b =", &mut script.texts);
    let errors = errors.expect_err("it is wrong");
    let codes: Vec<Code> = errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, [Code::UnknownFunction, Code::ParseError]);
    let long = format!("a IN [{}]", vec!["1"; 10_001].join(", "));
    let errors = parse_conditions("conditions", &long, &mut script.texts);
    assert_eq!(
        errors.expect_err("it is too long")[0].code,
        Code::QuestionTooLarge
    );
}
