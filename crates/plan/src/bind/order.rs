//! `ORDER BY` inside a group, `SORDER BY` between groups, and the orders that make ties impossible.

use datafusion::logical_expr::{Expr, SortExpr};
use dql::Code;
use dql::ast::{Call, Direction, Expr as AstExpr, ExprKind, Select};
use events::fields::{DATE, EVENT_ID, WORKSPACE};
use functions::json::{json_number, json_text};

use super::name::column;
use super::source::SOURCE_TIME;
use super::target::{Target, alias_of, is_time, item_name};
use super::{Bind, Binder, Names, arguments};
use crate::bound::{Key, Reducer, SeriesOrder, Shape, SortKey, sort_exprs};
use crate::types::{Type, Typed};

impl Binder<'_> {
    /// The time of a row of the source.
    pub(super) fn row_time(&self) -> Expr {
        match self.names {
            Names::Events => column(DATE),
            Names::Query(_) | Names::Series(_) => column(SOURCE_TIME),
        }
    }

    /// The order of rows by time, oldest or newest first; ties fall to the event id, then the workspace.
    pub(super) fn time_order(&self, oldest_first: bool) -> Vec<SortExpr> {
        sort_exprs(&self.time_keys(oldest_first))
    }

    /// The keys of [`Self::time_order`].
    pub(super) fn time_keys(&self, oldest_first: bool) -> Vec<SortKey> {
        let key = |expr: Expr, value_type| SortKey {
            expr,
            value_type,
            ascending: oldest_first,
            missing_first: oldest_first,
        };
        let time = key(self.row_time(), Type::Int);
        match &self.names {
            Names::Events => {
                let others = [EVENT_ID, WORKSPACE].map(|name| key(column(name), Type::String));
                std::iter::once(time).chain(others).collect()
            }
            Names::Query(columns) | Names::Series(columns) => {
                let others = columns.iter().filter(|(_, value)| value.expr != time.expr);
                let others = others.map(|(_, value)| match value.value_type {
                    // Any order will do, and that of the text takes one key.
                    Type::Json => key(value.expr.clone(), Type::String),
                    other => key(value.expr.clone(), other),
                });
                let others: Vec<SortKey> = others.collect();
                std::iter::once(time).chain(others).collect()
            }
        }
    }

    /// The complete order inside a group: the query's keys, then the default order.
    pub(super) fn order(
        &mut self,
        select: &Select,
        target: &Target,
        keys: &[Key],
    ) -> Bind<Vec<SortKey>> {
        let mut order: Vec<SortKey> = Vec::new();
        for key in &select.order_by {
            let value = self.shaped_value(&key.expr, target, keys)?;
            // Missing values count as the smallest.
            let ascending = key.direction == Direction::Ascending;
            order.push(SortKey {
                expr: value.expr,
                value_type: value.value_type,
                ascending,
                missing_first: ascending,
            });
        }
        let rest = match &target.shape {
            Shape::Rows => self.time_keys(false),
            Shape::Newest => {
                // The keys sort one row, and must not choose which.
                order.clear();
                self.time_keys(false)
            }
            Shape::Extreme { order: picked, .. } => picked.clone(),
            Shape::Histogram { .. } => vec![SortKey {
                expr: target.time.clone(),
                value_type: Type::Int,
                ascending: true,
                missing_first: true,
            }],
            Shape::Aggregate { .. } => vec![SortKey {
                expr: target.time.clone(),
                value_type: Type::Int,
                ascending: false,
                missing_first: false,
            }],
            Shape::Distinct { value_type, .. } => vec![SortKey {
                expr: column("value"),
                value_type: *value_type,
                ascending: true,
                missing_first: true,
            }],
        };
        for key in rest {
            if !order.iter().any(|known| known.expr == key.expr) {
                order.push(key);
            }
        }
        Ok(order)
    }

    /// A value of a shaped row: a column of the projection by its alias or text, else an expression.
    fn shaped_value(&mut self, written: &AstExpr, target: &Target, keys: &[Key]) -> Bind<Typed> {
        if let Some(value) = self.projected(written, target) {
            return Ok(value);
        }
        let rows_are_gone = matches!(
            target.shape,
            Shape::Distinct { .. } | Shape::Histogram { .. }
        );
        let key = match self.grouping {
            Some(_) => self.matching_key(written),
            None if rows_are_gone => self.key_beside_pick(written, keys).ok(),
            None => None,
        };
        match key {
            Some(key) => Ok(key),
            None if is_time(written) => Ok(Typed::new(target.time.clone(), Type::Int)),
            None if rows_are_gone => self.key_beside_pick(written, keys),
            None => self.expression(written),
        }
    }

    /// The column of the projection that an expression names.
    fn projected(&self, written: &AstExpr, target: &Target) -> Option<Typed> {
        let name = dql::column_name(written);
        let is_named = |item: &dql::ast::Item| match alias_of(item) {
            Some(alias) if alias.text == name => true,
            _ => item.shift.is_none() && item.expr == *written,
        };
        let item = self.items.iter().find(|item| is_named(item));
        // `distinct_by_collapse` and `histogram_auto` give more columns than one.
        let name = item.map_or(name, item_name);
        let column = target.columns.iter().find(|column| column.name == name)?;
        Some(Typed::new(column.expr.clone(), column.value_type))
    }

    /// `SORDER BY`: a column or key, reduced by a function or else by its newest value.
    pub(super) fn series_order(
        &mut self,
        select: &Select,
        target: &Target,
        keys: &[Key],
    ) -> Bind<Option<SeriesOrder>> {
        let Some(key) = &select.sorder_by else {
            return Ok(None);
        };
        let ascending = key.direction == Direction::Ascending;
        let reduced = match &key.expr.kind {
            ExprKind::Call(call) if self.projected(&key.expr, target).is_none() => {
                self.reducer(call)?
            }
            _ => None,
        };
        if let Some((reducer, argument)) = reduced
            && let Some(value) = self.projected(argument, target)
        {
            let value = match reducer {
                Reducer::Last | Reducer::Count => value,
                _ => self.number(value, argument)?,
            };
            return Ok(Some(SeriesOrder {
                expr: value.expr,
                value_type: match reducer {
                    Reducer::Last => value.value_type,
                    _ => Type::Float,
                },
                reducer,
                ascending,
            }));
        }
        let value = self.shaped_value(&key.expr, target, keys)?;
        Ok(Some(SeriesOrder {
            expr: value.expr,
            value_type: value.value_type,
            reducer: Reducer::Last,
            ascending,
        }))
    }

    /// Says where an order has no effect although it looks as if it had.
    pub(super) fn warn_about_order(
        &mut self,
        select: &Select,
        shape: &Shape,
        step_ms: Option<i64>,
    ) {
        let one_row_groups = !select.by.is_empty() && !shape.is_many_rows(step_ms);
        if one_row_groups && let Some(key) = select.order_by.first() {
            let message = "ORDER BY sorts inside each group, and every group has one row";
            let warning = self.warn(Code::OrderByInGroup, message, key.expr.span);
            warning.hint = Some("sort the groups with `SORDER BY … SLIMIT n`".to_owned());
        }
        if one_row_groups && let Some(limit) = select.limit {
            let message = "LIMIT counts the rows of each group, and every group has one row";
            let warning = self.warn(Code::LimitInGroup, message, limit.span);
            warning.hint = Some("limit the groups with `SLIMIT n`".to_owned());
        }
        if select.by.is_empty()
            && let Some(key) = &select.sorder_by
        {
            let message = "SORDER BY sorts groups, and without BY there is only one";
            let warning = self.warn(Code::SorderWithoutGroup, message, key.expr.span);
            warning.hint = Some("sort rows with `ORDER BY`".to_owned());
        }
        if select.by.is_empty()
            && let Some(soffset) = select.soffset.filter(|soffset| soffset.value > 0)
        {
            let message = "SOFFSET skips groups, and without BY it skips the only one";
            let warning = self.warn(Code::SoffsetWithoutGroup, message, soffset.span);
            warning.hint = Some("skip rows with `OFFSET`".to_owned());
        }
    }

    /// The reducer that a call names, and its argument.
    fn reducer<'c>(&mut self, call: &'c Call) -> Bind<Option<(Reducer, &'c AstExpr)>> {
        let name = call.name.text.to_ascii_lowercase();
        let reducer = match name.as_str() {
            "last" => Reducer::Last,
            "min" => Reducer::Min,
            "max" => Reducer::Max,
            "avg" => Reducer::Avg,
            "sum" => Reducer::Sum,
            "count" => Reducer::Count,
            _ => match name
                .strip_prefix('p')
                .and_then(|digits| digits.parse::<u8>().ok())
            {
                Some(percent) if percent <= 100 => {
                    Reducer::Percentile(percent.into(), self.estimated_percentile())
                }
                _ => return Ok(None),
            },
        };
        let argument = arguments::between(call, 1, 1)?[0];
        Ok(Some((reducer, argument)))
    }
}

/// Whether an expression is the plain name of an event's time.
pub(super) fn names_time(written: &AstExpr) -> bool {
    matches!(&written.kind, ExprKind::Field(field)
        if field.path.is_empty() && events::field(&field.name).is_some_and(|field| field.name == DATE))
}

/// The sort keys of a value. Attributes sort as numbers, then as text, then as JSON, so that only equal
/// ones tie.
pub(crate) fn sort_keys(
    value: Expr,
    value_type: Type,
    ascending: bool,
    missing_first: bool,
) -> Vec<SortExpr> {
    match value_type {
        Type::Json => vec![
            json_number(value.clone(), None).sort(ascending, missing_first),
            json_text(value.clone()).sort(ascending, missing_first),
            value.sort(ascending, missing_first),
        ],
        _ => vec![value.sort(ascending, missing_first)],
    }
}
