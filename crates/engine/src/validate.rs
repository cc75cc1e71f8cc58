//! What is wrong with a question, and what its reader should know, found without a store.

use api::{QueryRequest, StatementKind, ValidStatement, Validation};
use dql::ast::{Select, Statement};
use dql::{Diagnostic, Severity, Span, Texts};
use functions::Resources;
use plan::{BindContext, BoundShow, Delivery};

use crate::prepare;
use crate::syntax::queries;

/// Looks a question through: reads, checks and binds its statements. Its scope does not matter.
pub fn validate(request: &QueryRequest) -> Validation {
    let (script, widened) = match prepare::written(request) {
        Ok(written) => written,
        Err(findings) => {
            return Validation {
                findings,
                statements: Vec::new(),
            };
        }
    };
    let checked = prepare::findings(&script);
    let mut binding = Binding {
        request,
        now_ms: prepare::now_ms(request),
        texts: &script.texts,
        checked: &checked,
        found: Vec::new(),
    };
    for statement in &script.statements {
        binding.statement(statement);
    }
    let bound = binding.found;
    let findings = checked.into_iter().chain(widened).chain(bound);
    Validation {
        findings: findings
            .map(|finding| script.texts.located(finding))
            .collect(),
        statements: script.statements.iter().map(valid).collect(),
    }
}

/// What binding finds.
struct Binding<'a> {
    request: &'a QueryRequest,
    now_ms: i64,
    texts: &'a Texts,
    /// What checking has found.
    checked: &'a [Diagnostic],
    found: Vec<Diagnostic>,
}

impl Binding<'_> {
    fn statement(&mut self, statement: &Statement) {
        let bound = |bound: BoundShow| match bound {
            BoundShow::Rows(query) | BoundShow::Fields { query, .. } => query.notes.warnings,
            BoundShow::Workspaces { .. } => Vec::new(),
        };
        match statement {
            Statement::Select(select) => self.select(select),
            Statement::Show(show) if !self.is_wrong(show.span) => {
                self.add(show.span, plan::bind_show(show, &self.context()).map(bound));
            }
            Statement::Show(_) => {}
            Statement::Outer(outer) => {
                for select in queries(&outer.call) {
                    self.select(select);
                }
            }
        }
    }

    fn select(&mut self, select: &Select) {
        if !self.is_wrong(select.span) {
            let bound = plan::bind(select, &self.context());
            self.add(select.span, bound.map(|query| query.notes.warnings));
        }
    }

    fn context(&self) -> BindContext {
        let options = &self.request.options;
        prepare::context(options, self.now_ms, Delivery::Series, Resources::default())
    }

    fn add(&mut self, span: Span, bound: Result<Vec<Diagnostic>, Vec<Diagnostic>>) {
        let found = bound.unwrap_or_else(|errors| errors).into_iter();
        let located = found.map(|finding| self.texts.located_in(span.text, finding));
        self.found.extend(located);
    }

    /// Whether checking has found an error in a part of a text, which binding would only find again.
    fn is_wrong(&self, span: Span) -> bool {
        let is_about = |place| self.texts.is_clause(place) || span.contains(place);
        let is_error = |finding: &&Diagnostic| finding.severity == Severity::Error;
        let mut errors = self.checked.iter().filter(is_error);
        // An error about a clause is one of every statement.
        let mut found = self.found.iter().filter(is_error);
        errors.any(|error| error.span.is_none_or(is_about))
            || found.any(|error| error.origin.is_some())
    }
}

fn valid(statement: &Statement) -> ValidStatement {
    ValidStatement {
        kind: match statement {
            Statement::Select(_) => StatementKind::Query,
            Statement::Show(_) => StatementKind::Show,
            Statement::Outer(_) => StatementKind::Outer,
        },
        canonical: statement.to_string(),
        span: statement.span(),
    }
}
