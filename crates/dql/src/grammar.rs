//! Tokens to tree: one file for each element of the language.
//!
//! Every parser is a nom parser over [`crate::token::Tokens`]. A parser that has recognised its element
//! commits to it: from there on a mistake is a final error with a diagnostic, so nothing is tried twice.

mod call;
mod clause;
mod expr;
pub(crate) mod failure;
mod operand;
mod outer;
pub(crate) mod quoted;
mod recovery;
mod script;
mod select;
mod show;
mod source;
mod tail;
mod terminal;
mod unexpected;
mod window;

use crate::ast::{Script, Statement};
use crate::check;
use crate::diagnostic::{Diagnostic, Severity, limited};
use crate::lexer::{self, Lexed};
use crate::limits::{self, check_text};
use crate::span::TextId;
use crate::texts::Texts;

pub use clause::{duration_ms, parse_conditions, parse_duration, parse_expression};
pub(crate) use select::is_namespace;

/// Parses a list of statements separated by `;`.
///
/// # Errors
///
/// The mistakes in the order of the text. After a mistake the parser goes on with the next element, clause or
/// statement, and when there is a mistake anywhere, the errors that [`check()`](crate::check()) finds in the rest are among
/// them. An empty text has the code `empty_query`, one that is larger than a limit `question_too_large`. Mistakes in
/// a query in quotes are no errors here: [`check()`](crate::check()) finds them.
pub fn parse(text: &str) -> Result<Script, Vec<Diagnostic>> {
    let mut texts = Texts::beside(text);
    match statements(text, TextId::QUERY, 0, &mut texts) {
        Ok(statements) => Ok(Script { statements, texts }),
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| texts.located(error))
            .collect()),
    }
}

/// The statements of one of the texts, which is inside `depth` calls, with those in quotes inside it.
fn statements(
    text: &str,
    id: TextId,
    depth: usize,
    texts: &mut Texts,
) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    check_text(text).map_err(|mut error| {
        error.span = error.span.map(|span| span.of(id));
        vec![*error]
    })?;
    let mut statements = of_tokens(text, id, depth, &lexer::tokens(text, id), texts)?;
    quoted::read(&mut statements, depth, texts);
    limits::of_statements(&statements)?;
    Ok(statements)
}

/// The statements of the tokens of a text; those in quotes are not read.
fn of_tokens(
    text: &str,
    id: TextId,
    depth: usize,
    lexed: &Lexed<'_>,
    texts: &mut Texts,
) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    script::parse(text, id, lexed).map_err(|broken| {
        let mut errors = broken.errors;
        let holes = broken.holes;
        // With parts missing, the arguments of a function over queries cannot be checked.
        let mut statements: Vec<Statement> = broken
            .statements
            .into_iter()
            .filter(|statement| holes.is_empty() || matches!(statement, Statement::Select(_)))
            .collect();
        quoted::read(&mut statements, depth, texts);
        let whole = |error: &Diagnostic| {
            error
                .span
                .is_some_and(|span| !holes.iter().any(|hole| recovery::touches(*hole, span)))
        };
        let further = check::of_statements(&statements)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error && whole(finding));
        errors.extend(further);
        errors.sort_by_key(|error| error.span.map(|span| texts.position(span)));
        limited(errors)
    })
}
