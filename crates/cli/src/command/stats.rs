//! `vouch stats`.

use std::io::{self, Write};

use serde_json::{Value, json};
use store::{ReadView, Store, StoreError};

use super::retention::WITHHELD;
use crate::arguments::{StatsArgs, StatsFormat};
use crate::backend::open_store;
use crate::failure::Failure;
use crate::output::{Table, eprint_note, rfc3339, size, terminal_width};

/// Prints the size of each workspace.
pub(crate) async fn run(arguments: StatsArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let (views, unreadable) = views(&store).await?;
    let mut out = io::stdout();
    match arguments.format {
        StatsFormat::Json => {
            let workspaces: Vec<Value> = views.iter().map(as_json).collect();
            writeln!(out, "{}", Value::from(workspaces))?;
        }
        StatsFormat::Table if views.is_empty() => {
            eprint_note(&format!("the store at {} holds no events", store.url()))?;
        }
        StatsFormat::Table => {
            let text = table(&views).to_string(terminal_width());
            out.write_all(text.as_bytes())?;
            for view in views.iter().filter(|view| is_withheld(view)) {
                eprint_note(&format!("workspace {}: {WITHHELD}", view.workspace))?;
            }
        }
    }
    if unreadable.is_empty() {
        Ok(())
    } else {
        Err(Failure::Engine(unreadable.join("\n")))
    }
}

/// The views of the workspaces, and the errors of those that cannot be read.
async fn views(store: &Store) -> Result<(Vec<ReadView>, Vec<String>), Failure> {
    let mut views = Vec::new();
    let mut unreadable = Vec::new();
    for workspace in store.known_workspaces().await? {
        match store.view(&workspace).await {
            Ok(view) => views.extend(view),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::NotFound { .. })) => {
                unreadable.push(format!("workspace {workspace} is not counted: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if unreadable.is_empty() {
        // There may be workspaces beyond those that are known.
        let workspaces = store.workspaces().await;
        unreadable.extend(workspaces.err().map(|error| error.to_string()));
    }
    Ok((views, unreadable))
}

/// Whether retention is withheld: no events of the workspace are dropped.
fn is_withheld(view: &ReadView) -> bool {
    let settings = view.table.as_ref().map(|table| table.settings());
    settings.is_some_and(|settings| settings.is_ok_and(|settings| settings.is_withheld()))
}

fn as_json(view: &ReadView) -> Value {
    let range = view.date_range_ms();
    json!({
        "workspace": view.workspace.as_str(),
        "files": view.files().count(),
        "events": view.rows(),
        "events_in_no_table_yet": view.recent_rows(),
        "bytes": view.size_bytes(),
        "retention_withheld": is_withheld(view),
        "first_date": range.map(|(first, _)| first),
        "last_date": range.map(|(_, last)| last),
        "version": view.table.as_ref().map(|table| table.version),
    })
}

fn table(views: &[ReadView]) -> Table {
    let columns = [
        "workspace",
        "files",
        "events",
        "size",
        "first event",
        "last event",
    ];
    let row = |view: &ReadView| {
        let range = view.date_range_ms();
        vec![
            json!(view.workspace.as_str()),
            json!(view.files().count()),
            json!(view.rows()),
            json!(size(view.size_bytes())),
            json!(range.map(|(first, _)| rfc3339(first))),
            json!(range.map(|(_, last)| rfc3339(last))),
        ]
    };
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: views.iter().map(row).collect(),
    }
}
