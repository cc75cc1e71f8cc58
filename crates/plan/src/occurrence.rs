//! What may happen while a query runs and its answer then has to say.

use std::sync::atomic::{AtomicBool, Ordering};

use dql::Diagnostic;

/// Something that running a query may meet, such as a number that grew too large, with the warning that
/// the answer carries when it did.
#[derive(Debug)]
pub struct Occurrence {
    warning: Diagnostic,
    happened: AtomicBool,
}

impl Occurrence {
    /// It has not happened yet.
    pub(crate) fn new(warning: Diagnostic) -> Self {
        Self {
            warning,
            happened: AtomicBool::new(false),
        }
    }

    /// It happens.
    pub(crate) fn happen(&self) {
        self.happened.store(true, Ordering::Relaxed);
    }

    /// Whether it says this when it happens, about the same part of the text.
    pub(crate) fn announces(&self, warning: &Diagnostic) -> bool {
        // Two spans are always equal.
        let is_same_span = match (self.warning.span, warning.span) {
            (Some(own), Some(other)) => own.is(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        self.warning == *warning && is_same_span
    }

    /// The warning, when it happened.
    pub fn warning(&self) -> Option<&Diagnostic> {
        self.happened
            .load(Ordering::Relaxed)
            .then_some(&self.warning)
    }
}
