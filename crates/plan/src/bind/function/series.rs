//! Functions that exist over the series of a query only.

use dql::ast::ExprKind;

use super::Function;
use crate::bind::BindResult;
use crate::bind::series_function::{BoundFunction, SeriesBinder, number_type, text_of};
use crate::bound::SeriesFunction;
use crate::types::Type;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::series("series_sum", series_sum),
    Function::series("window", window),
    Function::series("dbscan", dbscan),
];

/// The distance of `dbscan` up to which series are near, in standard deviations (Guance documentation, advanced
/// functions).
const DEFAULT_REACH: f64 = 0.5;

/// `series_sum(query [, sumBy = ['key']])`.
fn series_sum(series: &mut SeriesBinder<'_>) -> BindResult<BoundFunction> {
    let keys = kept_keys(series)?;
    let overflow = series.number_overflow();
    Ok(BoundFunction {
        function: SeriesFunction::SeriesSum { keys, overflow },
        columns: series.typed(number_type),
    })
}

/// The indices of the keys that `sumBy` lists.
fn kept_keys(series: &SeriesBinder<'_>) -> BindResult<Vec<usize>> {
    let Some(argument) = series.argument() else {
        return Ok(Vec::new());
    };
    let ExprKind::Array(items) = &argument.kind else {
        return Err(series.wrong("the tags to keep are a list: `sumBy = ['host']`"));
    };
    let kept: Vec<String> = items.iter().filter_map(text_of).collect();
    let keys = series.schema().keys.iter().enumerate();
    let keys = keys.filter(|(_, (name, _))| kept.contains(name));
    Ok(keys.map(|(index, _)| index).collect())
}

/// `window(query, '5m')`: the mean of the points of each window.
fn window(series: &mut SeriesBinder<'_>) -> BindResult<BoundFunction> {
    let width_ms = match series.argument().map(|argument| &argument.kind) {
        Some(ExprKind::String(text)) => dql::duration_ms(text),
        _ => None,
    };
    let Some(width_ms) = width_ms else {
        return Err(series.wrong("the width of `window` is a duration in quotes such as '5m'"));
    };
    Ok(BoundFunction {
        function: SeriesFunction::Window {
            width_ms,
            time_zone: series.time_zone(),
        },
        columns: series.typed(|_| Type::Float),
    })
}

/// `dbscan(query [, reach])`: the series that are away from all others.
fn dbscan(series: &mut SeriesBinder<'_>) -> BindResult<BoundFunction> {
    if series.schema().keys.is_empty() {
        return Err(series.wrong("`dbscan` compares the series of a query with BY"));
    }
    let reach = match series.argument().map(|argument| &argument.kind) {
        Some(ExprKind::Int(number)) => *number as f64,
        Some(ExprKind::Float(number)) => *number,
        _ => DEFAULT_REACH,
    };
    Ok(BoundFunction {
        function: SeriesFunction::Outliers { reach },
        columns: series.typed(|own| own),
    })
}
