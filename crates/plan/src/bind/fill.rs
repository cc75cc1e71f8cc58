//! `fill(aggregate, how)`: a value for the steps that have none.

use datafusion::scalar::ScalarValue;
use dql::ast::{Call, Expr as AstExpr, ExprKind};
use dql::{Code, Span};

use super::limits::LARGEST_COUNT;
use super::point::Along;
use super::{Bind, Binder, arguments, wrong};
use crate::bound::{Computed, Fill, FillMode};
use crate::types::{Type, Typed};

impl Binder<'_> {
    /// Binds a call of `fill`: the column of the filled values. Clauses that see groups before they are
    /// filled get the value as it is.
    pub(super) fn fill(&mut self, call: &Call, span: Span) -> Bind<Typed> {
        let values = arguments::between(call, 2, 2)?;
        match (&self.grouping, self.along) {
            (Some(_), Along::Nothing) => return self.expression(values[0]),
            (Some(_), _) => self.check_steps(self.step_ms, span)?,
            (None, _) => {
                let message = "`fill` gives values to the steps of an aggregate, and this is none";
                return Err(wrong(Code::FillWithoutStep, message, span)
                    .with_hint("for one row write `CASE WHEN x = nil THEN 0 ELSE x END`")
                    .into());
            }
        }
        let value = self.expression(values[0])?;
        let (mode, value_type) = fill_mode(values[1], value.value_type)?;
        let value = match mode {
            FillMode::Linear => self.number(value, values[0])?,
            _ => value,
        };
        let fill = Fill {
            value: value.expr,
            value_type,
            mode,
        };
        Ok(self.computed_column(Computed::Fill(fill), value_type))
    }

    fn check_steps(&self, step_ms: Option<i64>, span: Span) -> Bind<()> {
        let Some(step_ms) = step_ms else {
            let error = wrong(Code::FillWithoutStep, "`fill` needs steps to fill", span);
            return Err(error
                .with_hint("add a step to the window: `[1d::1h]`")
                .into());
        };
        let width_ms = self.range.to_ms.saturating_sub(self.range.from_ms);
        let points = width_ms.unsigned_abs() / step_ms.unsigned_abs().max(1);
        if points > LARGEST_COUNT {
            let message =
                format!("the window has {points} steps, and `fill` makes a point of each");
            let error = wrong(Code::TooManyPoints, message, span);
            return Err(error
                .with_hint(format!("widen the step: at most {LARGEST_COUNT} points"))
                .into());
        }
        Ok(())
    }
}

fn fill_mode(written: &AstExpr, filled: Type) -> Bind<(FillMode, Type)> {
    // A straight line between whole numbers leaves them.
    let mode = match &written.kind {
        ExprKind::Field(field) if field.path.is_empty() => {
            match field.name.to_ascii_lowercase().as_str() {
                "linear" => Some((FillMode::Linear, Type::Float)),
                "previous" => Some((FillMode::Previous, filled)),
                _ => None,
            }
        }
        _ => substitute(written, filled)?
            .map(|(value, value_type)| (FillMode::Value(value), value_type)),
    };
    mode.ok_or_else(|| {
        let message = "a gap is filled with a value, with `PREVIOUS`, `LINEAR` or `nil`";
        wrong(Code::WrongArgumentKind, message, written.span)
    })
}

/// The value that a literal puts in the place of a missing one of a type, with the type that holds both;
/// `None` for what is no literal.
pub(super) fn substitute(written: &AstExpr, replaced: Type) -> Bind<Option<(ScalarValue, Type)>> {
    use Type::{Bool, Float, Int, Json, String};
    let json = |value: serde_json::Value| ScalarValue::Utf8View(Some(value.to_string()));
    let found = match (&written.kind, replaced) {
        (ExprKind::Nil, replaced) => (ScalarValue::Null, replaced),
        (ExprKind::Int(value), Json) => (json(serde_json::Value::from(*value)), Json),
        (ExprKind::Float(value), Json) => (json(serde_json::Value::from(*value)), Json),
        (ExprKind::Bool(value), Json) => (json(serde_json::Value::from(*value)), Json),
        (ExprKind::String(value), Json) => (json(serde_json::Value::from(value.as_str())), Json),
        (ExprKind::Int(value), Int) => (ScalarValue::from(*value), Int),
        (ExprKind::Int(value), Float) => (ScalarValue::from(*value as f64), Float),
        (ExprKind::Float(value), Int | Float) => (ScalarValue::from(*value), Float),
        (ExprKind::String(value), String) => (ScalarValue::Utf8View(Some(value.clone())), String),
        (ExprKind::Bool(value), Bool) => (ScalarValue::from(*value), Bool),
        (
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::String(_) | ExprKind::Bool(_),
            replaced,
        ) => {
            let message = format!(
                "the value does not fit: it stands for {} that is missing",
                replaced.name()
            );
            return Err(wrong(Code::TypeMismatch, message, written.span));
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}
