//! What is wrong with a question, and what its reader should know, found without a store.

use std::convert::Infallible;

use dql::ast::{Outer, Statement};
use dql::{Diagnostic, Severity, Span};
use plan::{BindContext, BoundShow, Delivery, Resources};

use crate::outer::{DEEPEST, quoted};
use crate::prepare;
use crate::request::QueryRequest;
use crate::syntax::{Inner, each_argument};

/// What is known of a question without running it.
#[derive(Debug, Clone)]
pub struct Validation {
    /// The errors and the warnings.
    pub findings: Vec<Diagnostic>,
    /// The statements in the order of the text; empty when it cannot be read.
    pub statements: Vec<ValidStatement>,
}

/// A statement that can be read.
#[derive(Debug, Clone)]
pub struct ValidStatement {
    /// What it is.
    pub kind: StatementKind,
    /// Its canonical text, with the clauses of the request.
    pub canonical: String,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// A query.
    Query,
    /// A SHOW function.
    Show,
    /// A function over the result of a query.
    Outer,
}

/// Looks a question through: reads, checks and binds its statements. Its scope does not matter.
pub fn validate(request: &QueryRequest) -> Validation {
    let (script, fragments, widened) = match prepare::written(request) {
        Ok(written) => written,
        Err(findings) => {
            return Validation {
                findings,
                statements: Vec::new(),
            };
        }
    };
    let mut findings = prepare::findings(&script, &fragments);
    findings.extend(widened);
    let now_ms = prepare::now_ms(request);
    for statement in &script.statements {
        let resources = Resources::default();
        let context = prepare::context(&request.options, now_ms, Delivery::Series, resources);
        // What is wrong already would only be told again.
        if !has_error(&findings, span_of(statement)) {
            findings.extend(fragments.located(bound(statement, &context, 0)));
        }
    }
    let statements = script.statements.iter().map(valid).collect();
    Validation {
        findings,
        statements,
    }
}

fn has_error(findings: &[Diagnostic], span: Span) -> bool {
    let is_inside = |place: Span| span.start <= place.start && place.end <= span.end;
    findings.iter().any(|finding| {
        let is_about = finding.origin.is_some() || finding.span.is_none_or(is_inside);
        finding.severity == Severity::Error && is_about
    })
}

fn valid(statement: &Statement) -> ValidStatement {
    ValidStatement {
        kind: match statement {
            Statement::Select(_) => StatementKind::Query,
            Statement::Show(_) => StatementKind::Show,
            Statement::Outer(_) => StatementKind::Outer,
        },
        canonical: statement.to_string(),
        span: span_of(statement),
    }
}

fn span_of(statement: &Statement) -> Span {
    match statement {
        Statement::Select(select) => select.span,
        Statement::Show(show) => show.span,
        Statement::Outer(outer) => outer.span,
    }
}

/// What binding finds.
fn bound(statement: &Statement, context: &BindContext, depth: usize) -> Vec<Diagnostic> {
    let warnings = match statement {
        Statement::Select(select) => plan::bind(select, context).map(|query| query.notes.warnings),
        Statement::Show(show) => plan::bind_show(show, context).map(|bound| match bound {
            BoundShow::Rows(query) | BoundShow::Fields { query, .. } => query.notes.warnings,
            BoundShow::Workspaces { .. } => Vec::new(),
        }),
        Statement::Outer(outer) => Ok(inner(outer, context, depth)),
    };
    warnings.unwrap_or_else(|errors| errors)
}

/// What is found in the queries that functions work on.
fn inner(outer: &Outer, context: &BindContext, depth: usize) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let Ok(()) = each_argument::<Infallible>(&mut outer.call.clone(), &mut |argument| {
        match argument {
            Inner::Written(select) => {
                let statement = Statement::Select(Box::new(select.clone()));
                found.extend(bound(&statement, context, depth));
            }
            Inner::Quoted(text, span) => {
                let inside = in_quotes(text, context, depth);
                found.extend(inside.into_iter().map(|finding| quoted(finding, span)));
            }
        }
        Ok(())
    });
    found
}

fn in_quotes(text: &str, context: &BindContext, depth: usize) -> Vec<Diagnostic> {
    if depth == DEEPEST {
        let message = format!("queries in quotes are nested deeper than {DEEPEST}");
        return vec![Diagnostic::new(Severity::Error, "too_deep", message, None)];
    }
    let script = match dql::parse(text) {
        Ok(script) => script,
        Err(errors) => return errors,
    };
    let mut found = dql::check(&script);
    for statement in &script.statements {
        if !has_error(&found, span_of(statement)) {
            found.extend(bound(statement, context, depth + 1));
        }
    }
    found
}
