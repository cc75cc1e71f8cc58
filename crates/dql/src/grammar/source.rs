//! Sources: names, `*`, patterns and queries.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::{Ident, Select, Source};
use crate::grammar::failure::{Failure, Parsed};
use crate::grammar::select::{query_in_parentheses, select};
use crate::grammar::terminal::{alias, closing, expect, name, quoted_text, symbol};
use crate::grammar::unexpected::unexpected;
use crate::keyword;
use crate::token::{TokenKind, Tokens};

/// `source, source`.
pub(super) fn sources(input: Tokens<'_>) -> Parsed<'_, Vec<Source>> {
    let mut found = Vec::new();
    let mut rest = input;
    loop {
        let (after, source) = source(rest)?;
        found.push(source);
        match opt(symbol(",")).parse(after)? {
            (after, Some(_)) => rest = after,
            (after, None) => return Ok((after, found)),
        }
    }
}

/// `(source, source)` with `:` after it; not recognised when no `:` follows, because then the parentheses
/// hold fields.
pub(super) fn parenthesised_sources(input: Tokens<'_>) -> Parsed<'_, Vec<Source>> {
    let mut length = 1;
    while !input.is_symbol(length, ")") {
        match input.peek(length) {
            None | Some(TokenKind::Symbol("[" | "{" | ";")) => return Err(Failure::elsewhere()),
            Some(_) => length += 1,
        }
    }
    if !input.is_symbol(length + 1, ":") {
        return Err(Failure::elsewhere());
    }
    let (rest, found) = sources(input.skip(1))?;
    let (rest, _) = closing(rest, ")", input.span(), "the sources")?;
    Ok((rest, found))
}

/// One source.
fn source(input: Tokens<'_>) -> Parsed<'_, Source> {
    let span = input.span();
    match input.peek(0) {
        Some(TokenKind::Symbol("*")) => return Ok((input.skip(1), Source::All(span))),
        Some(TokenKind::Backquoted(text) | TokenKind::Quoted(text)) if text == "*" => {
            return Ok((input.skip(1), Source::All(span)));
        }
        Some(TokenKind::Regex(pattern)) => {
            return Ok((
                input.skip(1),
                Source::Regex(Ident {
                    text: pattern.clone(),
                    span,
                }),
            ));
        }
        Some(TokenKind::Symbol("(")) if query_in_parentheses(input) || input.is_symbol(1, "(") => {
            return subquery(input);
        }
        Some(TokenKind::Word(word)) if is_regex(word) && input.is_symbol(1, "(") => {
            return pattern(input);
        }
        _ => {}
    }
    let (rest, name) = expect("a source: a name, `*` or a pattern", name)(input)?;
    Ok((rest, Source::Name(name)))
}

/// Whether a function of this name holds a pattern.
fn is_regex(word: &str) -> bool {
    ["re", "regex", "regexp"]
        .iter()
        .any(|regex| word.eq_ignore_ascii_case(regex))
}

/// `re('pattern')`.
fn pattern(input: Tokens<'_>) -> Parsed<'_, Source> {
    let (rest, text) = quoted_text(input.skip(2)).map_err(|_| {
        Failure::diagnosed(
            unexpected(input.skip(2), "a pattern in quotes").with_hint("write it as in re('.*')"),
        )
    })?;
    let (rest, _) = closing(rest, ")", input.span_at(1), "the pattern")?;
    Ok((
        rest,
        Source::Regex(Ident {
            text,
            span: rest.span_from(input),
        }),
    ))
}

/// `(query) [[AS] alias]`.
fn subquery(input: Tokens<'_>) -> Parsed<'_, Source> {
    let (rest, query) = only_query(input)?;
    let (rest, alias) = subquery_alias(rest)?;
    Ok((rest, Source::Subquery { query, alias }))
}

/// `(query)`, and no second query before `)`.
fn only_query(input: Tokens<'_>) -> Parsed<'_, Box<Select>> {
    let (rest, query) = select(input.skip(1).inside_query()?)?;
    if rest.is_symbol(0, ",") {
        return Err(Failure::diagnosed(
            unexpected(rest, "`)` to end the query")
                .with_label(input.span(), "opened here")
                .with_hint(
                    "each of several queries stands in parentheses of its own: `(query), (query)`",
                ),
        ));
    }
    let (rest, _) = closing(rest, ")", input.span(), "the query")?;
    Ok((rest.at_level_of(input), query))
}

/// `[AS] alias`, if it comes next.
fn subquery_alias(input: Tokens<'_>) -> Parsed<'_, Option<Ident>> {
    let (rest, found) = alias(input)?;
    if found.is_some() || starts_clause(rest) {
        return Ok((rest, found));
    }
    opt(name).parse(rest)
}

/// Whether the next word starts a clause, so that it is no alias.
fn starts_clause(input: Tokens<'_>) -> bool {
    input.word(0).is_some_and(|word| {
        ["ORDER", "SORDER", "SHIFT", "FILTER", "LINK"]
            .iter()
            .any(|clause| word.eq_ignore_ascii_case(clause))
            || keyword::is_reserved(word)
    })
}
