//! Queries in quotes, which functions over queries take, as parts of the tree.

use crate::ast::{Call, Expr, ExprKind, Quoted, Statement};
use crate::check::{is_operand, is_query};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Severity};
use crate::grammar;
use crate::texts::Texts;
use crate::token::MAX_DEPTH;

/// How deep queries in quotes may hold others.
const MOST_QUOTES: usize = 8;

/// Reads the queries in quotes inside statements; `depth` calls are around these.
pub(crate) fn read(statements: &mut [Statement], depth: usize, texts: &mut Texts) {
    for statement in statements {
        if let Statement::Outer(outer) = statement {
            arguments(&mut outer.call, depth + 1, texts);
        }
    }
}

fn arguments(call: &mut Call, depth: usize, texts: &mut Texts) {
    let is_eval = call.name.text.eq_ignore_ascii_case("eval");
    // Another text, such as the width of `window`, is no query.
    let query = call.args.iter().position(is_query);
    for (index, argument) in call.args.iter_mut().enumerate() {
        let is_query = if is_eval {
            is_operand(argument)
        } else {
            query == Some(index)
        };
        match &mut argument.value.kind {
            ExprKind::Call(call) if is_query => arguments(call, depth + 1, texts),
            _ if is_query => quoted(&mut argument.value, depth, texts),
            _ => {}
        }
    }
}

/// Makes a text the query that it is.
fn quoted(value: &mut Expr, depth: usize, texts: &mut Texts) {
    let text = match &mut value.kind {
        ExprKind::String(text) => std::mem::take(text),
        ExprKind::Field(field) if field.path.is_empty() => std::mem::take(&mut field.name),
        _ => return,
    };
    let too_deep = if texts.depth(value.span) == MOST_QUOTES {
        Some(format!(
            "queries in quotes are nested deeper than {MOST_QUOTES}"
        ))
    } else if depth > MAX_DEPTH {
        // The levels of all texts together take the stack of code that walks the tree.
        Some(format!("the query nests deeper than {MAX_DEPTH} levels"))
    } else {
        None
    };
    let read = match too_deep {
        Some(message) => Err(vec![Diagnostic::error(Code::TooDeep, message, value.span)]),
        None => {
            let id = texts.add_quoted(value.span);
            let statements = grammar::statements(&text, id, depth, texts);
            statements.and_then(single).map(|statement| (id, statement))
        }
    };
    value.kind = ExprKind::Quoted(Box::new(match read {
        Ok((id, statement)) => Quoted::Query(id, statement),
        Err(errors) => Quoted::Unreadable(text, errors),
    }));
}

fn single(statements: Vec<Statement>) -> Result<Statement, Vec<Diagnostic>> {
    <[Statement; 1]>::try_from(statements)
        .map(|[statement]| statement)
        .map_err(|statements| {
            let span = statements.first().map(Statement::span);
            let message = "one statement is answered at a time here";
            let error = Diagnostic::new(Severity::Error, Code::SeveralStatements, message, span);
            vec![error.with_hint("send the statements one by one")]
        })
}
