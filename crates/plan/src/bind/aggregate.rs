//! Aggregate functions: what becomes of the rows of a group.

use arrow::datatypes::DataType;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Expr, ExprFunctionExt, SortExpr, cast, lit};
use dql::ast::{Call, Expr as AstExpr, ExprKind, Field, Ident};
use dql::{Code, Diagnostic, Severity, Span};
use functions::NoteId;
use functions::mode::mode;
use functions::percentile::{EXACT_VALUES, percentile, percentile_value};

use super::derived::DERIVED;
use super::fill::substitute;
use super::point::Along;
use super::target::as_call;
use super::{Bind, Binder, Grouping, arguments, has_aggregate, sort_keys, wrong};
use crate::types::{Type, Typed};

/// Every aggregate function that is computed as one, but `p50`, `p95` and the like.
pub(super) const AGGREGATES: [&str; 12] = [
    "count",
    "count_distinct",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "last_row",
    "mode",
    "histogram_auto",
    "percentile",
    "median",
];

/// Whether the name is that of an aggregate function, in any case.
pub(super) fn is_aggregate(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    AGGREGATES.contains(&name.as_str())
        || DERIVED.contains(&name.as_str())
        || percent_in_name(&name).is_some()
}

fn is_percentile(name: &str) -> bool {
    matches!(name, "percentile" | "median") || percent_in_name(name).is_some()
}

/// The percentage in `p95`.
fn percent_in_name(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p')?;
    let plain = !digits.is_empty()
        && digits
            .bytes()
            .all(|digit| digit.is_ascii_digit() || digit == b'.');
    digits
        .parse()
        .ok()
        .filter(|percent| plain && *percent <= 100.0)
}

impl Binder<'_> {
    /// Binds an aggregate call: the column of the grouped rows that will hold its value.
    pub(super) fn aggregate(&mut self, name: &str, call: &Call, span: Span) -> Bind<Typed> {
        let Some(mut grouping) = self.grouping.take() else {
            let message =
                format!("`{name}` summarises a group, and here a value of one event is needed");
            return Err(wrong(Code::MisplacedAggregate, message, span)
                .with_hint("test the result of a group with HAVING")
                .into());
        };
        if name == "default" {
            self.grouping = Some(grouping);
            return self.with_default(call, span);
        }
        let along = std::mem::replace(&mut self.along, Along::Nothing);
        let typed = if DERIVED.contains(&name) {
            self.derived(name, call, span, &mut grouping)
        } else if is_percentile(name) {
            self.percentile(name, call, &mut grouping)
        } else {
            self.aggregate_over_rows(name, call)
                .map(|(aggregate, value_type)| grouping.column_of(aggregate, value_type))
        };
        self.grouping = Some(grouping);
        self.along = along;
        typed
    }

    fn aggregate_over_rows(&mut self, name: &str, call: &Call) -> Bind<(Expr, Type)> {
        if name == "histogram_auto" {
            let message = "`histogram_auto` makes several columns and stands alone between commas";
            return Err(wrong(Code::InvalidExpression, message, call.name.span));
        }
        if matches!(name, "first" | "last" | "last_row") {
            let picked = self.picked(call)?;
            return first_of(picked.value, picked.order);
        }
        let written = arguments::between(call, 1, 1)?[0];
        if name == "count" {
            return self.count(written);
        }
        let value = self.aggregated(written)?;
        Ok(match name {
            "count_distinct" => (aggregates::count_distinct(value.expr), Type::Int),
            "mode" => (
                mode(value.expr, value.value_type == Type::Json),
                value.value_type,
            ),
            "avg" | "min" | "max" => {
                let number = self.number(value, written)?;
                match name {
                    "avg" => (
                        aggregates::avg(cast(number.expr, DataType::Float64)),
                        Type::Float,
                    ),
                    "min" => (aggregates::min(number.expr), number.value_type),
                    _ => (aggregates::max(number.expr), number.value_type),
                }
            }
            _ => {
                return Err(wrong(
                    Code::UnknownFunction,
                    format!("there is no aggregate `{name}`"),
                    call.name.span,
                ));
            }
        })
    }

    /// The aggregated value; text in quotes names a field here.
    pub(super) fn aggregated(&mut self, written: &AstExpr) -> Bind<Typed> {
        self.expression(&arguments::unquoted(written))
    }

    /// `percentile(x, n)`, `median(x)`, and `p95(x)` and the like.
    fn percentile(&mut self, name: &str, call: &Call, grouping: &mut Grouping) -> Bind<Typed> {
        let (written, percent) = match (name, percent_in_name(name)) {
            (_, Some(percent)) => (arguments::between(call, 1, 1)?[0], percent),
            ("median", None) => (arguments::between(call, 1, 1)?[0], 50.0),
            _ => {
                let values = arguments::between(call, 2, 2)?;
                (values[0], arguments::number(values[1], "the percentage")?)
            }
        };
        if !(0.0..=100.0).contains(&percent) {
            let span = call
                .args
                .get(1)
                .map_or(call.name.span, |arg| arg.value.span);
            return Err(wrong(
                Code::WrongArgumentKind,
                "a percentage is 0 to 100",
                span,
            ));
        }
        let value = self.aggregated(written)?;
        let number = self.number(value, written)?;
        let float = cast(number.expr, DataType::Float64);
        let column = grouping.column_of(percentile(float, percent), Type::Float);
        let value = percentile_value(column.expr, self.estimated_percentile());
        Ok(Typed::new(value, Type::Float))
    }

    /// The note that a percentile was estimated.
    pub(super) fn estimated_percentile(&mut self) -> NoteId {
        let message = format!(
            "a percentile was estimated, because a group has more than {EXACT_VALUES} values"
        );
        self.occurrence(Diagnostic::new(
            Severity::Warning,
            Code::EstimatedPercentile,
            message,
            None,
        ))
    }

    /// `count(*)`, `count(x)`, and `count(distinct(x))`, which counts the values.
    fn count(&mut self, written: &AstExpr) -> Bind<(Expr, Type)> {
        if matches!(written.kind, ExprKind::Star) {
            return Ok((aggregates::count(lit(1)), Type::Int));
        }
        let Some(call) = as_call(written, &["distinct"]) else {
            let value = self.aggregated(written)?;
            return Ok((aggregates::count(value.expr), Type::Int));
        };
        let value = self.aggregated(arguments::between(call, 1, 1)?[0])?;
        Ok((aggregates::count_distinct(value.expr), Type::Int))
    }

    /// The value that `first`, `last` or `last_row` takes, and the order in which its row is the first.
    ///
    /// Rows stand in the order of `sort`, then of time; `first` takes the first of them that has a value,
    /// the others the last.
    fn picked(&mut self, call: &Call) -> Bind<Picked> {
        let is_first = call.name.text.eq_ignore_ascii_case("first");
        let (values, sort) = arguments::with_named(call, "sort", 1, 1)?;
        let value = self.aggregated(values[0])?;
        let mut order = Vec::new();
        for key in sort.map(arguments::list_items).unwrap_or_default() {
            let (field, is_ascending) = sort_key(key)?;
            let key = self.field(&field, key.span)?;
            let ascending = is_ascending == is_first;
            order.extend(sort_keys(key.expr, key.value_type, ascending, ascending));
        }
        let by_time = order.is_empty();
        order.extend(self.time_order(is_first));
        // DataFusion 55 stumbles over a key that stands twice.
        let mut known: Vec<Expr> = Vec::new();
        order.retain(|key: &SortExpr| {
            let is_new = !known.contains(&key.expr);
            known.push(key.expr.clone());
            is_new
        });
        Ok(Picked {
            value,
            order,
            by_time,
            is_first,
        })
    }

    /// The value of the newest row that has one.
    pub(super) fn newest(&self, value: Typed) -> Bind<(Expr, Type)> {
        first_of(value, self.time_order(false))
    }

    /// The time of the row that a lone `first`, `last` or `last_row` takes: its `time`.
    pub(super) fn picked_time(&mut self, call: &Call) -> Bind<Expr> {
        let picked = self.picked(call)?;
        let time = self.row_time();
        let present = picked.value.expr.is_not_null();
        let time = match (picked.by_time, picked.is_first) {
            (true, true) => aggregates::min(time).filter(present),
            (true, false) => aggregates::max(time).filter(present),
            (false, _) => first_value(time, Vec::new())
                .order_by(picked.order)
                .filter(present),
        };
        time.build()
            .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), call.name.span))
    }

    /// `default(x, v)`: `v` where the group has no value of `x`, which is an aggregate, or a field and
    /// then its newest value.
    fn with_default(&mut self, call: &Call, span: Span) -> Bind<Typed> {
        let values = arguments::between(call, 2, 2)?;
        let value = if has_aggregate(values[0]) {
            self.expression(values[0])?
        } else {
            let newest = Call {
                name: Ident {
                    text: "last".to_owned(),
                    span: call.name.span,
                },
                args: vec![call.args[0].clone()],
            };
            self.aggregate("last", &newest, span)?
        };
        let Some((substitute, value_type)) = substitute(values[1], value.value_type)? else {
            let message =
                "what stands for a missing value is a number, a text, a truth value or `nil`";
            return Err(wrong(Code::WrongArgumentKind, message, values[1].span));
        };
        let both = [value.expr, lit(substitute)].map(|value| cast(value, value_type.planned()));
        Ok(Typed::new(coalesce(both.to_vec()), value_type))
    }
}

/// The row that `first` or `last` takes.
struct Picked {
    value: Typed,
    order: Vec<SortExpr>,
    /// Whether only time orders the rows.
    by_time: bool,
    is_first: bool,
}

/// The value of the first row in an order that has one.
fn first_of(value: Typed, order: Vec<SortExpr>) -> Bind<(Expr, Type)> {
    let present = value.expr.clone().is_not_null();
    let picked = first_value(value.expr, Vec::new())
        .order_by(order)
        .filter(present)
        .build()
        .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), Span::default()))?;
    Ok((picked, value.value_type))
}

/// A key of `sort`: a field, or `'field:desc'`; and whether its smallest value comes first.
fn sort_key(written: &AstExpr) -> Bind<(Field, bool)> {
    let Some(field) = arguments::field_of(written) else {
        let message = "a key of `sort` is the name of a field: `sort=['df_title:desc']`";
        return Err(wrong(Code::WrongArgumentKind, message, written.span));
    };
    let (name, ascending) = match field.name.rsplit_once(':') {
        Some((name, direction)) if direction.eq_ignore_ascii_case("asc") => (name, true),
        Some((name, direction)) if direction.eq_ignore_ascii_case("desc") => (name, false),
        _ => return Ok((field, true)),
    };
    let field = Field {
        name: name.to_owned(),
        path: field.path,
    };
    Ok((field, ascending))
}
