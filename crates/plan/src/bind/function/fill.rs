//! `fill(aggregate, how)` and `fill(query, how)`: values for steps and points without one.

use datafusion::scalar::ScalarValue;
use dql::ast::{Expr as AstExpr, ExprKind};
use dql::{Code, Span};

use super::{Function, QueryBinding};
use crate::bind::arguments::Arguments;
use crate::bind::limits::LARGEST_COUNT;
use crate::bind::point::Along;
use crate::bind::series_function::{BoundFunction, SeriesBinder};
use crate::bind::{BindResult, Binder, wrong};
use crate::bound::{Computed, Fill, FillMode, SeriesFunction};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] =
    &[Function::in_query("fill", QueryBinding::Fill(fill)).over_series(series_fill)];

/// The column of the filled values. Clauses that see groups before they are filled get the value as it is.
fn fill(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let (values, span) = (&arguments.values, arguments.span);
    match (&binder.grouping, binder.along) {
        (Some(_), Along::Nothing) => return binder.expression(values[0]),
        (Some(_), _) => check_steps(binder, span)?,
        (None, _) => {
            let message = "`fill` gives values to the steps of an aggregate, and this is none";
            return Err(wrong(Code::FillWithoutStep, message, span)
                .with_hint("for one row write `CASE WHEN x = nil THEN 0 ELSE x END`")
                .into());
        }
    }
    let value = binder.expression(values[0])?;
    let (mode, value_type) = fill_mode(values[1], value.value_type)?;
    let value = match mode {
        FillMode::Linear => binder.number(value, values[0])?,
        _ => value,
    };
    let fill = Fill {
        value: value.expr,
        value_type,
        mode,
    };
    Ok(binder.computed_column(Computed::Fill(fill), value_type))
}

fn check_steps(binder: &Binder<'_>, span: Span) -> BindResult<()> {
    let Some(step_ms) = binder.step_ms else {
        let error = wrong(Code::FillWithoutStep, "`fill` needs steps to fill", span);
        return Err(error
            .with_hint("add a step to the window: `[1d::1h]`")
            .into());
    };
    let width_ms = binder.range.to_ms.saturating_sub(binder.range.from_ms);
    let points = width_ms.unsigned_abs() / step_ms.unsigned_abs().max(1);
    if points > LARGEST_COUNT {
        let message = format!("the window has {points} steps, and `fill` makes a point of each");
        let error = wrong(Code::TooManyPoints, message, span);
        return Err(error
            .with_hint(format!("widen the step: at most {LARGEST_COUNT} points"))
            .into());
    }
    Ok(())
}

fn fill_mode(written: &AstExpr, filled: Type) -> BindResult<(FillMode, Type)> {
    // Points on the line between two whole numbers are floats.
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

/// The value of a literal that replaces a missing one of a type, with the type that holds both; `None` for other
/// expressions.
pub(super) fn substitute(
    written: &AstExpr,
    replaced: Type,
) -> BindResult<Option<(ScalarValue, Type)>> {
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

/// `fill(query, how)`: the points of the series without a value get one.
fn series_fill(series: &mut SeriesBinder<'_>) -> BindResult<BoundFunction> {
    let argument = series.argument().map(|argument| &argument.kind);
    let word = match argument {
        Some(ExprKind::Field(field)) if field.path.is_empty() => field.name.as_str(),
        Some(ExprKind::String(text)) => text.as_str(),
        _ => "",
    };
    if word.eq_ignore_ascii_case("previous") {
        return Ok(BoundFunction {
            function: SeriesFunction::Fill(FillMode::Previous),
            columns: series.typed(|own| own),
        });
    }
    if word.eq_ignore_ascii_case("linear") {
        return Ok(BoundFunction {
            function: SeriesFunction::Fill(FillMode::Linear),
            columns: series.typed(|_| Type::Float),
        });
    }
    let (value, filled) = match argument {
        Some(ExprKind::Int(number)) => (ScalarValue::from(*number), Type::Int),
        Some(ExprKind::Float(number)) => (ScalarValue::from(*number), Type::Float),
        Some(ExprKind::String(text)) => (ScalarValue::from(text.as_str()), Type::String),
        Some(ExprKind::Nil) => (ScalarValue::Null, Type::Null),
        _ => return Err(series.wrong("`fill` takes a value, `PREVIOUS` or `LINEAR`")),
    };
    Ok(BoundFunction {
        function: SeriesFunction::Fill(FillMode::Value(value)),
        columns: series.typed(|own| match (own, filled) {
            (own, Type::Null) => own,
            (Type::Null, filled) => filled,
            (own, filled) if own == filled => own,
            (own, filled) if own.is_number() && filled.is_number() => Type::Float,
            _ => Type::Json,
        }),
    })
}
