//! The arguments of a call.

use dql::Code;
use dql::ast::{Call, Expr, ExprKind, Field};

use std::borrow::Cow;

use super::{Bind, wrong};

/// The values of a call's arguments, when their number is in the range.
pub(super) fn between(call: &Call, least: usize, most: usize) -> Bind<Vec<&Expr>> {
    if let Some(name) = call.args.iter().find_map(|argument| argument.name.as_ref()) {
        let message = format!(
            "`{}` has no argument called `{}`",
            call.name.text, name.text
        );
        return Err(wrong(Code::UnknownArgument, message, name.span));
    }
    values(
        call.args.iter().map(|argument| &argument.value),
        call,
        least,
        most,
    )
}

/// As [`between`], for a call that takes one more argument by name.
pub(super) fn with_named<'c>(
    call: &'c Call,
    named: &str,
    least: usize,
    most: usize,
) -> Bind<(Vec<&'c Expr>, Option<&'c Expr>)> {
    let mut found = None;
    let mut plain = Vec::new();
    for argument in &call.args {
        match &argument.name {
            Some(name) if name.text.eq_ignore_ascii_case(named) => found = Some(&argument.value),
            Some(name) => {
                let message = format!(
                    "`{}` has no argument called `{}`",
                    call.name.text, name.text
                );
                return Err(wrong(Code::UnknownArgument, message, name.span));
            }
            None => plain.push(&argument.value),
        }
    }
    Ok((values(plain.into_iter(), call, least, most)?, found))
}

/// The items of a list; a single value is a list of one.
pub(super) fn list_items(argument: &Expr) -> &[Expr] {
    match &argument.kind {
        ExprKind::Array(items) => items,
        _ => std::slice::from_ref(argument),
    }
}

/// The argument, with a text in quotes as the field that it names.
pub(super) fn unquoted(argument: &Expr) -> Cow<'_, Expr> {
    match (&argument.kind, field_of(argument)) {
        (ExprKind::String(_), Some(field)) => Cow::Owned(Expr {
            kind: ExprKind::Field(field),
            span: argument.span,
        }),
        _ => Cow::Borrowed(argument),
    }
}

fn values<'c>(
    values: impl Iterator<Item = &'c Expr>,
    call: &Call,
    least: usize,
    most: usize,
) -> Bind<Vec<&'c Expr>> {
    let values: Vec<&Expr> = values.collect();
    let count = values.len();
    if (least..=most).contains(&count) {
        return Ok(values);
    }
    let expected = match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, usize::MAX) => format!("at least {least}"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    let message = format!("`{}` takes {expected}, got {count}", call.name.text);
    Err(wrong(Code::WrongArgumentCount, message, call.name.span))
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
            Code::WrongArgumentKind,
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
            Code::WrongArgumentKind,
            format!("{what} is a number"),
            argument.span,
        )),
    }
}
