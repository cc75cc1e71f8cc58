//! Rules that need no store: the functions, their arguments, and the clauses that exclude each other.

mod argument;
mod outer;
mod query;
mod show;
mod warning;

pub(crate) use outer::is_operand;
pub use outer::is_query;

use crate::ast::visit::for_each_expr;
use crate::ast::{Call, Expr, ExprKind, Ident, Script, Statement};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, limited};
use crate::keyword::nearest;
use crate::signature;

pub(crate) use show::names as show_names;

/// Checks a script against the rules that hold for every store. Every namespace and every field is accepted
/// here. The findings are in the order of the text; without errors among them the script may be planned.
/// [`Texts::located`](crate::Texts::located) turns those about a query in quotes into findings about the quotes.
pub fn check(script: &Script) -> Vec<Diagnostic> {
    let mut found = of_statements(&script.statements);
    found.sort_by_key(|finding| finding.span.map(|span| script.texts.position(span)));
    limited(found)
}

/// Checks the arguments of a call inside a query against the signature of its function.
///
/// # Errors
/// An argument that does not fit, or a function that the language does not have.
pub fn check_arguments(call: &Call) -> Result<(), Box<Diagnostic>> {
    let Some(signature) = signature::function(&call.name.text.to_lowercase()) else {
        let known = signature::function_names();
        return Err(Box::new(unknown_function(&call.name, "function", known)));
    };
    let mut found = Vec::new();
    argument::check(call, None, &signature, &mut found);
    match found.into_iter().next() {
        Some(error) => Err(Box::new(error)),
        None => Ok(()),
    }
}

/// The findings about statements, in no certain order.
pub(crate) fn of_statements(statements: &[Statement]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for statement in statements {
        match statement {
            Statement::Select(select) => query::check(select, &mut found),
            Statement::Show(show) => show::check(show, &mut found),
            Statement::Outer(outer) => outer::check(outer, &mut found),
        }
    }
    found
}

/// The error for a function that the language does not have.
fn unknown_function<'a>(
    name: &Ident,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let lower = name.text.to_lowercase();
    let error = Diagnostic::error(
        Code::UnknownFunction,
        format!("unknown {what} `{lower}`"),
        name.span,
    );
    let foreign = match lower.as_str() {
        "avg_over_time" | "mean" | "average" => Some("avg"),
        "uniq" | "cardinality" | "approx_count_distinct" | "countdistinct" => {
            Some("count_distinct")
        }
        "len" | "strlen" | "char_length" => Some("length"),
        "substring" => Some("substr"),
        "tolower" | "lcase" => Some("lower"),
        "toupper" | "ucase" => Some("upper"),
        "std" | "stdev" | "stddev_pop" => Some("stddev"),
        "quantile" => Some("percentile"),
        "coalesce" | "ifnull" => Some("default"),
        "like" => Some("wildcard"),
        _ => None,
    };
    match foreign.or_else(|| nearest(&lower, known)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// Reports the placeholders of an expression.
fn placeholder(expr: &Expr, found: &mut Vec<Diagnostic>) {
    for_each_expr(expr, |part| {
        if let ExprKind::Placeholder(name) = &part.kind {
            found.push(
                Diagnostic::error(
                    Code::UnfilledPlaceholder,
                    format!("`{name}` was not filled in"),
                    part.span,
                )
                .with_hint("dashboards put a value here before they send the query, write one"),
            );
        }
    });
}
