//! `fill(aggregate, how)`: a value for the steps that have none.

use datafusion::scalar::ScalarValue;
use dql::Span;
use dql::ast::{Call, Expr as AstExpr, ExprKind};

use super::limits::LARGEST_COUNT;
use super::point::Along;
use super::{Bind, Binder, arguments, wrong};
use crate::bound::{Computed, Fill, FillMode, arrow_type};
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
                return Err(wrong("fill_without_step", message, span)
                    .with_hint("for one row write `CASE WHEN x = nil THEN 0 ELSE x END`")
                    .into());
            }
        }
        let value = self.expression(values[0])?;
        let mode = fill_mode(values[1], value.value_type)?;
        let value = match mode {
            FillMode::Linear => self.number(value, values[0])?,
            _ => value,
        };
        let value_type = match (&mode, value.value_type) {
            // A straight line between whole numbers leaves them.
            (FillMode::Linear, _) => Type::Float,
            (FillMode::Value(literal), Type::Int)
                if !literal.is_null() && literal.data_type() != arrow_type(Type::Int) =>
            {
                Type::Float
            }
            (_, other) => other,
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
            let error = wrong("fill_without_step", "`fill` needs steps to fill", span);
            return Err(error
                .with_hint("add a step to the window: `[1d::1h]`")
                .into());
        };
        let width_ms = self.range.to_ms.saturating_sub(self.range.from_ms);
        let points = width_ms.unsigned_abs() / step_ms.unsigned_abs().max(1);
        if points > LARGEST_COUNT {
            let message =
                format!("the window has {points} steps, and `fill` makes a point of each");
            let error = wrong("too_many_points", message, span);
            return Err(error
                .with_hint(format!("widen the step: at most {LARGEST_COUNT} points"))
                .into());
        }
        Ok(())
    }
}

fn fill_mode(written: &AstExpr, filled: Type) -> Bind<FillMode> {
    let literal = |value: ScalarValue, fits: bool| match fits {
        true => Ok(FillMode::Value(value)),
        false => {
            let message = format!("the value does not fit: {} is filled", filled.name());
            Err(wrong("type_mismatch", message, written.span))
        }
    };
    let is_number = filled.is_number();
    match &written.kind {
        ExprKind::Nil => Ok(FillMode::Value(ScalarValue::Null)),
        ExprKind::Int(value) if filled == Type::Float => {
            literal(ScalarValue::from(*value as f64), true)
        }
        ExprKind::Int(value) => literal(ScalarValue::from(*value), is_number),
        ExprKind::Float(value) => literal(ScalarValue::from(*value), is_number),
        ExprKind::String(value) if filled == Type::Json => {
            let json = serde_json::Value::from(value.as_str()).to_string();
            literal(ScalarValue::Utf8View(Some(json)), true)
        }
        ExprKind::String(value) => literal(
            ScalarValue::Utf8View(Some(value.clone())),
            filled == Type::String,
        ),
        ExprKind::Bool(value) => literal(ScalarValue::from(*value), filled == Type::Bool),
        ExprKind::Field(field) if field.path.is_empty() => {
            match field.name.to_ascii_lowercase().as_str() {
                "linear" => Ok(FillMode::Linear),
                "previous" => Ok(FillMode::Previous),
                _ => Err(unknown_mode(written)),
            }
        }
        _ => Err(unknown_mode(written)),
    }
}

fn unknown_mode(written: &AstExpr) -> Box<dql::Diagnostic> {
    let message = "a gap is filled with a value, with `PREVIOUS`, `LINEAR` or `nil`";
    wrong("wrong_argument_kind", message, written.span)
}
