//! Operands of functions, and values that several functions compute.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, lit};
use dql::ast::Expr as AstExpr;
use dql::{Code, Diagnostic, Severity};
use functions::NoteId;
use functions::finite::finite;
use functions::percentile::EXACT_VALUES;

use super::{BindResult, Binder, arguments};
use crate::types::{Type, Typed};

impl Binder<'_> {
    /// The value of an argument, in which a text in quotes names a field.
    pub(super) fn operand(&mut self, written: &AstExpr) -> BindResult<Typed> {
        self.expression(&arguments::unquoted(written))
    }

    /// The value of an argument as a number.
    pub(super) fn number_operand(&mut self, written: &AstExpr) -> BindResult<Typed> {
        let value = self.operand(written)?;
        self.number(value, written)
    }

    /// A sum divided by the seconds of the step, or of the window of a query without steps.
    pub(super) fn per_second(&self, total: Typed) -> Typed {
        let window_ms = self.range.to_ms.saturating_sub(self.range.from_ms);
        let seconds = self.step_ms.unwrap_or(window_ms) as f64 / 1000.0;
        let rate = cast(total.expr, DataType::Float64) / lit(seconds);
        // An empty window has no seconds.
        Typed::new(finite(rate), Type::Float)
    }

    /// The note that a percentile was estimated.
    pub(super) fn estimated_percentile(&mut self) -> NoteId {
        let message = format!(
            "a percentile was estimated, because a group has more than {EXACT_VALUES} values"
        );
        self.occurrence(Diagnostic::new(
            Severity::Warning,
            Code::EstimatedPercentile,
            message,
            None,
        ))
    }
}
