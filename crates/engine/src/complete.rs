//! What may stand at a place of a text that is being written.
//!
//! [`dql::complete`] tells from the text alone what kinds of things fit; here they get names: those of
//! the language, of the catalogue, and of what the newest events in scope hold.

mod seen;

use std::collections::HashSet;

use api::{Candidate, CandidateKind, Candidates, QueryRequest};
use dql::ast::{Expr, ExprKind, Field};
use dql::{
    Code, Completion, Diagnostic, FunctionRole, FunctionSignature, LiteralKind, Severity, Span,
    Wanted,
};
use events::fields::FIELDS;

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// What may stand at byte `offset` of the text of a request, at most `most` candidates. What is
    /// offered of the store comes from the events in scope: those of the request's window, else the
    /// newest.
    ///
    /// # Errors
    /// When the offset is none of a character, a workspace is unknown, or the store fails. A text that is
    /// wrong is no error.
    pub async fn complete(
        &self,
        request: &QueryRequest,
        offset: usize,
        most: usize,
    ) -> Result<Candidates, EngineError> {
        dql::check_text(&request.query).map_err(|error| EngineError::Query(vec![*error]))?;
        if !request.query.is_char_boundary(offset) {
            let message = format!(
                "the offset {offset} is inside a character or behind the text, which has {} bytes",
                request.query.len()
            );
            let error = Diagnostic::new(Severity::Error, Code::InvalidOffset, message, None);
            return Err(EngineError::Query(vec![error]));
        }
        let place = dql::complete(&request.query, offset);
        let is_backquoted = request.query[place.replace.start..].starts_with('`');
        let mut found = Found::new(&place, is_backquoted);
        for wanted in &place.wanted {
            match wanted {
                Wanted::Sources => self.sources(request, &place, &mut found).await?,
                Wanted::Values { field } => {
                    self.values(request, &place, field, &mut found).await?;
                }
                Wanted::Fields => {
                    found.add_fields();
                    self.attributes(request, &place, &mut found).await?;
                }
                other => found.add_words(other),
            }
        }
        Ok(found.ranked(place.replace, most))
    }
}

/// The candidates so far, in the order of their use.
struct Found<'a> {
    typed: &'a str,
    is_backquoted: bool,
    known: HashSet<(String, CandidateKind)>,
    candidates: Vec<(Fit, Candidate)>,
}

/// How well a candidate goes with what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Begins,
    BeginsInOtherCase,
    Holds,
}

impl<'a> Found<'a> {
    fn new(place: &'a Completion, is_backquoted: bool) -> Self {
        Self {
            typed: &place.typed,
            is_backquoted,
            known: HashSet::new(),
            candidates: Vec::new(),
        }
    }

    /// Adds a candidate that goes with what is typed.
    fn add(&mut self, text: String, kind: CandidateKind, detail: impl Into<String>) {
        if let Some(fit) = self.fit(&text, kind)
            && self.known.insert((text.clone(), kind))
        {
            let detail = detail.into();
            self.candidates
                .push((fit, Candidate { text, kind, detail }));
        }
    }

    fn fit(&self, text: &str, kind: CandidateKind) -> Option<Fit> {
        let bare = text.trim_start_matches(['\'', '`']);
        if bare.starts_with(self.typed) || text.starts_with(self.typed) {
            return Some(Fit::Begins);
        }
        let (bare, typed) = (bare.to_lowercase(), self.typed.to_lowercase());
        let may_hold = matches!(
            kind,
            CandidateKind::Field | CandidateKind::Attribute | CandidateKind::Value
        );
        match bare.find(&typed) {
            Some(0) => Some(Fit::BeginsInOtherCase),
            Some(_) if may_hold => Some(Fit::Holds),
            _ => None,
        }
    }

    /// Adds a name as it is written in a query.
    fn add_name(&mut self, name: &str, kind: CandidateKind, detail: impl Into<String>) {
        let field = Field {
            name: name.to_owned(),
            path: Vec::new(),
        };
        let mut text = written(ExprKind::Field(field));
        if self.is_backquoted && !text.starts_with('`') {
            text = format!("`{text}`");
        }
        self.add(text, kind, detail);
    }

    fn add_fields(&mut self) {
        for field in &FIELDS {
            let unit = field
                .unit
                .map_or(String::new(), |unit| format!(" in {unit}"));
            let kind = field.field_type.as_str();
            let detail = format!("{kind}{unit}: {}", field.meaning);
            self.add_name(field.name, CandidateKind::Field, detail);
        }
        for field in &FIELDS {
            for alias in field.aliases {
                let detail = format!("another name of `{}`", field.name);
                self.add_name(alias, CandidateKind::Field, detail);
            }
        }
    }

    /// Adds what the language and the text give.
    fn add_words(&mut self, wanted: &Wanted) {
        match wanted {
            Wanted::Namespaces => {
                for (name, detail) in [
                    ("TAE", "audit events"),
                    ("E", "audit events, as older documents name them"),
                    ("event", "audit events, as older documents name them"),
                ] {
                    self.add(format!("{name}::"), CandidateKind::Namespace, detail);
                }
            }
            Wanted::Names(names) => {
                for name in names {
                    self.add_name(name, CandidateKind::Alias, "a name in this query");
                }
            }
            Wanted::Arguments(names) => {
                for name in names {
                    self.add(format!("{name} = "), CandidateKind::Alias, "an argument");
                }
            }
            Wanted::Functions(functions) => {
                for function in functions.iter().filter(|function| is_answered(function)) {
                    let ending = match function.signature.ends_with("()") {
                        true => "()",
                        false => "(",
                    };
                    let text = format!("{}{ending}", function.name);
                    self.add(text, CandidateKind::Function, function.signature.as_str());
                }
            }
            Wanted::Keywords(words) => self.add_all(words, CandidateKind::Keyword, ""),
            Wanted::Symbols(symbols) => self.add_all(symbols, CandidateKind::Operator, ""),
            Wanted::Literal { kind, examples } => {
                let (kind, detail) = match kind {
                    LiteralKind::Duration => (CandidateKind::Time, "a duration"),
                    LiteralKind::Time => (CandidateKind::Time, "a time"),
                    LiteralKind::Step => (CandidateKind::Time, "a step"),
                    LiteralKind::Number => (CandidateKind::Literal, "a number"),
                    LiteralKind::Text => (CandidateKind::Literal, "a text"),
                    LiteralKind::Pattern => (CandidateKind::Literal, "a pattern"),
                    LiteralKind::Query => (CandidateKind::Literal, "a query in quotes"),
                    LiteralKind::Name => (CandidateKind::Literal, "a new name"),
                };
                self.add_all(examples, kind, detail);
            }
            // These come from the catalogue and the store.
            Wanted::Sources | Wanted::Fields | Wanted::Values { .. } => {}
        }
    }

    fn add_all(&mut self, texts: &[&str], kind: CandidateKind, detail: &str) {
        for text in texts {
            self.add((*text).to_owned(), kind, detail);
        }
    }

    /// The candidates that fit best, each kind in the order in which it came.
    fn ranked(mut self, replace: Span, most: usize) -> Candidates {
        self.candidates.sort_by_key(|(fit, _)| *fit);
        let has_more = self.candidates.len() > most;
        self.candidates.truncate(most);
        Candidates {
            replace,
            candidates: self.candidates.into_iter().map(|(_, one)| one).collect(),
            has_more,
        }
    }
}

/// Whether a function has a meaning for audit events.
fn is_answered(function: &FunctionSignature) -> bool {
    match function.role {
        FunctionRole::Show => plan::SHOW_FUNCTIONS.contains(&function.name.as_str()),
        FunctionRole::Data => false,
        _ => true,
    }
}

/// An expression as it is written in a query.
fn written(kind: ExprKind) -> String {
    let span = Span::default();
    Expr { kind, span }.to_string()
}
