//! Answers in the JSON of existing DQL clients: `{"content":[…]}` of the raw query API.

use dql::Diagnostic;
use events::TimeRange;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Cursor, Series, Summary};

/// The answers to the statements of a text, in order.
pub fn content_json(answers: &[Answer]) -> Value {
    json!({ "content": answers.iter().map(answer).collect::<Vec<_>>() })
}

/// The warnings as one text, `code: message (hint)` joined by `; `; empty without any.
pub fn warnings_text(warnings: &[Diagnostic]) -> String {
    let texts: Vec<String> = warnings
        .iter()
        .map(|warning| match &warning.hint {
            Some(hint) => format!("{}: {} ({hint})", warning.code, warning.message),
            None => format!("{}: {}", warning.code, warning.message),
        })
        .collect();
    texts.join("; ")
}

fn answer(answer: &Answer) -> Value {
    let summary = &answer.summary;
    let mut value = json!({
        "series": answer.series.iter().map(series).collect::<Vec<_>>(),
        "cost": format!("{}ms", summary.cost.as_micros() as f64 / 1000.0),
        "total_hits": summary.total_hits.value,
        "total_hits_relation": if summary.total_hits.exact { "eq" } else { "gte" },
        "group_by": summary.group_by,
        "search_after": summary.search_after.as_ref().map(search_after),
        "next_cursor_time": summary.next_cursor_time.unwrap_or(-1),
        "watermark_ms": summary.watermark_ms,
        "window": window(summary),
        "interval": summary.step_ms.unwrap_or(0),
        "query_warning": warnings_text(&summary.warnings),
    });
    if let Some(raw_query) = &summary.raw_query {
        value["raw_query"] = Value::from(raw_query.as_str());
    }
    if let Some(parse) = &summary.query_parse {
        value["query_parse"] = json!({
            "namespace": parse.namespace,
            "sources": parse.sources,
            "fields": parse.fields,
            "funcs": parse.funcs,
        });
    }
    value
}

/// The window that was read; null where no window applies.
fn window(summary: &Summary) -> Value {
    match summary.window {
        TimeRange::ALL => Value::Null,
        range => json!([range.from_ms, range.to_ms]),
    }
}

/// A cursor, which is opaque to clients.
fn search_after(cursor: &Cursor) -> Value {
    Value::from(cursor.values.clone())
}

fn series(series: &Series) -> Value {
    let mut object = Map::new();
    if let Some(name) = &series.name {
        object.insert("name".to_owned(), Value::from(name.as_str()));
    }
    if !series.tags.is_empty() {
        let tags: Map<String, Value> = series.tags.iter().cloned().collect();
        object.insert("tags".to_owned(), Value::Object(tags));
    }
    object.insert("columns".to_owned(), Value::from(series.columns.clone()));
    object.insert(
        "values".to_owned(),
        Value::from(
            series
                .values
                .iter()
                .map(|row| Value::from(row.clone()))
                .collect::<Vec<_>>(),
        ),
    );
    Value::Object(object)
}
