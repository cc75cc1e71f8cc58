//! `vouch query`.

use std::io::Write;

use engine::{QueryRequest, StreamItem};
use futures::StreamExt;

use super::query_text;
use crate::answers::Answers;
use crate::arguments::{Format, QueryArguments};
use crate::failure::Failure;
use crate::output::{Destination, answer_tables, batch_writer, note, summarise, terminal_width};

/// Answers a question.
pub(crate) async fn run(arguments: QueryArguments) -> Result<(), Failure> {
    let QueryArguments {
        ask,
        format,
        output,
        exact_total_hits,
        search_after,
        cursor_time,
        after,
        query,
    } = arguments;
    let query = query_text(query)?;
    let destination = Destination::open(output.as_deref())
        .map_err(|error| Failure::Usage(format!("cannot write the output file: {error}")))?;
    if matches!(format, Format::Arrow | Format::Parquet) && destination.is_terminal() {
        let text = "this format is not for a terminal; use --output FILE, or a pipe";
        return Err(Failure::Usage(text.to_owned()));
    }
    let answers = Answers::open(&ask).await?;
    let mut request = answers.request(&ask, query).await?;
    request.options.exact_total_hits = exact_total_hits;
    request.options.search_after = search_after;
    request.options.cursor_time = cursor_time;
    request.options.after = after;
    // Clients of the JSON form find the names of the query in it.
    request.options.describe_query = format == Format::Json;
    match format {
        Format::Table | Format::Json => whole(&answers, &request, format, destination).await,
        Format::Csv | Format::Ndjson | Format::Arrow | Format::Parquet => {
            streamed(&answers, request, format, destination).await
        }
    }
}

async fn whole(
    answers: &Answers,
    request: &QueryRequest,
    format: Format,
    mut destination: Destination,
) -> Result<(), Failure> {
    let found = answers.query(request).await?;
    if format == Format::Json {
        writeln!(destination, "{}", engine::content_json(&found))?;
    } else {
        let width = if destination.is_terminal() {
            terminal_width()
        } else {
            None
        };
        let tables: Vec<String> = found
            .iter()
            .map(|answer| answer_tables(answer, width))
            .collect();
        destination.write_all(tables.join("\n").as_bytes())?;
    }
    destination.finish()?;
    for answer in &found {
        note(&summarise(&request.query, &answer.summary))?;
    }
    Ok(())
}

async fn streamed(
    answers: &Answers,
    request: QueryRequest,
    format: Format,
    destination: Destination,
) -> Result<(), Failure> {
    let query = request.query.clone();
    let mut items = answers.query_stream(request).await?;
    let broken = || Failure::Engine("the answer broke off; it is not complete".to_owned());
    let Some(StreamItem::Schema(schema)) = items.next().await.transpose()? else {
        return Err(broken());
    };
    let mut writer = batch_writer(format, schema, destination)?.ok_or_else(broken)?;
    while let Some(item) = items.next().await.transpose()? {
        match item {
            StreamItem::Schema(_) => return Err(broken()),
            StreamItem::Batch(batch) => writer.write(&batch)?,
            StreamItem::End(summary) => {
                writer.finish()?.finish()?;
                return Ok(note(&summarise(&query, &summary))?);
            }
        }
    }
    Err(broken())
}
