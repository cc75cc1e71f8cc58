//! Segments that are damaged, cut off, or written by another version.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use events::EventBatchBuilder;
use object_store::ObjectStoreExt;

use crate::FaultKind;
use crate::segment::{Batch, Header, Segment};
use crate::tests::ingest::write::{by_hand, numbered, only_segment, seen, seen_ids, write};
use crate::tests::*;

const WORKSPACES: [&str; 3] = ["a", "b", "c"];

/// The path of a segment.
pub(in crate::tests) const KEY: &str = "1795219200000-00000000000040008000000000000000-0000000000";

/// A root with one segment that holds an event of each workspace.
async fn root_with_segment() -> (Root, Path, Bytes) {
    let root = Root::in_memory();
    let ingest = root.open().ingest(by_hand());
    write(&ingest, WORKSPACES.map(|id| event(id, DAY_START_MS, id))).await;
    ingest.kill().await;
    let (path, bytes) = only_segment(&root.open()).await;
    (root, path, bytes)
}

async fn put(root: &Root, path: &Path, bytes: impl Into<Bytes>) {
    let bytes: Bytes = bytes.into();
    root.location.objects.put(path, bytes.into()).await.unwrap();
}

/// The workspaces about which a question has an error; the others have their event.
async fn disturbed(root: &Root, path: &Path) -> Vec<&'static str> {
    let store = root.open();
    let mut disturbed = Vec::new();
    for id in WORKSPACES {
        match seen(&store, id).await {
            Ok(ids) => assert_eq!(ids.unwrap(), [id]),
            Err(StoreError::Corrupt { path: named, .. }) => {
                assert_eq!(named, path.to_string());
                disturbed.push(id);
            }
            Err(error) => panic!("{error}"),
        }
    }
    disturbed
}

/// Puts damaged bytes in place of the segment, and looks at every workspace before and after a fold.
async fn disturbed_and_folded(path: &Path, damaged: Vec<u8>) -> Vec<&'static str> {
    let root = Root::in_memory();
    put(&root, path, damaged).await;
    let before = disturbed(&root, path).await;
    let folded = root.open().fold().await.unwrap();
    assert_eq!(folded.damaged.len(), usize::from(!before.is_empty()));
    assert_eq!(disturbed(&root, path).await, before);
    for id in WORKSPACES.iter().filter(|id| !before.contains(id)) {
        assert_eq!(stored_ids(&root.open(), id).await, [*id]);
    }
    before
}

/// Whichever byte of a segment is changed, at most one workspace has an error, and the others their events.
#[tokio::test]
async fn a_changed_byte_disturbs_one_workspace_at_most() {
    let (_, path, whole) = root_with_segment().await;
    let mut disturbances = 0;
    for index in (0..whole.len()).step_by(131) {
        let mut damaged = whole.to_vec();
        damaged[index] ^= 1 << (index % 8);
        let root = Root::in_memory();
        put(&root, &path, damaged.clone()).await;
        assert_eq!(root.open().verify_segments().await.unwrap().faults.len(), 1);
        let disturbed = disturbed_and_folded(&path, damaged).await;
        assert!(disturbed.len() <= 1, "byte {index}: {disturbed:?}");
        disturbances += disturbed.len();
    }
    assert!(disturbances > 0);
}

/// Of a segment that is cut off, the workspaces in front of the cut have their events.
#[tokio::test]
async fn a_cut_disturbs_the_workspaces_after_it() {
    let (_, path, whole) = root_with_segment().await;
    let mut counts = Vec::new();
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let disturbed = disturbed_and_folded(&path, whole[..length].to_vec()).await;
        assert_eq!(disturbed, WORKSPACES[3 - disturbed.len()..]);
        counts.push(disturbed.len());
    }
    assert!(counts.is_sorted_by(|one, other| one >= other));
    counts.dedup();
    assert_eq!(counts, [3, 2, 1]);
}

/// The damage of one workspace, or of none that is known, keeps no other from being written, folded, compacted
/// and closed.
#[tokio::test]
async fn everything_else_goes_on_beside_a_damaged_segment() {
    let (root, path, whole) = root_with_segment().await;
    for damaged in [&whole[..whole.len() - 1], &whole[..20]] {
        put(&root, &path, damaged.to_vec()).await;
        let store = root.open();
        let ingest = store.ingest(by_hand());
        let number = |number| numbered(number, [event("w", DAY_START_MS, &number.to_string())]);
        ingest.write(number(1)).await.unwrap();
        ingest.write(number(2)).await.unwrap();
        assert_eq!(store.workspaces().await.is_err(), damaged.len() == 20);
        assert!(
            store
                .known_workspaces()
                .await
                .unwrap()
                .contains(&workspace("w"))
        );
        ingest.close().await.unwrap();
        assert_eq!(stored_ids(&store, "w").await, ["1", "2"]);
        store
            .compact(&workspace("w"), &CompactionOptions::default())
            .await
            .unwrap();
    }
}

/// It is unknown whose events a segment without header and without some of its blocks has lost: questions
/// about workspaces that are not known to be whole have an error.
#[tokio::test]
async fn a_segment_that_does_not_say_whose_events_it_has_lost_disturbs_all_others() {
    let (root, path, whole) = root_with_segment().await;
    import(&root.open(), [event("other", DAY_START_MS, "1")]).await;
    let mut damaged = whole.to_vec();
    damaged[15] ^= 1;
    // The block of the last workspace too.
    let end = damaged.len() - 1;
    let block = damaged.windows(8).rposition(|window| window == b"VOUCHBT2");
    damaged[block.unwrap()] ^= 1;
    damaged[end] ^= 1;
    put(&root, &path, damaged).await;
    assert_eq!(disturbed(&root, &path).await, ["c"]);
    for unknown in ["other", "new"] {
        let error = root.open().view(&workspace(unknown)).await.unwrap_err();
        assert!(error.to_string().contains(path.as_ref()), "{error}");
    }
    assert!(root.open().workspaces().await.is_err());

    let found = root.open().damaged_segments().await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].unlisted.is_some());
    let done = root.open().set_aside_segment(path.as_ref(), None).await;
    let done = done.unwrap();
    assert_eq!(done.recorded, [workspace("other")]);
    assert_eq!(done.stored, 2);
    assert_eq!(root.open().workspaces().await.unwrap().len(), 3);
    assert_eq!(stored_ids(&root.open(), "other").await.len(), 2);
}

/// A segment that is set aside is kept, what is whole of it is stored, and the workspace that has lost events
/// has one audit event about it, also when it is done again.
#[tokio::test]
async fn a_segment_is_set_aside_with_a_record() {
    let (root, path, whole) = root_with_segment().await;
    let whole_segment = root.open().set_aside_segment(path.as_ref(), None).await;
    assert!(
        matches!(whole_segment, Err(StoreError::NotSetAside { .. })),
        "{whole_segment:?}"
    );
    let damaged = &whole[..whole.len() - 1];
    for _ in 0..2 {
        put(&root, &path, damaged.to_vec()).await;
        let store = root.open();
        let found = store.damaged_segments().await.unwrap();
        assert_eq!(found[0].path, path.to_string());
        let lost: Vec<_> = found[0].lost.iter().map(|lost| lost.events).collect();
        assert_eq!((lost, found[0].whole.len()), (vec![1], 2));
        let done = store.set_aside_segment(path.as_ref(), Some("ada")).await;
        let done = done.unwrap();
        assert_eq!(done.recorded, [workspace("c")]);
        let aside = Path::from(done.path);
        let kept = store.object_store().get(&aside).await.unwrap();
        assert_eq!(kept.bytes().await.unwrap(), damaged);
        assert!(store.damaged_segments().await.unwrap().is_empty());
        assert_eq!(stored_ids(&root.open(), "a").await, ["a"]);
        assert_eq!(stored_ids(&root.open(), "b").await, ["b"]);
        let snapshot = store.snapshot(&workspace("c")).await.unwrap().unwrap();
        let rows = read(&store, &snapshot).await;
        let rows = arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
        assert_eq!(rows.num_rows(), 1);
        let text = |column: &str| {
            let column = rows.column_by_name(column).unwrap();
            column.as_string::<i32>().value(0).to_owned()
        };
        assert_eq!(text("action"), "segment.set_aside");
        assert_eq!(text("df_user_name"), "ada");
        assert!(text("df_message").contains(path.as_ref()));
    }
}

pub(in crate::tests) fn batch_of(events: &[Event]) -> RecordBatch {
    let mut builder = EventBatchBuilder::new();
    events.iter().for_each(|event| builder.append(event));
    builder.finish().unwrap()
}

/// The batch with columns that this version does not know.
pub(in crate::tests) fn with_new_columns(batch: &RecordBatch) -> RecordBatch {
    let mut fields = batch.schema().fields().to_vec();
    let mut columns = batch.columns().to_vec();
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("text"), None]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(7)]));
    for (name, column) in [("new_text", texts), ("new_number", numbers)] {
        let field = Field::new(name, column.data_type().clone(), true);
        fields.push(Arc::new(field));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Columns that a newer version has written are kept in `attributes`, before and after the fold.
#[tokio::test]
async fn columns_of_a_newer_version_go_into_attributes() {
    let root = Root::in_memory();
    let events = [event("w", DAY_START_MS, "1"), event("w", DAY_START_MS, "2")];
    let batch = with_new_columns(&batch_of(&events));
    let part = Batch::new(workspace("w"), Some(batch));
    let segment = Segment::new(KEY.parse().unwrap(), Header::default(), vec![part]);
    let path = Path::from(format!("segments/{KEY}"));
    put(&root, &path, segment.encode().unwrap()).await;
    let view = root.open().view(&workspace("w")).await.unwrap().unwrap();
    let recent = &view.recent[0];
    let attributes = recent.column_by_name(fields::ATTRIBUTES).unwrap();
    let attributes = arrow::compute::cast(attributes, &DataType::Utf8).unwrap();
    root.open().fold().await.unwrap();
    let store = root.open();
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let folded = read(&store, &snapshot).await;
    let folded = folded[0].column_by_name(fields::ATTRIBUTES).unwrap();
    for attributes in [&attributes, folded] {
        let attributes = attributes.as_string::<i32>().iter();
        let attributes: Vec<Value> = attributes
            .map(|text| serde_json::from_str(text.unwrap()).unwrap())
            .collect();
        let session = json!({"id": DAY_START_MS});
        let expected = [
            json!({"session": session, "new_text": "text"}),
            json!({"session": session, "new_number": 7}),
        ];
        assert_eq!(attributes, expected);
    }
}

/// The JSON of a header or a block, as it lies in a segment.
fn framed(json: &Value) -> Vec<u8> {
    let json = serde_json::to_vec(json).unwrap();
    let mut bytes = u32::try_from(json.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend(&json);
    bytes.extend(blake3::hash(&json).as_bytes());
    bytes
}

/// A segment with a changed header.
pub(in crate::tests) fn with_header(whole: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let length = u32::from_le_bytes(whole[8..12].try_into().unwrap());
    let end = 12 + usize::try_from(length).unwrap();
    let mut header: Value = serde_json::from_slice(&whole[12..end]).unwrap();
    change(&mut header);
    let mut bytes = whole[..8].to_vec();
    bytes.extend(framed(&header));
    bytes.extend(&whole[end + 32..]);
    bytes
}

/// What a newer version adds to a header is ignored.
#[tokio::test]
async fn keys_of_a_newer_version_in_a_header_are_ignored() {
    let (_, path, whole) = root_with_segment().await;
    let newer = with_header(&whole, |header| {
        header["new"] = json!({"key": [1]});
        header["batches"][0]["new"] = json!("x");
    });
    assert_eq!(disturbed_and_folded(&path, newer).await, [""; 0]);
}

/// Lengths that no object has are an error, and no memory is asked for.
#[tokio::test]
async fn absurd_lengths_are_errors() {
    let (_, path, whole) = root_with_segment().await;
    for key in ["offset", "length", "rows"] {
        let damaged = with_header(&whole, |header| header["batches"][1][key] = json!(u64::MAX));
        assert_eq!(disturbed_and_folded(&path, damaged).await, ["b"]);
    }
    let mut damaged = whole.to_vec();
    damaged[8..12].fill(0xff);
    assert_eq!(disturbed_and_folded(&path, damaged).await, [""; 0]);
}

/// A segment in the form of version 0.1.0.
fn first_format(events: &[Event]) -> Vec<u8> {
    let header =
        br#"{"numbers":[{"workspace":"w","producer":"collector","number":1,"digest":"d"}]}"#;
    let mut bytes = b"VOUCHSG1".to_vec();
    bytes.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header);
    let options = IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::ZSTD))
        .unwrap();
    let schema = events::schema();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
    for event in events {
        writer
            .write(&batch_of(std::slice::from_ref(event)))
            .unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    let digest = blake3::hash(&bytes);
    bytes.extend(digest.as_bytes());
    bytes
}

/// Segments of version 0.1.0 are read and folded, and any damage to one is an error.
#[tokio::test]
async fn segments_of_the_first_format_are_read() {
    let root = Root::in_memory();
    let whole = first_format(&[event("v", DAY_START_MS, "1"), event("w", DAY_START_MS, "2")]);
    let path = Path::from(format!("segments/{KEY}"));
    for index in (0..whole.len()).step_by(101) {
        let mut damaged = whole.clone();
        damaged[index] ^= 1;
        put(&root, &path, damaged).await;
        let error = root.open().view(&workspace("w")).await.unwrap_err();
        assert!(error.to_string().contains(path.as_ref()), "{error}");
    }
    put(&root, &path, whole).await;
    assert_eq!(seen_ids(&root.open(), "v").await, ["1"]);
    assert_eq!(seen_ids(&root.open(), "w").await, ["2"]);
    let ingest = root.open().ingest(by_hand());
    let gap = ingest.write(numbered(3, [])).await;
    assert!(
        matches!(gap, Err(IngestError::SequenceGap { expected: 2, .. })),
        "{gap:?}"
    );
    root.open().fold().await.unwrap();
    assert_eq!(stored_ids(&root.open(), "w").await, ["2"]);
}

/// The header of a segment names the versions that its node has committed, and its other segments.
#[tokio::test]
async fn a_header_names_what_its_node_has_committed() {
    let root = Root::in_memory();
    let store = root.open();
    let ingest = store.ingest(crate::IngestOptions {
        fold_interval: Duration::from_millis(1),
        ..by_hand()
    });
    for number in 0..500 {
        write(&ingest, [event("w", DAY_START_MS, &number.to_string())]).await;
        for path in crate::tests::ingest::write::segments(&store).await {
            // It may be folded meanwhile.
            let path = Path::from(path);
            let key = crate::root::paths::segment_key(&path).unwrap();
            let Ok(object) = store.object_store().get(&path).await else {
                continue;
            };
            let bytes = object.bytes().await.unwrap();
            let header = Segment::decode(key, &bytes).header;
            if header.committed.contains_key(&workspace("w")) {
                return;
            }
        }
    }
    panic!("no segment names a version");
}

/// A segment says which versions its node had committed: a log that has lost its end is found.
#[tokio::test]
async fn a_log_that_has_lost_its_end_is_found_by_a_segment() {
    let root = Root::in_memory();
    for id in ["1", "2"] {
        import(&root.open(), [event("w", DAY_START_MS, id)]).await;
    }
    let part = Batch::new(
        workspace("v"),
        Some(batch_of(&[event("v", DAY_START_MS, "3")])),
    );
    let header = Header {
        committed: [(workspace("w"), 2)].into(),
        ..Header::default()
    };
    let segment = Segment::new(KEY.parse().unwrap(), header, vec![part]);
    let path = Path::from(format!("segments/{KEY}"));
    put(&root, &path, segment.encode().unwrap()).await;
    assert_eq!(root.open().verify_segments().await.unwrap().faults, []);
    let committed = Path::from("workspace=w/_delta_log/00000000000000000002.json");
    root.location.objects.delete(&committed).await.unwrap();
    let faults = root.open().verify_segments().await.unwrap().faults;
    let kind = FaultKind::LostVersion {
        found: Some(1),
        committed: 2,
        witness: path.to_string(),
    };
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].kind, kind);
}
