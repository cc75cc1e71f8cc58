//! Outer functions: each needs one query, in parentheses when other arguments follow.

use crate::ast::visit::for_each_expr;
use crate::ast::{Arg, Call, Expr, ExprKind, Outer, Quoted, Select, Statement};
use crate::check::{argument, query, unknown_function, warning};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::signature::{self, Signature};

/// Checks an outer function and those chained to it.
pub(super) fn check(outer: &Outer, found: &mut Vec<Diagnostic>) {
    call(&outer.call, found);
    warning::counts(outer.limit, outer.slimit, outer.offset, found);
    for chained in &outer.chain {
        if let Some(signature) = known(chained, found) {
            argument::check(chained, None, &signature, found);
        }
    }
}

/// Checks a call that has a query among its arguments.
fn call(outer: &Call, found: &mut Vec<Diagnostic>) {
    if outer.name.text.eq_ignore_ascii_case("eval") {
        return eval(outer, found);
    }
    let Some(signature) = known(outer, found) else {
        return;
    };
    let Some(at) = outer.args.iter().position(is_query) else {
        found.push(missing_query(outer));
        return;
    };
    inner(&outer.args[at], found);
    if let Some(query) = bare_query(&outer.args[at].value)
        && outer.args.len() == 1
        && !signature.takes(0)
    {
        found.push(swallowed(outer, query, &signature));
        return;
    }
    argument::check(outer, Some(at), &signature, found);
}

/// The signature of an outer function, or the error that there is none.
fn known(outer: &Call, found: &mut Vec<Diagnostic>) -> Option<Signature> {
    let name = outer.name.text.to_lowercase();
    let signature = signature::outer(&name);
    if signature.is_none() {
        let error = unknown_function(&outer.name, "outer function", signature::outer_names());
        found.push(if signature::function(&name).is_some() {
            Diagnostic {
                hint: Some(format!("it works inside a query: `TAE::*:({name}(…))`")),
                ..error
            }
        } else {
            error
        });
    }
    signature
}

/// Whether an argument of an outer function is its query: one in the text, a text of one in quotes or
/// backquotes, or a call around one (Guance documentation, outer functions).
pub fn is_query(arg: &Arg) -> bool {
    let named = arg
        .name
        .as_ref()
        .is_some_and(|name| name.text.eq_ignore_ascii_case("dql"));
    match &arg.value.kind {
        ExprKind::Subquery(_) | ExprKind::Quoted(_) => true,
        ExprKind::String(_) => named || arg.name.is_none(),
        // No column is named like a query, whose namespace ends with these.
        ExprKind::Field(field) => named || arg.name.is_none() && field.name.contains("::"),
        ExprKind::Call(call) if call.name.text.eq_ignore_ascii_case("eval") => {
            arg.name.is_none() && call.args.iter().any(is_operand)
        }
        ExprKind::Call(call) => arg.name.is_none() && call.args.iter().any(is_query),
        _ => named,
    }
}

/// Whether an argument of `eval` is one of its queries: `A = query`.
pub(crate) fn is_operand(arg: &Arg) -> bool {
    let name = arg.name.as_ref();
    name.is_some_and(|name| !name.text.eq_ignore_ascii_case("alias"))
}

/// Checks the query itself.
fn inner(arg: &Arg, found: &mut Vec<Diagnostic>) {
    match &arg.value.kind {
        ExprKind::Subquery(select) => query::check(select, found),
        ExprKind::Call(nested) => call(nested, found),
        ExprKind::Quoted(quoted) => match quoted.as_ref() {
            Quoted::Query(_, Statement::Select(select)) => query::check(select, found),
            Quoted::Query(_, Statement::Outer(outer)) => check(outer, found),
            Quoted::Query(_, Statement::Show(show)) => found.push(Diagnostic::error(
                Code::NotSupported,
                "a SHOW function has no series to compute with",
                show.span,
            )),
            Quoted::Unreadable(_, errors) => found.extend(errors.iter().cloned()),
        },
        _ => found.push(Diagnostic::error(
            Code::MissingQuery,
            "a query is needed here",
            arg.value.span,
        )),
    }
}

/// The query of an argument, if it is not in parentheses.
fn bare_query(value: &Expr) -> Option<&Select> {
    match &value.kind {
        ExprKind::Subquery(query) if query.span.start == value.span.start => Some(query),
        _ => None,
    }
}

/// The error for a call without query.
fn missing_query(outer: &Call) -> Diagnostic {
    let name = outer.name.text.to_lowercase();
    let error = Diagnostic::error(
        Code::MissingQuery,
        format!("function `{name}` needs a query here"),
        outer.name.span,
    );
    match signature::function(&name) {
        Some(_) => error.with_hint(format!(
            "write `TAE::*:({name}(…))` to use it inside a query, or `{name}((TAE::*:(…)))` over a query"
        )),
        None => error.with_hint(format!("write `{name}((TAE::*:(…)))`")),
    }
}

/// The error for `moving_average(query BY host, 5)`, in which `5` belongs to the query.
fn swallowed(outer: &Call, query: &Select, signature: &Signature) -> Diagnostic {
    let name = outer.name.text.to_lowercase();
    Diagnostic::error(
        Code::WrongArgumentCount,
        format!("function `{name}` takes {}, got 1", signature.arity(1)),
        query.span,
    )
    .with_hint(format!(
        "put the query in parentheses, so that it ends before the comma: `{name}((…), …)`"
    ))
}

/// Checks `eval(expression, A = query, …)`.
fn eval(outer: &Call, found: &mut Vec<Diagnostic>) {
    let positional = outer.args.iter().filter(|arg| arg.name.is_none()).count();
    if positional != 1 {
        found.push(
            Diagnostic::error(
                Code::WrongArgumentCount,
                format!("function `eval` takes exactly 1 expression, got {positional}"),
                outer.name.span,
            )
            .with_hint("write `eval(A / B, A = (query), B = (query))`"),
        );
    }
    let mut queries: Vec<&str> = Vec::new();
    for arg in outer.args.iter().filter(|arg| is_operand(arg)) {
        queries.extend(arg.name.as_ref().map(|name| name.text.as_str()));
        inner(arg, found);
    }
    if queries.is_empty() {
        found.push(missing_query(outer).with_hint("write `eval(A / B, A = (query), B = (query))`"));
        return;
    }
    for arg in outer.args.iter().filter(|arg| arg.name.is_none()) {
        for_each_expr(&arg.value, |expr| {
            let ExprKind::Field(field) = &expr.kind else {
                return;
            };
            let letter = field.name.split('.').next().unwrap_or_default();
            if !queries.contains(&letter) {
                found.push(
                    Diagnostic::error(
                        Code::UnknownQuery,
                        format!("`eval` has no query named `{letter}`"),
                        expr.span,
                    )
                    .with_hint(format!("its queries are `{}`", queries.join("`, `"))),
                );
            }
        });
    }
}
