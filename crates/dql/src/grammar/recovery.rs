//! Further mistakes of a statement that does not parse.
//!
//! The part with a mistake is removed and the statement is parsed again, until it parses: an element between commas
//! is replaced by a hole that fits everywhere; a clause or brackets that no hole fits into are removed entirely. If
//! the brackets do not match, the end of a part is unknown, and only the first mistake is reported.

use crate::ast::Statement;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::script::{diagnostic_of, whole_statement};
use crate::grammar::select::query_starts;
use crate::grammar::tail::Clause;
use crate::span::Span;
use crate::token::{Token, TokenKind, Tokens};

/// The number of mistakes of one statement that are reported.
const MOST: usize = 10;

/// The rest of a statement with mistakes.
pub(super) struct Recovered {
    /// The mistakes, in the order they were met.
    pub(super) errors: Vec<Diagnostic>,
    /// The statement without the parts that hold them, if that parses.
    pub(super) statement: Option<Statement>,
    /// The spans of the holes.
    pub(super) holes: Vec<Span>,
}

/// Looks for mistakes after the `first` one in the tokens of a statement.
pub(super) fn recover(text: &str, tokens: &[Token<'_>], first: Diagnostic) -> Recovered {
    let mut recovered = Recovered {
        errors: vec![first.clone()],
        statement: None,
        holes: Vec::new(),
    };
    let mut error = first;
    let mut tokens = tokens.to_vec();
    if !is_balanced(&tokens) {
        return recovered;
    }
    for _ in 0..2 * MOST {
        let Some(at) = error.span.filter(|_| error.code != Code::TooDeep) else {
            break;
        };
        let index = index_at(&tokens, at);
        let Some(cut) = cut(text, &tokens, index, Mistake::Finding(error.code)) else {
            break;
        };
        tokens = cut.tokens;
        recovered.holes.extend(cut.hole);
        let input = Tokens::new(text, &tokens);
        error = match whole_statement(input) {
            Ok((_, statement)) => {
                recovered.statement = Some(statement);
                break;
            }
            Err(failed) => diagnostic_of(failed, input),
        };
        let follows = error.span.is_none_or(|span| {
            let is_known = |earlier: &Diagnostic| {
                earlier
                    .span
                    .is_some_and(|earlier| earlier.start == span.start)
            };
            recovered.errors.iter().any(is_known)
                || recovered.holes.iter().any(|hole| touches(*hole, span))
        });
        if !follows {
            recovered.errors.push(error.clone());
        }
        if recovered.errors.len() >= MOST {
            break;
        }
    }
    recovered
}

/// The index of the token that a mistake is about.
fn index_at(tokens: &[Token<'_>], at: Span) -> usize {
    let index = tokens.partition_point(|token| token.span.end <= at.start);
    // The bracket that closes a clause is not in its text.
    let is_empty = |token: &Token<'_>| token.span.start == token.span.end;
    match tokens.last() {
        Some(last) if index == tokens.len() && is_empty(last) => index - 1,
        _ => index,
    }
}

/// Whether a finding about `span` may be about the hole.
pub(super) fn touches(hole: Span, span: Span) -> bool {
    hole.start <= span.end && span.start <= hole.end
}

/// A mistake at a token.
#[derive(Clone, Copy)]
enum Mistake {
    /// A finding of the grammar.
    Finding(Code),
    /// The token opens brackets that hold a mistake and that no hole can replace.
    Brackets,
}

/// The tokens without the part that holds a mistake, and the span of the hole if one was left.
struct Cut<'a> {
    tokens: Vec<Token<'a>>,
    hole: Option<Span>,
}

/// Removes the smallest part that holds the token at `index`; `None` when the rest would mean something else.
fn cut<'a>(text: &str, tokens: &[Token<'a>], index: usize, mistake: Mistake) -> Option<Cut<'a>> {
    let open = enclosing(tokens, index);
    let inside = Tokens::new(text, tokens).skip(open.map_or(0, |open| open + 1));
    let in_parentheses = open.is_none_or(|open| tokens[open].kind == TokenKind::Symbol("("));
    if in_parentheses && query_starts(inside) {
        return without_clause(tokens, inside.index(), index, mistake);
    }
    let open = open?;
    if holds_sources(tokens, open) {
        return None;
    }
    element(tokens, open, index).or_else(|| cut(text, tokens, open, Mistake::Brackets))
}

/// Whether the brackets hold indexes or sources, which nothing can replace.
fn holds_sources(tokens: &[Token<'_>], open: usize) -> bool {
    let colon =
        |at: usize| tokens.get(at).map(|token| &token.kind) == Some(&TokenKind::Symbol(":"));
    (open >= 2 && colon(open - 1) && colon(open - 2)) || colon(closing(tokens, open + 1) + 1)
}

/// Replaces the element between commas that holds the token at `index` by a hole.
fn element<'a>(tokens: &[Token<'a>], open: usize, index: usize) -> Option<Cut<'a>> {
    let commas: Vec<usize> = top_level(tokens, open + 1)
        .into_iter()
        .filter(|at| tokens[*at].kind == TokenKind::Symbol(","))
        .collect();
    let before = commas.iter().rfind(|comma| **comma < index);
    let after = commas.iter().find(|comma| **comma >= index);
    let mut start = before.map_or(open + 1, |comma| comma + 1);
    let end = after.map_or_else(|| closing(tokens, open + 1), |comma| *comma);
    let named = tokens[open].kind == TokenKind::Symbol("(")
        && matches!(tokens.get(start)?.kind, TokenKind::Word(_))
        && tokens.get(start + 1)?.kind == TokenKind::Symbol("=")
        && index > start + 1;
    if named {
        start += 2;
    }
    if matches!(&tokens[start..end], [only] if only.kind == HOLE) {
        return None;
    }
    let first = tokens.get(start)?.span;
    let nothing = Span {
        end: first.start,
        ..first
    };
    let span = tokens[start..end]
        .iter()
        .fold(nothing, |span, token| span.to(token.span));
    Some(Cut {
        tokens: replaced(tokens, start, end, Some(span)),
        hole: Some(span),
    })
}

/// The token that fits wherever a value fits.
const HOLE: TokenKind<'static> = TokenKind::Placeholder("");

/// The tokens with a hole, or nothing, instead of `start..end`.
fn replaced<'a>(
    tokens: &[Token<'a>],
    start: usize,
    end: usize,
    hole: Option<Span>,
) -> Vec<Token<'a>> {
    let hole = hole.map(|span| Token { kind: HOLE, span });
    let before = tokens[..start].iter().cloned();
    before
        .chain(hole)
        .chain(tokens[end..].iter().cloned())
        .collect()
}

/// Removes the clause of the query from `start` on that holds the token at `index`, or the tokens between
/// two clauses.
fn without_clause<'a>(
    tokens: &[Token<'a>],
    start: usize,
    index: usize,
    mistake: Mistake,
) -> Option<Cut<'a>> {
    let level = top_level(tokens, start);
    let end = closing(tokens, start);
    let clauses: Vec<usize> = level
        .iter()
        .copied()
        .filter(|at| *at > start && starts_clause(tokens, *at))
        .collect();
    let next = clauses
        .iter()
        .copied()
        .find(|clause| *clause > index)
        .unwrap_or(end);
    let before = clauses.iter().copied().rfind(|clause| *clause < index);
    let is_start = clauses.contains(&index);
    let is_whole = matches!(
        mistake,
        Mistake::Brackets | Mistake::Finding(Code::RepeatedClause)
    );
    let keyword = before.filter(|clause| matches!(tokens[*clause].kind, TokenKind::Word(_)));
    let (from, to) = match (is_start, keyword) {
        (true, _) if is_whole => (index, next),
        (true, Some(clause)) => (clause, index),
        (false, Some(clause)) => (clause, next),
        // Tokens between two clauses, after the sources.
        (false, None) if index > start && follows_sources(tokens, start, index) => (index, next),
        _ => return None,
    };
    (from < to).then(|| Cut {
        tokens: replaced(tokens, from, to, None),
        hole: None,
    })
}

/// Whether a clause can be expected at `index`, because the columns or at least one source precede it.
fn follows_sources(tokens: &[Token<'_>], start: usize, index: usize) -> bool {
    let colon =
        |at: usize| tokens.get(at).map(|token| &token.kind) == Some(&TokenKind::Symbol(":"));
    let target = (start + 1..index)
        .any(|at| colon(at) && !colon(at - 1) && !colon(at + 1) && at + 1 < index);
    let word = matches!(
        tokens.get(index).map(|token| &token.kind),
        Some(TokenKind::Word(_))
    );
    let separated = index > start && matches!(tokens[index - 1].kind, TokenKind::Symbol("," | ":"));
    target || (word && !separated)
}

/// Whether a clause starts with the token at `at`.
fn starts_clause(tokens: &[Token<'_>], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| &tokens[before].kind);
    match &tokens[at].kind {
        TokenKind::Symbol("[") => match before {
            Some(TokenKind::Word(word)) => !["IN", "NOTIN"]
                .iter()
                .any(|word_in| word.eq_ignore_ascii_case(word_in)),
            Some(TokenKind::Symbol(symbol)) => [")", "]", "}", "*"].contains(symbol),
            _ => true,
        },
        TokenKind::Word(word) => {
            let after_order = matches!(before, Some(TokenKind::Word(order))
                if order.eq_ignore_ascii_case("ORDER") || order.eq_ignore_ascii_case("SORDER"));
            let by = word.eq_ignore_ascii_case("BY") && after_order;
            !by && Clause::at(Tokens::new("", &tokens[at..=at])).is_some()
        }
        kind => *kind == TokenKind::Symbol("{"),
    }
}

/// The indexes from `start` on that are not inside further brackets, opening ones included, up to the closing
/// bracket or `;` that ends them.
fn top_level(tokens: &[Token<'_>], start: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.kind {
            TokenKind::Symbol("(" | "[" | "{") => {
                if depth == 0 {
                    found.push(at);
                }
                depth += 1;
            }
            TokenKind::Symbol(")" | "]" | "}" | ";") if depth == 0 => break,
            TokenKind::Symbol(")" | "]" | "}") => depth -= 1,
            _ if depth == 0 => found.push(at),
            _ => {}
        }
    }
    found
}

/// The index of the bracket or `;` that ends the part from `start` on.
fn closing(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.kind {
            TokenKind::Symbol("(" | "[" | "{") => depth += 1,
            TokenKind::Symbol(")" | "]" | "}" | ";") if depth == 0 => return at,
            TokenKind::Symbol(")" | "]" | "}") => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The innermost bracket that is open before the token at `index`.
fn enclosing(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate().take(index) {
        match token.kind {
            TokenKind::Symbol("(" | "[" | "{") => open.push(at),
            TokenKind::Symbol(")" | "]" | "}") => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// Whether every bracket has its partner.
fn is_balanced(tokens: &[Token<'_>]) -> bool {
    let mut open = Vec::new();
    for token in tokens {
        let TokenKind::Symbol(symbol) = token.kind else {
            continue;
        };
        match symbol {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.pop() != Some(symbol) => return false,
            _ => {}
        }
    }
    open.is_empty()
}
