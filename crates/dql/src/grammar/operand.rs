//! Operands: literals, fields, arrays, CASE and parentheses.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::{BinaryOp, Expr, ExprKind, Field, PathStep};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::call::calls;
use crate::grammar::expr::{Context, expression, flat_joined, text_if_backquoted};
use crate::grammar::failure::{Failure, Parsed};
use crate::grammar::select::{query_starts, select_in_parentheses};
use crate::grammar::terminal::{self, List, closing, expect, list, symbol};
use crate::grammar::unexpected::unexpected;
use crate::keyword;
use crate::lexer::word::{self, Word};
use crate::path;
use crate::span::Span;
use crate::token::{TokenKind, Tokens};

/// One operand.
pub(super) fn operand(input: Tokens<'_>, context: Context) -> Parsed<'_, Expr> {
    match input.peek(0) {
        Some(TokenKind::Word(word)) => word_operand(input, word),
        Some(TokenKind::Symbol("(")) if query_starts(input.skip(1)) => subquery(input),
        Some(TokenKind::Symbol("(")) => parenthesised(input, context),
        Some(TokenKind::Symbol("[")) => array_elements(input).map(|(rest, elements)| {
            (
                rest,
                Expr {
                    kind: ExprKind::Array(elements),
                    span: rest.span_from(input),
                },
            )
        }),
        _ => single(input),
    }
}

/// An operand of one token that is no word.
fn single(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let span = input.span();
    let kind = match input.peek(0) {
        Some(TokenKind::Symbol("*")) => ExprKind::Star,
        Some(TokenKind::Backquoted(text)) if text == "*" => ExprKind::Star,
        Some(TokenKind::Backquoted(text)) => ExprKind::Field(path::field(text)),
        Some(TokenKind::Quoted(text)) => ExprKind::String(text.clone()),
        Some(TokenKind::Regex(pattern)) => ExprKind::Regex(pattern.clone()),
        Some(TokenKind::Placeholder(name)) => ExprKind::Placeholder((*name).to_owned()),
        found => {
            let error = unexpected(input, "a field, value or function");
            return Err(Failure::diagnosed(match found {
                Some(TokenKind::Symbol("{")) => {
                    error.with_hint("conditions stand in one pair of braces")
                }
                _ => error,
            }));
        }
    };
    Ok((input.skip(1), Expr { kind, span }))
}

/// An operand that starts with a word.
fn word_operand<'a>(input: Tokens<'a>, word: &str) -> Parsed<'a, Expr> {
    if word.eq_ignore_ascii_case("CASE") {
        case(input)
    } else if input.is_symbol(1, "(") && !keyword::is_reserved(word) {
        calls(input)
    } else {
        literal_or_field(input, word)
    }
}

/// A word that is an operand by itself.
fn literal_or_field<'a>(input: Tokens<'a>, word: &str) -> Parsed<'a, Expr> {
    let span = input.span();
    let kind = match word.to_ascii_lowercase().as_str() {
        "nil" | "null" => ExprKind::Nil,
        "true" => ExprKind::Bool(true),
        "false" => ExprKind::Bool(false),
        lower if keyword::is_reserved(lower) => {
            return Err(Failure::diagnosed(reserved_operand(input)));
        }
        _ => match word::classify(word) {
            Word::Integer(value) => {
                ExprKind::Int(i64::try_from(value).map_err(|_| out_of_range(span))?)
            }
            Word::OutOfRange => return Err(out_of_range(span)),
            Word::Float(value) => ExprKind::Float(value),
            Word::Duration(parts) => ExprKind::Duration(crate::ast::Duration {
                negative: false,
                parts,
                span,
            }),
            Word::Name if !word::is_name(word) => {
                return Err(Failure::diagnosed(unexpected(
                    input,
                    "a field, value or function",
                )));
            }
            Word::Name => return field(input, word),
        },
    };
    Ok((input.skip(1), Expr { kind, span }))
}

/// The whole number that `word` spells.
pub(super) fn number_of(word: &str) -> Option<u64> {
    match word::classify(word) {
        Word::Integer(value) => Some(value),
        _ => None,
    }
}

/// The error for a number that no literal holds.
fn out_of_range(span: Span) -> nom::Err<Failure> {
    Failure::diagnosed(
        Diagnostic::error(Code::InvalidNumber, "this number is too large", span).with_hint(
            "integers reach up to 9223372036854775807, floating-point numbers up to 1.79e308",
        ),
    )
}

/// The error for a keyword instead of an operand.
fn reserved_operand(input: Tokens<'_>) -> Diagnostic {
    let error = unexpected(input, "a field, value or function");
    let word = input.text_at(0);
    let used_as_name = ["=", "!=", "<", "<=", ">", ">=", "=~", "!~"]
        .iter()
        .any(|op| input.is_symbol(1, op));
    if used_as_name {
        return error.with_hint(format!(
            "`{word}` is a keyword, write a field of this name in backquotes"
        ));
    }
    error
}

/// A field, with the bracketed steps of its path: `message@items[0].id`.
fn field<'a>(input: Tokens<'a>, word: &str) -> Parsed<'a, Expr> {
    let mut rest = input.skip(1);
    let mut field = path::field(word);
    if let Some((name, keys)) = word.split_once('@')
        && step(rest).is_some()
        && let Some(keys) = path::steps(keys)
    {
        field = Field {
            name: name.to_owned(),
            path: keys,
        };
        while let Some((after, found)) = step(rest) {
            field.path.push(found);
            rest = after;
            let keys = rest
                .word(0)
                .filter(|_| rest.is_adjacent(0))
                .and_then(|word| word.strip_prefix('.'));
            if let Some(keys) = keys.and_then(path::steps) {
                field.path.extend(keys);
                rest = rest.skip(1);
            }
        }
    }
    Ok((
        rest,
        Expr {
            kind: ExprKind::Field(field),
            span: rest.span_from(input),
        },
    ))
}

/// `[0]` or `["key"]` directly after a field.
fn step(input: Tokens<'_>) -> Option<(Tokens<'_>, PathStep)> {
    if !input.is_symbol(0, "[") || !input.is_adjacent(0) || !input.is_symbol(2, "]") {
        return None;
    }
    let step = match input.peek(1)? {
        TokenKind::Word(word) => PathStep::Index(number_of(word)?),
        TokenKind::Quoted(key) => PathStep::Key(key.clone()),
        _ => return None,
    };
    Some((input.skip(3), step))
}

/// `[a, b]`, in which backquoted words are texts.
pub(super) fn array_elements(input: Tokens<'_>) -> Parsed<'_, Vec<Expr>> {
    let shape = List {
        close: "]",
        what: "the list",
        trailing_comma: true,
    };
    list(input, &shape, |before| {
        let (rest, element) = expression(before, Context::Value)?;
        Ok((rest, text_if_backquoted(before, rest, element)))
    })
}

/// `(expression)`, `(a, b)` among conditions, or `(query)`.
fn parenthesised(input: Tokens<'_>, context: Context) -> Parsed<'_, Expr> {
    let (rest, first) = expression(input.skip(1), context)?;
    if context == Context::Condition && rest.is_symbol(0, ",") {
        return listed(rest, first, input.span());
    }
    let (rest, _) = closing(rest, ")", input.span(), "the expression in parentheses")?;
    Ok((rest, first))
}

/// The rest of `(a, b)` among conditions, after `a`.
fn listed(input: Tokens<'_>, first: Expr, open: Span) -> Parsed<'_, Expr> {
    let mut parts = vec![first];
    let mut rest = input;
    while let (after, Some(_)) = opt(symbol(",")).parse(rest)? {
        let (after, part) = expression(after, Context::Condition)?;
        parts.push(part);
        rest = after;
    }
    let (rest, _) = closing(rest, ")", open, "the conditions in parentheses")?;
    Ok((rest, flat_joined(BinaryOp::And, parts)))
}

/// `(query)`.
fn subquery(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, query) = select_in_parentheses(input)?;
    Ok((
        rest,
        Expr {
            kind: ExprKind::Subquery(query),
            span: rest.span_from(input),
        },
    ))
}

/// `CASE [operand] WHEN … THEN … [ELSE …] END`.
fn case(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = input.skip(1);
    let (rest, operand) = if start.is_keyword(0, "WHEN") {
        (start, None)
    } else {
        case_value(start)?
    };
    let mut branches = Vec::new();
    let mut rest = rest;
    while branches.is_empty() || rest.is_keyword(0, "WHEN") {
        let (after, branch) = branch(rest)?;
        branches.push(branch);
        rest = after;
    }
    let (rest, otherwise) = if rest.is_keyword(0, "ELSE") {
        case_value(rest.skip(1))?
    } else {
        (rest, None)
    };
    let (rest, _) = expect(
        "`WHEN`, `ELSE` or `END` to go on with `CASE`",
        terminal::keyword("END"),
    )(rest)?;
    Ok((
        rest,
        Expr {
            kind: ExprKind::Case {
                operand,
                branches,
                otherwise,
            },
            span: rest.span_from(input),
        },
    ))
}

/// The value after `CASE` or `ELSE`.
fn case_value(input: Tokens<'_>) -> Parsed<'_, Option<Box<Expr>>> {
    expression(input, Context::Value).map(|(rest, value)| (rest, Some(Box::new(value))))
}

/// `WHEN condition THEN result`.
fn branch(input: Tokens<'_>) -> Parsed<'_, (Expr, Expr)> {
    let (rest, _) = expect("`WHEN` after `CASE`", terminal::keyword("WHEN"))(input)?;
    let (rest, condition) = expression(rest, Context::Value)?;
    let (rest, _) = expect(
        "`THEN` after the condition of `WHEN`",
        terminal::keyword("THEN"),
    )(rest)?;
    let (rest, result) = expression(rest, Context::Value)?;
    Ok((rest, (condition, result)))
}
