//! The texts that a request is made of: its query, queries in quotes inside it, and clauses beside it.

use crate::diagnostic::{Diagnostic, Origin};
use crate::limits::TEXT_BYTES;
use crate::span::{Span, TextId};

/// The texts besides the query, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    texts: Vec<Text>,
    query_bytes: usize,
}

/// The length of the query is no part of its meaning.
impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Text {
    /// A query in quotes, which are at the span.
    Quoted(Span),
    /// A clause of the request.
    Clause(Origin),
}

impl Texts {
    /// No texts besides a query.
    pub(crate) fn beside(query: &str) -> Self {
        Self {
            texts: Vec::new(),
            query_bytes: query.len(),
        }
    }

    /// Checks the length of the query and all clauses so far, the last of which is `text`.
    ///
    /// # Errors
    /// They are longer than [`TEXT_BYTES`].
    pub(crate) fn check_size(&self, id: TextId, text: &str) -> Result<(), Box<Diagnostic>> {
        let clauses = self.texts.iter().map(|text| match text {
            Text::Clause(origin) => origin.text.len(),
            // It is a part of another text.
            Text::Quoted(_) => 0,
        });
        let bytes = self.query_bytes + clauses.sum::<usize>();
        if bytes <= TEXT_BYTES.most {
            return Ok(());
        }
        let end = Span::new(text.len(), text.len()).of(id);
        Err(Box::new(TEXT_BYTES.exceeded(bytes, end)))
    }

    /// Adds a query in quotes.
    pub(crate) fn add_quoted(&mut self, quotes: Span) -> TextId {
        self.add(Text::Quoted(quotes))
    }

    /// Adds a clause of the request.
    pub(crate) fn add_clause(&mut self, name: &str, text: &str) -> TextId {
        self.add(Text::Clause(Origin {
            name: name.to_owned(),
            text: text.to_owned(),
        }))
    }

    fn add(&mut self, text: Text) -> TextId {
        self.texts.push(text);
        // A request has no more bytes than `limits::TEXT_BYTES`.
        TextId::new(u32::try_from(self.texts.len()).unwrap_or(u32::MAX))
    }

    /// The number of quotes around a span.
    pub(crate) fn depth(&self, span: Span) -> usize {
        let mut depth = 0;
        let mut text = span.text;
        while let Some(Text::Quoted(quotes)) = self.text(text) {
            depth += 1;
            text = quotes.text;
        }
        depth
    }

    /// The sort key of findings: by the text of the query, those about quotes at the quotes, then those about clauses.
    pub(crate) fn position(&self, span: Span) -> (TextId, usize) {
        match self.text(span.text) {
            Some(Text::Quoted(quotes)) => self.position(*quotes),
            Some(Text::Clause(_)) | None => (span.text, span.start),
        }
    }

    /// Whether a span is in a clause of the request.
    pub fn is_clause(&self, span: Span) -> bool {
        matches!(self.text(span.text), Some(Text::Clause(_)))
    }

    fn text(&self, id: TextId) -> Option<&Text> {
        self.texts.get(id.index()?)
    }

    /// A finding relative to a text that its reader knows: a clause keeps its text, and a query in quotes becomes
    /// its quotes, because its own offsets are not those of the text around it.
    pub fn located(&self, finding: Diagnostic) -> Diagnostic {
        let text = finding.span.map_or(TextId::QUERY, |span| span.text);
        self.located_in(text, finding)
    }

    /// The same of a finding about a text, wherever in it.
    pub fn located_in(&self, text: TextId, mut finding: Diagnostic) -> Diagnostic {
        let text = match (finding.span, &finding.origin) {
            (_, Some(_)) => return finding,
            (Some(span), None) => span.text,
            (None, None) => text,
        };
        match self.text(text) {
            None => finding,
            Some(Text::Clause(origin)) => {
                let inside = |span: Span| {
                    let end = origin.text.len();
                    Span::new(span.start.min(end), span.end.min(end))
                };
                finding.span = finding.span.map(inside);
                // The brackets around a clause are not in its text.
                let is_inside = |span: Span| span.text == text && span.start < span.end;
                let label = finding.label.filter(|(span, _)| is_inside(*span));
                finding.label = label.map(|(span, words)| (inside(span), words));
                finding.origin = Some(origin.clone());
                finding
            }
            Some(Text::Quoted(quotes)) => {
                finding.message = format!("in the query in quotes: {}", finding.message);
                finding.span = Some(*quotes);
                finding.label = None;
                self.located(finding)
            }
        }
    }
}
