//! Several mistakes in one pass: each one is reported, and none is reported twice.

use super::canonical::queries;
use crate::code::Code;
use crate::{TextId, check, lexer, parse};

/// The text with ` == ` before each token, which fits nowhere; without each token; with a word before each.
fn mistakes(query: &str) -> impl Iterator<Item = String> {
    let edits = |start: usize, end: usize| {
        [
            format!("{} == {}", &query[..start], &query[start..]),
            format!("{} {}", &query[..start], &query[end..]),
            format!("{} wrong {}", &query[..start], &query[start..]),
        ]
    };
    let tokens = lexer::tokens(query, TextId::QUERY).tokens;
    tokens
        .into_iter()
        .flat_map(move |token| edits(token.span.start, token.span.end))
}

#[test]
fn one_mistake_is_told_once() {
    let (mut all, mut several) = (0, 0);
    for (query, _) in queries() {
        let sound = parse(query).is_ok_and(|script| check(&script).is_empty());
        if !sound || query.contains(';') {
            continue;
        }
        for text in mistakes(query) {
            if let Err(errors) = parse(&text) {
                all += 1;
                several += usize::from(errors.len() > 1);
            }
        }
    }
    assert!(all > 5_000, "{all} texts");
    assert!(several * 100 < all, "{several} of {all}");
}

#[test]
fn mistakes_in_two_clauses_are_told_both() {
    let parts = [
        ("(cuont(*))", "(count(*))"),
        ("{a == 1}", "{a = 1}"),
        ("[1x:2y]", "[1d]"),
        ("BY , a", "BY a"),
        ("HAVING >", "HAVING x > 1"),
        ("ORDER b", "ORDER BY b"),
        ("LIMIT x", "LIMIT 1"),
    ];
    for first in 0..parts.len() {
        for second in first + 1..parts.len() {
            let clauses: Vec<&str> = parts
                .iter()
                .enumerate()
                .map(|(at, (wrong, right))| {
                    if at == first || at == second {
                        *wrong
                    } else {
                        *right
                    }
                })
                .collect();
            let text = format!("TAE::*:{}", clauses.join(" "));
            let errors = parse(&text).expect_err("two mistakes");
            assert_eq!(errors.len(), 2, "{text}\n{errors:?}");
        }
    }
}

#[test]
fn findings_are_limited_and_that_is_said() {
    let many = "TAE::*:(x {; ".repeat(500);
    let errors = parse(&many).expect_err("mistakes");
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100].code, Code::TooManyFindings);
    let many = format!("TAE::*:(*) {{{}}}", "a = 'nil', ".repeat(500));
    let found = check(&parse(&many).expect("it parses"));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100].code, Code::TooManyFindings);
}
