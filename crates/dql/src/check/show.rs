//! SHOW statements (Guance documentation, DQL functions).

use crate::ast::{ExprKind, Show};
use crate::check::{placeholder, query, unknown_function, warning};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// The SHOW functions without a kind of data in their name.
const FUNCTIONS: [&str; 17] = [
    "show_measurement",
    "show_tag_key",
    "show_tag_value",
    "show_field_key",
    "show_measurement_cardinality",
    "show_tag_key_cardinality",
    "show_tag_value_cardinality",
    "show_field_key_cardinality",
    "show_series_cardinality",
    "show_series_count_by_field_key",
    "show_series_count_by_tag_key",
    "show_series_count_by_measurement",
    "show_workspaces",
    "show_tracing_service",
    "show_security_category",
    "show_rum_type",
    "show_object_class",
];

/// The kinds of data that `show_<kind>_source`, `_field`, `_label` and `_class` ask about.
const KINDS: [&str; 17] = [
    "object",
    "object_history",
    "custom_object",
    "custom_object_history",
    "cobject",
    "logging",
    "backup_log",
    "event",
    "unrecovered_event",
    "audit_event",
    "tracing",
    "rum",
    "network",
    "security",
    "profiling",
    "profile",
    "metric",
];

/// The names of all SHOW functions.
pub(crate) fn names() -> impl Iterator<Item = String> {
    let kinds = KINDS.iter().flat_map(|kind| {
        ["source", "field", "label", "class"].map(|what| format!("show_{kind}_{what}"))
    });
    FUNCTIONS.into_iter().map(str::to_owned).chain(kinds)
}

/// Checks a SHOW statement.
pub(super) fn check(show: &Show, found: &mut Vec<Diagnostic>) {
    let name = show.call.name.text.to_lowercase();
    if !names().any(|known| known == name) {
        let known: Vec<String> = names().collect();
        let error = unknown_function(
            &show.call.name,
            "SHOW function",
            known.iter().map(String::as_str),
        );
        found.push(error);
    }
    for arg in &show.call.args {
        placeholder(&arg.value, found);
        if matches!(arg.value.kind, ExprKind::Subquery(_)) {
            found.push(Diagnostic::error(
                Code::WrongArgumentKind,
                format!("`{name}` takes names and patterns, not a query"),
                arg.value.span,
            ));
        }
    }
    warning::counts(show.limit, None, show.offset, found);
    for condition in show.conditions.iter().flatten() {
        query::condition(condition, found);
    }
}
