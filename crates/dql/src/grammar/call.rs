//! Function calls and their arguments.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::{Arg, Call, Expr, ExprKind, Ident};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::expr::{Context, expression, text_if_backquoted};
use crate::grammar::failure::{Failed, Failure, Parsed};
use crate::grammar::select::{query_starts, select};
use crate::grammar::terminal::{List, alias, list};
use crate::grammar::unexpected::unexpected;
use crate::keyword;
use crate::path;
use crate::quoting;
use crate::span::Span;
use crate::token::{TokenKind, Tokens};

/// A call as an operand, with the calls chained to it.
pub(super) fn calls(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, call) = call(input)?;
    let expr = call_expression(call, rest.span_from(input))?;
    if rest.word(0).is_some_and(|word| word.starts_with('.')) {
        chained(rest, expr, input)
    } else {
        Ok((rest, expr))
    }
}

/// The node of a call. Two functions are no calls: `re('…')` is a pattern, `identifier('…')` a field.
fn call_expression(call: Call, span: Span) -> Result<Expr, Failed> {
    let lower = call.name.text.to_ascii_lowercase();
    let kind = match (lower.as_str(), call.args.as_slice()) {
        (
            "re" | "regex" | "regexp",
            [
                Arg {
                    name: None,
                    alias: None,
                    value,
                },
            ],
        ) => match &value.kind {
            ExprKind::String(pattern) => ExprKind::Regex(pattern.clone()),
            _ => return Err(Failure::diagnosed(bare_pattern(value))),
        },
        (
            "identifier",
            [
                Arg {
                    value:
                        Expr {
                            kind: ExprKind::String(name),
                            ..
                        },
                    ..
                },
            ],
        ) => ExprKind::Field(path::field(name)),
        _ => ExprKind::Call(call),
    };
    Ok(Expr { kind, span })
}

/// The error for a pattern without quotes.
fn bare_pattern(value: &Expr) -> Diagnostic {
    Diagnostic::error(Code::ParseError, "a pattern stands in quotes", value.span)
        .with_hint("write it as in re('.*')")
}

/// `name(arguments)`; `input` starts at the name, and `(` follows it.
pub(super) fn call(input: Tokens<'_>) -> Parsed<'_, Call> {
    let name = Ident {
        text: input.text_at(0).to_owned(),
        span: input.span(),
    };
    let (rest, args) = arguments(input.skip(1), &name.text)?;
    Ok((rest, Call { name, args }))
}

/// The arguments of `function`; `input` starts at `(`.
fn arguments<'a>(input: Tokens<'a>, function: &str) -> Parsed<'a, Vec<Arg>> {
    let shape = List {
        close: ")",
        what: "the arguments",
        trailing_comma: true,
    };
    let (rest, arguments) = list(input, &shape, argument)?;
    let lower = function.to_ascii_lowercase();
    let count = arguments.len();
    let settle = |(index, argument): (usize, Argument)| {
        let Argument { arg, text } = argument;
        match text {
            Some(value) if quoting::takes_text(&lower, index, count) => Arg { value, ..arg },
            _ => arg,
        }
    };
    Ok((
        rest,
        arguments.into_iter().enumerate().map(settle).collect(),
    ))
}

/// An argument, with its value if the function takes a text here.
struct Argument {
    arg: Arg,
    text: Option<Expr>,
}

/// `[name =] value [AS alias]`.
fn argument(input: Tokens<'_>) -> Parsed<'_, Argument> {
    let (start, name) = opt(argument_name).parse(input)?;
    if query_starts(start) {
        query_argument(start, name)
    } else {
        value_argument(start, name)
    }
}

/// A query as an argument, without parentheses.
fn query_argument(input: Tokens<'_>, name: Option<Ident>) -> Parsed<'_, Argument> {
    let (rest, query) = select(input)?;
    let span = query.span;
    let value = Expr {
        kind: ExprKind::Subquery(query),
        span,
    };
    Ok((
        rest,
        Argument {
            arg: Arg {
                name,
                value,
                alias: None,
            },
            text: None,
        },
    ))
}

/// Any other argument.
fn value_argument(start: Tokens<'_>, name: Option<Ident>) -> Parsed<'_, Argument> {
    let (rest, value) = expression(start, Context::Value)?;
    let backquoted = matches!(start.peek(0), Some(TokenKind::Backquoted(_)));
    let text = backquoted.then(|| text_if_backquoted(start, rest, value.clone()));
    let always = name.is_some()
        || matches!(start.peek(0), Some(TokenKind::Backquoted(text)) if quoting::is_query_text(text));
    let value = match &text {
        Some(text) if always => text.clone(),
        _ => value,
    };
    let (rest, alias) = alias(rest)?;
    Ok((
        rest,
        Argument {
            arg: Arg { name, value, alias },
            text,
        },
    ))
}

/// `name =` before a value.
fn argument_name(input: Tokens<'_>) -> Parsed<'_, Ident> {
    match input.word(0) {
        Some(word) if input.is_symbol(1, "=") => Ok((
            input.skip(2),
            Ident {
                text: word.to_owned(),
                span: input.span(),
            },
        )),
        _ => Err(Failure::elsewhere()),
    }
}

/// The calls chained to an operand: `f(x).g(y)` is `g(f(x), y)`.
fn chained<'a>(input: Tokens<'a>, first: Expr, start: Tokens<'a>) -> Parsed<'a, Expr> {
    let (mut rest, mut expr) = (input, first);
    while let (after, Some(mut next)) = opt(chained_call).parse(rest.deeper()?)? {
        next.args.insert(
            0,
            Arg {
                name: None,
                value: expr,
                alias: None,
            },
        );
        expr = Expr {
            kind: ExprKind::Call(next),
            span: after.span_from(start),
        };
        rest = after;
    }
    Ok((rest.at_level_of(input), expr))
}

/// `.name(arguments)`.
pub(super) fn chained_call(input: Tokens<'_>) -> Parsed<'_, Call> {
    let Some(word) = input.word(0).and_then(|word| word.strip_prefix('.')) else {
        return Err(Failure::elsewhere());
    };
    let named = if word.is_empty() {
        input.skip(1)
    } else {
        input
    };
    let name = if word.is_empty() {
        named.word(0)
    } else {
        Some(word)
    };
    let is_function =
        name.is_some_and(|name| !name.starts_with('.') && !keyword::is_reserved(name));
    if !is_function || !named.is_symbol(1, "(") {
        return Err(Failure::diagnosed(unexpected(
            named,
            "a function call after `.`",
        )));
    }
    let (rest, mut call) = call(named)?;
    if let Some(name) = call.name.text.strip_prefix('.') {
        call.name.text = name.to_owned();
    }
    Ok((rest, call))
}
