//! The arguments of a call.

use std::borrow::Cow;

use dql::ast::{Call, Expr, ExprKind, Field, Ident, UnaryOp};
use dql::{Code, Span};

use super::{BindResult, wrong};

/// A call inside a query with the arguments that its signature allows.
#[derive(Debug)]
pub(super) struct Arguments<'c> {
    /// The call.
    pub(super) call: &'c Call,
    /// The span of the call with its arguments.
    pub(super) span: Span,
    /// The arguments without a name.
    pub(super) values: Vec<&'c Expr>,
}

impl<'c> Arguments<'c> {
    /// Checks the arguments of a call against the signature of its function.
    pub(super) fn of(call: &'c Call, span: Span) -> BindResult<Self> {
        dql::check_arguments(call)?;
        let positional = call.args.iter().filter(|argument| argument.name.is_none());
        Ok(Self {
            call,
            span,
            values: positional.map(|argument| &argument.value).collect(),
        })
    }

    /// The last argument of this name.
    pub(super) fn named(&self, name: &str) -> Option<&'c Expr> {
        let is_named = |own: &Ident| own.text.eq_ignore_ascii_case(name);
        let mut arguments = self.call.args.iter().rev();
        arguments
            .find(|argument| argument.name.as_ref().is_some_and(is_named))
            .map(|argument| &argument.value)
    }
}

/// The argument of a call in a position where its function takes one, whatever its signature.
pub(super) fn only(call: &Call) -> BindResult<&Expr> {
    let function = &call.name.text;
    if let Some(name) = call.args.iter().find_map(|argument| argument.name.as_ref()) {
        let message = format!("`{function}` has no argument called `{}`", name.text);
        return Err(wrong(Code::UnknownArgument, message, name.span));
    }
    match call.args.as_slice() {
        [argument] => Ok(&argument.value),
        others => {
            let count = others.len();
            let message = format!("`{function}` takes one argument, got {count}");
            Err(wrong(Code::WrongArgumentCount, message, call.name.span))
        }
    }
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

/// A field that an argument names: as it is, or as text in quotes.
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

/// A whole number that is not negative.
pub(super) fn count(argument: &Expr, what: &str) -> BindResult<u64> {
    match argument.kind {
        ExprKind::Int(number) if number >= 0 => Ok(number.unsigned_abs()),
        _ => Err(wrong(
            Code::WrongArgumentKind,
            format!("{what} is a whole number"),
            argument.span,
        )),
    }
}

/// A whole number.
pub(super) fn whole_number(argument: &Expr) -> BindResult<i64> {
    match &argument.kind {
        ExprKind::Int(number) => Ok(*number),
        ExprKind::Unary {
            op: UnaryOp::Minus,
            operand,
        } => whole_number(operand).map(i64::saturating_neg),
        _ => Err(wrong(
            Code::WrongArgumentKind,
            "a whole number is needed",
            argument.span,
        )),
    }
}

/// A number.
pub(super) fn number(argument: &Expr, what: &str) -> BindResult<f64> {
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
