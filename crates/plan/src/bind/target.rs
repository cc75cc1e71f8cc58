//! The projection: what becomes of the rows of a group, and the columns of the answer.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::scalar::ScalarValue;
use dql::ast::{Call, Expr as AstExpr, ExprKind, Ident, Item};
use dql::{Diagnostic, Span};

use super::name::column;
use super::{Bind, Binder, Grouping, arguments, has_aggregate, keep, wrong};
use crate::bound::{Column, Fill, Key, Shape, SortKey};
use crate::types::Typed;

/// Functions that make several rows of a group.
pub(super) const PICKERS: [&str; 3] = ["distinct", "top", "bottom"];

/// The bound projection.
#[derive(Debug)]
pub(super) struct Target {
    /// What becomes of the rows; its aggregates are filled in at the end.
    pub(super) shape: Shape,
    /// The columns after `time`.
    pub(super) columns: Vec<Column>,
    /// The `time` of a row.
    pub(super) time: Expr,
    /// Whether the rows are points of a series.
    pub(super) has_steps: bool,
}

impl<'a> Binder<'a> {
    /// Binds the projection. Afterwards expressions over groups can be bound, when there are groups.
    pub(super) fn target(&mut self, keys: &[Key], step_ms: Option<i64>) -> Bind<Target> {
        let items = self.items;
        if let Some(call) = items.iter().find_map(|item| picker(&item.expr)) {
            return self.pick(call, keys, step_ms);
        }
        if items.iter().any(|item| has_aggregate(&item.expr)) {
            return self.aggregate_target(keys, step_ms);
        }
        self.warn_about_step(
            step_ms,
            "the events are not summarised, so they have no steps",
        );
        let columns = self.row_columns()?;
        let shape = if keys.is_empty() {
            Shape::Rows
        } else {
            Shape::Newest
        };
        Ok(Target {
            shape,
            columns,
            time: self.row_time(),
            has_steps: false,
        })
    }

    fn aggregate_target(&mut self, keys: &[Key], step_ms: Option<i64>) -> Bind<Target> {
        self.grouping = Some(Grouping {
            keys: keys.to_vec(),
            aggregates: Vec::new(),
        });
        self.aliases_visible = false;
        let columns = self.named_columns(step_ms);
        self.aliases_visible = true;
        let columns = columns?;
        let time = match step_ms {
            Some(_) => column("time"),
            None => self.lone_time()?,
        };
        Ok(Target {
            shape: Shape::Aggregate {
                aggregates: Vec::new(),
            },
            columns,
            time,
            has_steps: step_ms.is_some(),
        })
    }

    /// `first(x)` or `last(x)` on its own carries the time of the row it took; a summary of many rows
    /// has no time.
    fn lone_time(&mut self) -> Bind<Expr> {
        let calls: Vec<&Call> = self
            .items
            .iter()
            .filter_map(|item| as_call(&item.expr, &["first", "last"]))
            .collect();
        let others = self
            .items
            .iter()
            .filter(|item| has_aggregate(&item.expr))
            .count();
        let ([call], 1) = (calls.as_slice(), others) else {
            return Ok(no_time());
        };
        let Some(mut grouping) = self.grouping.take() else {
            return Ok(no_time());
        };
        let time = self.picked_time(call);
        grouping.aggregates.extend(time.as_ref().ok().cloned());
        let index = grouping.aggregates.len().saturating_sub(1);
        self.grouping = Some(grouping);
        time.map(|_| column(&format!("a{index}")))
    }

    fn named_columns(&mut self, step_ms: Option<i64>) -> Bind<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        for item in self.items {
            if matches!(item.expr.kind, ExprKind::Star) {
                let message = "`*` names every field of an event, which a summary does not have";
                return Err(wrong("not_grouped", message, item.expr.span));
            }
            match self.filled(item, columns.len(), step_ms)? {
                Some((value, fill)) => add_column(&mut columns, item, value, Some(fill))?,
                None => {
                    let value = self.expression(&item.expr)?;
                    add_column(&mut columns, item, value, None)?;
                }
            }
        }
        Ok(columns)
    }

    /// The columns of single rows; no item at all means every field.
    fn row_columns(&mut self) -> Bind<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        self.aliases_visible = false;
        for item in self.items {
            if matches!(item.expr.kind, ExprKind::Star) {
                for column in self.every_column() {
                    push_column(&mut columns, column, item.expr.span)?;
                }
            } else if !is_time(&item.expr) || item.alias.is_some() {
                let value = self.expression(&item.expr)?;
                add_column(&mut columns, item, value, None)?;
            }
        }
        self.aliases_visible = true;
        if self.items.is_empty() {
            columns = self.every_column();
        }
        Ok(columns)
    }

    fn every_column(&self) -> Vec<Column> {
        let column = |(name, value): (String, Typed)| Column {
            name,
            expr: value.expr,
            value_type: value.value_type,
            fill: None,
        };
        self.all_columns().into_iter().map(column).collect()
    }

    /// `distinct(x)`, `top(x, n)` and `bottom(x, n)`, beside which only keys may stand.
    fn pick(&mut self, call: &'a Call, keys: &[Key], step_ms: Option<i64>) -> Bind<Target> {
        self.warn_about_step(
            step_ms,
            "rows are picked from the whole window, so they have no steps",
        );
        let name = call.name.text.to_ascii_lowercase();
        let is_distinct = name == "distinct";
        let values = arguments::between(
            call,
            if is_distinct { 1 } else { 2 },
            if is_distinct { 1 } else { 2 },
        )?;
        let value = self.aggregated(values[0])?;
        let value_type = value.value_type;
        let (shape, picked, time) = if is_distinct {
            (
                Shape::Distinct {
                    value: value.expr,
                    value_type,
                },
                column("value"),
                no_time(),
            )
        } else {
            let count = arguments::count(values[1], "the number of rows")?;
            let largest = name == "top";
            let mut order = vec![SortKey {
                expr: value.expr.clone(),
                value_type,
                ascending: !largest,
                missing_first: !largest,
            }];
            order.extend(self.time_keys(false));
            let present = value.expr.clone().is_not_null();
            (
                Shape::Extreme {
                    order,
                    present,
                    count,
                },
                value.expr,
                self.row_time(),
            )
        };
        let mut columns = Vec::new();
        for item in self.items {
            let value = match picker(&item.expr) {
                Some(other) if other == call => Typed::new(picked.clone(), value_type),
                Some(other) => {
                    return Err(wrong(
                        "invalid_expression",
                        "only one of `distinct`, `top` and `bottom` fits a query",
                        other.name.span,
                    ));
                }
                None => self.key_beside_pick(&item.expr, keys)?,
            };
            add_column(&mut columns, item, value, None)?;
        }
        Ok(Target {
            shape,
            columns,
            time,
            has_steps: false,
        })
    }

    /// The key that an expression beside `distinct`, `top` or `bottom` stands for.
    pub(super) fn key_beside_pick(&mut self, written: &AstExpr, keys: &[Key]) -> Bind<Typed> {
        self.grouping = Some(Grouping {
            keys: keys.to_vec(),
            aggregates: Vec::new(),
        });
        let key = self.matching_key(written);
        self.grouping = None;
        key.ok_or_else(|| {
            let message = "beside `distinct`, `top` and `bottom` only the keys of BY can stand";
            wrong("not_grouped", message, written.span)
        })
    }

    fn warn_about_step(&mut self, step_ms: Option<i64>, message: &str) {
        if step_ms.is_some() {
            self.warn("step_ignored", message, Span::default()).span = None;
        }
    }

    /// The shape with the aggregates that all clauses asked for.
    pub(super) fn finish_shape(&mut self, shape: Shape) -> Shape {
        match (shape, self.grouping.take()) {
            (Shape::Aggregate { .. }, Some(grouping)) => Shape::Aggregate {
                aggregates: grouping.aggregates,
            },
            (shape, _) => shape,
        }
    }

    /// `HAVING`, over the rows of groups.
    pub(super) fn having(
        &mut self,
        select: &'a dql::ast::Select,
        target: &Target,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Expr> {
        let first = select.having.first()?;
        match target.shape {
            Shape::Aggregate { .. } | Shape::Newest => self.conjuncts(&select.having, errors),
            _ => {
                let message = "HAVING tests groups, and this query makes none";
                let error = wrong("having_without_group", message, first.span)
                    .with_hint("test events in `{…}`");
                keep(errors, Err(Box::new(error)))
            }
        }
    }
}

fn add_column(
    columns: &mut Vec<Column>,
    item: &Item,
    value: Typed,
    fill: Option<Fill>,
) -> Bind<()> {
    let column = Column {
        name: item_name(item),
        expr: value.expr,
        value_type: value.value_type,
        fill,
    };
    let span = alias_of(item).map_or(item.expr.span, |alias| alias.span);
    push_column(columns, column, span)
}

/// Adds a column, unless it is there already, as in `*, df_title`; another of its name is an error.
fn push_column(columns: &mut Vec<Column>, column: Column, span: Span) -> Bind<()> {
    match columns.iter().find(|known| known.name == column.name) {
        Some(known) if known.expr == column.expr => Ok(()),
        Some(_) => {
            let message = format!("`{}` is a column twice", column.name);
            let error = wrong("duplicate_column", message, span);
            Err(error
                .with_hint("give one of them another name with AS")
                .into())
        }
        None => {
            columns.push(column);
            Ok(())
        }
    }
}

/// The alias of an item; that of a filled value may stand inside the call: `fill(avg(x) AS a, 0)`.
pub(super) fn alias_of(item: &Item) -> Option<&Ident> {
    let inside = || as_call(&item.expr, &["fill"])?.args.first()?.alias.as_ref();
    item.alias.as_ref().or_else(inside)
}

/// The name of an item's column.
pub(super) fn item_name(item: &Item) -> String {
    alias_of(item).map_or_else(|| dql::column_name(&item.expr), |alias| alias.text.clone())
}

/// Whether the expression is the plain name `time`.
pub(super) fn is_time(expr: &AstExpr) -> bool {
    matches!(&expr.kind, ExprKind::Field(field) if field.path.is_empty() && field.name == "time")
}

fn no_time() -> Expr {
    cast(lit(ScalarValue::Null), DataType::Int64)
}

fn picker(expr: &AstExpr) -> Option<&Call> {
    as_call(expr, &PICKERS)
}

/// The call that an expression is, when it is one of these functions.
pub(super) fn as_call<'e>(expr: &'e AstExpr, names: &[&str]) -> Option<&'e Call> {
    match &expr.kind {
        ExprKind::Call(call) => names
            .iter()
            .any(|name| call.name.text.eq_ignore_ascii_case(name))
            .then_some(call),
        _ => None,
    }
}
