//! Warnings: comparisons and clauses that are allowed and differ from what their author probably means, and
//! queries that have a better form.
//!
//! The codes are those of the vendor's own checker where it has one for the case.

use std::collections::HashSet;

use crate::ast::visit::for_each_expr;
use crate::ast::{BinaryOp, Count, Expr, ExprKind, Select};
use crate::code::Code;
use crate::column_name;
use crate::diagnostic::Diagnostic;
use crate::signature::{self, Role};
use crate::span::Span;

/// The number of skipped rows from which pages are better (Guance documentation, Open API: offset and
/// limit reach 10,000 rows, further ones are reached by `search_after`).
const DEEP_OFFSET: u64 = 10_000;

/// Comparisons by `=` and `!=` with something that is no single value.
pub(super) fn equality(right: &Expr, found: &mut Vec<Diagnostic>) {
    match &right.kind {
        ExprKind::Array(_) => found.push(
            Diagnostic::warning(
                Code::EqArray,
                "this compares with the whole list",
                right.span,
            )
            .with_hint("write `IN` or `NOT IN` to test for one of its values"),
        ),
        ExprKind::String(text) if text == "nil" || text == "null" => found.push(
            Diagnostic::warning(
                Code::StringNilComparison,
                format!("this compares with the text `{text}`"),
                right.span,
            )
            .with_hint("write nil without quotes to test for a missing value"),
        ),
        _ => {}
    }
}

/// A pattern that is equivalent to a plain comparison.
pub(super) fn pattern(
    left: &Expr,
    negated: bool,
    pattern: &str,
    span: Span,
    found: &mut Vec<Diagnostic>,
) {
    let left = match left.to_string() {
        text if text.chars().count() <= 40 => text,
        _ => "field".to_owned(),
    };
    let plain = pattern.strip_prefix('^').unwrap_or(pattern);
    let plain = plain.strip_suffix('$').unwrap_or(plain);
    let (equals, is_in) = if negated {
        ("!=", "NOT IN")
    } else {
        ("=", "IN")
    };
    if is_literal(plain) {
        let hint = format!(
            "write `{left} {equals} {}`, or `.*` around the pattern to find it inside of texts",
            quoted(plain)
        );
        found.push(
            Diagnostic::warning(
                Code::RegexForLiteral,
                "this pattern fits one text only",
                span,
            )
            .with_hint(hint),
        );
        return;
    }
    let group = plain
        .strip_prefix("(?:")
        .or_else(|| plain.strip_prefix('('))
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(plain);
    let texts: Vec<&str> = group.split('|').collect();
    if texts.len() > 1 && texts.iter().all(|text| is_literal(text)) {
        let few: Vec<String> = texts.iter().take(3).map(|text| quoted(text)).collect();
        let more = if texts.len() > 3 { ", …" } else { "" };
        found.push(
            Diagnostic::warning(
                Code::RegexForAlternation,
                format!("this pattern fits {} texts only", texts.len()),
                span,
            )
            .with_hint(format!("write `{left} {is_in} [{}{more}]`", few.join(", "))),
        );
    }
}

/// Whether a pattern is a literal text.
fn is_literal(pattern: &str) -> bool {
    !pattern.is_empty()
        && !pattern.contains([
            '\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
        ])
}

/// A text as a query writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "\\'"))
}

/// A CASE among conditions.
pub(super) fn case(span: Span, found: &mut Vec<Diagnostic>) {
    found.push(
        Diagnostic::warning(
            Code::CaseInCondition,
            "a CASE among conditions is computed for every event in the window",
            span,
        )
        .with_hint(
            "AND, OR and NOT say the same, and let files be skipped that hold nothing of it",
        ),
    );
}

/// Counts after LIMIT, SLIMIT and OFFSET that are allowed and seldom meant.
pub(super) fn counts(
    limit: Option<Count>,
    slimit: Option<Count>,
    offset: Option<Count>,
    found: &mut Vec<Diagnostic>,
) {
    for (clause, count) in [("LIMIT", limit), ("SLIMIT", slimit)] {
        if let Some(count) = count.filter(|count| count.value == 0) {
            found.push(
                Diagnostic::warning(
                    Code::NonPositiveLimit,
                    format!("{clause} 0 leaves nothing of the answer"),
                    count.span,
                )
                .with_hint(format!("write how many are wanted: `{clause} 10`")),
            );
        }
    }
    if let Some(offset) = offset.filter(|offset| offset.value >= DEEP_OFFSET) {
        found.push(
            Diagnostic::warning(
                Code::DeepOffsetPaging,
                format!("{} rows are found and sorted to be skipped", offset.value),
                offset.span,
            )
            .with_hint(
                "go on behind the last row of the page before with `search_after`, or stream the answer",
            ),
        );
    }
}

/// HAVING over a field where groups have their newest event instead of aggregates.
pub(super) fn having(select: &Select, found: &mut Vec<Diagnostic>) {
    let items = select.target.as_deref().unwrap_or_default();
    let newest = !select.by.is_empty() && !items.iter().any(|item| reduces(&item.expr));
    if select.having.is_empty() || !newest {
        return;
    }
    let names = names(select);
    for condition in select.having.iter().filter(|condition| !reduces(condition)) {
        let mut field = None;
        for_each_expr(condition, |part| {
            if field.is_none()
                && let ExprKind::Field(_) = part.kind
                && !names.contains(&column_name(part))
            {
                field = Some(part);
            }
        });
        if let Some(field) = field {
            found.push(
                Diagnostic::warning(
                    Code::HavingOnColumn,
                    format!("`{field}` is tested in the newest event of each group"),
                    field.span,
                )
                .with_hint("a condition on every event stands in braces: `{…}`"),
            );
        }
    }
}

/// Whether an expression makes one value of many rows, or chooses rows.
fn reduces(expr: &Expr) -> bool {
    let mut found = false;
    for_each_expr(expr, |part| {
        if let ExprKind::Call(call) = &part.kind {
            let signature = signature::function(&call.name.text.to_lowercase());
            found |= signature.is_some_and(|signature| {
                matches!(signature.role, Role::Aggregate | Role::Rows | Role::Point)
            });
        }
    });
    found
}

/// The aliases of the query, and the names of its keys.
fn names(select: &Select) -> HashSet<String> {
    let aliases = select.target.iter().flatten().map(|item| &item.alias);
    let aliases = aliases.chain(select.by.iter().map(|key| &key.alias));
    let keys = select.by.iter().map(|key| column_name(&key.expr));
    aliases
        .flatten()
        .map(|alias| alias.text.clone())
        .chain(keys)
        .collect()
}

/// Whether `op` finds a pattern, and whether it is negated.
pub(super) fn finds(op: BinaryOp) -> Option<bool> {
    match op {
        BinaryOp::Eq | BinaryOp::Match => Some(false),
        BinaryOp::NotEq | BinaryOp::NotMatch => Some(true),
        _ => None,
    }
}
