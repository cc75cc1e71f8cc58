//! Ways through a syntax tree.

use dql::Span;
use dql::ast::{Call, Expr, ExprKind, InSet, Select, Source, Statement};

/// A query that a function over queries works on.
pub(crate) enum Inner<'a> {
    /// One in the text.
    Written(&'a mut Select),
    /// A text in quotes or backquotes that should be one, and its place.
    Quoted(&'a mut String, Span),
}

/// Visits the queries that a function over queries, and those inside it, work on.
pub(crate) fn each_argument<E>(
    call: &mut Call,
    visit: &mut dyn FnMut(Inner<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let is_eval = call.name.text.eq_ignore_ascii_case("eval");
    // Another text, such as the width of `window`, is no query.
    let query = call.args.iter().position(dql::is_query);
    for (index, argument) in call.args.iter_mut().enumerate() {
        let may_be_quoted = match &argument.name {
            Some(name) if is_eval => !name.text.eq_ignore_ascii_case("alias"),
            None if is_eval => false,
            _ => query == Some(index),
        };
        let span = argument.value.span;
        match &mut argument.value.kind {
            ExprKind::Subquery(select) => visit(Inner::Written(select))?,
            ExprKind::Call(call) => each_argument(call, visit)?,
            ExprKind::String(text) if may_be_quoted => visit(Inner::Quoted(text, span))?,
            ExprKind::Field(field) if may_be_quoted => visit(Inner::Quoted(&mut field.name, span))?,
            _ => {}
        }
    }
    Ok(())
}

/// A change of a query, which learns the place of the quotes around it.
type Change<'a, E> = dyn FnMut(&mut Select, Option<Span>) -> Result<(), E> + 'a;

/// Changes every query that functions over queries work on; the change learns the place of the quotes
/// around one. What is in quotes is read and written again; a text that is no query is left for whoever
/// runs it to refuse.
pub(crate) fn each_query<E>(
    call: &mut Call,
    quotes: Option<Span>,
    change: &mut Change<'_, E>,
) -> Result<(), E> {
    each_argument(call, &mut |inner| match inner {
        Inner::Written(select) => change(select, quotes),
        Inner::Quoted(text, span) => {
            let Ok(mut script) = dql::parse(text) else {
                return Ok(());
            };
            let quotes = Some(quotes.unwrap_or(span));
            for statement in &mut script.statements {
                match statement {
                    Statement::Select(select) => change(select, quotes)?,
                    Statement::Outer(outer) => each_query(&mut outer.call, quotes, change)?,
                    Statement::Show(_) => {}
                }
            }
            *text = script.to_string();
            Ok(())
        }
    })
}

/// Visits every expression of a query, each before its parts; those of queries inside it are not its
/// own.
pub(crate) fn each_expression(select: &mut Select, visit: &mut dyn FnMut(&mut Expr)) {
    let items = select
        .target
        .iter_mut()
        .flatten()
        .map(|item| &mut item.expr);
    let parts = items
        .chain(select.conditions.iter_mut().flatten())
        .chain(select.by.iter_mut().map(|key| &mut key.expr))
        .chain(&mut select.having)
        .chain(select.order_by.iter_mut().map(|key| &mut key.expr))
        .chain(select.sorder_by.iter_mut().map(|key| &mut key.expr));
    for part in parts {
        each_part(part, visit);
    }
}

/// Visits an expression, then its parts.
pub(crate) fn each_part(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    visit(expr);
    match &mut expr.kind {
        ExprKind::Array(parts) => parts.iter_mut().for_each(|part| each_part(part, visit)),
        ExprKind::Call(call) => {
            let values = call.args.iter_mut().map(|argument| &mut argument.value);
            values.for_each(|value| each_part(value, visit));
        }
        ExprKind::Unary { operand, .. } => each_part(operand, visit),
        ExprKind::Binary { left, right, .. } => {
            each_part(left, visit);
            each_part(right, visit);
        }
        ExprKind::In { expr, set, .. } => {
            each_part(expr, visit);
            if let InSet::List(parts) = set {
                parts.iter_mut().for_each(|part| each_part(part, visit));
            }
        }
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            let ends = operand.iter_mut().chain(otherwise).map(AsMut::as_mut);
            let branches = branches.iter_mut().flat_map(|(when, then)| [when, then]);
            ends.chain(branches).for_each(|part| each_part(part, visit));
        }
        _ => {}
    }
}

/// Visits every query directly inside a query: its sources, and those in its expressions.
pub(crate) fn each_inner(select: &mut Select, visit: &mut dyn FnMut(&mut Select)) {
    for source in &mut select.sources {
        if let Source::Subquery { query, .. } = source {
            visit(query);
        }
    }
    each_expression(select, &mut |expr| match &mut expr.kind {
        ExprKind::Subquery(query)
        | ExprKind::In {
            set: InSet::Subquery(query),
            ..
        } => visit(query),
        _ => {}
    });
}
