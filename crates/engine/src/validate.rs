//! What is wrong with a question, and what its reader should know, found without a store.

use api::{QueryRequest, StatementKind, ValidStatement, Validation};
use dql::ast::Statement;
use dql::{Diagnostic, Severity, Span, Texts};
use functions::Resources;
use plan::{BindContext, BoundStatement, Delivery};

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
    /// Binds a statement in which checking has found no error, which binding would only find again.
    fn statement(&mut self, statement: &Statement) {
        let is_wrong = match statement {
            Statement::Outer(outer) => {
                let inner = queries(&outer.call).into_iter().map(|select| select.span);
                let mut spans = inner.chain([outer.span]);
                spans.any(|span| self.is_wrong(span))
            }
            other => self.is_wrong(other.span()),
        };
        if is_wrong {
            return;
        }
        match plan::bind(statement, &self.context()) {
            Ok(BoundStatement::Query(query)) => self.add(statement.span(), query.notes.warnings),
            Ok(BoundStatement::Show(show)) => {
                let query = show.query().map(|query| query.notes.warnings.clone());
                self.add(statement.span(), query.unwrap_or_default());
            }
            Ok(BoundStatement::Series(plan)) => {
                for (query, span) in plan.queries() {
                    self.add(span, query.notes.warnings.clone());
                }
                for call in plan.calls() {
                    self.add(statement.span(), call.notes.warnings.clone());
                }
            }
            Err(errors) => self.add(statement.span(), errors),
        }
    }

    fn context(&self) -> BindContext {
        let options = &self.request.options;
        prepare::context(options, self.now_ms, Delivery::Series, Resources::default())
    }

    /// Adds findings about a part of a text.
    fn add(&mut self, span: Span, found: Vec<Diagnostic>) {
        let found = found.into_iter();
        let located = found.map(|finding| self.texts.located_in(span.text, finding));
        self.found.extend(located);
    }

    /// Whether checking has found an error in a part of a text.
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
