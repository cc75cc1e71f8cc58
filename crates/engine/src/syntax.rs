//! Ways through a syntax tree.

use dql::ast::{Call, Expr, ExprKind, InSet, Quoted, Select, Source, Statement};

/// Changes every query that a function over queries, and those inside it, work on.
///
/// # Errors
/// The first error of the change.
pub(crate) fn each_query<E>(
    call: &mut Call,
    change: &mut dyn FnMut(&mut Select) -> Result<(), E>,
) -> Result<(), E> {
    for argument in &mut call.args {
        match &mut argument.value.kind {
            ExprKind::Subquery(select) => change(select)?,
            ExprKind::Call(call) => each_query(call, change)?,
            ExprKind::Quoted(quoted) => match quoted.as_mut() {
                Quoted::Query(_, Statement::Select(select)) => change(select)?,
                Quoted::Query(_, Statement::Outer(outer)) => each_query(&mut outer.call, change)?,
                Quoted::Query(_, Statement::Show(_)) | Quoted::Unreadable(..) => {}
            },
            _ => {}
        }
    }
    Ok(())
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
