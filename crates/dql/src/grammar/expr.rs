//! Expressions: operators and how they nest.

use crate::ast::{BinaryOp, Expr, ExprKind, InSet, UnaryOp};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::failure::{Failure, Parsed};
use crate::grammar::operand::{array_elements, number_of, operand};
use crate::grammar::select::{query_starts, select_in_parentheses};
use crate::grammar::terminal::name;
use crate::grammar::unexpected::unexpected;
use crate::path;
use crate::precedence;
use crate::span::Span;
use crate::token::{MAX_DEPTH, TokenKind, Tokens};

/// Where an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// Among conditions, where a comma inside parentheses means AND.
    Condition,
    /// Anywhere else.
    Value,
}

/// An infix operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Infix {
    Binary(BinaryOp),
    In { negated: bool },
}

impl Infix {
    /// How tightly it binds.
    fn precedence(self) -> u8 {
        match self {
            Infix::Binary(op) => precedence::of(op),
            Infix::In { .. } => precedence::COMPARISON,
        }
    }
}

/// A whole expression.
pub(super) fn expression(input: Tokens<'_>, context: Context) -> Parsed<'_, Expr> {
    let (rest, expr) = binary(input.deeper()?, 0, context)?;
    Ok((rest.at_level_of(input), expr))
}

/// An expression of operators that bind at least as tightly as `minimum`.
fn binary(input: Tokens<'_>, minimum: u8, context: Context) -> Parsed<'_, Expr> {
    let (mut rest, mut left) = prefix(input, minimum, context)?;
    while let Some((infix, length)) = infix_at(rest) {
        if infix.precedence() < minimum {
            break;
        }
        (rest, left) = operation(rest.skip(length), infix, left, context)?;
    }
    Ok((rest, left))
}

/// The rest of an operation; `input` starts after the operator.
///
/// This function and the others on the way from one level of parentheses to the next are kept small on
/// purpose: every `?` on a tree costs a few hundred bytes of stack in a debug build.
fn operation(input: Tokens<'_>, infix: Infix, left: Expr, context: Context) -> Parsed<'_, Expr> {
    let right = input.deeper()?;
    let result = match infix {
        Infix::Binary(op @ (BinaryOp::Or | BinaryOp::And)) => chain(right, op, left, context),
        Infix::Binary(op) if precedence::of(op) == precedence::COMPARISON => {
            comparison(right, op, left, context)
        }
        Infix::Binary(op) => arithmetic(right, op, left, context),
        Infix::In { negated } => membership(right, negated, left),
    };
    let (rest, expr) = result?;
    if infix.precedence() == precedence::COMPARISON {
        reject_chained_comparison(rest)?;
    }
    Ok((rest.at_level_of(input), expr))
}

/// Whether an infix operator comes next.
pub(super) fn infix_follows(input: Tokens<'_>) -> bool {
    infix_at(input).is_some()
}

/// The infix operator that comes next, and its number of tokens.
fn infix_at(input: Tokens<'_>) -> Option<(Infix, usize)> {
    let op = match input.peek(0)? {
        TokenKind::Symbol(symbol) => match *symbol {
            "||" => BinaryOp::Or,
            "&&" => BinaryOp::And,
            "=" => BinaryOp::Eq,
            "!=" => BinaryOp::NotEq,
            "<" => BinaryOp::Lt,
            "<=" => BinaryOp::LtEq,
            ">" => BinaryOp::Gt,
            ">=" => BinaryOp::GtEq,
            "=~" => BinaryOp::Match,
            "!~" => BinaryOp::NotMatch,
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Subtract,
            "*" => BinaryOp::Multiply,
            "/" => BinaryOp::Divide,
            "%" => BinaryOp::Modulo,
            "^" => BinaryOp::Power,
            _ => return None,
        },
        TokenKind::Word(word) => match word.to_ascii_lowercase().as_str() {
            "or" => BinaryOp::Or,
            "and" => BinaryOp::And,
            "in" => return Some((Infix::In { negated: false }, 1)),
            "notin" => return Some((Infix::In { negated: true }, 1)),
            "not" if input.is_keyword(1, "IN") => return Some((Infix::In { negated: true }, 2)),
            _ => return None,
        },
        _ => return None,
    };
    Some((Infix::Binary(op), 1))
}

/// An operand with the operators before it.
fn prefix(input: Tokens<'_>, minimum: u8, context: Context) -> Parsed<'_, Expr> {
    match input.peek(0) {
        Some(TokenKind::Symbol("-" | "+")) => signed(input, context),
        Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case("NOT") => {
            not(input, minimum, context)
        }
        _ => operand(input, context),
    }
}

/// `NOT condition`.
fn not(input: Tokens<'_>, minimum: u8, context: Context) -> Parsed<'_, Expr> {
    if minimum > precedence::NOT {
        return Err(Failure::diagnosed(
            unexpected(input, "a value")
                .with_hint("put `NOT …` in parentheses to use it as an operand"),
        ));
    }
    let (rest, operand) = binary(input.skip(1).deeper()?, precedence::NOT, context)?;
    let span = input.span().to(operand.span);
    let kind = ExprKind::Unary {
        op: UnaryOp::Not,
        operand: Box::new(operand),
    };
    Ok((rest.at_level_of(input), Expr { kind, span }))
}

/// `-operand` or `+operand`.
fn signed(input: Tokens<'_>, context: Context) -> Parsed<'_, Expr> {
    if let Some((rest, expr)) = smallest_integer(input) {
        return Ok((rest, expr));
    }
    let (rest, operand) = prefix(input.skip(1).deeper()?, precedence::UNARY, context)?;
    let expr = if input.is_symbol(0, "-") {
        negated(operand, input.span())?
    } else {
        operand
    };
    Ok((rest.at_level_of(input), expr))
}

/// `-9223372036854775808`, whose digits alone are out of range.
fn smallest_integer(input: Tokens<'_>) -> Option<(Tokens<'_>, Expr)> {
    let magnitude = number_of(input.word(1)?)?;
    (input.is_symbol(0, "-") && magnitude == i64::MIN.unsigned_abs()).then(|| {
        (
            input.skip(2),
            Expr {
                kind: ExprKind::Int(i64::MIN),
                span: input.span().to(input.span_at(1)),
            },
        )
    })
}

/// `-operand`; a number or duration takes the sign itself.
fn negated(operand: Expr, minus: Span) -> Result<Expr, nom::Err<Failure>> {
    let span = minus.to(operand.span);
    let kind = match operand.kind {
        ExprKind::Int(value) => ExprKind::Int(value.checked_neg().ok_or_else(|| {
            Failure::diagnosed(
                Diagnostic::error(Code::InvalidNumber, "this number is larger than an integer can be", span)
                    .with_hint("integers reach up to 9223372036854775807, write `.0` for a floating-point number"),
            )
        })?),
        ExprKind::Float(value) => ExprKind::Float(-value),
        ExprKind::Duration(mut duration) => {
            duration.negative = !duration.negative;
            duration.span = span;
            ExprKind::Duration(duration)
        }
        kind => ExprKind::Unary { op: UnaryOp::Minus, operand: Box::new(Expr { kind, span: operand.span }) },
    };
    Ok(Expr { kind, span })
}

/// The rest of `left OR b OR c`. Long chains become balanced trees, so that they are not deep, whatever
/// parentheses they were written with.
fn chain<'a>(input: Tokens<'a>, op: BinaryOp, left: Expr, context: Context) -> Parsed<'a, Expr> {
    let mut operands = Vec::new();
    flatten(op, left, &mut operands);
    let mut rest = input;
    loop {
        let (after, operand) = binary(rest, precedence::of(op) + 1, context)?;
        flatten(op, operand, &mut operands);
        match infix_at(after) {
            Some((Infix::Binary(next), length)) if next == op => rest = after.skip(length),
            _ => return Ok((after, joined(op, operands))),
        }
    }
}

/// Appends the operands of a chain of `op`, or the expression itself.
fn flatten(op: BinaryOp, expr: Expr, operands: &mut Vec<Expr>) {
    match expr.kind {
        ExprKind::Binary {
            op: inner,
            left,
            right,
        } if inner == op => {
            flatten(op, *left, operands);
            flatten(op, *right, operands);
        }
        _ => operands.push(expr),
    }
}

/// The balanced tree of expressions that may be chains of `op` themselves.
pub(super) fn flat_joined(op: BinaryOp, expressions: Vec<Expr>) -> Expr {
    let mut operands = Vec::new();
    for expr in expressions {
        flatten(op, expr, &mut operands);
    }
    joined(op, operands)
}

/// The balanced tree of `operands` joined by `op`; the left half is the larger one.
fn joined(op: BinaryOp, mut operands: Vec<Expr>) -> Expr {
    while operands.len() > 1 {
        let half = operands.len().div_ceil(2);
        let right = operands.split_off(half);
        let (left, right) = (joined(op, operands), joined(op, right));
        let span = left.span.to(right.span);
        let kind = ExprKind::Binary {
            op,
            left: Box::new(left),
            right: Box::new(right),
        };
        operands = vec![Expr { kind, span }];
    }
    operands.pop().unwrap_or(Expr {
        kind: ExprKind::Bool(true),
        span: Span::default(),
    })
}

/// `left op right` where `op` compares: the left side is a field, a backquoted right side is a text.
fn comparison<'a>(
    input: Tokens<'a>,
    op: BinaryOp,
    left: Expr,
    context: Context,
) -> Parsed<'a, Expr> {
    let (rest, right) = binary(input, precedence::COMPARISON + 1, context)?;
    let right = text_if_backquoted(input, rest, right);
    let pattern = matches!(
        right.kind,
        ExprKind::String(_) | ExprKind::Regex(_) | ExprKind::Placeholder(_)
    );
    if matches!(op, BinaryOp::Match | BinaryOp::NotMatch) && !pattern {
        return Err(Failure::diagnosed(
            Diagnostic::error(
                Code::ParseError,
                "the right side of `=~` and `!~` is a pattern",
                right.span,
            )
            .with_hint("write the pattern in quotes, such as `df_title =~ 'log.*'`"),
        ));
    }
    Ok((rest, infix(op, field_if_quoted(left), right)))
}

/// The error for `a = b = c`.
fn reject_chained_comparison(input: Tokens<'_>) -> Result<(), nom::Err<Failure>> {
    match infix_at(input) {
        Some((infix, _)) if infix.precedence() == precedence::COMPARISON => {
            Err(Failure::diagnosed(
                unexpected(input, "`AND`, `OR`, `,` or the end of the condition")
                    .with_hint("comparisons do not chain, join two of them with `AND`"),
            ))
        }
        _ => Ok(()),
    }
}

/// The rest of `left op b op c`, which is as deep as it is long.
fn arithmetic<'a>(
    input: Tokens<'a>,
    op: BinaryOp,
    left: Expr,
    context: Context,
) -> Parsed<'a, Expr> {
    if height(&left) >= MAX_DEPTH {
        return Err(Failure::diagnosed(
            Diagnostic::error(
                Code::TooDeep,
                format!("the calculation is longer than {MAX_DEPTH} steps"),
                left.span,
            )
            .with_hint("split it into several columns or queries"),
        ));
    }
    let next = if op == BinaryOp::Power {
        precedence::of(op)
    } else {
        precedence::of(op) + 1
    };
    let (rest, right) = binary(input, next, context)?;
    Ok((rest, infix(op, left, right)))
}

/// The number of operators and calls above the deepest part of `expr`.
fn height(expr: &Expr) -> usize {
    match &expr.kind {
        ExprKind::Binary { left, right, .. } => 1 + height(left).max(height(right)),
        ExprKind::Unary { operand, .. } => 1 + height(operand),
        ExprKind::Call(call) => {
            1 + call
                .args
                .iter()
                .map(|arg| height(&arg.value))
                .max()
                .unwrap_or_default()
        }
        _ => 0,
    }
}

/// The node of an infix operator.
fn infix(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = left.span.to(right.span);
    Expr {
        kind: ExprKind::Binary {
            op,
            left: Box::new(left),
            right: Box::new(right),
        },
        span,
    }
}

/// The rest of `left IN …`.
fn membership<'a>(input: Tokens<'a>, negated: bool, left: Expr) -> Parsed<'a, Expr> {
    let left = field_if_quoted(left);
    let start = left.span;
    let (rest, set) = set(input)?;
    let span = start.to(rest.span_from(input));
    Ok((
        rest,
        Expr {
            kind: ExprKind::In {
                expr: Box::new(left),
                negated,
                set,
            },
            span,
        },
    ))
}

/// The set after `IN`.
fn set(input: Tokens<'_>) -> Parsed<'_, InSet> {
    if input.is_symbol(0, "[") {
        let (rest, elements) = array_elements(input)?;
        return Ok((rest, InSet::List(elements)));
    }
    if input.is_symbol(0, "(") && query_starts(input.skip(1)) {
        let (rest, query) = select_in_parentheses(input)?;
        return Ok((rest, InSet::Subquery(query)));
    }
    if matches!(
        input.peek(0),
        Some(TokenKind::Word(_) | TokenKind::Backquoted(_))
    ) && let Ok((rest, name)) = name(input)
    {
        return Ok((rest, InSet::Named(name)));
    }
    Err(Failure::diagnosed(
        unexpected(input, "`[` after `IN`").with_hint("a list stands in brackets: `IN ['a', 'b']`"),
    ))
}

/// The text instead of the field, when the expression between the two positions is one backquoted word.
pub(super) fn text_if_backquoted(before: Tokens<'_>, after: Tokens<'_>, expr: Expr) -> Expr {
    match before.peek(0) {
        Some(TokenKind::Backquoted(text)) if after.index() == before.index() + 1 => Expr {
            kind: ExprKind::String(text.clone()),
            span: expr.span,
        },
        _ => expr,
    }
}

/// The field that a quoted text names where only fields make sense.
pub(super) fn field_if_quoted(expr: Expr) -> Expr {
    match expr.kind {
        ExprKind::String(text) if text == "*" => Expr {
            kind: ExprKind::Star,
            span: expr.span,
        },
        ExprKind::String(text) => Expr {
            kind: ExprKind::Field(path::field(&text)),
            span: expr.span,
        },
        _ => expr,
    }
}
