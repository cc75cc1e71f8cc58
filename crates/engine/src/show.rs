//! Answers to SHOW statements.

use std::time::Instant;

use api::{Series, Summary, TotalHits};
use dql::{Code, Diagnostic, Severity};
use events::TimeRange;
use events::fields::{FIELDS, FieldType};
use plan::{BoundShow, SeriesSchema};
use serde_json::{Map, Value};

use crate::error::EngineError;
use crate::prepare;
use crate::prepared::Run;
use crate::series_batch::{SeriesAnswer, SeriesBatch};

/// Answers a SHOW statement.
///
/// # Errors
/// As a query.
pub(crate) async fn answer(run: &Run, show: BoundShow) -> Result<SeriesAnswer, EngineError> {
    let started = Instant::now();
    let schema = show.schema();
    match show {
        BoundShow::Rows(query) => run.engine.series_of_query(run, query).await,
        BoundShow::Workspaces { limit, offset } => {
            let views = prepare::views(run.engine.store(), &run.scope, &[]).await?;
            let names = views
                .into_iter()
                .map(|view| vec![view.workspace.to_string()]);
            let names: Vec<Vec<String>> = names.collect();
            let summary = Summary {
                cost: started.elapsed(),
                total_hits: TotalHits {
                    value: names.len() as u64,
                    exact: true,
                },
                ..Summary::new(TimeRange::ALL)
            };
            let limits = (limit, offset, "workspaces");
            Ok(texts("show_workspaces", schema, names, limits, summary))
        }
        BoundShow::Fields {
            query,
            limit,
            offset,
        } => {
            let answer = run.engine.answer_query(run, query).await?;
            let rows = fields(&answer.series);
            let limits = (limit, offset, "fields");
            Ok(texts("fields", schema, rows, limits, answer.summary))
        }
    }
}

/// The row of counts and attribute paths as one row a field, columns first.
fn fields(series: &[Series]) -> Vec<Vec<String>> {
    let row = series.iter().flat_map(|series| &series.values).next();
    let row = row.map_or(&[][..], Vec::as_slice);
    let counts = FIELDS.iter().zip(row.iter().skip(1));
    let columns = counts.filter_map(|(field, count)| {
        let kind = match field.field_type {
            FieldType::Int => "int",
            FieldType::String => "string",
            FieldType::Json => return None,
        };
        (count.as_u64() != Some(0)).then(|| vec![field.name.to_owned(), kind.to_owned()])
    });
    let none = Map::new();
    let paths = match row.last() {
        Some(Value::Object(paths)) => paths,
        _ => &none,
    };
    let paths = paths.iter().map(|(path, kind)| {
        let kind = kind.as_str().unwrap_or_default().to_owned();
        vec![path.clone(), kind]
    });
    columns.chain(paths).collect()
}

/// An answer of texts, without the first rows and those after the limit, which is said.
fn texts(
    name: &str,
    schema: SeriesSchema,
    mut rows: Vec<Vec<String>>,
    (limit, offset, what): (Option<u64>, u64, &str),
    mut summary: Summary,
) -> SeriesAnswer {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let all = rows.len();
    rows.drain(..number(offset).min(all));
    let wanted = limit.map_or(usize::MAX, number);
    if rows.len() > wanted {
        let message = format!("the answer was cut off at LIMIT {wanted}: there are {all} {what}");
        let warning = Diagnostic::new(Severity::Warning, Code::LimitReached, message, None);
        let hint = "raise LIMIT, or skip what you have seen";
        summary.warnings.push(warning.with_hint(hint));
        rows.truncate(wanted);
    }
    summary.rows = rows.len() as u64;
    SeriesAnswer {
        batch: SeriesBatch::of_texts(name, schema, &rows),
        summary,
        charge: None,
    }
}
