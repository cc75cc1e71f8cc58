//! What a function does to the answer it is put around.

use chrono_tz::Tz;
use dql::ast::{Arg, Call};

use super::{across, collapse, condition, points, regroup, wrong};
use crate::error::EngineError;
use crate::whole::Whole;

/// Applies a function to an answer; `others` are its arguments beside the query.
pub(super) fn apply(
    call: &Call,
    others: &[&Arg],
    zone: Tz,
    mut whole: Whole,
) -> Result<Whole, EngineError> {
    let name = call.name.text.to_ascii_lowercase();
    match name.as_str() {
        "series_sum" => across::series_sum(call, others, &mut whole)?,
        "top" | "bottom" => across::extreme(call, others, &mut whole, name == "top")?,
        "dbscan" => across::dbscan(call, others, &mut whole)?,
        "fill" => across::fill(call, others, &mut whole)?,
        "window" => regroup::window(call, others, zone, &mut whole)?,
        "count_filter" => condition::count_filter(call, others, &mut whole)?,
        _ => {
            if !points::apply(call, others, &mut whole)? && !collapse::apply(&name, &mut whole) {
                let message = format!("`{name}` is no function over the result of a query");
                return Err(wrong("unknown_function", message, call.name.span));
            }
        }
    }
    let columns = whole.columns.iter().map(|(name, _)| name.clone());
    let columns: Vec<String> = std::iter::once("time".to_owned()).chain(columns).collect();
    for series in &mut whole.answer.series {
        series.columns.clone_from(&columns);
    }
    whole
        .answer
        .series
        .retain(|series| !series.values.is_empty());
    Ok(whole)
}
