//! Properties over generated trees and broken texts.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::canonical::queries;
use super::tree;
use crate::{ast, check, column_name, complete, parse, render};

/// Pieces of queries, good and bad.
const FRAGMENTS: &[&str] = &[
    "TAE",
    "::",
    ":",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    "*",
    "+",
    "-",
    "/",
    "%",
    "^",
    "=",
    "!=",
    "=~",
    "!~",
    "<",
    "<=",
    "&&",
    "||",
    "AND",
    "or",
    "NOT",
    "in",
    "NOT IN",
    "BY",
    "ORDER BY",
    "SORDER BY",
    "HAVING",
    "LIMIT",
    "SLIMIT",
    "offset",
    "SHIFT",
    "AS",
    "desc",
    "CASE",
    "WHEN",
    "THEN",
    "else",
    "END",
    "nil",
    "true",
    "re",
    "re('a.*')",
    "re`b`",
    "b64'YQ=='",
    "'a'",
    "\"b\"",
    "`c`",
    "`*`",
    "df_title",
    "a@b",
    "a@b[0]",
    "@c",
    "1",
    "2.5",
    "1e3",
    "5m",
    "-1h",
    "0x1f",
    "count(",
    "f(",
    "show_event_source(",
    "rate(",
    "match(",
    "identifier('x')",
    "#{v}",
    "${v}",
    "# c\n",
    "\n",
    "[1d]",
    "[1d::1h]",
    "[TODAY]",
    "2020-11-11 10:00:00",
    "now()",
    "auto",
    ".g()",
    ".",
    "...",
    "==",
    "<>",
    "LIKE",
    "M::cpu",
    "FILTER",
    "LINK",
    "WITH",
    "'",
    "`",
    "\"",
    "\\",
    "‘",
    "，",
];

/// Parses, checks, renders and prints a text without a panic; what parses must print to the same tree.
fn survives(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(script) => {
            for diagnostic in check(&script) {
                let diagnostic = script.texts.located(diagnostic);
                prop_assert!(render(text, &diagnostic).contains(diagnostic.code.as_str()));
            }
            let printed = script.to_string();
            let again = parse(&printed);
            prop_assert_eq!(
                again.as_ref(),
                Ok(&script),
                "{}\nprinted as {}",
                text,
                printed
            );
        }
        Err(errors) => {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(render(text, &error).contains(error.code.as_str()));
                let span = error.span.unwrap_or_default();
                prop_assert!(
                    span.start <= span.end && span.end <= text.len(),
                    "{text:?} {error:?}"
                );
                prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
            }
        }
    }
    for offset in [text.len(), text.len() / 2, text.len() / 3] {
        let replace = complete(text, offset).replace;
        prop_assert!(
            text.get(replace.start..replace.end).is_some(),
            "{text:?} at {offset}"
        );
    }
    Ok(())
}

/// A query of the data file with a part replaced.
fn mutated() -> impl Strategy<Value = String> {
    let texts: Vec<&str> = queries().map(|(query, _)| query).collect();
    let inserted = prop_oneof![
        Just(String::new()),
        "\\PC",
        prop::sample::select(FRAGMENTS.to_vec()).prop_map(str::to_owned),
    ];
    (
        prop::sample::select(texts),
        any::<prop::sample::Index>(),
        0_usize..6,
        inserted,
    )
        .prop_map(|(text, at, length, inserted)| {
            let characters: Vec<char> = text.chars().collect();
            let start = at.index(characters.len() + 1);
            let end = (start + length).min(characters.len());
            let before: String = characters[..start].iter().collect();
            let after: String = characters[end..].iter().collect();
            before + &inserted + &after
        })
}

#[test]
fn what_did_not_survive_once_does_now() {
    for text in [
        "TAE::* [1h0S]",
        "TAE::* [::1m:5M]",
        "TAE::* [0D]",
        "rate(`M::a`).. (b)",
        "rate(`M::a`). .b()",
        "series_sum(rate(`M::cpu:(avg(usage))`).as())",
        "rate(`M::a`).limit()",
    ] {
        survives(text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_survived(text in "\\PC*") {
        survives(&text)?;
    }

    #[test]
    fn fragments_are_survived(fragments in prop::collection::vec(prop::sample::select(FRAGMENTS.to_vec()), 0..24), blank in prop_oneof![Just(""), Just(" ")]) {
        survives(&fragments.join(blank))?;
        survives(&format!("TAE::*:(*) {{{}}}", fragments.join(blank)))?;
    }

    #[test]
    fn mutated_queries_are_survived(text in mutated()) {
        survives(&text)?;
    }

    #[test]
    fn printed_trees_parse_to_themselves(script in tree::script()) {
        let printed = script.to_string();
        let again = parse(&printed);
        prop_assert_eq!(again.as_ref(), Ok(&script), "{}", printed);
        check(&script);
        for statement in &script.statements {
            if let ast::Statement::Select(select) = statement {
                for item in select.target.iter().flatten() {
                    prop_assert_eq!(column_name(&item.expr).is_empty(), item.expr.to_string() == "``");
                }
            }
        }
    }
}
