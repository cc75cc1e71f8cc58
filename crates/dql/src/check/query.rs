//! Rules for one query.

use std::collections::HashMap;

use crate::ast::visit::for_each_expr;
use crate::ast::{
    BinaryOp, Call, Duration, DurationUnit, Expr, ExprKind, InSet, Item, LinkKind, Select, Source,
    UnaryOp,
};
use crate::check::{argument, placeholder, unknown_function, warning};
use crate::code::Code;
use crate::column_name;
use crate::diagnostic::{Diagnostic, MOST_FINDINGS};
use crate::signature::{self, Role};
use crate::span::Span;

/// Checks a query and the queries inside it.
pub(super) fn check(select: &Select, found: &mut Vec<Diagnostic>) {
    for source in &select.sources {
        if let Source::Subquery { query, .. } = source {
            check(query, found);
        }
    }
    // A function source may have functions of its own.
    let foreign = namespace_is(select, &["F", "func"]);
    for item in select.target.iter().flatten().filter(|_| !foreign) {
        value(&item.expr, found);
        item.shift
            .iter()
            .for_each(|shift| check_shift(shift, found));
    }
    for expr in select.conditions.iter().flatten() {
        condition(expr, found);
    }
    for key in &select.by {
        value(&key.expr, found);
        if key.direction.is_some() {
            found.push(
                Diagnostic::warning(
                    Code::IgnoredDirection,
                    "a direction behind a key of BY has no effect",
                    key.expr.span,
                )
                .with_hint("groups are ordered by `SORDER BY`"),
            );
        }
    }
    for expr in &select.having {
        value(expr, found);
    }
    for key in select.order_by.iter().chain(&select.sorder_by) {
        value(&key.expr, found);
    }
    select
        .shift
        .iter()
        .for_each(|shift| check_shift(shift, found));
    if let Some(rollup) = select
        .window
        .as_ref()
        .and_then(|window| window.rollup.as_ref())
    {
        let name = rollup.name.text.to_lowercase();
        let usable = |role| matches!(role, Role::Aggregate | Role::Point);
        if !signature::function(&name).is_some_and(|signature| usable(signature.role)) {
            let error =
                unknown_function(&rollup.name, "rollup function", signature::function_names());
            // A mistyped duration or preset is read as the name of a function too.
            found.push(match error.hint {
                Some(_) => error,
                None => {
                    error.with_hint("a window is written such as `[1d]`, `[2h:1h]` or `[TODAY]`")
                }
            });
        }
    }
    warning::counts(select.limit, select.slimit, select.offset, found);
    warning::having(select, found);
    link(select, found);
    projection(select, found);
    repetitions(select, found);
}

/// Whether the namespace is one of `names`.
fn namespace_is(select: &Select, names: &[&str]) -> bool {
    select
        .namespace
        .as_ref()
        .is_some_and(|namespace| names.contains(&namespace.name.text.as_str()))
}

/// The error for the joins of the language's first generation.
fn link(select: &Select, found: &mut Vec<Diagnostic>) {
    if let Some(link) = &select.link {
        let word = match link.kind {
            LinkKind::Filter => "FILTER",
            LinkKind::Link => "LINK",
        };
        found.push(
            Diagnostic::error(
                Code::RemovedClause,
                format!("`{word} … WITH` is no longer part of DQL"),
                link.span,
            )
            .with_hint("filter by another query with `field IN (query)`"),
        );
    }
}

/// Rules that look at all columns together.
fn projection(select: &Select, found: &mut Vec<Diagnostic>) {
    let items: &[Item] = select.target.as_deref().unwrap_or_default();
    let over_rows = select
        .sources
        .iter()
        .any(|source| matches!(source, Source::Subquery { .. }));
    let metric =
        !over_rows && (select.namespace.is_none() || namespace_is(select, &["M", "metric"]));
    let aggregated = !select.by.is_empty()
        || items
            .iter()
            .any(|item| has_role(&item.expr, Role::Aggregate));
    let mut row_function: Option<&Expr> = None;
    for item in items {
        if metric && let Some(star) = wildcard(&item.expr) {
            found.push(
                Diagnostic::error(
                    Code::WildcardField,
                    "metric queries cannot ask for every field",
                    star,
                )
                .with_hint(match select.namespace {
                    Some(_) => "name the fields",
                    None => {
                        "a query without a namespace asks for metrics, write one such as `TAE::`"
                    }
                }),
            );
        }
        if aggregated && is_predicate(&item.expr) {
            found.push(
                Diagnostic::error(
                    Code::PredicateProjection,
                    "a condition cannot be a column of a query that groups or aggregates",
                    item.expr.span,
                )
                .with_hint("put it in braces: `{…}`"),
            );
        }
        if has_role(&item.expr, Role::Rows) {
            if let Some(first) = row_function {
                found.push(
                    Diagnostic::error(
                        Code::ConflictingFunctions,
                        "two functions choose the rows of the answer",
                        item.expr.span,
                    )
                    .with_label(first.span, "first here")
                    .with_hint("ask two queries, separated by `;`"),
                );
            }
            row_function = Some(&item.expr);
        }
    }
}

/// Repeated names: two columns of one name, two equal keys of BY.
fn repetitions(select: &Select, found: &mut Vec<Diagnostic>) {
    let mut columns = HashMap::new();
    for item in select.target.iter().flatten() {
        let name = column(item);
        let message = format!("two columns are named `{name}`");
        if let Some(first) = columns.insert(name, item.expr.span) {
            found.push(
                Diagnostic::error(Code::DuplicateColumn, message, item.expr.span)
                    .with_label(first, "first here")
                    .with_hint("remove one of them, or name it with `AS`"),
            );
        }
    }
    let mut keys = HashMap::new();
    for key in &select.by {
        if let Some(first) = keys.insert(key.expr.to_string(), key.expr.span) {
            found.push(
                Diagnostic::error(
                    Code::DuplicateKey,
                    "a query can be grouped by a key only once",
                    key.expr.span,
                )
                .with_label(first, "first here")
                .with_hint("remove one of them"),
            );
        }
    }
}

/// The name of a column in the answer.
fn column(item: &Item) -> String {
    match (&item.alias, &item.shift) {
        (Some(alias), _) => alias.text.clone(),
        (None, Some(shift)) => format!("{} SHIFT {shift}", column_name(&item.expr)),
        (None, None) => column_name(&item.expr),
    }
}

/// Where an item asks for every field: `*`, or a function of it.
fn wildcard(expr: &Expr) -> Option<Span> {
    let mut found = None;
    for_each_expr(expr, |part| {
        if matches!(part.kind, ExprKind::Star) {
            found = Some(part.span);
        }
    });
    found
}

/// Whether a function of this role occurs in an expression. In `count(distinct(x))` the inner function
/// chooses no rows, it only selects the counted values.
fn has_role(expr: &Expr, role: Role) -> bool {
    let mut found = false;
    let mut counted: Vec<Span> = Vec::new();
    for_each_expr(expr, |part| {
        if let ExprKind::Call(call) = &part.kind {
            let name = call.name.text.to_lowercase();
            if name == "count" {
                counted.extend(call.args.iter().map(|argument| argument.value.span));
            }
            let is_counted = name == "distinct" && counted.contains(&part.span);
            let signature = signature::function(&name).filter(|_| !is_counted);
            found |= signature.is_some_and(|signature| signature.role == role);
        }
    });
    found
}

/// Whether an expression is a predicate function, or a negated one.
fn is_predicate(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Regex(_) => true,
        ExprKind::Unary {
            op: UnaryOp::Not,
            operand,
        } => is_predicate(operand),
        ExprKind::Call(call) => signature::function(&call.name.text.to_lowercase())
            .is_some_and(|signature| signature.role == Role::Predicate),
        _ => false,
    }
}

/// Checks an expression of `{…}`, in which nothing is aggregated yet.
pub(super) fn condition(expr: &Expr, found: &mut Vec<Diagnostic>) {
    value(expr, found);
    for_each_expr(expr, |part| {
        if let ExprKind::Case { .. } = &part.kind {
            warning::case(part.span, found);
        }
        if let ExprKind::Call(call) = &part.kind
            && signature::function(&call.name.text.to_lowercase())
                .is_some_and(|signature| matches!(signature.role, Role::Aggregate | Role::Rows))
        {
            let name = call.name.text.to_lowercase();
            found.push(
                Diagnostic::error(
                    Code::MisplacedAggregate,
                    format!("`{name}` cannot stand in `{{…}}`"),
                    part.span,
                )
                .with_hint("conditions on aggregates stand behind `HAVING`"),
            );
        }
    });
}

/// Checks the functions, comparisons and sub-queries of an expression.
pub(super) fn value(expr: &Expr, found: &mut Vec<Diagnostic>) {
    placeholder(expr, found);
    for_each_expr(expr, |part| match &part.kind {
        ExprKind::Call(call) => function(call, found),
        ExprKind::Subquery(query)
        | ExprKind::In {
            set: InSet::Subquery(query),
            ..
        } => check(query, found),
        ExprKind::Binary { op, left, right } => comparison(*op, left, right, found),
        _ => {}
    });
}

/// Checks a call inside a query.
fn function(call: &Call, found: &mut Vec<Diagnostic>) {
    match signature::function(&call.name.text.to_lowercase()) {
        Some(signature) => {
            argument::check(call, None, &signature, found);
            if let ("re" | "regex" | "regexp", [field, pattern]) =
                (signature.name, call.args.as_slice())
                && let ExprKind::String(text) = &pattern.value.kind
            {
                warning::pattern(&field.value, false, text, pattern.value.span, found);
            }
        }
        None => {
            // Looking for a similar name costs more than the rest of the check.
            let shown = found.len() < MOST_FINDINGS;
            let known = signature::function_names().filter(|_| shown);
            found.push(unknown_function(&call.name, "function", known));
        }
    }
}

/// Comparisons that differ from what their author probably means.
fn comparison(op: BinaryOp, left: &Expr, right: &Expr, found: &mut Vec<Diagnostic>) {
    if let Some(negated) = warning::finds(op) {
        let matches = matches!(op, BinaryOp::Match | BinaryOp::NotMatch);
        match &right.kind {
            ExprKind::Regex(text) => warning::pattern(left, negated, text, right.span, found),
            ExprKind::String(text) if matches => {
                warning::pattern(left, negated, text, right.span, found);
            }
            _ => {}
        }
    }
    if !matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
        return;
    }
    if let ExprKind::Call(call) = &left.kind
        && call.name.text.eq_ignore_ascii_case("exists")
    {
        found.push(
            Diagnostic::error(
                Code::WrongArgumentKind,
                "`exists()` stands on the right side",
                left.span,
            )
            .with_hint("write `field = exists()`"),
        );
    }
    warning::equality(right, found);
}

/// `SHIFT` moves by a positive, fixed length of time.
fn check_shift(shift: &Duration, found: &mut Vec<Diagnostic>) {
    let fixed = !shift.parts.iter().any(|part| {
        matches!(
            part.unit,
            DurationUnit::Month
                | DurationUnit::Step
                | DurationUnit::StepSecond
                | DurationUnit::StepMillisecond
        )
    });
    let positive = !shift.negative && shift.parts.iter().any(|part| part.amount > 0.0);
    if !fixed || !positive {
        found.push(
            Diagnostic::error(
                Code::InvalidDuration,
                "SHIFT needs a positive duration of fixed length",
                shift.span,
            )
            .with_hint("write it in weeks, days or smaller units: `SHIFT 7d`"),
        );
    }
}
