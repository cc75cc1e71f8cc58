//! The functions of the language with their bindings: one file for each family, with a table of its functions.
//!
//! `dql::signature` has a signature for each of them. Arguments are checked against it before a binding is called.

mod conversion;
mod count;
mod distinct;
mod drain;
mod fill;
mod foreign;
mod histogram;
mod list;
mod number;
mod percentile;
mod point;
mod regexp;
mod regression;
mod row_value;
mod series;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod text_test;
mod time;
mod top;

use datafusion::logical_expr::Expr;
use dql::ast::{Call, Expr as AstExpr, ExprKind};
use functions::TextTest;
use functions::points::PointFunction;

use super::arguments::Arguments;
use super::pick::Pick;
use super::series_function::{BoundFunction, SeriesBinder};
use super::{BindResult, Binder, Grouping, any_call};
use crate::bound::{Column, Reducer};
use crate::types::Typed;

pub(super) use drain::Templates;
pub(super) use foreign::NO_MEANING;

/// The functions of each family.
const FAMILIES: [&[Function]; 20] = [
    conversion::FUNCTIONS,
    count::FUNCTIONS,
    distinct::FUNCTIONS,
    drain::FUNCTIONS,
    fill::FUNCTIONS,
    foreign::FUNCTIONS,
    histogram::FUNCTIONS,
    list::FUNCTIONS,
    number::FUNCTIONS,
    percentile::FUNCTIONS,
    point::FUNCTIONS,
    regexp::FUNCTIONS,
    regression::FUNCTIONS,
    row_value::FUNCTIONS,
    series::FUNCTIONS,
    summary::FUNCTIONS,
    text::FUNCTIONS,
    text_test::FUNCTIONS,
    time::FUNCTIONS,
    top::FUNCTIONS,
];

/// Binds a call to a value.
type BindValue = fn(&mut Binder<'_>, &Arguments<'_>) -> BindResult<Typed>;
/// Binds a call to a value of the grouped rows.
pub(super) type BindAggregate =
    fn(&mut Binder<'_>, &Arguments<'_>, &mut Grouping) -> BindResult<Typed>;
/// Binds a call to several columns of the grouped rows.
pub(super) type BindColumns =
    fn(&mut Binder<'_>, &Arguments<'_>, &mut Grouping) -> BindResult<Vec<Column>>;
/// Binds a call to rows of a group.
pub(super) type BindRows = fn(&mut Binder<'_>, &Arguments<'_>) -> BindResult<Pick>;
/// Binds a call to an expression over the rows of a group.
pub(super) type BindTime = fn(&mut Binder<'_>, &Arguments<'_>) -> BindResult<Expr>;
/// Binds a call to a function of points. Its first argument is the value of a point.
pub(super) type BindPoint = fn(&Arguments<'_>) -> BindResult<PointFunction>;
/// Binds a call in SORDER BY; `None` if the values of a group cannot become one by it.
pub(super) type BindReducer = fn(&mut Binder<'_>, &Call) -> Option<Reducer>;
/// Binds a call around a query.
pub(super) type BindSeries = fn(&mut SeriesBinder<'_>) -> BindResult<BoundFunction>;

/// A function of the language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    /// The name in lower case.
    name: &'static str,
    /// The binding of a call inside a query.
    in_query: Option<QueryBinding>,
    /// The binding of a call around a query.
    over_series: Option<BindSeries>,
    /// The time of the row that an aggregate takes its value from.
    row_time: Option<BindTime>,
    /// How the values of a group become one in SORDER BY.
    reducer: Option<BindReducer>,
    /// Whether an aggregate returns a list, whose elements IN compares.
    returns_list: bool,
}

/// The binding of a call inside a query, by the role of the function.
#[derive(Debug, Clone, Copy)]
pub(super) enum QueryBinding {
    /// A value of a row, or of a group when its arguments are.
    Scalar(BindValue),
    /// A value of the rows of a group.
    Aggregate(BindAggregate),
    /// A value of a group whose arguments are aggregates.
    OfAggregates(BindValue),
    /// Several columns of the rows of a group.
    Columns(BindColumns),
    /// Rows of a group.
    Rows(BindRows),
    /// A value of a point and those before it.
    Point(BindPoint),
    /// The value of a step, also of one without rows.
    Fill(BindValue),
    /// A test on text.
    TextTest(TextTest),
    /// `exists`, which is the right side of a comparison.
    Exists,
    /// Not answered, with the reason.
    Unsupported(&'static str),
}

impl Function {
    const fn new(name: &'static str, in_query: Option<QueryBinding>) -> Self {
        Self {
            name,
            in_query,
            over_series: None,
            row_time: None,
            reducer: None,
            returns_list: false,
        }
    }

    const fn in_query(name: &'static str, binding: QueryBinding) -> Self {
        Self::new(name, Some(binding))
    }

    const fn scalar(name: &'static str, bind: BindValue) -> Self {
        Self::in_query(name, QueryBinding::Scalar(bind))
    }

    const fn aggregate(name: &'static str, bind: BindAggregate) -> Self {
        Self::in_query(name, QueryBinding::Aggregate(bind))
    }

    const fn of_aggregates(name: &'static str, bind: BindValue) -> Self {
        Self::in_query(name, QueryBinding::OfAggregates(bind))
    }

    const fn rows(name: &'static str, bind: BindRows) -> Self {
        Self::in_query(name, QueryBinding::Rows(bind))
    }

    const fn point(name: &'static str, bind: BindPoint) -> Self {
        Self::in_query(name, QueryBinding::Point(bind))
    }

    const fn text_test(name: &'static str, test: TextTest) -> Self {
        Self::in_query(name, QueryBinding::TextTest(test))
    }

    const fn unsupported(name: &'static str, reason: &'static str) -> Self {
        Self::in_query(name, QueryBinding::Unsupported(reason))
    }

    /// A function that exists around queries only.
    const fn series(name: &'static str, bind: BindSeries) -> Self {
        Self::new(name, None).over_series(bind)
    }

    const fn over_series(mut self, bind: BindSeries) -> Self {
        self.over_series = Some(bind);
        self
    }

    const fn with_row_time(mut self, bind: BindTime) -> Self {
        self.row_time = Some(bind);
        self
    }

    const fn with_reducer(mut self, bind: BindReducer) -> Self {
        self.reducer = Some(bind);
        self
    }

    const fn returning_list(mut self) -> Self {
        self.returns_list = true;
        self
    }
}

/// The function of this name, in any case.
fn find(name: &str) -> Option<&'static Function> {
    let name = name.to_ascii_lowercase();
    let mut functions = FAMILIES.iter().copied().flatten();
    let found = functions.find(|function| function.name == name);
    found.or_else(|| percentile::by_name(&name))
}

/// The binding of the function of this name inside a query.
pub(super) fn in_query(name: &str) -> Option<QueryBinding> {
    find(name)?.in_query
}

/// The binding of the function of this name around a query.
pub(super) fn over_series(name: &str) -> Option<BindSeries> {
    find(name)?.over_series
}

/// The binding of the function of this name in SORDER BY.
pub(super) fn reducer(name: &str) -> Option<BindReducer> {
    find(name)?.reducer
}

/// The test of this name.
pub(super) fn text_test(name: &str) -> Option<TextTest> {
    match in_query(name)? {
        QueryBinding::TextTest(test) => Some(test),
        _ => None,
    }
}

/// Whether the function of this name is an aggregate.
fn is_aggregate(name: &str) -> bool {
    matches!(
        in_query(name),
        Some(QueryBinding::Aggregate(_) | QueryBinding::OfAggregates(_) | QueryBinding::Columns(_))
    )
}

/// Whether the expression calls an aggregate, outside any sub-query.
pub(super) fn has_aggregate(expr: &AstExpr) -> bool {
    any_call(expr, &|call| is_aggregate(&call.name.text))
}

/// Whether the expression calls a function of points, outside any sub-query.
pub(super) fn has_point_function(expr: &AstExpr) -> bool {
    any_call(expr, &|call| {
        matches!(in_query(&call.name.text), Some(QueryBinding::Point(_)))
    })
}

/// The call that an expression is.
fn as_call(expr: &AstExpr) -> Option<&Call> {
    match &expr.kind {
        ExprKind::Call(call) => Some(call),
        _ => None,
    }
}

/// The call that an expression is, if its function has that name.
fn call_of<'e>(expr: &'e AstExpr, name: &str) -> Option<&'e Call> {
    as_call(expr).filter(|call| call.name.text.eq_ignore_ascii_case(name))
}

/// The call that an expression is, if its function returns rows of a group.
pub(super) fn rows_call(expr: &AstExpr) -> Option<(&Call, BindRows)> {
    let call = as_call(expr)?;
    match in_query(&call.name.text)? {
        QueryBinding::Rows(bind) => Some((call, bind)),
        _ => None,
    }
}

/// The call that an expression is, if its function returns several columns.
pub(super) fn columns_call(expr: &AstExpr) -> Option<(&Call, BindColumns)> {
    let call = as_call(expr)?;
    match in_query(&call.name.text)? {
        QueryBinding::Columns(bind) => Some((call, bind)),
        _ => None,
    }
}

/// The call that an expression is, if its function takes its value from one row, and the time of that row.
pub(super) fn row_value_call(expr: &AstExpr) -> Option<(&Call, BindTime)> {
    let call = as_call(expr)?;
    Some((call, find(&call.name.text)?.row_time?))
}

/// The call that an expression is, if its function fills steps.
pub(super) fn fill_call(expr: &AstExpr) -> Option<&Call> {
    as_call(expr).filter(|call| matches!(in_query(&call.name.text), Some(QueryBinding::Fill(_))))
}

/// Whether the expression is a call of an aggregate that returns a list.
pub(super) fn is_list_call(expr: &AstExpr) -> bool {
    let function = as_call(expr).and_then(|call| find(&call.name.text));
    function.is_some_and(|function| function.returns_list)
}
