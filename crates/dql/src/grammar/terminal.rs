//! The smallest parsers: symbols, keywords, names, lists and brackets.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::Ident;
use crate::diagnostic::Diagnostic;
use crate::grammar::failure::{Failed, Failure, Parsed};
use crate::grammar::tail::Clause;
use crate::grammar::unexpected::unexpected;
use crate::keyword;
use crate::lexer::word;
use crate::span::Span;
use crate::token::{TokenKind, Tokens};

/// The symbol `wanted`, if it comes next.
pub(super) fn symbol<'a>(
    wanted: &'static str,
) -> impl Parser<Tokens<'a>, Output = Span, Error = Failure> {
    move |input: Tokens<'a>| {
        if input.is_symbol(0, wanted) {
            return Ok((input.skip(1), input.span()));
        }
        Err(Failure::elsewhere())
    }
}

/// The word `wanted` in any case, if it comes next.
pub(super) fn keyword<'a>(
    wanted: &'static str,
) -> impl Parser<Tokens<'a>, Output = Span, Error = Failure> {
    move |input: Tokens<'a>| {
        if input.is_keyword(0, wanted) {
            return Ok((input.skip(1), input.span()));
        }
        Err(Failure::elsewhere())
    }
}

/// Turns "does not start here" into the error that `what` was expected.
pub(super) fn expect<'a, T>(
    what: &str,
    mut parser: impl Parser<Tokens<'a>, Output = T, Error = Failure>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, T> {
    move |input| match parser.parse(input) {
        Err(nom::Err::Error(_)) => Err(Failure::diagnosed(unexpected(input, what))),
        other => other,
    }
}

/// A quoted, backquoted or base64 text.
pub(super) fn quoted_text(input: Tokens<'_>) -> Parsed<'_, String> {
    match input.peek(0) {
        Some(TokenKind::Quoted(text) | TokenKind::Backquoted(text)) => {
            Ok((input.skip(1), text.clone()))
        }
        _ => Err(Failure::elsewhere()),
    }
}

/// A name where only a name can occur: a word that is no keyword, or anything quoted.
pub(super) fn name(input: Tokens<'_>) -> Parsed<'_, Ident> {
    match input.word(0) {
        Some(word) if keyword::is_reserved(word) || !word::is_name(word) => {
            Err(Failure::elsewhere())
        }
        _ => any_name(input),
    }
}

/// A name where even a keyword can only be a name, such as after `AS`.
pub(super) fn any_name(input: Tokens<'_>) -> Parsed<'_, Ident> {
    let span = input.span();
    if let Some(word) = input.word(0) {
        return Ok((
            input.skip(1),
            Ident {
                text: word.to_owned(),
                span,
            },
        ));
    }
    let (rest, text) = quoted_text(input)?;
    Ok((rest, Ident { text, span }))
}

/// `AS name`, if it comes next.
pub(super) fn alias(input: Tokens<'_>) -> Parsed<'_, Option<Ident>> {
    let (rest, found) = opt(keyword("AS")).parse(input)?;
    if found.is_none() {
        return Ok((rest, None));
    }
    let (rest, name) = expect("a name after `AS`", any_name)(rest)?;
    Ok((rest, Some(name)))
}

/// How a list is written.
pub(super) struct List {
    /// The closing symbol.
    pub(super) close: &'static str,
    /// The name of the list in messages.
    pub(super) what: &'static str,
    /// Whether a comma may follow the last element.
    pub(super) trailing_comma: bool,
}

/// A bracketed, comma-separated list; `input` starts at the opening symbol. Elements are one level deeper.
pub(super) fn list<'a, T>(
    input: Tokens<'a>,
    shape: &List,
    element: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, Vec<T>> {
    let open = input.span();
    let mut values = Vec::new();
    let mut rest = input.skip(1).deeper()?;
    if let Ok((rest, _)) = symbol(shape.close).parse(rest) {
        return Ok((rest.at_level_of(input), values));
    }
    loop {
        let (after, value) = element(rest)?;
        values.push(value);
        let (after, comma) = opt(symbol(",")).parse(after)?;
        if comma.is_some() && !(shape.trailing_comma && after.is_symbol(0, shape.close)) {
            rest = after;
            continue;
        }
        let (after, _) = close(after, shape, open, comma.is_none())?;
        return Ok((after.at_level_of(input), values));
    }
}

/// The closing symbol of the brackets that were opened at `open`.
fn close<'a>(input: Tokens<'a>, shape: &List, open: Span, comma_fits: bool) -> Parsed<'a, Span> {
    symbol(shape.close).parse(input).map_err(|_: Failed| {
        let comma = if comma_fits { "`,` or " } else { "" };
        Failure::diagnosed(unclosed(
            input,
            &format!("{comma}`{}` in {}", shape.close, shape.what),
            open,
        ))
    })
}

/// The closing symbol `wanted` of brackets without list.
pub(super) fn closing<'a>(
    input: Tokens<'a>,
    wanted: &'static str,
    open: Span,
    what: &str,
) -> Parsed<'a, Span> {
    symbol(wanted).parse(input).map_err(|_: Failed| {
        Failure::diagnosed(unclosed(input, &format!("`{wanted}` to end {what}"), open))
    })
}

/// The error that something else than `wanted` follows inside the brackets opened at `open`.
fn unclosed(input: Tokens<'_>, wanted: &str, open: Span) -> Diagnostic {
    let error = unexpected(input, wanted).with_label(open, "opened here");
    if error.hint.is_some() {
        return error;
    }
    let clause = Clause::at(input).is_some_and(|clause| !matches!(clause, Clause::Where));
    let operand = match input.peek(0) {
        Some(TokenKind::Word(word)) => !keyword::is_reserved(word),
        Some(TokenKind::Quoted(_) | TokenKind::Backquoted(_) | TokenKind::Symbol("(")) => true,
        _ => false,
    };
    match (clause, operand) {
        (true, _) => error.with_hint("close the brackets before the next part of the query"),
        (false, true) if wanted.starts_with("`,` or `}`") => {
            error.with_hint("put `,` or `AND` between two conditions")
        }
        (false, true) if wanted.starts_with("`,`") => {
            error.with_hint("put `,` between two elements")
        }
        _ => error,
    }
}
