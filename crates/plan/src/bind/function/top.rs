//! The rows, or the series, with the largest or smallest values.

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::pick::Pick;
use crate::bind::series_function::{BoundFunction, SeriesBinder};
use crate::bind::{BindResult, Binder};
use crate::bound::{SeriesFunction, Shape, SortKey};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::rows("top", |binder, arguments| top_k(binder, arguments, true))
        .over_series(|series| series_top_k(series, true)),
    Function::rows("bottom", |binder, arguments| {
        top_k(binder, arguments, false)
    })
    .over_series(|series| series_top_k(series, false)),
];

/// `top(x, n)` and `bottom(x, n)`: the `n` rows with the largest or smallest values.
fn top_k(binder: &mut Binder<'_>, arguments: &Arguments<'_>, largest: bool) -> BindResult<Pick> {
    let value = binder.operand(arguments.values[0])?;
    let count = arguments::count(arguments.values[1], "the number of rows")?;
    let mut order = vec![SortKey {
        expr: value.expr.clone(),
        value_type: value.value_type,
        ascending: !largest,
        missing_first: !largest,
    }];
    order.extend(binder.time_keys(false));
    Ok(Pick {
        shape: Shape::TopK {
            order,
            present: value.expr.clone().is_not_null(),
            count,
        },
        value,
        other_columns: Vec::new(),
        time: binder.row_time(),
    })
}

/// `top(query, n)` and `bottom(query, n)`: the `n` series whose newest value is largest or smallest.
fn series_top_k(series: &mut SeriesBinder<'_>, largest: bool) -> BindResult<BoundFunction> {
    let count = series.whole_number()?;
    Ok(BoundFunction {
        function: SeriesFunction::Extreme { count, largest },
        columns: series.typed(|own| own),
    })
}
