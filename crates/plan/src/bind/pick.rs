//! Projections with a function that chooses rows of a group: one such call, and keys of BY besides it.

use datafusion::logical_expr::Expr;
use dql::Code;
use dql::ast::{Call, Expr as AstExpr};

use super::arguments::Arguments;
use super::function::{BindRows, rows_call};
use super::target::{Target, add_column, push_column};
use super::{BindResult, Binder, Grouping, wrong};
use crate::bound::{Column, Key, Shape};
use crate::types::Typed;

/// The rows that a call chooses.
pub(super) struct Pick {
    /// The rows.
    pub(super) shape: Shape,
    /// The column of the call, over the shaped rows.
    pub(super) value: Typed,
    /// The columns after it.
    pub(super) other_columns: Vec<Column>,
    /// The `time` of a row.
    pub(super) time: Expr,
}

impl<'a> Binder<'a> {
    /// Binds a projection with a call that chooses rows.
    pub(super) fn pick(
        &mut self,
        call: &'a Call,
        bind: BindRows,
        keys: &[Key],
        step_ms: Option<i64>,
    ) -> BindResult<Target> {
        self.warn_about_step(
            step_ms,
            "rows are picked from the whole window, so they have no steps",
        );
        let picked = bind(self, &Arguments::of(call, call.name.span)?)?;
        let mut columns = Vec::new();
        for item in self.items {
            match rows_call(&item.expr) {
                Some((other, _)) if other == call => {
                    add_column(&mut columns, item, picked.value.clone())?;
                    for column in &picked.other_columns {
                        push_column(&mut columns, column.clone(), item.expr.span)?;
                    }
                }
                Some((other, _)) => {
                    return Err(wrong(
                        Code::ConflictingFunctions,
                        "two functions choose the rows of the answer",
                        other.name.span,
                    ));
                }
                None => {
                    let key = self.key_beside_pick(&item.expr, keys)?;
                    add_column(&mut columns, item, key)?;
                }
            }
        }
        Ok(Target {
            shape: picked.shape,
            columns,
            time: picked.time,
            has_steps: false,
        })
    }

    /// The key that an expression besides a call that chooses rows is.
    pub(super) fn key_beside_pick(&mut self, written: &AstExpr, keys: &[Key]) -> BindResult<Typed> {
        self.grouping = Some(Grouping {
            keys: keys.to_vec(),
            ..Grouping::default()
        });
        let key = self.matching_key(written);
        self.grouping = None;
        key.ok_or_else(|| {
            let message = "beside a function that chooses rows only the keys of BY can stand";
            wrong(Code::NotGrouped, message, written.span)
        })
    }
}
