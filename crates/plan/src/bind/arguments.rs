//! The arguments of a call.

use dql::ast::{Call, Expr, ExprKind, Field};

use super::{Bind, wrong};

/// The values of a call's arguments, when their number is in the range.
pub(super) fn between(call: &Call, least: usize, most: usize) -> Bind<Vec<&Expr>> {
    if let Some(name) = call.args.iter().find_map(|argument| argument.name.as_ref()) {
        let message = format!(
            "`{}` has no argument called `{}`",
            call.name.text, name.text
        );
        return Err(wrong("unknown_argument", message, name.span));
    }
    let count = call.args.len();
    if (least..=most).contains(&count) {
        return Ok(call.args.iter().map(|argument| &argument.value).collect());
    }
    let expected = match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, usize::MAX) => format!("at least {least}"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    let message = format!("`{}` takes {expected}, got {count}", call.name.text);
    Err(wrong("wrong_argument_count", message, call.name.span))
}

/// A field that a function's argument names: as it is, or as text in quotes.
pub(super) fn field_of(argument: &Expr) -> Option<Field> {
    match &argument.kind {
        ExprKind::Field(field) => Some(field.clone()),
        ExprKind::String(name) => Some(Field {
            name: name.clone(),
            path: Vec::new(),
        }),
        _ => None,
    }
}

/// A whole number.
pub(super) fn count(argument: &Expr, what: &str) -> Bind<u64> {
    match argument.kind {
        ExprKind::Int(number) if number >= 0 => Ok(number.unsigned_abs()),
        _ => Err(wrong(
            "wrong_argument_kind",
            format!("{what} is a whole number"),
            argument.span,
        )),
    }
}

/// A number.
pub(super) fn number(argument: &Expr, what: &str) -> Bind<f64> {
    match argument.kind {
        ExprKind::Int(number) => Ok(number as f64),
        ExprKind::Float(number) => Ok(number),
        _ => Err(wrong(
            "wrong_argument_kind",
            format!("{what} is a number"),
            argument.span,
        )),
    }
}
