//! What a function does to the answer it is put around.

use chrono_tz::Tz;
use dql::Code;
use dql::ast::{Arg, Call};

use super::{across, collapse, condition, points, regroup, wrong};
use crate::error::EngineError;
use crate::whole::Whole;

/// The most series that a function takes.
const MOST_SERIES: usize = 10_000;
/// The same for `dbscan`, which compares each with each.
const MOST_COMPARED_SERIES: usize = 1_000;

/// Refuses more series than a function can take in little time.
pub(super) fn check_size(name: &str, whole: &Whole) -> Result<(), EngineError> {
    let most = match name {
        "dbscan" => MOST_COMPARED_SERIES,
        _ => MOST_SERIES,
    };
    let found = whole.answer.series.len();
    if found <= most {
        return Ok(());
    }
    let reason = format!("`{name}` takes at most {most} series, and the query gives {found}");
    Err(EngineError::ResourcesExhausted(reason))
}

/// Applies a function to an answer; `others` are its arguments beside the query.
pub(super) async fn apply(
    call: &Call,
    others: &[&Arg],
    zone: Tz,
    mut whole: Whole,
) -> Result<Whole, EngineError> {
    let name = call.name.text.to_ascii_lowercase();
    check_size(&name, &whole)?;
    match name.as_str() {
        "series_sum" => across::series_sum(call, others, &mut whole)?,
        "top" | "bottom" => across::extreme(call, others, &mut whole, name == "top")?,
        "dbscan" => across::dbscan(call, others, &mut whole).await?,
        "fill" => across::fill(call, others, &mut whole)?,
        "window" => regroup::window(call, others, zone, &mut whole)?,
        "count_filter" => condition::count_filter(call, others, &mut whole)?,
        _ => {
            if !points::apply(call, others, &mut whole)? && !collapse::apply(&name, &mut whole) {
                let message = format!("`{name}` is no function over the result of a query");
                return Err(wrong(Code::UnknownFunction, message, call.name.span));
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
