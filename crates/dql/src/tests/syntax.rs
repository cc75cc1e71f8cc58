//! The trees of spellings.

use crate::ast::*;
use crate::{Position, check, column_name, parse, position, render};

/// The only query of a text.
fn query(text: &str) -> Select {
    match parse(text).expect("it parses").statements.as_slice() {
        [Statement::Select(select)] => (**select).clone(),
        other => panic!("{other:?}"),
    }
}

/// The only condition of `{…}`.
fn condition(text: &str) -> Expr {
    query(&format!("TAE::*:(*) {{{text}}}"))
        .conditions
        .expect("conditions")
        .remove(0)
}

/// The only item of the projection.
fn item(text: &str) -> Expr {
    query(&format!("TAE::*:({text})"))
        .target
        .expect("a target")
        .remove(0)
        .expr
}

/// The right side of a comparison.
fn right(text: &str) -> ExprKind {
    match condition(text).kind {
        ExprKind::Binary { right, .. } => right.kind,
        other => panic!("{other:?}"),
    }
}

fn field(name: &str) -> ExprKind {
    ExprKind::Field(Field {
        name: name.to_owned(),
        path: Vec::new(),
    })
}

fn text(value: &str) -> ExprKind {
    ExprKind::String(value.to_owned())
}

#[test]
fn backquotes_are_texts_among_values_and_fields_elsewhere() {
    assert_eq!(right("a = `b`"), text("b"));
    assert_eq!(right("a = b"), field("b"));
    assert_eq!(right("a = 'b'"), text("b"));
    assert_eq!(right("a = `b` + 1"), item("`b` + 1").kind);
    assert_eq!(item("`b`").kind, field("b"));
    assert_eq!(item("'b'").kind, field("b"));
    assert_eq!(item("`*`").kind, ExprKind::Star);
    assert_eq!(right("a = `*`"), text("*"));
    let arguments = |text: &str| match item(text).kind {
        ExprKind::Call(call) => call
            .args
            .into_iter()
            .map(|arg| arg.value.kind)
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(arguments("count(`b`)"), [field("b")]);
    assert_eq!(arguments("count('b')"), [text("b")]);
    assert_eq!(arguments("match(`a`, `b`)"), [field("a"), text("b")]);
    assert_eq!(arguments("match(`b`)"), [text("b")]);
    assert_eq!(arguments("f(n = `b`)"), [text("b")]);
    assert_eq!(arguments("f(`a::b`)"), [text("a::b")]);
    assert_eq!(arguments("f(`a:b`)"), [field("a:b")]);
}

#[test]
fn words_are_read_by_their_place() {
    assert_eq!(right("a = 5m"), item("5m").kind);
    assert!(matches!(item("5m").kind, ExprKind::Duration(_)));
    assert_eq!(item("1abc").kind, field("1abc"));
    assert_eq!(item("5M").kind, field("5M"));
    assert_eq!(item("http.status").kind, field("http.status"));
    assert_eq!(item("0x10").kind, ExprKind::Int(16));
    assert_eq!(item("1e3").kind, ExprKind::Float(1000.0));
    assert_eq!(item("1e-3").kind, ExprKind::Float(0.001));
    assert_eq!(item("-5").kind, ExprKind::Int(-5));
    assert_eq!(item("- -5").kind, ExprKind::Int(5));
    assert_eq!(item("-(5)").kind, ExprKind::Int(-5));
    assert_eq!(item("a-b").kind, item("(a) - (b)").kind);
    assert_eq!(item("`a-b`").kind, field("a-b"));
    assert_eq!(query("TAE::5m, 10").sources.len(), 2);
}

#[test]
fn paths_have_steps() {
    let path = |text: &str| match item(text).kind {
        ExprKind::Field(field) => (field.name, field.path),
        other => panic!("{other:?}"),
    };
    let key = |key: &str| PathStep::Key(key.to_owned());
    assert_eq!(path("m@a.b"), ("m".to_owned(), vec![key("a"), key("b")]));
    assert_eq!(path("@a"), (String::new(), vec![key("a")]));
    assert_eq!(
        path("m@a[0][\"x y\"].c"),
        (
            "m".to_owned(),
            vec![key("a"), PathStep::Index(0), key("x y"), key("c")]
        )
    );
    assert_eq!(path("`m@h[\\\"user-agent\\\"]`"), path("m@h['user-agent']"));
    assert_eq!(
        path("`m@two words.x`"),
        ("m".to_owned(), vec![key("two words"), key("x")])
    );
    assert_eq!(path("`m@`"), ("m@".to_owned(), Vec::new()));
}

#[test]
fn chains_of_conditions_are_balanced() {
    let chain = condition("a or b or c or d");
    assert_eq!(chain, condition("(a or b) or (c or d)"));
    assert_eq!(chain, condition("a or (b or (c or d))"));
    assert_ne!(chain, condition("a or b or d or c"));
    let conditions = |text: &str| query(text).conditions.expect("conditions");
    assert_eq!(
        conditions("TAE::* {(a, b)}"),
        conditions("TAE::* {a and b}")
    );
    assert_eq!(conditions("TAE::* {a, b}").len(), 2);
}

#[test]
fn operators_bind_in_order() {
    for (written, meant) in [
        ("a or b and c", "a or (b and c)"),
        ("not a and b", "(not a) and b"),
        ("not a = b", "not (a = b)"),
        ("a = b + c", "a = (b + c)"),
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("-a ^ b", "(-a) ^ b"),
        ("a * b ^ c", "a * (b ^ c)"),
        ("a = b or c in [d]", "(a = b) or (c in [d])"),
    ] {
        assert_eq!(condition(written), condition(meant), "{written}");
    }
    assert_ne!(condition("a - (b - c)"), condition("a - b - c"));
    assert_ne!(condition("(a ^ b) ^ c"), condition("a ^ b ^ c"));
}

#[test]
fn clauses_stand_in_any_order() {
    let ordered =
        query("TAE::a:(b) {c = 1} [1d] BY d HAVING e > 1 ORDER BY f SORDER BY g LIMIT 1 SLIMIT 2");
    let shuffled =
        query("TAE::a:(b) SLIMIT 2 LIMIT 1 sorder by g order by f having e > 1 by d [1d] {c = 1}");
    assert_eq!(ordered, shuffled);
}

#[test]
fn windows_have_four_parts() {
    let window = query("TAE::* [1d:1h:5m:rate]").window.expect("a window");
    assert!(matches!(
        &window.range,
        Range::Bounds {
            from: Some(_),
            to: Some(_)
        }
    ));
    assert!(matches!(&window.step, Some(Step::Every(_))));
    assert_eq!(window.rollup.expect("a rollup").name.text, "rate");
    let dates = query("TAE::* [2020-01-02 03:04:05:2020-01-03]")
        .window
        .expect("a window");
    let Range::Bounds {
        from: Some(from),
        to: Some(to),
    } = dates.range
    else {
        panic!("two dates");
    };
    let civil = |day, time| {
        TimePointKind::Civil(Civil {
            year: 2020,
            month: 1,
            day,
            time,
        })
    };
    assert_eq!(from.kind, civil(2, Some((3, 4, 5))));
    assert_eq!(to.kind, civil(3, None));
}

#[test]
fn spans_cover_what_was_written() {
    let text = "TAE::audit:( count(`df title`) AS n ) {a  = 'x'} [1d] # end";
    let query = query(text);
    let written = |span: crate::Span| &text[span.start..span.end];
    assert_eq!(written(query.span), &text[..53]);
    let item = &query.target.as_ref().expect("a target")[0];
    assert_eq!(written(item.expr.span), "count(`df title`)");
    assert_eq!(written(item.alias.as_ref().expect("an alias").span), "n");
    assert_eq!(
        written(query.conditions.as_ref().expect("conditions")[0].span),
        "a  = 'x'"
    );
    assert_eq!(
        written(query.window.as_ref().expect("a window").span),
        "[1d]"
    );
}

#[test]
fn columns_are_named_without_quotes() {
    for (text, name) in [
        ("COUNT(`df_title`)", "count(df_title)"),
        ("count('df_title')", "count(df_title)"),
        ("Count(`*`)", "count(*)"),
        ("float(`df_cost`)/1000", "float(df_cost) / 1000"),
        ("`df title`", "df title"),
        ("concat(a, 'b')", "concat(a, 'b')"),
        ("identifier('a b') * 2", "a b * 2"),
        (
            "`message@request.headers[\\\"user-agent\\\"]`",
            "message@request.headers[\"user-agent\"]",
        ),
        ("percentile('df_cost', 95)", "percentile(df_cost, 95)"),
        ("(a + b) * c", "(a + b) * c"),
    ] {
        assert_eq!(column_name(&item(text)), name, "{text}");
    }
}

#[test]
fn audit_questions_pass_the_check() {
    for text in [
        "TAE::re(`.*`):(`*`){ `df_source` IN ['audit'] }",
        "TAE::audit:(count(*) AS n) {result = 'Failure'} [7d::1d] BY df_user_email SORDER BY n DESC SLIMIT 10",
        "TAE::*:(df_user_email, df_title) {df_cost > 30s, NOT match(df_message, 'health')} [TODAY] LIMIT 50",
        "TAE::*:(p95(float(df_cost)), count_distinct(df_user_id)) [1d::auto] BY df_origin HAVING count(*) > 5",
        "TAE::*:(fill(count(*), 0)) [1d::1h]",
        "TAE::*:(fill(sum(int(df_cost)), LINEAR) SHIFT 7d AS before) [1d::1h]",
        "TAE::*:(count(*)) {df_user_id IN (TAE::*:(df_user_id) {action = 'user.login_failed'} [1d])} [1d]",
        "TAE::*:(search(df_message, 'a')) [1h]",
        "TAE::*:(*) {df_title = exists(), df_role_scope = nil, a = re('x.*'), b =~ 'y+'}",
        "F::anything:(whatever(a = 1))",
        "moving_average((TAE::*:(count(*)) [1h::1m]), 5)",
        "eval(A / B, A = (TAE::*:(count(*))), B = 'TAE::*:(count(*))', alias = 'x')",
        "show_tag_value(from = ['cpu'], keyin = ['host'])",
    ] {
        let script = parse(text).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
        assert_eq!(check(&script), [], "{text}");
    }
}

#[test]
fn positions_count_characters() {
    let text = "a\n使用率 x\r\n\nend";
    let at = |offset| {
        let Position { line, column } = position(text, offset);
        (line, column)
    };
    assert_eq!(at(0), (1, 1));
    assert_eq!(at(1), (1, 2));
    assert_eq!(at(2), (2, 1));
    assert_eq!(at(3), (2, 1), "inside a character");
    assert_eq!(at(text.find('x').expect("x")), (2, 5));
    assert_eq!(at(text.len()), (4, 4));
    assert_eq!(at(1000), (4, 4));
}

#[test]
fn drawings_keep_tabs_and_wide_texts() {
    let text = "TAE::*:(*)\t{a = '使用率' b}";
    let error = parse(text).expect_err("a comma is missing").remove(0);
    let drawn = render(text, &error);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[1], " --> 1:23");
    assert_eq!(
        lines[4],
        format!("  | {}\t{}^", " ".repeat(10), " ".repeat(11))
    );
}
