//! The store as its users see it, on every kind of root that a test can have.

mod backup;
mod cold_start;
mod delta;
mod faults;
mod file;
mod fixture;
mod hooked;
mod import;
mod ingest;
mod maintenance;
mod next_format;
mod repair;
mod root;
mod segment;
mod virtual_time;

use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use events::{Defaults, Event, Origin, WorkspaceId, fields};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::root::location::{Location, StoreOptions};
use crate::root::marker::Marker;
use crate::root::paths;
use crate::{
    Compaction, CompactionOptions, ImportOptions, ImportSummary, IngestError, SettingsError,
    Snapshot, Store, StoreError, Verification,
};

/// 2026-11-21T00:00:00Z.
const DAY_START_MS: i64 = 1_795_219_200_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A root that several stores can open, as several processes would.
struct Root {
    location: Location,
    _directory: Option<TempDir>,
}

impl Root {
    fn in_memory() -> Self {
        Self {
            location: Location::open("memory:///audit", &StoreOptions::default()).unwrap(),
            _directory: None,
        }
    }

    /// A root in memory with the same objects as this one.
    async fn copy(&self) -> Self {
        let copy = Self::in_memory();
        let (from, to) = (&self.location.objects, &copy.location.objects);
        for path in objects(&self.open()).await {
            let path = Path::from(path);
            let bytes = from.get(&path).await.unwrap().bytes().await.unwrap();
            to.put(&path, bytes.into()).await.unwrap();
        }
        copy
    }

    fn on_disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("not yet there/100% audit");
        let location = Location::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(paths::MARKER), Marker::new().encode().unwrap()).unwrap();
        Self {
            location,
            _directory: Some(directory),
        }
    }

    fn all() -> [Self; 2] {
        [Self::in_memory(), Self::on_disk()]
    }

    /// A store that knows nothing of what others have read from this root.
    fn open(&self) -> Store {
        Store::from_location(self.location.clone())
    }
}

fn workspace(id: &str) -> WorkspaceId {
    id.parse().unwrap()
}

fn event(workspace: &str, date_ms: i64, id: &str) -> Event {
    titled(workspace, date_ms, id, "Login")
}

fn titled(workspace: &str, date_ms: i64, id: &str, title: &str) -> Event {
    let record = json!({
        "df_workspace": workspace,
        "date": date_ms,
        "df_event_id": id,
        "df_title": title,
        "session": {"id": date_ms},
    });
    let Value::Object(record) = record else {
        unreachable!("an object was made");
    };
    Event::from_json(record, &Defaults::default(), || {
        unreachable!("it has an id")
    })
    .unwrap()
}

/// A door, without a mapping.
fn through(door: &str) -> Origin {
    Origin {
        door: Some(Origin::door(door, None)),
        ..Origin::default()
    }
}

async fn import(store: &Store, events: impl IntoIterator<Item = Event>) -> ImportSummary {
    let import = store.import(ImportOptions::default());
    let mut import = import.from_origin(through("import"));
    for event in events {
        import.push(event).await.unwrap();
    }
    import.finish().await.unwrap()
}

/// Merges what there is to merge, without waiting for days to settle.
async fn compact(store: &Store, id: &str) -> Compaction {
    let options = CompactionOptions {
        settle_after: Duration::ZERO,
        rest_factor: 0,
        ..CompactionOptions::default()
    };
    let compaction = store.compact(&workspace(id), &options).await.unwrap();
    compaction.unwrap()
}

/// Makes the log of `w` one that states nothing about itself, as other software and earlier versions write
/// it, so that a test can change entries without damage being noticed.
async fn strip_log_state(root: &Root) {
    let objects = &root.location.objects;
    let log = Path::from("workspace=w/_delta_log");
    let listed: Vec<_> = objects.list(Some(&log)).try_collect().await.unwrap();
    for entry in listed.iter().map(|object| &object.location) {
        if entry.extension() != Some("json") {
            continue;
        }
        let bytes = objects.get(entry).await.unwrap().bytes().await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let mut stripped = String::new();
        for line in text.lines() {
            let mut action: Value = serde_json::from_str(line).unwrap();
            if let Some(info) = action.get_mut("commitInfo") {
                info.as_object_mut().unwrap().shift_remove("vouch");
            }
            if let Some(metadata) = action.get_mut("metaData") {
                let properties = metadata["configuration"].as_object_mut().unwrap();
                properties.shift_remove("vouch.log");
            }
            if let Some(Value::Object(tags)) = action.pointer_mut("/add/tags") {
                tags.sort_keys();
            }
            stripped.push_str(&action.to_string());
            stripped.push('\n');
        }
        objects.put(entry, stripped.into()).await.unwrap();
    }
}

/// Reads the whole table and makes sure that nothing is wrong with it.
async fn assert_whole(store: &Store, id: &str) -> Verification {
    let found = store.verify(&workspace(id)).await.unwrap().unwrap();
    assert_eq!(found.faults, []);
    found
}

/// What the files of a snapshot hold, file by file.
async fn read(store: &Store, snapshot: &Snapshot) -> Vec<RecordBatch> {
    try_read(store, snapshot).await.unwrap()
}

/// Like [`read`], of a store that may fail.
async fn try_read(store: &Store, snapshot: &Snapshot) -> Result<Vec<RecordBatch>, StoreError> {
    let mut batches = Vec::new();
    for file in snapshot.files.iter() {
        let failed = |error| StoreError::parquet(&file.path, error);
        let rows = file.file_ref().open(store.location()).await?;
        let rows = rows.build().map_err(failed)?;
        let rows: Vec<RecordBatch> = rows.try_collect().await.map_err(failed)?;
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(count as u64, file.rows);
        for rows in rows {
            let all = events::with_all_columns(&rows, file.delivery.as_deref());
            batches.push(all.unwrap());
        }
    }
    Ok(batches)
}

/// The events of a workspace as (date, id), in the order of the files and the rows in them.
async fn stored(store: &Store, id: &str) -> Vec<(i64, String)> {
    let Some(snapshot) = store.snapshot(&workspace(id)).await.unwrap() else {
        return Vec::new();
    };
    let mut events = Vec::new();
    for batch in read(store, &snapshot).await {
        let dates = batch.column_by_name(fields::DATE).unwrap();
        let ids = batch.column_by_name(fields::EVENT_ID).unwrap();
        let dates = dates.as_primitive::<Int64Type>();
        let ids = ids.as_string::<i32>();
        events.extend(
            dates
                .values()
                .iter()
                .copied()
                .zip(ids.iter().map(|id| id.unwrap().to_owned())),
        );
    }
    events
}

/// Like [`stored`], only the ids, sorted.
async fn stored_ids(store: &Store, id: &str) -> Vec<String> {
    let mut ids: Vec<String> = stored(store, id)
        .await
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    ids.sort_unstable();
    ids
}

/// The paths of all objects under the root but the marker and what clocks are compared with, sorted.
async fn objects(store: &Store) -> Vec<String> {
    let mut found: Vec<String> = store
        .object_store()
        .list(None)
        .map_ok(|object| object.location.to_string())
        .try_collect()
        .await
        .unwrap();
    let probe = paths::probe().to_string();
    found.retain(|path| path != paths::MARKER && *path != probe);
    found.sort_unstable();
    found
}
