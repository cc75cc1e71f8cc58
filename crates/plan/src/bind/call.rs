//! Calls in value position.

use dql::ast::{Call, Expr as AstExpr, ExprKind};
use dql::{Code, Span};

use super::arguments::Arguments;
use super::function::{self, NO_MEANING, QueryBinding};
use super::point::Along;
use super::{BindResult, Binder, Grouping, not_supported, wrong};
use crate::types::{Type, Typed};

impl Binder<'_> {
    /// Binds a call in value position.
    pub(super) fn call(&mut self, call: &Call, span: Span) -> BindResult<Typed> {
        let name = call.name.text.to_ascii_lowercase();
        // Functions that the language does not have were refused by the check.
        let binding = function::in_query(&name).unwrap_or(QueryBinding::Unsupported(NO_MEANING));
        match binding {
            QueryBinding::Scalar(bind) | QueryBinding::Fill(bind) => {
                bind(self, &Arguments::of(call, span)?)
            }
            QueryBinding::Aggregate(bind) => self.over_group(&name, span, |binder, grouping| {
                bind(binder, &Arguments::of(call, span)?, grouping)
            }),
            QueryBinding::OfAggregates(bind) => {
                self.check_grouped(&name, span)?;
                bind(self, &Arguments::of(call, span)?)
            }
            QueryBinding::Columns(_) => {
                self.check_grouped(&name, span)?;
                let message =
                    format!("`{name}` makes several columns and stands alone between commas");
                Err(wrong(Code::InvalidExpression, message, call.name.span))
            }
            QueryBinding::Rows(_) => {
                let message = format!("`{name}` stands alone in the projection");
                Err(wrong(Code::InvalidExpression, message, span))
            }
            QueryBinding::Point(bind) => self.point(&Arguments::of(call, span)?, bind),
            QueryBinding::TextTest(_) => {
                let kind = ExprKind::Call(call.clone());
                let condition = self.condition(&AstExpr { kind, span }, false)?;
                Ok(Typed::new(condition.is_true(), Type::Bool))
            }
            QueryBinding::Exists => Err(unsupported(&name, NO_MEANING, call)),
            QueryBinding::Unsupported(reason) => Err(unsupported(&name, reason, call)),
        }
    }

    /// Binds a part of an expression over groups to a value of the rows of a group.
    fn over_group(
        &mut self,
        name: &str,
        span: Span,
        bind: impl FnOnce(&mut Self, &mut Grouping) -> BindResult<Typed>,
    ) -> BindResult<Typed> {
        let Some(mut grouping) = self.grouping.take() else {
            return Err(misplaced_aggregate(name, span));
        };
        let along = std::mem::replace(&mut self.along, Along::Nothing);
        let value = bind(self, &mut grouping);
        self.grouping = Some(grouping);
        self.along = along;
        value
    }

    fn check_grouped(&self, name: &str, span: Span) -> BindResult<()> {
        match self.grouping {
            Some(_) => Ok(()),
            None => Err(misplaced_aggregate(name, span)),
        }
    }
}

fn misplaced_aggregate(name: &str, span: Span) -> Box<dql::Diagnostic> {
    let message = format!("`{name}` summarises a group, and here a value of one event is needed");
    let error = wrong(Code::MisplacedAggregate, message, span);
    Box::new(error.with_hint("test the result of a group with HAVING"))
}

fn unsupported(name: &str, reason: &str, call: &Call) -> Box<dql::Diagnostic> {
    not_supported(&format!("the function `{name}`"), reason, call.name.span)
}
