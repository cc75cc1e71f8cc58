//! What is said about an answer as a whole: hits, and what was assumed, cut off or missing.

use std::time::Duration;

use api::{Cursor, Summary, TotalHits};
use dql::{Code, Diagnostic, Severity};
use functions::NoteMetrics;
use plan::{
    Attribute, BoundQuery, Limit, Lowered, Observation, Occurrence, PageUnit, Position, Shape,
};

use crate::rows::{Passed, RowFilter};

/// The summary of an answer that gave these rows.
pub(crate) fn summarise(
    query: &BoundQuery,
    lowered: &Lowered,
    rows: &RowFilter,
    notes: &NoteMetrics,
    counted_hits: Option<u64>,
    cost: Duration,
    watermark_ms: Option<i64>,
) -> Summary {
    let passed = rows.passed();
    let mut warnings = query.notes.warnings.clone();
    warnings.extend(cuts(query, lowered, rows));
    warnings.extend(discoveries(query, passed, notes));
    let total_hits = match counted_hits {
        Some(value) => TotalHits { value, exact: true },
        None => hits(query, lowered, passed),
    };
    Summary {
        cost,
        total_hits,
        group_by: query.keys.iter().map(|key| key.name.clone()).collect(),
        window: query.events_window(),
        step_ms: query.step_ms,
        rows: passed.rows,
        search_after: search_after(query, rows).map(|end| Cursor { values: end.values }),
        next_cursor_time: None,
        watermark_ms,
        has_more: passed.rows_cut || passed.groups_cut,
        warnings,
        raw_query: None,
        query_parse: None,
    }
}

/// The matching events as far as the answer's own rows tell.
fn hits(query: &BoundQuery, lowered: &Lowered, passed: Passed) -> TotalHits {
    let limits = query.limits;
    let wants_none = limits.limit.count() == Some(0) || limits.slimit.count() == Some(0);
    let is_whole = query.page.as_ref().is_none_or(|page| page.after.is_none());
    let complete =
        is_whole && !passed.rows_cut && !passed.groups_cut && limits.soffset == 0 && !wants_none;
    if lowered.has_hits {
        let every_group = complete && limits.offset == 0 && query.having.is_none();
        let every_event = !matches!(
            query.shape,
            Shape::Distinct { .. } | Shape::Histogram { .. }
        );
        return TotalHits {
            value: passed.hits,
            exact: every_group && every_event,
        };
    }
    match query.shape {
        Shape::Rows if !query.keys.is_empty() => TotalHits {
            value: passed.rows,
            exact: complete && limits.offset == 0,
        },
        Shape::Rows if passed.rows == 0 && limits.offset > 0 => TotalHits {
            value: 0,
            exact: false,
        },
        Shape::Rows => {
            let skipped = limits.offset;
            let value = skipped + passed.rows + u64::from(passed.rows_cut);
            TotalHits {
                value,
                exact: complete,
            }
        }
        _ => TotalHits {
            value: passed.rows,
            exact: false,
        },
    }
}

/// Where the answer ended, when what follows can be asked for.
fn search_after(query: &BoundQuery, rows: &RowFilter) -> Option<Position> {
    let page = query.page.as_ref().filter(|page| !page.by_time)?;
    let is_cut = match page.unit {
        PageUnit::Rows => rows.passed().rows_cut,
        PageUnit::Groups => rows.passed().groups_cut,
    };
    rows.last().filter(|_| page.is_endless || is_cut).cloned()
}

/// What of an answer its place continues, and how.
fn continuation(query: &BoundQuery, rows: &RowFilter, unit: PageUnit) -> Option<&'static str> {
    let page = query.page.as_ref().filter(|page| page.unit == unit)?;
    if page.by_time {
        return Some("go on with next_cursor_time");
    }
    search_after(query, rows).map(|_| "go on behind it with search_after")
}

fn cuts(query: &BoundQuery, lowered: &Lowered, filter: &RowFilter) -> Vec<Diagnostic> {
    let passed = filter.passed();
    let is_asked_for = |limit: Limit| limit == Limit::Asked(0);
    let rows_cut = passed.rows_cut && !is_asked_for(query.limits.limit);
    let groups_cut = passed.groups_cut && !is_asked_for(query.limits.slimit);
    let rows = rows_cut.then(|| {
        let of = if lowered.keys.is_empty() {
            "the answer"
        } else {
            "each group"
        };
        let next = continuation(query, filter, PageUnit::Rows);
        cut(
            Code::LimitReached,
            ["LIMIT", "rows", of],
            query.limits.limit,
            next,
        )
    });
    let groups = groups_cut.then(|| {
        let next = continuation(query, filter, PageUnit::Groups);
        let words = ["SLIMIT", "groups", "the answer"];
        cut(Code::SlimitReached, words, query.limits.slimit, next)
    });
    rows.into_iter().chain(groups).collect()
}

/// The warning that a limit cut something off; `next` says how the answer is continued.
fn cut(code: Code, [clause, what, of]: [&str; 3], limit: Limit, next: Option<&str>) -> Diagnostic {
    let skip = next.unwrap_or("skip what you have seen");
    let narrow = next.unwrap_or("narrow the window");
    let (message, hint) = match limit {
        Limit::Asked(count) => (
            format!("{of} was cut off at {clause} {count}: there are more {what}"),
            format!("raise {clause}, {skip}, or stream the answer"),
        ),
        Limit::Default(count) => (
            format!(
                "{of} was cut off at {count} {what}, because the query has no {clause}: there are more"
            ),
            format!("add a {clause}, {narrow}, or stream the answer, which has no ceiling"),
        ),
        Limit::Unlimited => (format!("{of} was cut off"), "ask again".to_owned()),
    };
    Diagnostic::new(Severity::Warning, code, message, None).with_hint(hint)
}

/// What only running the query could find out.
fn discoveries(query: &BoundQuery, passed: Passed, notes: &NoteMetrics) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for observation in &query.notes.observations {
        let Attribute { name, span } = observation.attribute.as_ref();
        found.extend(unknown_field(observation, passed, notes));
        let mut not_numbers = observation.not_numbers.iter();
        if not_numbers.any(|note| notes.met(*note) > 0) {
            let message = format!("values of `{name}` that are not numbers were left out");
            let warning = Diagnostic::warning(Code::NotANumber, message, *span);
            found.push(warning.with_hint(format!("convert text with `float({name})`")));
        }
    }
    for Occurrence { note, warning } in &query.notes.occurrences {
        // A query and one inside it may say the same of the whole answer.
        let is_said = warning.span.is_none() && found.contains(warning);
        if notes.met(*note) > 0 && !is_said {
            found.push(warning.clone());
        }
    }
    found
}

/// A name that is no column and that no event had. Where no event was read, or not all, only a name that
/// is almost a column's is worth a word.
fn unknown_field(
    observation: &Observation,
    passed: Passed,
    notes: &NoteMetrics,
) -> Option<Diagnostic> {
    if notes.met(observation.present) > 0 {
        return None;
    }
    let Attribute { name, span } = observation.attribute.as_ref();
    let near = plan::nearest_field(name);
    let is_cut = passed.rows_cut || passed.groups_cut;
    let is_examined = notes.rows(observation.present) > 0;
    let reason = match (is_examined, is_cut, near) {
        (true, false, _) => "none of the events that were read has it",
        (true, true, Some(_)) => "it is no column, and no event of this answer has it",
        (false, _, Some(_)) => "it is no column, and no event was read that could have it",
        (true, true, None) | (false, _, None) => return None,
    };
    let message = format!("unknown field `{name}`: {reason}");
    let warning = Diagnostic::warning(Code::UnknownField, message, *span);
    Some(match near {
        Some(near) => warning.with_hint(format!("did you mean `{near}`?")),
        None => warning,
    })
}
