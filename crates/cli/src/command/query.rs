//! `vouch query`.

use std::io::Write;

use api::{QueryRequest, StreamItem};
use futures::StreamExt;

use super::query_text;
use crate::arguments::{Format, QueryArgs};
use crate::backend::Backend;
use crate::failure::Failure;
use crate::output::{
    Destination, answer_tables, batch_writer, eprint_note, summarise, terminal_width,
};

/// Runs a query.
pub(crate) async fn run(arguments: QueryArgs) -> Result<(), Failure> {
    let QueryArgs {
        target,
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
    let backend = Backend::open(&target).await?;
    let mut request = backend.request(&target, query).await?;
    request.options.exact_total_hits = exact_total_hits;
    request.options.search_after = search_after;
    request.options.cursor_time = cursor_time;
    request.options.after = after;
    // Clients of the JSON form expect the names of the query in it.
    request.options.describe_query = format == Format::Json;
    match format {
        Format::Table | Format::Json => whole(&backend, &request, format, destination).await,
        Format::Csv | Format::Ndjson | Format::Arrow | Format::Parquet => {
            streamed(&backend, request, format, destination).await
        }
    }
}

async fn whole(
    backend: &Backend,
    request: &QueryRequest,
    format: Format,
    mut destination: Destination,
) -> Result<(), Failure> {
    let found = backend.query(request).await?;
    if format == Format::Json {
        writeln!(destination, "{}", api::content_json(&found))?;
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
        eprint_note(&summarise(&request.query, &answer.summary))?;
    }
    Ok(())
}

async fn streamed(
    backend: &Backend,
    request: QueryRequest,
    format: Format,
    destination: Destination,
) -> Result<(), Failure> {
    let query = request.query.clone();
    let mut items = backend.query_stream(request).await?;
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
                return Ok(eprint_note(&summarise(&query, &summary))?);
            }
        }
    }
    Err(broken())
}
