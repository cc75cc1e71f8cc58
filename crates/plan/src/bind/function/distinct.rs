//! The distinct values of a group as rows.

use datafusion::functions_aggregate::expr_fn::max;
use datafusion::functions_aggregate::first_last::first_value;
use dql::Code;
use dql::ast::ExprKind;

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::name::column;
use crate::bind::pick::Pick;
use crate::bind::target::no_time;
use crate::bind::{BindResult, Binder, wrong};
use crate::bound::{Column, Shape};
use crate::types::Typed;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::rows("distinct", distinct),
    Function::rows("distinct_by_collapse", distinct_by_collapse),
];

/// `distinct(x)`: one row for each value.
fn distinct(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Pick> {
    let value = binder.operand(arguments.values[0])?;
    let value_type = value.value_type;
    Ok(Pick {
        shape: Shape::Distinct {
            value: value.expr,
            value_type,
            newest: Vec::new(),
        },
        value: Typed::new(column("value"), value_type),
        other_columns: Vec::new(),
        time: no_time(),
    })
}

/// `distinct_by_collapse(x, fields=[a, b])`: one row for each value, with the time and the fields of its newest event.
fn distinct_by_collapse(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Pick> {
    let value = binder.operand(arguments.values[0])?;
    let value_type = value.value_type;
    let mut newest = vec![max(binder.row_time())];
    let mut fields = Vec::new();
    let written = arguments.named("fields");
    for written in written.map(arguments::list_items).unwrap_or_default() {
        let written = arguments::unquoted(written);
        if !matches!(written.kind, ExprKind::Field(_)) {
            let message = "`fields` is a list of fields: `fields=[df_title, df_user_name]`";
            return Err(wrong(Code::WrongArgumentKind, message, written.span));
        }
        let field = binder.expression(&written)?;
        fields.push(Column {
            name: dql::column_name(&written),
            expr: column(&format!("n{}", newest.len())),
            value_type: field.value_type,
        });
        newest.push(first_value(field.expr, binder.time_order(false)));
    }
    Ok(Pick {
        shape: Shape::Distinct {
            value: value.expr,
            value_type,
            newest,
        },
        value: Typed::new(column("value"), value_type),
        other_columns: fields,
        time: column("n0"),
    })
}
