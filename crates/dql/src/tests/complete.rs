//! The completions at a position.

mod tokens;

use crate::{Completion, Wanted, complete};

/// The completions at `|`.
fn at_bar(text: &str) -> Completion {
    let offset = text.find('|').expect("a bar");
    complete(&text.replacen('|', "", 1), offset)
}

/// Whether a function, keyword, symbol, name or kind of thing of this name is wanted.
fn wants(completion: &Completion, what: &str) -> bool {
    completion.wanted.iter().any(|wanted| match wanted {
        Wanted::Namespaces => what == "<namespace>",
        Wanted::Sources => what == "<source>",
        Wanted::Fields => what == "<field>",
        Wanted::Names(names) => names.iter().any(|name| name == what),
        Wanted::Arguments(names) => names.iter().any(|name| format!("{name}=") == what),
        Wanted::Values { field } => what == format!("<value of {field}>"),
        Wanted::Functions(functions) => functions
            .iter()
            .any(|function| format!("{}()", function.name) == what),
        Wanted::Keywords(keywords) => keywords.contains(&what),
        Wanted::Symbols(symbols) => symbols.contains(&what),
        Wanted::Literal { kind, .. } => what == format!("<{kind:?}>"),
    })
}

/// Checks the completions at `|`, and that others are missing.
fn check(text: &str, wanted: &[&str], unwanted: &[&str]) {
    let completion = at_bar(text);
    for what in wanted {
        assert!(wants(&completion, what), "{what} at {text}: {completion:?}");
    }
    for what in unwanted {
        assert!(
            !wants(&completion, what),
            "no {what} at {text}: {completion:?}"
        );
    }
}

#[test]
fn statements_and_sources() {
    check(
        "|",
        &["<namespace>", "eval()", "show_event_source()"],
        &["lower()", "BY"],
    );
    check("TA|", &["<namespace>"], &["<field>"]);
    check("TAE|", &["<namespace>"], &[]);
    check("TAE:|", &[":"], &[]);
    check(
        "TAE::|",
        &["<source>", "*", "("],
        &["<namespace>", "BY", "<field>"],
    );
    check("TAE::au|", &["<source>"], &["BY"]);
    check("TAE::audit |", &[":", "{", "[", "BY", "LIMIT"], &["AND"]);
    check("TAE::audit, |", &["<source>"], &["<field>"]);
    check("TAE::audit:(*) [1d]; |", &["<namespace>"], &["BY"]);
}

#[test]
fn columns() {
    check("TAE::audit:|", &["(", "<field>"], &["BY"]);
    check(
        "TAE::audit:(|",
        &["<field>", "count()", "top()", "lower()", "*"],
        &["BY", "cumulate()"],
    );
    check("TAE::audit:(co|", &["<field>", "count()"], &[]);
    check("TAE::audit:(count(|", &["<field>", "*"], &["<namespace>"]);
    check(
        "TAE::audit:(count(*) |",
        &["AS", "SHIFT", ",", ")", "+"],
        &["BY", "<field>"],
    );
    check("TAE::audit:(count(*) AS |", &["<Name>"], &["<field>"]);
    check(
        "TAE::audit:(percentile(df_cost, |",
        &["<Number>"],
        &["<field>"],
    );
    check("TAE::audit:(fill(avg(x), |", &["LINEAR", "PREVIOUS"], &[]);
    check("TAE::audit:(CASE |", &["WHEN", "<field>"], &[]);
    check("TAE::audit:(CASE WHEN a = 1 |", &["THEN", "AND"], &["END"]);
    check(
        "TAE::audit:(CASE WHEN a = 1 THEN 2 |",
        &["WHEN", "ELSE", "END"],
        &["THEN"],
    );
    check("TAE::audit:(distinct_by_collapse(a, |", &["fields="], &[]);
}

#[test]
fn conditions_and_values() {
    check(
        "TAE::audit:(*) {|",
        &["<field>", "match()", "NOT", "}"],
        &["count()", "AS"],
    );
    check(
        "TAE::audit:(*) {result |",
        &["=", "!=", "IN", "NOT IN", "AND", "}"],
        &["<field>", "BY"],
    );
    check(
        "TAE::audit:(*) {result = |",
        &["<value of result>", "match()", "exists()", "NIL"],
        &["BY"],
    );
    check(
        "TAE::audit:(*) {result = 'Fail|",
        &["<value of result>"],
        &["BY", "match()", "NIL"],
    );
    check(
        "TAE::audit:(*) {result = 'Fail|' }",
        &["<value of result>"],
        &[],
    );
    check(
        "TAE::audit:(*) {`df title` != |",
        &["<value of `df title`>"],
        &[],
    );
    check(
        "TAE::audit:(*) {result = 'x' |",
        &["AND", ",", "}"],
        &["=", "<field>"],
    );
    check(
        "TAE::audit:(*) {result = 'x', |",
        &["<field>"],
        &["<value of result>"],
    );
}

#[test]
fn lists_and_arguments() {
    check("TAE::audit:(*) {result IN |", &["[", "("], &["<field>"]);
    check(
        "TAE::audit:(*) {result IN [|",
        &["<value of result>", "]"],
        &["BY"],
    );
    check(
        "TAE::audit:(*) {result IN ['a', '|",
        &["<value of result>"],
        &[],
    );
    check("TAE::audit:(*) {result NOT |", &["IN"], &["<field>"]);
    check(
        "TAE::audit:(*) {match(df_title, '|",
        &["<value of df_title>"],
        &[],
    );
    check(
        "TAE::audit:(*) {df_title = match(|",
        &["<value of df_title>"],
        &[],
    );
    check(
        "TAE::audit:(*) {attributes@a.b >= |",
        &["<value of attributes@a.b>"],
        &[],
    );
    check(
        "TAE::audit:(*) {(a = 1 OR |",
        &["<field>", "NOT"],
        &["<value of a>"],
    );
    check("TAE::audit:(*) {user IN (|", &["<namespace>"], &["<field>"]);
    check(
        "TAE::audit:(*) {user IN (TAE::audit:(distinct(|",
        &["<field>"],
        &["<namespace>"],
    );
}

#[test]
fn clauses() {
    check(
        "TAE::audit:(*) |",
        &["{", "[", "BY", "ORDER BY", "LIMIT"],
        &["AND", "AS", "<field>"],
    );
    check("TAE::audit:(*) {a = 1} |", &["[", "BY"], &["{"]);
    check("TAE::audit:(*) {a = 1} [1d] LI|", &["LIMIT"], &["{", "["]);
    check(
        "TAE::audit:(count(*) AS n) BY |",
        &["<field>", "n", "lower()"],
        &["count()", "LIMIT"],
    );
    check(
        "TAE::audit:(count(*) AS n) BY df_user_name |",
        &["AS", ",", "HAVING", "SORDER BY"],
        &["BY", "{}"],
    );
    check(
        "TAE::audit:(count(*) AS n) BY a HAVING |",
        &["n", "count()"],
        &["BY"],
    );
    check("TAE::audit:(count(*) AS n) BY a SORDER |", &["BY"], &["n"]);
    check(
        "TAE::audit:(count(*) AS n) BY a SORDER BY |",
        &["n", "<field>"],
        &["DESC"],
    );
    check(
        "TAE::audit:(count(*) AS n) BY a SORDER BY n |",
        &["DESC", "SLIMIT"],
        &["SORDER BY", "BY"],
    );
    check("TAE::audit:(*) LIMIT |", &["<Number>"], &["OFFSET"]);
    check("TAE::audit:(*) LIMIT 10 |", &["OFFSET", "BY"], &["LIMIT"]);
    check("TAE::audit:(*) SHIFT |", &["<Duration>"], &[]);
}

#[test]
fn windows() {
    check(
        "TAE::audit:(*) [|",
        &["<Time>", "TODAY", "LAST WEEK", ":"],
        &["BY"],
    );
    check("TAE::audit:(*) [LAST |", &["WEEK", "MONTH"], &["<Time>"]);
    check("TAE::audit:(*) [1d|", &["<Time>"], &[]);
    check("TAE::audit:(*) [1d |", &[":", "]"], &["<Time>"]);
    check("TAE::audit:(*) [1d:|", &["<Time>", ":"], &["TODAY", "AUTO"]);
    check("TAE::audit:(*) [1d::|", &["<Step>", "AUTO"], &["<Time>"]);
    check("TAE::audit:(*) [1d::1h:|", &["avg()", "rate()"], &["AUTO"]);
    check("TAE::audit:(*) [TODAY::|", &["<Step>"], &["<Time>"]);
    check(
        "TAE::audit:(*) [2026-11-18 10:00:2026-11-19 11:00:00:|",
        &["<Step>"],
        &[],
    );
}

#[test]
fn other_statements() {
    check("show_event_field(|", &["<source>", ")"], &["<namespace>"]);
    check("show_event_field('audit') |", &["{", "[", "LIMIT"], &["BY"]);
    check(
        "cumsum(|",
        &["<namespace>", "(", "<Query>", "rate()"],
        &["<field>"],
    );
    check(
        "cumsum(TAE::audit:(count(*)) |",
        &["{", "[", "BY", ")"],
        &["AND"],
    );
    check("cumsum((TAE::audit:(|", &["count()", "<field>"], &[]);
    check(
        "moving_average((TAE::audit:(count(*)) [1d::1h]), |",
        &["<Number>"],
        &["<field>"],
    );
    check(
        "rate((TAE::audit:(count(*)) [1d::1h])) |",
        &[".", "LIMIT"],
        &["BY", "{"],
    );
    check(
        "rate((TAE::audit:(count(*)) [1d::1h])).se|",
        &["series_sum()"],
        &["avg()()"],
    );
    check("rate('TAE::audit:(|", &["count()"], &[]);
    check(
        "rate(\"TAE::audit:(*) {result = 'F|",
        &["<value of result>"],
        &[],
    );
    check("eval(A / B, A = |", &["<namespace>", "("], &[]);
    check(
        "eval(A / B, A = (TAE::audit:(count(*))), |",
        &["B=", "alias="],
        &[],
    );
}

#[test]
fn names_of_the_text() {
    check(
        "TAE::(TAE::audit:(count(*) AS n, max(a)) BY user):(|",
        &["n", "max(a)", "user", "time"],
        &["<field>"],
    );
    check(
        "TAE::a, (TAE::b:(collect_distinct(x, 9) AS `@s`)):(*) {x IN |",
        &["@s"],
        &[],
    );
    let completion = at_bar("TAE::(TAE::audit:(*) {result = |");
    assert_eq!(completion.namespace.as_deref(), Some("TAE"));
    assert_eq!(completion.sources, ["audit"]);
    let completion = at_bar("TAE::audit, monitor:(*) {a IN (E::*:(x)), b = |}");
    assert_eq!(completion.namespace.as_deref(), Some("TAE"));
    assert_eq!(completion.sources, ["audit", "monitor"]);
}

#[test]
fn what_is_replaced() {
    for (text, replaced, typed) in [
        ("TAE::audit:(co|", "co", "co"),
        ("TAE::audit:(co|unt", "count", "co"),
        ("TAE::audit:(|count", "", ""),
        ("TAE::audit:(*) {a = 'Fa|il', b = 1}", "'Fail'", "Fa"),
        ("TAE::audit:(*) {a = 'Fa|, b = 'x'}", "'Fa", "Fa"),
        ("TAE::audit:(*) {`df t|", "`df t", "df t"),
        ("TAE::audit:(*) {df_title =|", "", ""),
        ("TAE::audit:(*) {a !|", "!", "!"),
        ("rate((TAE::a)).se|ri", "seri", "se"),
        ("TAE::用户|名", "用户名", "用户"),
        ("rate('TAE::au|", "au", "au"),
    ] {
        let completion = at_bar(text);
        let whole = text.replacen('|', "", 1);
        let span = completion.replace;
        assert_eq!(&whole[span.start..span.end], replaced, "{text}");
        assert_eq!(completion.typed, typed, "{text}");
    }
}

#[test]
fn nothing_in_comments() {
    for text in ["# TAE|", "TAE::*:(*) # {|", "TAE::* #{x|\n [1d]"] {
        assert!(at_bar(text).wanted.is_empty(), "{text}");
    }
    check("# TAE\n|", &["<namespace>"], &[]);
}

#[test]
fn signatures_are_one_line() {
    let completion = at_bar("TAE::*:(|");
    let all: Vec<String> = completion
        .wanted
        .iter()
        .filter_map(|wanted| match wanted {
            Wanted::Functions(functions) => Some(functions),
            _ => None,
        })
        .flatten()
        .map(|function| function.signature.clone())
        .collect();
    for signature in [
        "count(field or *)",
        "percentile(field, 0 to 100)",
        "round(field, [number])",
    ] {
        assert!(
            all.iter().any(|known| known == signature),
            "{signature} in {all:?}"
        );
    }
}
