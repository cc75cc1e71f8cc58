//! `SHOW` functions: what an audit store can tell about itself.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{cast, lit};
use datafusion::scalar::ScalarValue;
use dql::Diagnostic;
use dql::ast::{Ident, Item, Namespace, Select, Show, Source};
use events::fields::{ATTRIBUTES, FIELDS};
use functions::json_keys::json_keys;

use super::name::column;
use super::{BindContext, bind_query, not_supported};
use crate::bound::{BoundQuery, BoundShow, Column, Shape};
use crate::types::Type;

/// The SHOW functions that have an answer.
pub const SHOW_FUNCTIONS: [&str; 5] = [
    "show_event_source",
    "show_audit_event_source",
    "show_event_field",
    "show_audit_event_field",
    "show_workspaces",
];

/// Binds a SHOW statement. `show_event_…` tells about audit events, as does its twin
/// `show_audit_event_…`.
///
/// # Errors
/// As [`bind_query`]; a SHOW function about data that no audit store holds is refused.
pub(super) fn bind_show(show: &Show, context: &BindContext) -> Result<BoundShow, Vec<Diagnostic>> {
    let context = &BindContext {
        single_field: false,
        ..context.clone()
    };
    let limit = show.limit.map(|count| count.value);
    let offset = show.offset.map_or(0, |count| count.value);
    match show.call.name.text.to_ascii_lowercase().as_str() {
        "show_workspaces" => match clause_about_events(show) {
            Some(finding) => Err(vec![finding]),
            None => Ok(BoundShow::Workspaces { limit, offset }),
        },
        "show_event_source" | "show_audit_event_source" => {
            let mut query = bind_query(&sources_query(show), context)?;
            query.name = Some("measurements".to_owned());
            Ok(BoundShow::Rows(query))
        }
        "show_event_field" | "show_audit_event_field" => {
            let mut query = bind_query(&fields_query(show), context)?;
            summarise_fields(&mut query);
            Ok(BoundShow::Fields {
                query,
                limit,
                offset,
            })
        }
        name => {
            let reason = "this store holds audit events: `show_event_source()`, `show_event_field('source')`, `show_workspaces()`";
            Err(vec![*not_supported(
                &format!("`{name}`"),
                reason,
                show.call.name.span,
            )])
        }
    }
}

/// The finding about a clause that chooses events, where there are none.
fn clause_about_events(show: &Show) -> Option<Diagnostic> {
    let condition = show.conditions.iter().flatten().next();
    let span = condition
        .map(|condition| condition.span)
        .or(show.window.as_ref().map(|window| window.span))?;
    let reason = "it names the workspaces of the scope, whatever events they hold";
    let error = not_supported("a condition or a window of `show_workspaces`", reason, span);
    Some(error.with_hint("leave `{…}` and `[…]` out"))
}

/// `TAE::*:(distinct(df_source) AS source)` with the clauses of the statement.
fn sources_query(show: &Show) -> Select {
    let span = show.call.name.span;
    let ident = |text: &str| Ident {
        text: text.to_owned(),
        span,
    };
    let field = dql::ast::Field {
        name: events::fields::SOURCE.to_owned(),
        path: Vec::new(),
    };
    let argument = dql::ast::Arg {
        name: None,
        value: dql::ast::Expr {
            kind: dql::ast::ExprKind::Field(field),
            span,
        },
        alias: None,
    };
    let call = dql::ast::Call {
        name: ident("distinct"),
        args: vec![argument],
    };
    let item = Item {
        expr: dql::ast::Expr {
            kind: dql::ast::ExprKind::Call(call),
            span,
        },
        shift: None,
        alias: Some(ident("source")),
    };
    Select {
        limit: show.limit,
        offset: show.offset,
        target: Some(vec![item]),
        ..query_over(show, Source::All(span))
    }
}

/// The events whose fields are asked for: those of the source that the first argument names.
fn fields_query(show: &Show) -> Select {
    let span = show.call.name.span;
    let named = show
        .call
        .args
        .iter()
        .find(|argument| argument.name.is_none());
    let source = match named.map(|argument| &argument.value.kind) {
        Some(dql::ast::ExprKind::String(text)) => Source::Name(Ident {
            text: text.clone(),
            span,
        }),
        Some(dql::ast::ExprKind::Field(field)) => Source::Name(Ident {
            text: field.name.clone(),
            span,
        }),
        _ => Source::All(span),
    };
    query_over(show, source)
}

fn query_over(show: &Show, source: Source) -> Select {
    let span = show.call.name.span;
    let namespace = Namespace {
        name: Ident {
            text: "TAE".to_owned(),
            span,
        },
        indexes: Vec::new(),
    };
    Select {
        conditions: show.conditions.clone(),
        window: show.window.clone(),
        ..Select::over(Some(namespace), vec![source], show.span)
    }
}

/// Makes of a query over events one row: for each field how many events have it, and behind them the
/// names and types of the attributes.
fn summarise_fields(query: &mut BoundQuery) {
    let counts = FIELDS
        .iter()
        .map(|field| aggregates::count(column(field.name)));
    let aggregates = counts.chain([json_keys(column(ATTRIBUTES))]).collect();
    let names = FIELDS
        .iter()
        .map(|field| (field.name, Type::Int))
        .chain([("", Type::Json)]);
    query.shape = Shape::Aggregate { aggregates };
    query.columns = names
        .enumerate()
        .map(|(index, (name, value_type))| Column {
            name: name.to_owned(),
            expr: column(&format!("a{index}")),
            value_type,
        })
        .collect();
    query.time = cast(lit(ScalarValue::Null), DataType::Int64);
    query.order = Vec::new();
    query.step_ms = None;
    query.page = None;
}
