//! A store in a made-up next format: read, folded into, and nothing of it dropped.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use chrono::TimeDelta;
use events::TimeRange;
use events::settings::{HeldEvents, NewHold, RetentionMode};
use object_store::ObjectStoreExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ingest::write::seen_ids;
use super::segment::damage::{KEY, batch_of, with_header, with_new_columns};
use super::virtual_time::VirtualTime;
use super::*;
use crate::file::digest::{self, Digest};
use crate::file::{blocks, decoded};
use crate::segment::{Batch, Header, Segment};

/// The name of all that the next version adds.
const NEW: &str = "new_text";

/// Changes every action of the log of `w`.
async fn change_log(root: &Root, change: impl Fn(&mut Value)) {
    strip_log_state(root).await;
    let objects = &root.location.objects;
    for path in super::objects(&root.open()).await {
        if !path.starts_with("workspace=w/_delta_log/") {
            continue;
        }
        let path = Path::from(path);
        let bytes = objects.get(&path).await.unwrap().bytes().await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let mut changed = String::new();
        for line in text.lines() {
            let mut action: Value = serde_json::from_str(line).unwrap();
            change(&mut action);
            changed.push_str(&action.to_string());
            changed.push('\n');
        }
        objects.put(&path, changed.into()).await.unwrap();
    }
}

/// Adds a property, a key of the action and a key of the description of a commit.
fn with_new_keys(action: &mut Value) {
    if let Some(metadata) = action.get_mut("metaData") {
        metadata["configuration"][format!("vouch.{NEW}")] = json!("kept");
        metadata[NEW] = json!("ignored");
    }
    if let Some(info) = action.get_mut("commitInfo") {
        info[NEW] = json!({"more": 1});
    }
}

/// Puts a column that this version does not know into a data file, as the next version would write it.
async fn add_column(root: &Root, path: &Path) -> Bytes {
    let objects = &root.location.objects;
    let bytes = objects.get(path).await.unwrap().bytes().await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let values: ArrayRef = Arc::new(StringArray::from(vec!["text"; batch.num_rows()]));
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(NEW, DataType::Utf8, true)));
    let mut columns = batch.columns().to_vec();
    columns.push(values);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut written = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut written, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let written = Bytes::from(written);
    objects.put(path, written.clone().into()).await.unwrap();
    written
}

/// The columns of the table gain one, and so does the data file at `path` with the given content.
fn with_new_column(action: &mut Value, path: &str, content: &Bytes) {
    if let Some(metadata) = action.get_mut("metaData") {
        let schema = metadata["schemaString"].as_str().unwrap();
        let mut schema: Value = serde_json::from_str(schema).unwrap();
        let column = json!({"name": NEW, "type": "string", "nullable": true, "metadata": {}});
        schema["fields"].as_array_mut().unwrap().push(column);
        metadata["schemaString"] = json!(schema.to_string());
    }
    let Some(add) = action.get_mut("add").filter(|add| add["path"] == path) else {
        return;
    };
    add["size"] = json!(content.len());
    let tags = add["tags"].as_object_mut().unwrap();
    tags.remove(blocks::TAG);
    tags.remove(decoded::TAG);
    let digest = Digest::from(blake3::hash(content));
    tags.insert(digest::TAG.to_owned(), json!(digest.to_string()));
    tags.insert(NEW.to_owned(), json!("kept"));
}

/// A segment of the next version: a column and header keys that this one does not know.
fn next_segment(events: &[Event; 2]) -> Vec<u8> {
    let batch = with_new_columns(&batch_of(events));
    let part = Batch::new(workspace("w"), Some(batch));
    let segment = Segment::new(KEY.parse().unwrap(), Header::default(), vec![part]);
    with_header(&segment.encode().unwrap(), |header| {
        header[NEW] = json!([1]);
        header["batches"][0][NEW] = json!({"more": 1});
    })
}

/// A table, a segment and a marker of the next version are read; what comes is folded beside the file with
/// the column that is not known, which nothing rewrites: merging it is refused with the name of the column.
#[tokio::test]
async fn a_store_of_the_next_format_is_read_and_written_to() {
    let root = Root::on_disk();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    import(&root.open(), [event("w", DAY_START_MS, "2")]).await;
    let first = root
        .open()
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap();
    let file = &first.files[0];
    let content = add_column(&root, &file.path).await;
    change_log(&root, |action| {
        with_new_keys(action);
        with_new_column(action, &file.relative_path, &content);
    })
    .await;
    let objects = &root.location.objects;
    let marker = objects.get(&paths::marker()).await.unwrap();
    let mut marker: Value = serde_json::from_slice(&marker.bytes().await.unwrap()).unwrap();
    marker[NEW] = json!({"more": 1});
    let marker = marker.to_string().into_bytes();
    objects.put(&paths::marker(), marker.into()).await.unwrap();
    let segment = next_segment(&[event("w", DAY_START_MS, "3"), event("w", DAY_START_MS, "4")]);
    let path = Path::from(format!("segments/{KEY}"));
    objects.put(&path, segment.into()).await.unwrap();

    assert_eq!(seen_ids(&root.open(), "w").await, ["1", "2", "3", "4"]);
    assert_eq!(root.open().fold().await.unwrap().damaged, [].into());
    import(&root.open(), [event("w", DAY_START_MS, "5")]).await;
    for error in [
        root.open()
            .compact(&workspace("w"), &CompactionOptions::default())
            .await
            .unwrap_err(),
        root.open()
            .upgrade(&workspace("w"), false)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(NEW), "{error}");
    }

    let store = root.open();
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3", "4", "5"]);
    let newest = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(
        newest.metadata.property(&format!("vouch.{NEW}")),
        Some("kept")
    );
    assert!(newest.metadata.schema_string.contains(NEW));
    let mut files = newest.files();
    let left = files.find(|left| left.path == file.path).unwrap();
    assert_eq!(left.tags.get(NEW).map(String::as_str), Some("kept"));
    let bytes = objects.get(&file.path).await.unwrap().bytes().await;
    assert_eq!(bytes.unwrap(), content);
    let kept = objects.get(&paths::marker()).await.unwrap();
    let kept: Value = serde_json::from_slice(&kept.bytes().await.unwrap()).unwrap();
    assert_eq!(kept[NEW], json!({"more": 1}));
    assert_whole(&store, "w").await;
}

/// The next version has stored an event, and the same one comes again in a segment of the next version: it is one
/// event, while one with another value in the new column is another one.
#[tokio::test]
async fn an_event_of_the_next_format_is_known_by_its_new_column() {
    let root = Root::in_memory();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    let store = root.open();
    let stored = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    import(&store, [event("w", DAY_START_MS, "2")]).await;
    let file = &stored.files[0];
    let content = add_column(&root, &file.path).await;
    change_log(&root, |action| {
        with_new_column(action, &file.relative_path, &content);
    })
    .await;
    // The first one has the text that the file has, and the second one a number that the other file lacks.
    let segment = next_segment(&[event("w", DAY_START_MS, "1"), event("w", DAY_START_MS, "2")]);
    let path = Path::from(format!("segments/{KEY}"));
    root.location
        .objects
        .put(&path, segment.into())
        .await
        .unwrap();
    let before = seen_ids(&root.open(), "w").await;
    assert_eq!(before.len(), 3, "{before:?}");
    let folded = root.open().fold().await.unwrap();
    assert_eq!(
        (folded.stored, folded.repeated, folded.conflicts),
        (1, 1, 1)
    );
    let store = root.open();
    assert_eq!(stored_ids(&store, "w").await, before);
    assert_whole(&store, "w").await;
}

/// Files of which the next version has recorded something are merged with those of which it has recorded the
/// same, and the merged file has it too.
#[tokio::test]
async fn tags_of_the_next_format_are_kept_by_compaction() {
    let time = VirtualTime::new();
    let root = &time.root;
    for id in ["1", "2", "3", "4"] {
        import(&root.open(), [event("w", DAY_START_MS, id)]).await;
    }
    let before = root
        .open()
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap();
    let tagged: Vec<&str> = before
        .files()
        .map(|file| &*file.relative_path)
        .take(2)
        .collect();
    change_log(root, |action| {
        with_new_keys(action);
        let path = action["add"]["path"].as_str().unwrap_or_default();
        if tagged.contains(&path) {
            action["add"]["tags"][NEW] = json!("kept");
        }
    })
    .await;
    time.pass(TimeDelta::days(2));
    compact(&root.open(), "w").await;
    let store = root.open();
    let newest = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let mut tags: Vec<_> = newest
        .files()
        .map(|file| (file.rows, file.tags.get(NEW).cloned()))
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, [(2, None), (2, Some("kept".to_owned()))]);
    assert_eq!(
        newest.metadata.property(&format!("vouch.{NEW}")),
        Some("kept")
    );
    assert_eq!(stored_ids(&store, "w").await, ["1", "2", "3", "4"]);
    assert_whole(&store, "w").await;
}

/// The number of events and what the next version has recorded, of each file with events of the first day.
async fn recorded(store: &Store) -> Vec<(u64, Option<String>)> {
    let newest = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let first = newest.files().map(|file| file.day).min();
    let files = newest.files().filter(|file| Some(file.day) == first);
    let mut recorded: Vec<_> = files
        .map(|file| (file.rows, file.tags.get(NEW).cloned()))
        .collect();
    recorded.sort_unstable();
    recorded
}

/// The copy that keeps the held events of a file, and the one that brings back what was dropped, have what the
/// next version has recorded of the file.
#[tokio::test]
async fn tags_of_the_next_format_are_kept_by_retention() {
    let time = VirtualTime::new();
    let (root, id) = (&time.root, workspace("w"));
    let events = [0, 10, 20].map(|ms| event("w", DAY_START_MS + ms, &ms.to_string()));
    import(&root.open(), events).await;
    change_log(root, |action| {
        with_new_keys(action);
        if let Some(add) = action.get_mut("add") {
            add["tags"][NEW] = json!("kept");
        }
    })
    .await;
    // The records of what is set are of another day than the events.
    time.pass(TimeDelta::days(100));
    let store = root.open();
    let hold = NewHold {
        name: "case".to_owned(),
        reason: "court order".to_owned(),
        placed_by: "legal".to_owned(),
        events: HeldEvents {
            range: TimeRange::new(DAY_START_MS, DAY_START_MS + 1).unwrap(),
            user: None,
        },
    };
    store.place_hold(&id, hold).await.unwrap();
    let retention = "30d".parse().unwrap();
    store.set_retention(&id, retention, "ops").await.unwrap();
    let expiry = store.expire(&id, RetentionMode::Confirmed).await.unwrap();
    assert_eq!(expiry.unwrap().dropped.events, 2);
    let kept = Some("kept".to_owned());
    assert_eq!(recorded(&root.open()).await, [(1, kept.clone())]);
    let undone = store.undo_drop(&id, None, "ops", false).await.unwrap();
    assert_eq!(undone.unwrap().restored.events, 2);
    let files = recorded(&root.open()).await;
    assert_eq!(files, [(1, kept.clone()), (2, kept)]);
    assert_whole(&store, "w").await;
}
