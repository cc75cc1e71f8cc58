//! Answers to SHOW statements.

use std::time::{Duration, Instant};

use dql::ast::Show;
use dql::{Code, Diagnostic, Severity};
use events::fields::{FIELDS, FieldType};
use events::{TimeRange, WorkspaceId};
use plan::{BoundShow, Delivery, Type};
use serde_json::{Map, Value};

use crate::answer::{Answer, Explanation, Series, Summary, TotalHits};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::outer;
use crate::prepare::{self, Parsed};
use crate::request::{QueryRequest, Stage};
use crate::whole::Whole;

/// Answers a SHOW statement.
pub(crate) async fn answer(
    engine: &Engine,
    request: &QueryRequest,
    parsed: &Parsed,
    show: &Show,
    delivery: Delivery,
) -> Result<Whole, EngineError> {
    let started = Instant::now();
    match prepare::bind_show(parsed, show, request, delivery)? {
        BoundShow::Rows(query) => engine.answer_query(request, query).await,
        BoundShow::Workspaces { limit, offset } => {
            let views = prepare::views(engine.store(), request, &[]).await?;
            let names = views.into_iter().map(|view| view.workspace);
            let mut answer = workspaces(names, started.elapsed());
            cut(&mut answer, limit, offset, "workspaces");
            Ok(whole(answer, &WORKSPACE_COLUMNS))
        }
        BoundShow::Fields {
            query,
            limit,
            offset,
        } => {
            let answer = engine.answer_query(request, query).await?;
            Ok(whole(fields(answer.answer, limit, offset), &FIELD_COLUMNS))
        }
    }
}

/// Shows a stage of the query behind a SHOW statement.
pub(crate) async fn explain(
    engine: &Engine,
    request: &QueryRequest,
    parsed: &Parsed,
    show: &Show,
    stage: Stage,
) -> Result<Explanation, EngineError> {
    let name = format!("show     {}", show.call.name.text.to_ascii_lowercase());
    let inner = match prepare::bind_show(parsed, show, request, Delivery::Series)? {
        BoundShow::Rows(query) | BoundShow::Fields { query, .. } => {
            engine.explain_query(request, &query, stage).await?
        }
        BoundShow::Workspaces { .. } => Explanation {
            text: "source   the workspaces of the store; no events are read\n".to_owned(),
            files: stage.reads_files().then_some(0),
            bytes: stage.reads_files().then_some(0),
            warnings: Vec::new(),
        },
    };
    Ok(outer::below(name, inner))
}

/// The columns of `show_workspaces`.
const WORKSPACE_COLUMNS: [&str; 1] = ["wsuuid"];
/// The columns of `show_event_field`.
const FIELD_COLUMNS: [&str; 2] = ["fieldKey", "fieldType"];

/// An answer whose columns are texts.
fn whole(answer: Answer, columns: &[&str]) -> Whole {
    let columns = columns
        .iter()
        .map(|name| ((*name).to_owned(), Type::String));
    Whole {
        answer,
        keys: Vec::new(),
        columns: columns.collect(),
    }
}

fn workspaces(names: impl Iterator<Item = WorkspaceId>, cost: Duration) -> Answer {
    let rows: Vec<Vec<Value>> = names
        .map(|name| vec![Value::Null, Value::from(name.to_string())])
        .collect();
    let count = rows.len() as u64;
    Answer::new(
        series("show_workspaces", &WORKSPACE_COLUMNS, rows),
        Summary {
            cost,
            total_hits: TotalHits {
                value: count,
                exact: true,
            },
            group_by: Vec::new(),
            window: TimeRange::ALL,
            step_ms: None,
            rows: count,
            search_after: None,
            next_cursor_time: None,
            watermark_ms: None,
            has_more: false,
            warnings: Vec::new(),
            raw_query: None,
            query_parse: None,
        },
    )
}

/// The row of counts and attribute paths as one row a field, columns first.
fn fields(answer: Answer, limit: Option<u64>, offset: u64) -> Answer {
    let row = answer
        .series
        .into_iter()
        .flat_map(|series| series.values)
        .next()
        .unwrap_or_default();
    let columns = FIELDS
        .iter()
        .zip(row.iter().skip(1))
        .filter_map(|(field, count)| {
            let kind = match field.field_type {
                FieldType::Int => "int",
                FieldType::String => "string",
                FieldType::Json => return None,
            };
            (count.as_u64() != Some(0)).then(|| (field.name.to_owned(), kind.to_owned()))
        });
    let paths: Map<String, Value> = match row.last() {
        Some(Value::Object(paths)) => paths.clone(),
        _ => Map::new(),
    };
    let paths = paths
        .into_iter()
        .map(|(path, kind)| (path, kind.as_str().unwrap_or_default().to_owned()));
    let all: Vec<(String, String)> = columns.chain(paths).collect();
    let rows: Vec<Vec<Value>> = all
        .into_iter()
        .map(|(name, kind)| vec![Value::Null, Value::from(name), Value::from(kind)])
        .collect();
    let series = series("fields", &["fieldKey", "fieldType"], rows);
    let mut answer = Answer::new(series, answer.summary);
    cut(&mut answer, limit, offset, "fields");
    answer
}

/// Leaves out the first rows and those behind the limit, which is said.
fn cut(answer: &mut Answer, limit: Option<u64>, offset: u64, what: &str) {
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    let wanted = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let summary = &mut answer.summary;
    summary.rows = 0;
    for series in &mut answer.series {
        let all = series.values.len();
        series.values.drain(..skipped.min(all));
        if series.values.len() > wanted {
            let message =
                format!("the answer was cut off at LIMIT {wanted}: there are {all} {what}");
            let warning = Diagnostic::new(Severity::Warning, Code::LimitReached, message, None);
            let hint = "raise LIMIT, or skip what you have seen";
            summary.warnings.push(warning.with_hint(hint));
            series.values.truncate(wanted);
        }
        summary.rows += series.values.len() as u64;
    }
    answer.series.retain(|series| !series.values.is_empty());
}

/// One series, or none without a row.
fn series(name: &str, columns: &[&str], rows: Vec<Vec<Value>>) -> Vec<Series> {
    if rows.is_empty() {
        return Vec::new();
    }
    let names = std::iter::once("time")
        .chain(columns.iter().copied())
        .map(str::to_owned);
    vec![Series {
        name: Some(name.to_owned()),
        tags: Vec::new(),
        columns: names.collect(),
        values: rows,
    }]
}
