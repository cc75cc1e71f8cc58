//! Tokens to tree: one file for each element of the language.
//!
//! Every parser is a nom parser over [`crate::token::Tokens`]. A parser that has recognised its element
//! commits to it: from there on a mistake is a final error with a diagnostic, so nothing is tried twice.

mod call;
mod expr;
pub(crate) mod failure;
mod operand;
mod outer;
mod script;
mod select;
mod show;
mod source;
mod tail;
mod terminal;
mod unexpected;
mod window;

use crate::ast::Script;
use crate::diagnostic::Diagnostic;
use crate::lexer;

pub(crate) use select::is_namespace;

/// Parses a list of statements separated by `;`.
///
/// # Errors
///
/// The first mistake of each statement, in the order of the text. An empty text has the code
/// `empty_query`.
pub fn parse(text: &str) -> Result<Script, Vec<Diagnostic>> {
    let lexed = lexer::tokens(text);
    script::parse(text, &lexed.tokens, lexed.error)
}
