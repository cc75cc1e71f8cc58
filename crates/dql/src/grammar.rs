//! Tokens to tree: one file for each element of the language.
//!
//! Every parser is a nom parser over [`crate::token::Tokens`]. A parser that has recognised its element
//! commits to it: from there on a mistake is a final error with a diagnostic, so nothing is tried twice.

mod call;
mod expr;
pub(crate) mod failure;
mod operand;
mod outer;
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
use crate::check::check;
use crate::diagnostic::{Diagnostic, Severity, limited};
use crate::lexer;
use crate::limits::{check_limits, check_text};

pub(crate) use select::is_namespace;

/// Parses a list of statements separated by `;`.
///
/// # Errors
///
/// The mistakes in the order of the text. Behind a mistake the parser goes on with the next element, clause or
/// statement, and when there is a mistake anywhere, the errors that [`check()`] finds in the rest stand among
/// them. An empty text has the code `empty_query`, one that is larger than a limit `question_too_large`.
pub fn parse(text: &str) -> Result<Script, Vec<Diagnostic>> {
    check_text(text).map_err(|error| vec![*error])?;
    let lexed = lexer::tokens(text);
    let script = script::parse(text, &lexed.tokens, lexed.error).map_err(|broken| {
        let mut errors = broken.errors;
        let holes = broken.holes;
        // What a function over queries needs cannot be told when parts are missing.
        let statements: Vec<Statement> = broken
            .statements
            .into_iter()
            .filter(|statement| holes.is_empty() || matches!(statement, Statement::Select(_)))
            .collect();
        let whole = |error: &Diagnostic| {
            error
                .span
                .is_some_and(|span| !holes.iter().any(|hole| recovery::touches(*hole, span)))
        };
        let further = check(&Script { statements })
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error && whole(finding));
        errors.extend(further);
        errors.sort_by_key(|error| error.span.map(|span| span.start));
        limited(errors)
    })?;
    check_limits(&script)?;
    Ok(script)
}
