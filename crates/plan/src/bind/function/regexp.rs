//! Functions of regular expressions.

use datafusion::logical_expr::Expr;
use dql::Code;
use dql::ast::ExprKind;
use functions::PatternError;
use functions::regexp_extract::{regexp_extract, regexp_extract_all};
use functions::regexp_replace::regexp_replace;

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::predicate::{as_text, refused};
use crate::bind::{BindResult, Binder, wrong};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("regexp_replace", replace),
    Function::scalar("regexp_extract", |binder, arguments| {
        let (text, pattern, group) = extracted(binder, arguments)?;
        Ok(Typed::new(
            regexp_extract(text, pattern, group),
            Type::String,
        ))
    }),
    Function::scalar("regexp_extract_all", |binder, arguments| {
        let (text, pattern, group) = extracted(binder, arguments)?;
        Ok(Typed::new(
            regexp_extract_all(text, pattern, group),
            Type::Json,
        ))
    }),
];

/// `regexp_replace(text, pattern, replacement)`.
fn replace(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let text = as_text(binder.operand(arguments.values[0])?);
    let (pattern, _) = pattern(binder, arguments)?;
    let replacement = as_text(binder.expression(arguments.values[2])?);
    let expr = regexp_replace(text, pattern, replacement);
    Ok(Typed::new(expr, Type::String))
}

/// The text, the pattern and the group of `regexp_extract(text, pattern [, group])` and its like.
fn extracted<'c>(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'c>,
) -> BindResult<(Expr, &'c str, i64)> {
    let text = as_text(binder.operand(arguments.values[0])?);
    let (pattern, groups) = pattern(binder, arguments)?;
    let Some(written) = arguments.values.get(2) else {
        return Ok((text, pattern, 0));
    };
    let group = arguments::count(written, "the group")?;
    if group >= groups as u64 {
        let message = format!("the pattern has {} groups", groups - 1);
        return Err(wrong(Code::WrongArgumentKind, message, written.span));
    }
    Ok((text, pattern, i64::try_from(group).unwrap_or(i64::MAX)))
}

/// The pattern of a call, and the number of its groups with the whole match.
fn pattern<'c>(binder: &Binder<'_>, arguments: &Arguments<'c>) -> BindResult<(&'c str, usize)> {
    let written = arguments.values[1];
    let (ExprKind::String(pattern) | ExprKind::Regex(pattern)) = &written.kind else {
        let message = "the pattern is text in quotes";
        return Err(wrong(Code::WrongArgumentKind, message, written.span));
    };
    let compiled = binder.context.resources.compile_pattern(pattern);
    let groups = compiled.map_err(|error| match error {
        PatternError::Wrong(_) => {
            let message = format!("`{pattern}` is not a regular expression");
            wrong(Code::InvalidRegex, message, written.span)
        }
        other => refused(other, Code::InvalidRegex, written.span),
    })?;
    Ok((pattern, groups))
}
