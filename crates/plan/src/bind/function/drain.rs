//! `drain(text, threshold [, most])`: the template of a log line.

use datafusion::logical_expr::Expr;
use dql::{Code, Diagnostic, Span};
use functions::drain::{DrainNotes, DrainOptions, MOST_LINES, learn_templates, template_of};

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::name::column;
use crate::bind::predicate::as_text;
use crate::bind::{BindResult, Binder, wrong};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[Function::scalar("drain", drain)];

/// The most templates where the query does not say.
const DEFAULT_TEMPLATES: u64 = 1_000;

/// The templates of a text, which an aggregate over all rows of the query computes before its rows are read.
#[derive(Debug)]
pub(in crate::bind) struct Templates {
    text: Expr,
    options: DrainOptions,
    notes: DrainNotes,
}

impl Templates {
    /// The aggregate that computes them.
    pub(in crate::bind) fn aggregate(&self) -> Expr {
        learn_templates(self.text.clone(), self.options)
    }
}

fn drain(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    // The templates are those of the rows of the query, so they cannot be part of its filter.
    if binder.in_filter || binder.grouping.is_some() {
        let message = "`drain` learns its templates from the events that `{…}` leaves";
        let error = wrong(Code::MisplacedAggregate, message, arguments.span);
        let hint = "use it in the projection or in BY, or test it outside: `TAE::(…):(…) {…}`";
        return Err(error.with_hint(hint).into());
    }
    let values = &arguments.values;
    let text = as_text(binder.operand(values[0])?);
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
    let mut known = binder.templates.iter();
    let known = known.position(|known| known.text == text && known.options == options);
    let index = known.unwrap_or_else(|| {
        let notes = notes(binder, most, arguments.span);
        binder.templates.push(Templates {
            text: text.clone(),
            options,
            notes,
        });
        binder.templates.len() - 1
    });
    let templates = column(&format!("d{index}"));
    let expr = template_of(text, templates, binder.templates[index].notes);
    Ok(Typed::new(expr, Type::String))
}

fn notes(binder: &mut Binder<'_>, most: u64, span: Span) -> DrainNotes {
    let message =
        format!("there are more than {most} templates: events without one have the template `<*>`");
    let templates = Diagnostic::warning(Code::DrainLimit, message, span);
    let message =
        format!("templates were learnt from {MOST_LINES} different texts, and there are more");
    let lines = Diagnostic::warning(Code::DrainLimit, message, span);
    let templates = templates.with_hint("lower the threshold, or allow more");
    let lines = lines.with_hint("narrow the window or the conditions");
    DrainNotes {
        too_many_templates: binder.occurrence(templates),
        too_many_lines: binder.occurrence(lines),
    }
}
