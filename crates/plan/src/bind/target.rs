//! The projection: the shape of the rows of a group, and the columns of the answer.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::scalar::ScalarValue;
use dql::ast::{Call, Expr as AstExpr, ExprKind, Ident, Item, Select};
use dql::{Code, Diagnostic, Span};

use super::arguments::Arguments;
use super::function::{
    BindColumns, columns_call, fill_call, has_aggregate, has_point_function, row_value_call,
    rows_call,
};
use super::name::column;
use super::point::Along;
use super::{BindResult, Binder, Grouping, keep, wrong};
use crate::bound::{Column, Key, Shape};
use crate::types::{Type, Typed};

/// The bound projection.
#[derive(Debug)]
pub(super) struct Target {
    /// The shape of the rows; its aggregates are added at the end.
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
    pub(super) fn target(&mut self, keys: &[Key], step_ms: Option<i64>) -> BindResult<Target> {
        let items = self.items;
        if let Some((call, bind)) = items.iter().find_map(|item| rows_call(&item.expr)) {
            return self.pick(call, bind, keys, step_ms);
        }
        if items.iter().any(|item| has_aggregate(&item.expr)) {
            return self.aggregate_target(keys, step_ms);
        }
        self.warn_about_step(
            step_ms,
            "the events are not summarised, so they have no steps",
        );
        let runs_along_rows = items.iter().any(|item| has_point_function(&item.expr));
        let shape = if keys.is_empty() || runs_along_rows {
            self.along = Along::Rows;
            Shape::Rows
        } else {
            self.along = Along::LastRow;
            Shape::LastRow
        };
        let columns = self.row_columns()?;
        Ok(Target {
            shape,
            columns,
            time: self.row_time(),
            has_steps: false,
        })
    }

    fn aggregate_target(&mut self, keys: &[Key], step_ms: Option<i64>) -> BindResult<Target> {
        self.grouping = Some(Grouping {
            keys: keys.to_vec(),
            aggregates: Vec::new(),
            shift_ms: (!self.column_shifts_ms.is_empty()).then_some(self.shift_ms),
        });
        self.along = match step_ms {
            Some(_) => Along::Steps,
            None => Along::Summary,
        };
        self.aliases_visible = false;
        let columns = self.named_columns();
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

    /// The time of the row that the only aggregate takes its value from, such as `last(x)`; a summary of many rows has no
    /// time.
    fn lone_time(&mut self) -> BindResult<Expr> {
        let calls: Vec<_> = self
            .items
            .iter()
            .filter_map(|item| Some((item, row_value_call(&item.expr)?)))
            .collect();
        let others = self
            .items
            .iter()
            .filter(|item| has_aggregate(&item.expr))
            .count();
        let ([(item, (call, bind_time))], 1) = (calls.as_slice(), others) else {
            return Ok(no_time());
        };
        let shift_ms = self.item_shift(item)?;
        let arguments = Arguments::of(call, item.expr.span)?;
        let Some(mut grouping) = self.grouping.take() else {
            return Ok(no_time());
        };
        let time = bind_time(self, &arguments);
        let others_ms = std::mem::replace(&mut grouping.shift_ms, shift_ms);
        let time = time.map(|time| grouping.column_of(time, Type::Int).expr);
        grouping.shift_ms = others_ms;
        self.grouping = Some(grouping);
        time
    }

    fn named_columns(&mut self) -> BindResult<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        for item in self.items {
            if matches!(item.expr.kind, ExprKind::Star) {
                let message = "`*` names every field of an event, which a summary does not have";
                return Err(wrong(Code::NotGrouped, message, item.expr.span));
            }
            if let Some((call, bind)) = columns_call(&item.expr) {
                let found =
                    self.over_window_of(item, |binder| binder.several_columns(call, bind, item))?;
                for column in found {
                    push_column(&mut columns, column, item.expr.span)?;
                }
                continue;
            }
            let value = self.item(item)?;
            add_column(&mut columns, item, value)?;
        }
        Ok(columns)
    }

    /// The columns of a function that has names for them.
    fn several_columns(
        &mut self,
        call: &Call,
        bind: BindColumns,
        item: &Item,
    ) -> BindResult<Vec<Column>> {
        if let Some(alias) = &item.alias {
            let name = call.name.text.to_ascii_lowercase();
            let message = format!("`{name}` makes several columns, which have names of their own");
            return Err(wrong(Code::InvalidExpression, message, alias.span));
        }
        let Some(mut grouping) = self.grouping.take() else {
            return Ok(Vec::new());
        };
        let arguments = Arguments::of(call, item.expr.span);
        let columns = arguments.and_then(|arguments| bind(self, &arguments, &mut grouping));
        self.grouping = Some(grouping);
        columns
    }

    /// The columns of single rows; no item at all means every field.
    fn row_columns(&mut self) -> BindResult<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        self.aliases_visible = false;
        for item in self.items {
            if matches!(item.expr.kind, ExprKind::Star) {
                for column in self.every_column() {
                    push_column(&mut columns, column, item.expr.span)?;
                }
            } else if !is_time(&item.expr) || item.alias.is_some() {
                let value = self.expression(&item.expr)?;
                add_column(&mut columns, item, value)?;
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
        };
        self.all_columns().into_iter().map(column).collect()
    }

    pub(super) fn warn_about_step(&mut self, step_ms: Option<i64>, message: &str) {
        if step_ms.is_some() {
            self.warn(Code::StepIgnored, message, Span::default()).span = None;
        }
    }

    /// Refuses a second column if the request allows one.
    pub(super) fn check_single_field(&self, target: &Target, select: &Select) -> BindResult<()> {
        let several = target.columns.len() > 1;
        if !self.context.single_field || !several {
            return Ok(());
        }
        let span = self.items.last().map_or(select.span, |item| item.expr.span);
        let message = "the request allows one field besides the time, and the query shows several";
        let error = wrong(Code::SeveralFields, message, span);
        Err(error
            .with_hint("show one field, or leave `disable_multiple_field` out of the request")
            .into())
    }

    /// The shape with the aggregates of all clauses.
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
            Shape::Aggregate { .. } | Shape::LastRow => {
                let along = std::mem::replace(&mut self.along, Along::Nothing);
                let having = self.conjuncts(&select.having, errors);
                self.along = along;
                having
            }
            Shape::Rows if !select.by.is_empty() => {
                let message = "HAVING tests groups, and a function of points keeps all their rows";
                let error = wrong(Code::HavingWithoutGroup, message, first.span)
                    .with_hint("test events in `{…}`");
                keep(errors, Err(Box::new(error)))
            }
            _ => {
                let message = "HAVING tests groups, and this query makes none";
                let error = wrong(Code::HavingWithoutGroup, message, first.span)
                    .with_hint("test events in `{…}`");
                keep(errors, Err(Box::new(error)))
            }
        }
    }
}

pub(super) fn add_column(columns: &mut Vec<Column>, item: &Item, value: Typed) -> BindResult<()> {
    let column = Column {
        name: item_name(item),
        expr: value.expr,
        value_type: value.value_type,
    };
    let span = alias_of(item).map_or(item.expr.span, |alias| alias.span);
    push_column(columns, column, span)
}

/// Adds a column. A second equal one, as in `*, df_title`, is left out; another with its name is an error.
pub(super) fn push_column(columns: &mut Vec<Column>, column: Column, span: Span) -> BindResult<()> {
    match columns.iter().find(|known| known.name == column.name) {
        Some(known) if known.expr == column.expr => Ok(()),
        Some(_) => {
            let message = format!("`{}` is a column twice", column.name);
            let error = wrong(Code::DuplicateColumn, message, span);
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

/// The alias of an item; that of a filled value may be inside the call: `fill(avg(x) AS a, 0)`.
pub(super) fn alias_of(item: &Item) -> Option<&Ident> {
    let inside = || fill_call(&item.expr)?.args.first()?.alias.as_ref();
    item.alias.as_ref().or_else(inside)
}

/// The name of an item's column.
pub(super) fn item_name(item: &Item) -> String {
    let written = || match &item.shift {
        Some(shift) => format!("{} SHIFT {shift}", dql::column_name(&item.expr)),
        None => dql::column_name(&item.expr),
    };
    alias_of(item).map_or_else(written, |alias| alias.text.clone())
}

/// Whether the expression is the plain name `time`.
pub(super) fn is_time(expr: &AstExpr) -> bool {
    matches!(&expr.kind, ExprKind::Field(field) if field.path.is_empty() && field.name == "time")
}

pub(super) fn no_time() -> Expr {
    cast(lit(ScalarValue::Null), DataType::Int64)
}
