//! What a statement asks for, told with its answer: the text that was run, and the names in it.

use std::collections::{BTreeMap, BTreeSet};

use api::{QueryOptions, QueryParse, Summary};
use dql::Span;
use dql::ast::visit::{Visit, for_each_expr, walk_expr, walk_select};
use dql::ast::{
    Call, Expr, ExprKind, Range, Select, Source, Statement, TimePoint, TimePointKind, Window,
};
use events::TimeRange;

use crate::syntax::{inner_queries_mut, queries, queries_mut};

/// Adds to the summary of a statement's answer what the request wants to know of the statement.
pub(crate) fn describe(summary: &mut Summary, statement: &Statement, options: &QueryOptions) {
    if options.echo_query {
        summary.raw_query = Some(text(statement.clone(), options.time_range));
    }
    if options.describe_query {
        summary.query_parse = Some(Box::new(names(statement)));
    }
}

/// The canonical text of a statement that reads this window.
fn text(mut statement: Statement, range: Option<TimeRange>) -> String {
    if let Some(range) = range {
        match &mut statement {
            Statement::Show(show) => set_range(&mut show.window, bounds(range), show.span),
            Statement::Select(select) => read_only(select, range),
            Statement::Outer(outer) => {
                for select in queries_mut(&mut outer.call) {
                    read_only(select, range);
                }
            }
        }
    }
    statement.to_string()
}

/// Gives a query this window. Queries inside it have the window of the query around them when they have
/// none.
fn read_only(select: &mut Select, range: TimeRange) {
    set_range(&mut select.window, bounds(range), select.span);
    inner_queries_mut(select)
        .into_iter()
        .for_each(without_range);
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
    inner_queries_mut(select)
        .into_iter()
        .for_each(without_range);
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
fn names(statement: &Statement) -> QueryParse {
    let mut names = Names::default();
    match statement {
        Statement::Select(select) => names.visit_select(select),
        Statement::Show(show) => names.add_function(&show.call),
        Statement::Outer(outer) => {
            let chained = std::iter::once(&outer.call).chain(&outer.chain);
            for call in chained {
                names.found.funcs.entry(name_of(call)).or_default();
            }
            for select in queries(&outer.call) {
                names.visit_select(select);
            }
        }
    }
    names.found
}

/// The names of queries.
#[derive(Default)]
struct Names<'a> {
    found: QueryParse,
    /// Those of the query that is visited.
    aliases: BTreeSet<&'a str>,
}

impl<'a> Visit<'a> for Names<'a> {
    fn visit_select(&mut self, select: &'a Select) {
        if let Some(namespace) = &select.namespace
            && self.found.namespace.is_empty()
        {
            self.found.namespace.clone_from(&namespace.name.text);
        }
        let items = select.target.iter().flatten().map(|item| &item.alias);
        let keys = select.by.iter().map(|key| &key.alias);
        let aliases = items.chain(keys).flatten();
        let aliases = aliases.map(|alias| alias.text.as_str()).collect();
        let outside = std::mem::replace(&mut self.aliases, aliases);
        walk_select(self, select);
        self.aliases = outside;
    }

    fn visit_source(&mut self, source: &'a Source) {
        let (name, kind) = match source {
            Source::Name(name) => (name.text.clone(), "exact"),
            Source::All(_) => ("*".to_owned(), "all"),
            Source::Regex(pattern) => (pattern.text.clone(), "regex"),
            Source::Subquery { query, .. } => return self.visit_select(query),
        };
        self.found.sources.insert(name, kind.to_owned());
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Field(field) if !self.aliases.contains(field.name.as_str()) => {
                let name = dql::column_name(expr);
                self.found.fields.entry(name).or_default();
            }
            ExprKind::Call(call) => self.add_function(call),
            _ => {}
        }
        walk_expr(self, expr);
    }

    /// The arguments of a rollup function name no fields.
    fn visit_window(&mut self, _: &'a Window) {}
}

impl Names<'_> {
    /// A function with the fields that it is given, also through others.
    fn add_function(&mut self, call: &Call) {
        let name = name_of(call);
        let mut fields = BTreeSet::new();
        for argument in &call.args {
            for_each_expr(&argument.value, |part| {
                if matches!(part.kind, ExprKind::Field(_)) {
                    fields.insert(dql::column_name(part));
                }
            });
        }
        for field in &fields {
            let functions: &mut BTreeSet<String> =
                self.found.fields.entry(field.clone()).or_default();
            functions.insert(name.clone());
        }
        let known: &mut BTreeMap<String, BTreeSet<String>> = &mut self.found.funcs;
        known.entry(name).or_default().extend(fields);
    }
}

fn name_of(call: &Call) -> String {
    call.name.text.to_ascii_lowercase()
}
