//! The arguments of calls.

use crate::ast::{Arg, Call, Expr, ExprKind};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::keyword::nearest;
use crate::signature::{Parameter, Signature};

/// Checks number, names and kinds of the arguments of `call`, except the query at `query`.
pub(super) fn check(
    call: &Call,
    query: Option<usize>,
    signature: &Signature,
    found: &mut Vec<Diagnostic>,
) {
    let args = call
        .args
        .iter()
        .enumerate()
        .filter(|(index, _)| Some(*index) != query);
    let positional: Vec<(usize, &Arg)> =
        args.clone().filter(|(_, arg)| arg.name.is_none()).collect();
    for name in args.filter_map(|(_, arg)| arg.name.as_ref()) {
        if !signature
            .named
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&name.text))
        {
            found.push(unknown_name(call, &name.text, name.span, signature));
        }
    }
    if !signature.takes(positional.len()) {
        found.push(wrong_count(
            call,
            positional.len(),
            usize::from(query.is_some()),
            signature,
        ));
        return;
    }
    for (position, (index, arg)) in positional.into_iter().enumerate() {
        if let Some(parameter) = signature.parameter(position)
            && let Err(wanted) = fits(&arg.value, parameter)
        {
            found.push(wrong_kind(call, index, &arg.value, &wanted));
        }
    }
}

/// The error for too few or too many arguments, besides `queries` more.
fn wrong_count(call: &Call, count: usize, queries: usize, signature: &Signature) -> Diagnostic {
    let name = call.name.text.to_lowercase();
    let span = call
        .args
        .iter()
        .fold(call.name.span, |span, arg| span.to(arg.value.span));
    let error = Diagnostic::error(
        Code::WrongArgumentCount,
        format!(
            "function `{name}` takes {}, got {}",
            signature.arity(queries),
            count + queries
        ),
        span,
    );
    match signature.usage() {
        Some(usage) => error.with_hint(usage),
        None => error,
    }
}

/// The error for a named argument that the function does not have.
fn unknown_name(call: &Call, name: &str, span: crate::Span, signature: &Signature) -> Diagnostic {
    let error = Diagnostic::error(
        Code::UnknownArgument,
        format!(
            "function `{}` has no argument `{name}`",
            call.name.text.to_lowercase()
        ),
        span,
    );
    match (
        nearest(name, signature.named.iter().copied()),
        signature.named,
    ) {
        (Some(near), _) => error.with_hint(format!("did you mean `{near}`?")),
        (None, []) => {
            error.with_hint("write the value without a name, a comparison stands in parentheses")
        }
        (None, named) => {
            error.with_hint(format!("its named arguments are `{}`", named.join("`, `")))
        }
    }
}

/// The error for an argument of the wrong kind.
fn wrong_kind(call: &Call, index: usize, value: &Expr, wanted: &str) -> Diagnostic {
    Diagnostic::error(
        Code::WrongArgumentKind,
        format!(
            "argument {} of `{}` must be {wanted}, got {}",
            index + 1,
            call.name.text.to_lowercase(),
            described(value)
        ),
        value.span,
    )
}

/// Whether `value` can be this parameter; otherwise the required kind.
fn fits(value: &Expr, parameter: Parameter) -> Result<(), String> {
    let fits = match (&value.kind, parameter) {
        (ExprKind::Placeholder(_), _) | (_, Parameter::Any) => true,
        (ExprKind::Star, parameter) => parameter == Parameter::FieldOrStar,
        (kind, Parameter::Field | Parameter::FieldOrStar) => !matches!(
            kind,
            ExprKind::Nil
                | ExprKind::Bool(_)
                | ExprKind::Int(_)
                | ExprKind::Float(_)
                | ExprKind::Duration(_)
                | ExprKind::Regex(_)
                | ExprKind::Array(_)
                | ExprKind::Subquery(_)
                | ExprKind::Quoted(_)
        ),
        (kind, Parameter::Text) => matches!(kind, ExprKind::String(_) | ExprKind::Regex(_)),
        (kind, Parameter::List) => matches!(kind, ExprKind::Array(_) | ExprKind::Subquery(_)),
        (kind, Parameter::Number) => number(kind).is_some(),
        (ExprKind::Int(number), Parameter::Whole) => *number >= 1,
        (_, Parameter::Whole) => false,
        (kind, Parameter::Between(least, most)) => {
            number(kind).is_some_and(|number| (least..=most).contains(&number))
        }
        (kind, Parameter::Above(least, most)) => {
            number(kind).is_some_and(|number| number > least && number <= most)
        }
    };
    if fits { Ok(()) } else { Err(wanted(parameter)) }
}

/// The number that a literal is.
fn number(kind: &ExprKind) -> Option<f64> {
    match kind {
        ExprKind::Int(number) => Some(*number as f64),
        ExprKind::Float(number) => Some(*number),
        _ => None,
    }
}

/// A parameter as messages name it.
fn wanted(parameter: Parameter) -> String {
    match parameter {
        Parameter::Any => "a value".to_owned(),
        Parameter::Field => "a field".to_owned(),
        Parameter::FieldOrStar => "a field or `*`".to_owned(),
        Parameter::Text => "a text in quotes".to_owned(),
        Parameter::Number => "a number".to_owned(),
        Parameter::Whole => "a whole number from 1".to_owned(),
        Parameter::Between(least, most) => format!("a number from {least} to {most}"),
        Parameter::Above(least, f64::MAX) => format!("a number above {least}"),
        Parameter::Above(least, most) => format!("a number above {least} and up to {most}"),
        Parameter::List => "a list such as `['a', 'b']`".to_owned(),
    }
}

/// A value as messages name it.
pub(super) fn described(value: &Expr) -> String {
    match &value.kind {
        ExprKind::Nil => "nil".to_owned(),
        ExprKind::Bool(_) => "a truth value".to_owned(),
        ExprKind::Int(number) => format!("`{number}`"),
        ExprKind::Float(number) => format!("`{number:?}`"),
        ExprKind::String(_) => "a text".to_owned(),
        ExprKind::Duration(_) => "a duration".to_owned(),
        ExprKind::Star => "`*`".to_owned(),
        ExprKind::Field(_) => "a field".to_owned(),
        ExprKind::Regex(_) => "a pattern".to_owned(),
        ExprKind::Array(_) => "a list".to_owned(),
        ExprKind::Call(call) => format!("a call of `{}`", call.name.text.to_lowercase()),
        ExprKind::Unary { .. } | ExprKind::Binary { .. } | ExprKind::Case { .. } => {
            "an expression".to_owned()
        }
        ExprKind::In { .. } => "a condition".to_owned(),
        ExprKind::Subquery(_) | ExprKind::Quoted(_) => "a query".to_owned(),
        ExprKind::Placeholder(name) => format!("`{name}`"),
    }
}
