//! Functions that make rows of their own choice of a group: `distinct`, `distinct_by_collapse`, `top`,
//! `bottom` and `histogram`. One of them stands in a query, and beside it only keys.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Expr, cast};
use dql::ast::{Call, Expr as AstExpr, ExprKind};
use dql::{Code, Diagnostic};
use functions::bucket::{Buckets, bucket};

use super::limits::LARGEST_COUNT;
use super::name::column;
use super::target::{Target, add_column, as_call, no_time, push_column};
use super::{Bind, Binder, Grouping, arguments, wrong};
use crate::bound::{Column, Key, Shape, SortKey};
use crate::types::{Type, Typed};

/// Their names.
pub(super) const PICKERS: [&str; 5] = [
    "distinct",
    "distinct_by_collapse",
    "top",
    "bottom",
    "histogram",
];

/// The call that an expression is, when it chooses rows.
pub(super) fn picker(expr: &AstExpr) -> Option<&Call> {
    as_call(expr, &PICKERS)
}

/// What a call makes of a group.
struct Pick {
    shape: Shape,
    /// The column of the call, over the shaped rows.
    value: Typed,
    /// The columns that follow it.
    beside: Vec<Column>,
    time: Expr,
}

impl<'a> Binder<'a> {
    /// Binds a projection with a call that chooses rows.
    pub(super) fn pick(
        &mut self,
        call: &'a Call,
        keys: &[Key],
        step_ms: Option<i64>,
    ) -> Bind<Target> {
        self.warn_about_step(
            step_ms,
            "rows are picked from the whole window, so they have no steps",
        );
        let picked = match call.name.text.to_ascii_lowercase().as_str() {
            "distinct" => self.distinct(call)?,
            "distinct_by_collapse" => self.distinct_by_collapse(call)?,
            "histogram" => self.histogram(call)?,
            name => self.extreme(call, name == "top")?,
        };
        let mut columns = Vec::new();
        for item in self.items {
            match picker(&item.expr) {
                Some(other) if other == call => {
                    add_column(&mut columns, item, picked.value.clone())?;
                    for column in &picked.beside {
                        push_column(&mut columns, column.clone(), item.expr.span)?;
                    }
                }
                Some(other) => {
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

    /// `distinct(x)`: one row a value.
    fn distinct(&mut self, call: &Call) -> Bind<Pick> {
        let value = self.aggregated(arguments::between(call, 1, 1)?[0])?;
        let value_type = value.value_type;
        Ok(Pick {
            shape: Shape::Distinct {
                value: value.expr,
                value_type,
                newest: Vec::new(),
            },
            value: Typed::new(column("value"), value_type),
            beside: Vec::new(),
            time: no_time(),
        })
    }

    /// `distinct_by_collapse(x, fields=[a, b])`: one row a value, with the time and the fields of its
    /// newest event.
    fn distinct_by_collapse(&mut self, call: &Call) -> Bind<Pick> {
        let (values, fields) = arguments::with_named(call, "fields", 1, 1)?;
        let value = self.aggregated(values[0])?;
        let value_type = value.value_type;
        let mut newest = vec![max(self.row_time())];
        let mut beside = Vec::new();
        for written in fields.map(arguments::list_items).unwrap_or_default() {
            let written = arguments::unquoted(written);
            if !matches!(written.kind, ExprKind::Field(_)) {
                let message = "`fields` is a list of fields: `fields=[df_title, df_user_name]`";
                return Err(wrong(Code::WrongArgumentKind, message, written.span));
            }
            let field = self.expression(&written)?;
            beside.push(Column {
                name: dql::column_name(&written),
                expr: column(&format!("n{}", newest.len())),
                value_type: field.value_type,
            });
            newest.push(first_value(field.expr, self.time_order(false)));
        }
        Ok(Pick {
            shape: Shape::Distinct {
                value: value.expr,
                value_type,
                newest,
            },
            value: Typed::new(column("value"), value_type),
            beside,
            time: column("n0"),
        })
    }

    /// `top(x, n)` and `bottom(x, n)`: the events with the largest or smallest values.
    fn extreme(&mut self, call: &Call, largest: bool) -> Bind<Pick> {
        let values = arguments::between(call, 2, 2)?;
        let value = self.aggregated(values[0])?;
        let count = arguments::count(values[1], "the number of rows")?;
        let mut order = vec![SortKey {
            expr: value.expr.clone(),
            value_type: value.value_type,
            ascending: !largest,
            missing_first: !largest,
        }];
        order.extend(self.time_keys(false));
        Ok(Pick {
            shape: Shape::Extreme {
                order,
                present: value.expr.clone().is_not_null(),
                count,
            },
            value,
            beside: Vec::new(),
            time: self.row_time(),
        })
    }

    /// `histogram(x, start, end, interval [, least])`: how many values lie in each interval from `start`
    /// up to `end`; intervals with fewer than `least` have no row.
    fn histogram(&mut self, call: &Call) -> Bind<Pick> {
        let values = arguments::between(call, 4, 5)?;
        let value = self.aggregated(values[0])?;
        let number = self.number(value, values[0])?;
        let [start, end, width] = [1, 2, 3].map(|index| edge(values[index], values[0]));
        let (start, end, width) = (start?, end?, width?);
        if end <= start || width <= 0 {
            let message =
                "a histogram goes from a smaller to a larger number, in intervals above 0";
            let span = values[1].span.to(values[3].span);
            return Err(wrong(Code::WrongArgumentKind, message, span));
        }
        let count = end.abs_diff(start).div_ceil(width.unsigned_abs());
        if count > LARGEST_COUNT {
            let message = format!("the histogram has {count} intervals: at most {LARGEST_COUNT}");
            let error = wrong(Code::TooManyPoints, message, values[3].span);
            return Err(error.with_hint("widen the interval").into());
        }
        let least = values
            .get(4)
            .map(|least| arguments::count(least, "the least count of an interval"))
            .transpose()?;
        let buckets = Buckets { start, end, width };
        let message = format!("values outside [{start}, {end}) are not counted");
        let outside = Diagnostic::warning(Code::OutsideHistogram, message, call.name.span);
        let outside = self.occurrence(outside);
        let float = cast(number.expr, DataType::Float64);
        Ok(Pick {
            shape: Shape::Histogram {
                bucket: bucket(float, buckets, outside),
                buckets,
                least: least.unwrap_or(0),
            },
            value: Typed::new(column("hits"), Type::Int),
            beside: Vec::new(),
            time: column("time"),
        })
    }

    /// The key that an expression beside a call that chooses rows stands for.
    pub(super) fn key_beside_pick(&mut self, written: &AstExpr, keys: &[Key]) -> Bind<Typed> {
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

/// An edge of a histogram, or the width of its intervals.
fn edge(written: &AstExpr, value: &AstExpr) -> Bind<i64> {
    match written.kind {
        ExprKind::Int(edge) => Ok(edge),
        ExprKind::Float(edge) if edge.fract() == 0.0 && edge.abs() < 9e15 => Ok(edge as i64),
        _ => {
            let message = "the edges of intervals are whole numbers, because `time` holds them";
            let hint = format!("scale the value: `{} * 100`", dql::column_name(value));
            let error = wrong(Code::WrongArgumentKind, message, written.span);
            Err(error.with_hint(hint).into())
        }
    }
}
