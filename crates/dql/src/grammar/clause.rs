//! Clauses that a request carries beside its query, and parts of queries on their own.

use crate::ast::{Duration, Expr, ExprKind, Select, Statement};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::expr::{Context, expression};
use crate::grammar::of_tokens;
use crate::lexer::{self, Lexed};
use crate::limits::{self, check_text};
use crate::span::{Span, TextId};
use crate::texts::Texts;
use crate::token::{Token, TokenKind, Tokens};

/// Parses the content of braces. The text becomes one of `texts`, under the name of the clause.
///
/// # Errors
/// The mistakes.
pub fn parse_conditions(
    name: &str,
    text: &str,
    texts: &mut Texts,
) -> Result<Vec<Expr>, Vec<Diagnostic>> {
    let (id, select) = in_query(name, text, &CONDITIONS, texts)?;
    let bare = |conditions| Select {
        conditions,
        ..without_clauses(&select)
    };
    match &select.conditions {
        Some(conditions) if select == bare(Some(conditions.clone())) => Ok(conditions.clone()),
        _ => Err(wrong("conditions alone can stand here", text, id, texts)),
    }
}

/// Parses one expression, in the same way.
///
/// # Errors
/// The mistakes, at least one.
pub fn parse_expression(
    name: &str,
    text: &str,
    texts: &mut Texts,
) -> Result<Expr, Vec<Diagnostic>> {
    let (id, select) = in_query(name, text, &TARGET, texts)?;
    let bare = |target| Select {
        target,
        ..without_clauses(&select)
    };
    match select.target.as_deref() {
        Some([item])
            if item.alias.is_none()
                && item.shift.is_none()
                && select == bare(select.target.clone()) =>
        {
            Ok(item.expr.clone())
        }
        _ => {
            let message = "one column or expression alone can stand here";
            Err(wrong(message, text, id, texts))
        }
    }
}

/// Parses a length of time such as `1d` or `1h30m`; `None` if the text is not one.
pub fn parse_duration(text: &str) -> Option<Duration> {
    check_text(text).ok()?;
    let lexed = lexer::tokens(text, TextId::QUERY);
    let (_, expr) = expression(Tokens::new(text, &lexed.tokens), Context::Value).ok()?;
    match (expr.kind, lexed.tokens.as_slice()) {
        (ExprKind::Duration(duration), [_]) if lexed.error.is_none() => Some(duration),
        _ => None,
    }
}

/// The milliseconds of a duration such as `1d` or `1h30m`; `None` when the text is not a duration, or its length is
/// not fixed or not positive.
pub fn duration_ms(text: &str) -> Option<i64> {
    let length_ms = parse_duration(text)?.fixed_ms().ok()?;
    (length_ms > 0).then_some(length_ms)
}

/// The symbols around a clause in a query that has no other.
struct Around {
    /// From the namespace on.
    before: &'static [&'static str],
    after: &'static str,
}

const CONDITIONS: Around = Around {
    before: &[":", ":", "*", "{"],
    after: "}",
};

const TARGET: Around = Around {
    before: &[":", ":", "*", ":", "("],
    after: ")",
};

/// A query over all events with a clause. Only the clause is in the text.
fn in_query(
    name: &str,
    text: &str,
    around: &Around,
    texts: &mut Texts,
) -> Result<(TextId, Select), Vec<Diagnostic>> {
    let id = texts.add_clause(name, text);
    let read = match texts.check_size(id, text) {
        Ok(()) => {
            let statements = of_tokens(text, id, 0, &around.tokens(text, id), texts);
            statements.and_then(|statements| {
                limits::of_statements(&statements)?;
                Ok(statements)
            })
        }
        Err(error) => Err(vec![*error]),
    };
    match read.map(<[Statement; 1]>::try_from) {
        Ok(Ok([Statement::Select(select)])) => Ok((id, *select)),
        Ok(_) => {
            let message = "one expression alone can stand here";
            Err(wrong(message, text, id, texts))
        }
        Err(errors) => {
            let errors = errors.into_iter();
            Err(errors.map(|error| texts.located_in(id, error)).collect())
        }
    }
}

impl Around {
    /// The tokens of a text with those around it.
    fn tokens<'a>(&self, text: &'a str, id: TextId) -> Lexed<'a> {
        let token = |kind, at| Token {
            kind,
            span: Span::new(at, at).of(id),
        };
        let Lexed { tokens, error } = lexer::tokens(text, id);
        let before = self.before.iter();
        let before = before.map(|symbol| token(TokenKind::Symbol(symbol), 0));
        // After an error of the lexer nothing follows.
        let after = error.is_none().then_some(TokenKind::Symbol(self.after));
        let after = after.map(|symbol| token(symbol, text.len()));
        let tokens = std::iter::once(token(TokenKind::Word("TAE"), 0))
            .chain(before)
            .chain(tokens)
            .chain(after);
        Lexed {
            tokens: tokens.collect(),
            error,
        }
    }
}

fn wrong(message: &str, text: &str, id: TextId, texts: &Texts) -> Vec<Diagnostic> {
    let span = Span::new(0, text.len()).of(id);
    vec![texts.located(Diagnostic::error(Code::ParseError, message, span))]
}

/// The namespace and the sources of a query.
fn without_clauses(select: &Select) -> Select {
    Select::over(
        select.namespace.clone(),
        select.sources.clone(),
        select.span,
    )
}
