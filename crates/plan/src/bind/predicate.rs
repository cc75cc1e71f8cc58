//! Conditions: AND, OR, NOT, and the functions that test text.
//!
//! DQL has two truth values. A condition is bound to an expression whose null counts as false, which
//! AND and OR preserve; NOT is pushed down to the tests, where `IS NOT TRUE` turns a missing value into
//! true.

use std::collections::HashSet;

use datafusion::logical_expr::{Expr, lit};
use dql::ast::{BinaryOp, Call, Expr as AstExpr, ExprKind, Field, UnaryOp};
use dql::{Code, Diagnostic, Span};
use functions::float_text::float_text;
use functions::json::json_text;
use functions::{PatternError, TextTest};

use super::arguments::Arguments;
use super::function::text_test;
use super::name::DEFAULT_TEXT;
use super::{BindResult, Binder, describe, wrong};
use crate::types::{Type, Typed};

impl Binder<'_> {
    /// Binds a condition, or with `negated` its opposite.
    pub(super) fn condition(&mut self, expr: &AstExpr, negated: bool) -> BindResult<Expr> {
        match &expr.kind {
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => self.condition(operand, !negated),
            ExprKind::Binary {
                op: op @ (BinaryOp::And | BinaryOp::Or),
                left,
                right,
            } => {
                let left = self.condition(left, negated)?;
                let right = self.condition(right, negated)?;
                let is_and = (*op == BinaryOp::And) != negated;
                Ok(if is_and {
                    left.and(right)
                } else {
                    left.or(right)
                })
            }
            ExprKind::Binary { op, left, right } if is_comparison(*op) => {
                self.compare(*op, left, right, negated)
            }
            ExprKind::In {
                expr,
                negated: not_in,
                set,
            } => self.membership(expr, set, *not_in != negated),
            ExprKind::Call(call) if let Some(test) = text_test(&call.name.text) => {
                let condition = self.test_call(test, &Arguments::of(call, expr.span)?)?;
                Ok(opposite_if(negated, condition))
            }
            _ => {
                let value = self.expression(expr)?;
                let condition = match value.value_type {
                    Type::Bool => value.expr,
                    Type::Null => lit(false),
                    Type::Json => value.expr.eq(lit("true")),
                    other => {
                        let message =
                            format!("a condition is needed, and {}", describe(expr, other));
                        return Err(wrong(Code::TypeMismatch, message, expr.span));
                    }
                };
                Ok(opposite_if(negated, condition))
            }
        }
    }

    /// `test(field, 'text')`, or `test('text')` on the default text field.
    fn test_call(&mut self, test: TextTest, arguments: &Arguments<'_>) -> BindResult<Expr> {
        let named = |name: &str| Field {
            name: name.to_owned(),
            path: Vec::new(),
        };
        let values = &arguments.values;
        let value = match values[0] {
            _ if values.len() == 1 => self.field(&named(DEFAULT_TEXT), arguments.span)?,
            AstExpr {
                kind: ExprKind::String(name),
                span,
            } => self.field(&named(name), *span)?,
            field => self.expression(field)?,
        };
        self.text_test(value, test, arguments.call, values[values.len() - 1])
    }

    /// `value = test('text')`: the test on a bound value.
    pub(super) fn text_test(
        &mut self,
        value: Typed,
        test: TextTest,
        call: &Call,
        pattern: &AstExpr,
    ) -> BindResult<Expr> {
        let (ExprKind::String(text) | ExprKind::Regex(text)) = &pattern.kind else {
            let message = format!("`{}` needs text in quotes to look for", call.name.text);
            return Err(wrong(Code::WrongArgumentKind, message, pattern.span));
        };
        if test == TextTest::Substring && looks_like_regex(text) {
            let warning = self.warn(
                Code::MatchWithRegexSyntax,
                "`match` takes its text literally",
                pattern.span,
            );
            warning.hint = Some("use `re('…')` for a regular expression".to_owned());
        }
        self.matched(value, test, text, pattern.span)
    }

    /// A value tested against a text.
    pub(super) fn matched(
        &mut self,
        value: Typed,
        test: TextTest,
        text: &str,
        span: Span,
    ) -> BindResult<Expr> {
        let resources = &self.context.resources;
        resources
            .compile_test(test, &[text])
            .map_err(|(_, error)| {
                let code = match test {
                    TextTest::Regex => Code::InvalidRegex,
                    _ => Code::InvalidPattern,
                };
                refused(error, code, span)
            })?;
        Ok(test.call(as_text(value), &[text]))
    }

    /// A value tested against patterns, one of which has to fit the whole of it.
    pub(super) fn matched_by_any(
        &self,
        value: Expr,
        patterns: &[(&str, Span)],
    ) -> BindResult<Expr> {
        let mut known = HashSet::new();
        let mut patterns = patterns.to_vec();
        patterns.retain(|(text, _)| known.insert(*text));
        let texts: Vec<&str> = patterns.iter().map(|(text, _)| *text).collect();
        let resources = &self.context.resources;
        let compiled = resources.compile_test(TextTest::Regex, &texts);
        compiled.map_err(|(index, error)| {
            let span = patterns
                .get(index)
                .map_or(Span::default(), |(_, span)| *span);
            refused(error, Code::InvalidRegex, span)
        })?;
        Ok(TextTest::Regex.call(value, &texts))
    }
}

/// The finding that a pattern is refused.
pub(super) fn refused(error: PatternError, code: Code, span: Span) -> Box<Diagnostic> {
    match error {
        PatternError::Wrong(reason) => wrong(code, format!("the pattern is wrong: {reason}"), span),
        PatternError::TooLarge(limit, found) => Box::new(limit.exceeded(found, span)),
        PatternError::NoMemory(reason) => wrong(Code::ResourcesExhausted, reason, span),
    }
}

/// A value as text.
pub(super) fn as_text(value: Typed) -> Expr {
    match value.value_type {
        Type::String => value.expr,
        Type::Json => json_text(value.expr),
        Type::Float => float_text(value.expr),
        _ => datafusion::logical_expr::cast(value.expr, arrow::datatypes::DataType::Utf8),
    }
}

/// The opposite of a condition: true where it is false, and where it is null.
pub(super) fn opposite_if(negated: bool, condition: Expr) -> Expr {
    if negated {
        condition.is_not_true()
    } else {
        condition
    }
}

fn looks_like_regex(text: &str) -> bool {
    [".*", ".+", "\\d", "\\w", "\\s", "[a-z", "[0-9", "(?"]
        .iter()
        .any(|part| text.contains(part))
        || text.starts_with('^')
        || text.ends_with('$')
}

fn is_comparison(op: BinaryOp) -> bool {
    use BinaryOp::{Eq, Gt, GtEq, Lt, LtEq, Match, NotEq, NotMatch};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | Match | NotMatch)
}
