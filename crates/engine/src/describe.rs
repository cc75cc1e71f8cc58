//! What a statement asks for, told with its answer: the text that was run, and the names in it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use dql::Span;
use dql::ast::{
    Call, ExprKind, Range, Select, Source, Statement, TimePoint, TimePointKind, Window,
};
use events::TimeRange;

use crate::answer::{QueryParse, Summary};
use crate::request::QueryOptions;
use crate::syntax::{each_expression, each_inner, each_part, each_query};

/// Adds to the summary of a statement's answer what the request wants to know of the statement.
pub(crate) fn describe(summary: &mut Summary, statement: &Statement, options: &QueryOptions) {
    if options.echo_query {
        summary.raw_query = Some(text(statement.clone(), options.time_range));
    }
    if options.describe_query {
        summary.query_parse = Some(Box::new(names(statement.clone())));
    }
}

/// The canonical text of a statement that reads this window.
fn text(mut statement: Statement, range: Option<TimeRange>) -> String {
    if let Some(range) = range {
        match &mut statement {
            Statement::Show(show) => set_range(&mut show.window, bounds(range), show.span),
            Statement::Select(select) => read_only(select, range),
            Statement::Outer(outer) => {
                let Ok(()) = each_query(&mut outer.call, &mut |select| {
                    read_only(select, range);
                    Ok::<(), Infallible>(())
                });
            }
        }
    }
    statement.to_string()
}

/// Gives a query this window. Queries inside it have the window of the query around them when they have
/// none.
fn read_only(select: &mut Select, range: TimeRange) {
    set_range(&mut select.window, bounds(range), select.span);
    each_inner(select, &mut without_range);
}

fn without_range(select: &mut Select) {
    if let Some(window) = &mut select.window {
        let step = window.step.take();
        let rollup = window.rollup.take();
        select.window = (step.is_some() || rollup.is_some()).then_some(Window {
            range: Range::Bounds {
                from: None,
                to: None,
            },
            step,
            rollup,
            span: select.span,
        });
    }
    each_inner(select, &mut without_range);
}

fn set_range(window: &mut Option<Window>, range: Range, span: Span) {
    match window {
        Some(window) => window.range = range,
        None => {
            *window = Some(Window {
                range,
                step: None,
                rollup: None,
                span,
            });
        }
    }
}

fn bounds(range: TimeRange) -> Range {
    let point = |time_ms: i64| TimePoint {
        // DQL takes small numbers for seconds.
        kind: TimePointKind::Epoch(match time_ms {
            -99_999_999_999..=99_999_999_999 => time_ms / 1000,
            _ => time_ms,
        }),
        span: Span::default(),
    };
    Range::Bounds {
        from: Some(point(range.from_ms)),
        to: Some(point(range.to_ms)),
    }
}

/// The names in a statement.
fn names(statement: Statement) -> QueryParse {
    let mut found = QueryParse::default();
    match statement {
        Statement::Select(mut select) => add_query(&mut select, &mut found),
        Statement::Show(show) => add_function(&show.call, &mut found),
        Statement::Outer(mut outer) => {
            let chained = std::iter::once(&outer.call).chain(&outer.chain);
            for call in chained {
                found.funcs.entry(name_of(call)).or_default();
            }
            let Ok(()) = each_query(&mut outer.call, &mut |select| {
                add_query(select, &mut found);
                Ok::<(), Infallible>(())
            });
        }
    }
    found
}

fn add_query(select: &mut Select, found: &mut QueryParse) {
    if let Some(namespace) = &select.namespace
        && found.namespace.is_empty()
    {
        found.namespace.clone_from(&namespace.name.text);
    }
    for source in &select.sources {
        let (name, kind) = match source {
            Source::Name(name) => (name.text.clone(), "exact"),
            Source::All(_) => ("*".to_owned(), "all"),
            Source::Regex(pattern) => (pattern.text.clone(), "regex"),
            Source::Subquery { .. } => continue,
        };
        found.sources.insert(name, kind.to_owned());
    }
    let aliases: BTreeSet<String> = select
        .target
        .iter()
        .flatten()
        .map(|item| &item.alias)
        .chain(select.by.iter().map(|key| &key.alias))
        .flatten()
        .map(|alias| alias.text.clone())
        .collect();
    each_expression(select, &mut |expr| match &expr.kind {
        ExprKind::Field(field) if !aliases.contains(&field.name) => {
            found.fields.entry(dql::column_name(expr)).or_default();
        }
        ExprKind::Call(call) => add_function(call, found),
        _ => {}
    });
    each_inner(select, &mut |inner| add_query(inner, found));
}

/// A function with the fields that it is given, also through others.
fn add_function(call: &Call, found: &mut QueryParse) {
    let name = name_of(call);
    let mut fields = BTreeSet::new();
    for argument in &call.args {
        each_part(&mut argument.value.clone(), &mut |part| {
            if matches!(part.kind, ExprKind::Field(_)) {
                fields.insert(dql::column_name(part));
            }
        });
    }
    for field in &fields {
        let functions: &mut BTreeSet<String> = found.fields.entry(field.clone()).or_default();
        functions.insert(name.clone());
    }
    let known: &mut BTreeMap<String, BTreeSet<String>> = &mut found.funcs;
    known.entry(name).or_default().extend(fields);
}

fn name_of(call: &Call) -> String {
    call.name.text.to_ascii_lowercase()
}
