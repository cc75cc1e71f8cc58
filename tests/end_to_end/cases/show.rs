//! Answers as the pages show them.

use std::fmt::Write as _;

use api::{Answer, Series};
use serde_json::Value;

/// Answers as tables: the keys of `BY` in brackets, then `time`, then the values. Texts stand as they
/// are, or in quotes where they would be taken for something else; times are UTC.
pub(super) fn tables(query: &str, answers: &[Answer]) -> String {
    let shown: Vec<String> = answers.iter().map(|answer| table(query, answer)).collect();
    shown.join("\n")
}

fn table(query: &str, answer: &Answer) -> String {
    let mut text = match answer.series.first() {
        Some(first) => {
            let keys = first.tags.iter().map(|(name, _)| format!("[{name}]"));
            let header: Vec<String> = keys.chain(first.columns.iter().cloned()).collect();
            let rows = answer.series.iter().flat_map(rows_of);
            aligned(std::iter::once(header).chain(rows).collect())
        }
        None => String::new(),
    };
    let summary = &answer.summary;
    let hits = summary.total_hits;
    let matched = match (hits.exact, hits.value) {
        (true, value) => counted(value, "event"),
        (false, 0) => "an unknown number of events".to_owned(),
        (false, value) => format!("at least {}", counted(value, "event")),
    };
    let rows = counted(summary.rows, "row");
    let _ = writeln!(text, "({rows}, {matched} matched)");
    if let Some(raw_query) = &summary.raw_query {
        let _ = writeln!(text, "run: {raw_query}");
    }
    for warning in &summary.warnings {
        text.push_str(&dql::render(query, warning));
    }
    text
}

fn counted(number: u64, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

fn rows_of(series: &Series) -> impl Iterator<Item = Vec<String>> {
    let tags: Vec<String> = series.tags.iter().map(|(_, tag)| cell(tag)).collect();
    series.values.iter().map(move |row| {
        let time = row
            .first()
            .and_then(Value::as_i64)
            .map_or("null".to_owned(), utc);
        let values = row.iter().skip(1).map(cell);
        tags.iter().cloned().chain([time]).chain(values).collect()
    })
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a text without quotes is taken for nothing else.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && !text.contains(['"', '|', '\n'])
        && serde_json::from_str::<Value>(text).is_err()
}

fn utc(unix_ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(unix_ms).unwrap();
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn aligned(rows: Vec<Vec<String>>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join(" | ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Answers as existing clients read them, without the time they took.
pub(super) fn json(answers: &[Answer]) -> String {
    let mut content = api::content_json(answers);
    for answer in content["content"].as_array_mut().unwrap() {
        assert!(answer["cost"].as_str().unwrap().ends_with("ms"));
        for changing in ["cost", "watermark_ms"] {
            answer.as_object_mut().unwrap().shift_remove(changing);
        }
    }
    let mut text = serde_json::to_string_pretty(&content).unwrap();
    text.push('\n');
    text
}
