//! Texts in DQL that a request carries beside its query, and findings about them.
//!
//! They are parsed behind as many blanks as there is text before them, so that the places of all texts
//! of a request are different; a finding is told with the text that its place lies in.

use dql::ast::{Expr, Select, Statement};
use dql::{Diagnostic, Origin, Span};

/// The texts of a request besides its query.
#[derive(Debug)]
pub(crate) struct Fragments {
    parts: Vec<Fragment>,
    /// Where the next text begins.
    next: usize,
}

#[derive(Debug)]
struct Fragment {
    name: String,
    text: String,
    start: usize,
}

impl Fragments {
    /// No texts beside this one.
    pub(crate) fn beside(query: &str) -> Self {
        Self {
            parts: Vec::new(),
            next: query.len() + 1,
        }
    }

    /// Reads what may stand between braces.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn conditions(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<Vec<Expr>, Vec<Diagnostic>> {
        let select = self.parse(name, "TAE::*{", text, "}")?;
        let only = |conditions: &Option<Vec<Expr>>| Select {
            conditions: conditions.clone(),
            ..bare(&select)
        };
        match &select.conditions {
            Some(conditions) if select == only(&select.conditions) => Ok(conditions.clone()),
            _ => Err(vec![self.wrong(name, "conditions alone can stand here")]),
        }
    }

    /// Reads one expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn expression(&mut self, name: &str, text: &str) -> Result<Expr, Box<Diagnostic>> {
        let first = |errors: Vec<Diagnostic>| errors.into_iter().next();
        let select = match self.parse(name, "TAE::*:(", text, ")") {
            Ok(select) => select,
            Err(errors) => {
                let wrong = self.wrong(name, "this is no expression");
                return Err(Box::new(first(errors).unwrap_or(wrong)));
            }
        };
        let only = Select {
            target: select.target.clone(),
            ..bare(&select)
        };
        match select.target.as_deref() {
            Some([item]) if item.alias.is_none() && item.shift.is_none() && select == only => {
                Ok(item.expr.clone())
            }
            _ => {
                let message = "one column or expression alone can stand here";
                Err(Box::new(self.wrong(name, message)))
            }
        }
    }

    /// Parses a query that holds the text, and whose text has the places kept for it.
    fn parse(
        &mut self,
        name: &str,
        before: &str,
        text: &str,
        after: &str,
    ) -> Result<Select, Vec<Diagnostic>> {
        let start = self.next + before.len();
        let padding = " ".repeat(self.next);
        self.next = start + text.len() + after.len() + 1;
        self.parts.push(Fragment {
            name: name.to_owned(),
            text: text.to_owned(),
            start,
        });
        // The line end ends a comment, which otherwise would hide the closing bracket.
        let whole = format!("{padding}{before}{text}\n{after}");
        let script = dql::parse(&whole).map_err(|errors| self.located(errors))?;
        match <[Statement; 1]>::try_from(script.statements) {
            Ok([Statement::Select(select)]) => Ok(*select),
            _ => Err(vec![
                self.wrong(name, "one expression alone can stand here"),
            ]),
        }
    }

    /// Findings with the texts that their places lie in.
    pub(crate) fn located(&self, findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        findings
            .into_iter()
            .map(|finding| self.with_origin(finding))
            .collect()
    }

    fn with_origin(&self, mut finding: Diagnostic) -> Diagnostic {
        let at = finding.span.map_or(0, |span| span.start);
        // A finding about the closing bracket is one about the end of the text.
        let part = self.parts.iter().rev().find(|part| at + 1 >= part.start);
        let Some(part) = part.filter(|_| finding.origin.is_none()) else {
            return finding;
        };
        let inside = |place: usize| place.saturating_sub(part.start).min(part.text.len());
        let moved = |span: Span| Span::new(inside(span.start), inside(span.end));
        finding.span = finding.span.map(moved);
        // A bracket around the text is not the author's.
        let label = finding.label.filter(|(span, _)| span.start >= part.start);
        finding.label = label.map(|(span, words)| (moved(span), words));
        finding.origin = Some(Origin {
            name: part.name.clone(),
            text: part.text.clone(),
        });
        finding
    }

    fn wrong(&self, name: &str, message: &str) -> Diagnostic {
        let part = self.parts.iter().find(|part| part.name == name);
        let span = part.map_or(Span::default(), |part| {
            Span::new(part.start, part.start + part.text.len())
        });
        self.with_origin(Diagnostic::error("parse_error", message, span))
    }
}

/// The namespace and source of a query, without clauses.
fn bare(select: &Select) -> Select {
    Select {
        namespace: select.namespace.clone(),
        sources: select.sources.clone(),
        target: None,
        conditions: None,
        window: None,
        shift: None,
        by: Vec::new(),
        having: Vec::new(),
        order_by: Vec::new(),
        sorder_by: None,
        limit: None,
        offset: None,
        slimit: None,
        soffset: None,
        link: None,
        span: select.span,
    }
}
