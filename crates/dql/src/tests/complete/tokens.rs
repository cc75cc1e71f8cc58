//! At every token of every query of `queries.dql`, the token is among the completions.

use crate::lexer;
use crate::span::TextId;
use crate::tests::canonical::queries;
use crate::token::TokenKind;
use crate::{Completion, LiteralKind, Wanted, complete};

/// Whether a token is among the completions at its start.
fn admits(completion: &Completion, token: &TokenKind<'_>, called: bool) -> bool {
    completion.wanted.iter().any(|wanted| match token {
        TokenKind::Symbol(symbol) => match wanted {
            Wanted::Symbols(symbols) => {
                symbols.contains(symbol) || (*symbol == ":" && symbols.contains(&"::"))
            }
            _ => false,
        },
        TokenKind::Word(word) => match wanted {
            Wanted::Keywords(keywords) => keywords.iter().any(|keyword| {
                let first = keyword.split(' ').next().unwrap_or_default();
                first.eq_ignore_ascii_case(word)
                    || (*word == "notin" && *keyword == "NOT IN")
                    || (first == "NIL" && *word == "NULL")
            }),
            Wanted::Functions(functions) => {
                called || functions.iter().any(|function| function.name == *word)
            }
            Wanted::Symbols(symbols) => word.starts_with('.') && symbols.contains(&"."),
            Wanted::Literal { kind, .. } => match kind {
                LiteralKind::Number | LiteralKind::Duration | LiteralKind::Step => {
                    word.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                }
                LiteralKind::Time => {
                    word.starts_with(|c: char| c.is_ascii_digit()) || *word == "now"
                }
                LiteralKind::Pattern => {
                    called && ["re", "regex", "regexp"].contains(&word.to_lowercase().as_str())
                }
                LiteralKind::Text | LiteralKind::Query => false,
                LiteralKind::Name => true,
            },
            Wanted::Arguments(_) => !called,
            Wanted::Fields | Wanted::Sources | Wanted::Namespaces | Wanted::Names(_) => true,
            Wanted::Values { .. } => false,
        },
        TokenKind::Quoted(_) | TokenKind::Backquoted(_) => matches!(
            wanted,
            Wanted::Fields
                | Wanted::Sources
                | Wanted::Namespaces
                | Wanted::Names(_)
                | Wanted::Values { .. }
                | Wanted::Literal {
                    kind: LiteralKind::Text
                        | LiteralKind::Name
                        | LiteralKind::Query
                        | LiteralKind::Pattern,
                    ..
                }
        ),
        TokenKind::Regex(_) => matches!(
            wanted,
            Wanted::Namespaces
                | Wanted::Literal {
                    kind: LiteralKind::Pattern,
                    ..
                }
        ),
        TokenKind::Placeholder(_) => true,
    })
}

/// Checks that every token of a query is among the completions at its start.
fn check_tokens(query: &str) -> Vec<String> {
    let tokens = lexer::tokens(query, TextId::QUERY).tokens;
    let mut wrong = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1);
        let called = next.is_some_and(|next| next.kind == TokenKind::Symbol("("));
        let start = complete(query, token.span.start);
        // A text directly after a word is still that word.
        let glued = index > 0
            && tokens[index - 1].span.end == token.span.start
            && matches!(tokens[index - 1].kind, TokenKind::Word(_));
        let mut text = query[..token.span.start].to_owned();
        if glued {
            text.push(' ');
        }
        let position = if glued {
            complete(&text, text.len())
        } else {
            start
        };
        // Inside a word the completions are those at its start.
        let mut positions = vec![position];
        if let TokenKind::Word(word) = token.kind
            && word.len() > 1
        {
            let first = word.chars().next().map_or(0, char::len_utf8);
            positions.push(complete(query, token.span.start + first));
        }
        for completion in positions {
            if !admits(&completion, &token.kind, called) {
                wrong.push(format!(
                    "{}|{}\n    {:?}",
                    &query[..token.span.start],
                    &query[token.span.start..],
                    completion.wanted
                ));
            }
        }
    }
    wrong
}

#[test]
fn every_token_is_among_the_completions() {
    let mut wrong = Vec::new();
    for (query, _) in queries() {
        // The joins of the language's first generation and empty statements are not proposed.
        if !query.contains(" WITH {") && !query.contains(";;") {
            wrong.extend(check_tokens(query));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} places\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_position_of_every_query_is_answered() {
    for (query, _) in queries() {
        for offset in 0..=query.len() + 1 {
            let completion = complete(query, offset);
            let span = completion.replace;
            assert!(
                query.get(span.start..span.end).is_some(),
                "{offset} of {query}"
            );
            let prefix = query.get(..offset).unwrap_or(query);
            let span = complete(prefix, prefix.len()).replace;
            assert!(prefix.get(span.start..span.end).is_some(), "{prefix}");
        }
    }
}
