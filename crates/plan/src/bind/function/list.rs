//! Lists: of a value, and of the values of a group.

use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{Expr, ExprFunctionExt, lit};
use dql::ast::{Expr as AstExpr, ExprKind};
use dql::{Code, Diagnostic, Span};
use functions::NoteId;
use functions::json_array::{ArrayOptions, json_array};
use functions::json_set::json_set;

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::{BindResult, Binder, Grouping, describe, wrong};
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("set", set),
    Function::aggregate("collect", collect).returning_list(),
    Function::aggregate("collect_distinct", collect_distinct).returning_list(),
    Function::aggregate("field_values", collect).returning_list(),
];

/// The most values of a list that an aggregate returns.
const LONGEST_LIST: u64 = 10_000;

/// `set(list)`: the distinct members of a list.
fn set(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Typed> {
    let argument = arguments.values[0];
    let list = match &argument.kind {
        ExprKind::Array(items) => {
            let members = items
                .iter()
                .map(json_literal)
                .collect::<BindResult<Vec<serde_json::Value>>>()?;
            lit(serde_json::Value::from(members).to_string())
        }
        _ => {
            let value = binder.operand(argument)?;
            if value.value_type != Type::Json {
                let found = describe(argument, value.value_type);
                let message = format!("a list is needed, and {found}");
                let error = wrong(Code::TypeMismatch, message, argument.span);
                let hint = "`collect(field)` makes a list of a group's values";
                return Err(error.with_hint(hint).into());
            }
            value.expr
        }
    };
    Ok(Typed::new(json_set(list), Type::Json))
}

/// A literal as JSON.
fn json_literal(written: &AstExpr) -> BindResult<serde_json::Value> {
    Ok(match &written.kind {
        ExprKind::Nil => serde_json::Value::Null,
        ExprKind::Bool(value) => (*value).into(),
        ExprKind::Int(value) => (*value).into(),
        ExprKind::Float(value) => (*value).into(),
        ExprKind::String(value) => value.as_str().into(),
        _ => {
            let message = "the members of a list are numbers, texts, truth values and nil";
            return Err(wrong(Code::WrongArgumentKind, message, written.span));
        }
    })
}

/// `collect(x [, n])` and `field_values(x)`: the values, newest first; at most `n`.
fn collect(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    aggregate(binder, arguments, grouping, false)
}

/// `collect_distinct(x [, n])`: each value once, in ascending order of its JSON text.
fn collect_distinct(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
) -> BindResult<Typed> {
    aggregate(binder, arguments, grouping, true)
}

fn aggregate(
    binder: &mut Binder<'_>,
    arguments: &Arguments<'_>,
    grouping: &mut Grouping,
    distinct: bool,
) -> BindResult<Typed> {
    let written = arguments.values[0];
    let (most, cut) = kept(binder, arguments.values.get(1).copied(), arguments.span)?;
    let value = binder.operand(written)?;
    let present: Expr = value.expr.clone().is_not_null();
    let list = aggregates::array_agg(value.expr).filter(present);
    let list = if distinct {
        list.distinct().build()
    } else {
        list.order_by(binder.time_order(false)).build()
    };
    let list =
        list.map_err(|error| wrong(Code::InvalidExpression, error.to_string(), written.span))?;
    let column = grouping.column_of(list, Type::Json);
    let options = ArrayOptions {
        json: value.value_type == Type::Json,
        sorted: distinct,
        most: i64::try_from(most).unwrap_or(i64::MAX),
    };
    let list = json_array(column.expr, options, cut);
    Ok(Typed::new(list, Type::Json))
}

/// The largest number of values of a list: the requested one, else [`LONGEST_LIST`] and the note that there are more.
fn kept(
    binder: &mut Binder<'_>,
    asked: Option<&AstExpr>,
    span: Span,
) -> BindResult<(u64, Option<NoteId>)> {
    let Some(asked) = asked else {
        let message = format!("a list was cut off at {LONGEST_LIST} values: there are more");
        let warning = Diagnostic::warning(Code::ListCut, message, span);
        let hint = "narrow the groups, or show the rows themselves";
        let note = binder.occurrence(warning.with_hint(hint));
        return Ok((LONGEST_LIST, Some(note)));
    };
    let most = arguments::count(asked, "the number of values")?;
    if most > LONGEST_LIST {
        let message = format!("a list has at most {LONGEST_LIST} values");
        return Err(wrong(Code::LimitTooLarge, message, asked.span));
    }
    Ok((most, None))
}
