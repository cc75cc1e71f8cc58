//! Which questions have pages, and pages that end between two milliseconds.

use api::{QueryRequest, Series};
use dql::ast::Statement;
use dql::{Code, Diagnostic, Severity};
use plan::BoundQuery;

use crate::error::EngineError;
use crate::prepare::Parsed;
use crate::rows::RowFilter;

/// Refuses a request that goes on behind a page where no page is continued.
pub(crate) fn check(request: &QueryRequest, parsed: &Parsed) -> Result<(), EngineError> {
    let options = &request.options;
    let place = options.search_after.as_ref();
    let option = match (place, options.cursor_time) {
        (Some(place), _) if !place.values.is_empty() => "search_after",
        (_, Some(_)) => "cursor_time",
        _ => return Ok(()),
    };
    let (what, hint, span) = match parsed.script.statements.as_slice() {
        [Statement::Select(_)] => return Ok(()),
        [Statement::Show(show)] => (
            "a SHOW function",
            "page with LIMIT and OFFSET",
            Some(show.span),
        ),
        [Statement::Outer(outer)] => (
            "a function over the result of a query, which takes the whole result",
            "page through the inner query, or with LIMIT and OFFSET behind the function",
            Some(outer.span),
        ),
        _ => (
            "several statements, because it is a place in the answer to one",
            "send the statements one by one",
            None,
        ),
    };
    let message = format!("{option} is not supported for {what}");
    let finding = Diagnostic::new(Severity::Error, Code::NotSupported, message, span);
    Err(EngineError::Query(vec![finding.with_hint(hint)]))
}

/// Ends a page by time between two milliseconds: when more follow, the rows of the last millisecond go
/// to the next page, unless all of that millisecond is here. Gives the time the next page stands before.
pub(crate) fn end_between(
    query: &BoundQuery,
    series: &mut [Series],
    filter: &mut RowFilter,
) -> Result<Option<i64>, EngineError> {
    let is_by_time = query.page.as_ref().is_some_and(|page| page.by_time);
    let Some(next) = filter.next().filter(|_| is_by_time) else {
        return Ok(None);
    };
    let cut_ms = next.values.first().and_then(serde_json::Value::as_i64);
    let mut none = Vec::new();
    let rows = series
        .first_mut()
        .map_or(&mut none, |series| &mut series.values);
    let time = |row: &Vec<serde_json::Value>| row.first().and_then(serde_json::Value::as_i64);
    let before = rows.len();
    while rows.last().is_some_and(|row| time(row) == cut_ms) {
        rows.pop();
    }
    let Some(last_ms) = rows.last().and_then(time) else {
        let message = format!(
            "more than {before} events share one millisecond, which a page by time cannot split"
        );
        let finding = Diagnostic::new(Severity::Error, Code::PageTooSmall, message, None);
        let hint = "raise LIMIT, or page with search_after";
        return Err(EngineError::Query(vec![finding.with_hint(hint)]));
    };
    filter.take_back((before - rows.len()) as u64);
    Ok(Some(last_ms))
}
