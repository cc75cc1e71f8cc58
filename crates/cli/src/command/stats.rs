//! `vouch stats`.

use std::io::{self, Write};

use serde_json::{Value, json};
use store::{Snapshot, Store};

use crate::answers::open_store;
use crate::arguments::{StatsArguments, StatsFormat};
use crate::failure::Failure;
use crate::output::{Sheet, note, rfc3339, size, terminal_width};

/// Says how much each workspace holds.
pub(crate) async fn run(arguments: StatsArguments) -> Result<(), Failure> {
    let store = open_store(&arguments.store)?;
    let snapshots = snapshots(&store).await?;
    let mut out = io::stdout();
    match arguments.format {
        StatsFormat::Json => {
            let workspaces: Vec<Value> = snapshots.iter().map(as_json).collect();
            writeln!(out, "{}", Value::from(workspaces))?;
        }
        StatsFormat::Table if snapshots.is_empty() => {
            note(&format!("the store at {} holds no events", store.url()))?;
        }
        StatsFormat::Table => {
            let text = sheet(&snapshots).to_string(terminal_width());
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

async fn snapshots(store: &Store) -> Result<Vec<Snapshot>, Failure> {
    let mut snapshots = Vec::new();
    for workspace in store.workspaces().await? {
        snapshots.extend(store.snapshot(&workspace).await?);
    }
    Ok(snapshots)
}

fn as_json(snapshot: &Snapshot) -> Value {
    let range = snapshot.date_range_ms();
    json!({
        "workspace": snapshot.workspace.as_str(),
        "files": snapshot.files.len(),
        "events": snapshot.rows(),
        "bytes": snapshot.size_bytes(),
        "first_date": range.map(|(first, _)| first),
        "last_date": range.map(|(_, last)| last),
        "version": snapshot.version,
    })
}

fn sheet(snapshots: &[Snapshot]) -> Sheet {
    let columns = [
        "workspace",
        "files",
        "events",
        "size",
        "first event",
        "last event",
    ];
    let row = |snapshot: &Snapshot| {
        let range = snapshot.date_range_ms();
        vec![
            json!(snapshot.workspace.as_str()),
            json!(snapshot.files.len()),
            json!(snapshot.rows()),
            json!(size(snapshot.size_bytes())),
            json!(range.map(|(first, _)| rfc3339(first))),
            json!(range.map(|(_, last)| rfc3339(last))),
        ]
    };
    Sheet {
        columns: columns.map(str::to_owned).to_vec(),
        rows: snapshots.iter().map(row).collect(),
    }
}
