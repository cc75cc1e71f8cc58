//! `drain(text, threshold [, most])`: the template of a log line.

use datafusion::logical_expr::Expr;
use dql::ast::Call;
use dql::{Code, Diagnostic, Span};
use functions::drain::{DrainNotes, DrainOptions, MOST_LINES, learn_templates, template_of};

use super::name::column;
use super::predicate::as_text;
use super::{Bind, Binder, arguments, wrong};
use crate::types::{Type, Typed};

/// The most templates where the query does not say.
const DEFAULT_TEMPLATES: u64 = 1_000;

/// Templates that are learnt from the rows of a query.
#[derive(Debug)]
pub(super) struct Learning {
    text: Expr,
    options: DrainOptions,
    notes: DrainNotes,
}

impl Learning {
    /// The aggregate that learns.
    pub(super) fn aggregate(&self) -> Expr {
        learn_templates(self.text.clone(), self.options)
    }
}

impl Binder<'_> {
    /// Binds a call of `drain`. What it learns from are the rows of the query, so it cannot choose them.
    pub(super) fn drain(&mut self, call: &Call, span: Span) -> Bind<Typed> {
        if self.in_filter || self.grouping.is_some() {
            let message = "`drain` learns its templates from the events that `{…}` leaves";
            let error = wrong(Code::MisplacedAggregate, message, span);
            let hint = "use it in the projection or in BY, or test it outside: `TAE::(…):(…) {…}`";
            return Err(error.with_hint(hint).into());
        }
        let values = arguments::between(call, 2, 3)?;
        let text = as_text(self.operand(values[0])?);
        let threshold = arguments::number(values[1], "the threshold")?;
        let most = values
            .get(2)
            .map(|most| arguments::count(most, "the number of templates"))
            .transpose()?
            .unwrap_or(DEFAULT_TEMPLATES);
        let options = DrainOptions {
            threshold,
            most: i64::try_from(most).unwrap_or(i64::MAX),
        };
        let mut learning = self.learning.iter();
        let known = learning.position(|known| known.text == text && known.options == options);
        let index = known.unwrap_or_else(|| {
            let message = format!(
                "there are more than {most} templates: events without one have the template `<*>`"
            );
            let templates = Diagnostic::warning(Code::DrainLimit, message, span);
            let message = format!(
                "templates were learnt from {MOST_LINES} different texts, and there are more"
            );
            let lines = Diagnostic::warning(Code::DrainLimit, message, span);
            let templates = templates.with_hint("lower the threshold, or allow more");
            let lines = lines.with_hint("narrow the window or the conditions");
            let notes = DrainNotes {
                too_many_templates: self.occurrence(templates),
                too_many_lines: self.occurrence(lines),
            };
            self.learning.push(Learning {
                text: text.clone(),
                options,
                notes,
            });
            self.learning.len() - 1
        });
        let learnt = column(&format!("d{index}"));
        let expr = template_of(text, learnt, self.learning[index].notes);
        Ok(Typed::new(expr, Type::String))
    }
}
