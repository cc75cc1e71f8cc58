//! Statements and lists of them.

use crate::ast::Statement;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, MOST_FINDINGS};
use crate::grammar::failure::{Failed, Failure, Parsed};
use crate::grammar::outer::outer;
use crate::grammar::recovery::recover;
use crate::grammar::select::{namespace_length, select};
use crate::grammar::show::show;
use crate::grammar::tail::Clause;
use crate::grammar::unexpected::{after_statement, unexpected};
use crate::lexer::Lexed;
use crate::limits::STATEMENTS;
use crate::span::{Span, TextId};
use crate::token::{TokenKind, Tokens};

/// The result of a text with mistakes.
pub(super) struct Broken {
    /// The mistakes in the order of the text; never empty.
    pub(super) errors: Vec<Diagnostic>,
    /// The statements, without the parts that hold mistakes.
    pub(super) statements: Vec<Statement>,
    /// Where such parts were replaced.
    pub(super) holes: Vec<Span>,
}

/// Parses all statements of the tokens of a text.
pub(super) fn parse(
    text: &str,
    id: TextId,
    Lexed { tokens, error }: &Lexed<'_>,
) -> Result<Vec<Statement>, Broken> {
    let mut input = Tokens::new(text, tokens);
    let mut statements = Vec::new();
    let mut errors = Vec::new();
    let mut holes = Vec::new();
    while !input.is_empty() && errors.len() <= MOST_FINDINGS {
        if input.is_symbol(0, ";") {
            input = input.skip(1);
            continue;
        }
        if statements.len() == STATEMENTS.most {
            let found = 1 + statements.len();
            errors.push(STATEMENTS.exceeded(found, input.span()));
            break;
        }
        match whole_statement(input) {
            Ok((rest, statement)) => {
                statements.push(statement);
                input = rest;
            }
            Err(failed) => {
                let error = diagnostic_of(failed, input);
                let at = error.span.map_or(0, |span| span.start);
                let rest = next_statement(input, at);
                let recovered = recover(text, &tokens[input.index()..rest.index()], error);
                errors.extend(recovered.errors);
                statements.extend(recovered.statement);
                holes.extend(recovered.holes);
                input = rest;
            }
        }
    }
    if let Some(broken) = error {
        let at = broken.span.map_or(0, |span| span.start);
        let end = tokens.last().map_or(0, |token| token.span.end);
        errors.retain(|error| error.span.is_some_and(|span| span.start < at.min(end)));
        errors.push(broken.clone());
    }
    if errors.is_empty() && !statements.is_empty() {
        return Ok(statements);
    }
    if errors.is_empty() {
        errors.push(
            Diagnostic::error(
                Code::EmptyQuery,
                "the query is empty",
                Span::new(0, text.len()).of(id),
            )
            .with_hint("write a query such as `TAE::*:(*) [1d]`"),
        );
    }
    Err(Broken {
        errors,
        statements,
        holes,
    })
}

/// A statement that ends at `;` or at the end of the text.
pub(super) fn whole_statement(input: Tokens<'_>) -> Parsed<'_, Statement> {
    let (rest, statement) = statement(input)?;
    if rest.is_empty() || rest.is_symbol(0, ";") {
        return Ok((rest, statement));
    }
    Err(Failure::diagnosed(after_statement(rest, &statement)))
}

/// A statement of any kind.
fn statement(input: Tokens<'_>) -> Parsed<'_, Statement> {
    if let Some(word) = input.word(0) {
        if input.is_symbol(1, "(") && namespace_length(input).is_none() {
            if word
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("show_"))
            {
                return show(input).map(|(rest, show)| (rest, Statement::Show(Box::new(show))));
            }
            if !["re", "regex", "regexp"]
                .iter()
                .any(|regex| word.eq_ignore_ascii_case(regex))
            {
                return outer(input).map(|(rest, outer)| (rest, Statement::Outer(Box::new(outer))));
            }
        }
        if starts_foreign_query(input) {
            return Err(Failure::diagnosed(
                Diagnostic::error(
                    Code::ParseError,
                    format!("DQL has no `{word}`"),
                    input.span(),
                )
                .with_hint(
                    "a query is written `namespace::source:(fields){conditions}[window]`, such as \
                     `TAE::*:(count(*)){df_status = 'info'} [1d]`",
                ),
            ));
        }
    }
    select(input).map(|(rest, select)| (rest, Statement::Select(select)))
}

/// Whether the text reads as a query of SQL: one of its first words with a name or `*` after it, which is
/// no query of DQL.
fn starts_foreign_query(input: Tokens<'_>) -> bool {
    let operand = matches!(
        input.peek(1),
        Some(
            TokenKind::Word(_)
                | TokenKind::Backquoted(_)
                | TokenKind::Quoted(_)
                | TokenKind::Symbol("*")
        )
    );
    let first = ["SELECT", "WITH", "FROM"]
        .iter()
        .any(|sql| input.is_keyword(0, sql));
    first && operand && Clause::at(input.skip(1)).is_none()
}

/// The diagnostic that a failed parser carries.
pub(super) fn diagnostic_of(failed: Failed, input: Tokens<'_>) -> Diagnostic {
    match failed {
        nom::Err::Failure(Failure::Diagnosed(diagnostic))
        | nom::Err::Error(Failure::Diagnosed(diagnostic)) => *diagnostic,
        _ => unexpected(input, "a query"),
    }
}

/// The tokens after the first `;` at or after byte `at`.
fn next_statement(input: Tokens<'_>, at: usize) -> Tokens<'_> {
    let mut rest = input.skip(1);
    while !rest.is_empty() {
        if rest.is_symbol(0, ";") && rest.span().start >= at {
            break;
        }
        rest = rest.skip(1);
    }
    rest
}
