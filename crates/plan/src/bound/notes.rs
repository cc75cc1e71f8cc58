//! What an answer reports besides its rows.

use std::sync::Arc;

use dql::{Diagnostic, Span};
use functions::NoteId;

/// What an answer reports besides its rows.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Known before running.
    pub warnings: Vec<Diagnostic>,
    /// The attributes that running looks for.
    pub observations: Vec<Observation>,
    /// What running may meet.
    pub occurrences: Vec<Occurrence>,
}

impl Notes {
    /// The notes that calls are about.
    pub fn ids(&self) -> impl Iterator<Item = NoteId> {
        let observations = self.observations.iter();
        let observed = observations.flat_map(|observation| {
            let not_numbers = observation.not_numbers.iter().copied();
            not_numbers.chain([observation.present])
        });
        let occurrences = self.occurrences.iter();
        observed.chain(occurrences.map(|occurrence| occurrence.note))
    }
}

/// An attribute that a query names. Which attributes events have is known only after they were read.
#[derive(Debug, PartialEq)]
pub struct Attribute {
    /// The name as written.
    pub name: String,
    /// Where it is in the query.
    pub span: Span,
}

/// What running a query finds out about an attribute.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The attribute.
    pub attribute: Arc<Attribute>,
    /// The note that an event has it, be it as a JSON null.
    pub present: NoteId,
    /// The notes that a value is left out of arithmetic because it is no number, of the query that reads the attribute
    /// and of those around it.
    pub not_numbers: Vec<NoteId>,
}

/// Something that running a query may meet, such as a number that grew too large.
#[derive(Debug, Clone)]
pub struct Occurrence {
    /// The note.
    pub note: NoteId,
    /// The warning that the answer carries when it was met.
    pub warning: Diagnostic,
}

impl Occurrence {
    /// Whether it carries this warning, about the same part of the text.
    pub(crate) fn announces(&self, warning: &Diagnostic) -> bool {
        // Two spans are always equal.
        let is_same_span = match (self.warning.span, warning.span) {
            (Some(own), Some(other)) => own.is(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        self.warning == *warning && is_same_span
    }
}
