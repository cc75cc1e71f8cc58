//! Stores that are whole, and what is said of those that are not.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use std::sync::Arc;

use crate::tests::*;
use crate::{DataFile, FaultKind, Verification};

async fn verified(root: &Root) -> Verification {
    let found = root.open().verify(&workspace("w")).await.unwrap();
    found.unwrap()
}

/// A table with two files on one day and one on the next.
async fn table(root: &Root) -> Snapshot {
    let store = root.open();
    import(
        &store,
        [
            event("w", DAY_START_MS, "a"),
            event("w", DAY_START_MS + 5, "b"),
        ],
    )
    .await;
    import(&store, [event("w", DAY_START_MS + 7, "c")]).await;
    import(&store, [event("w", DAY_START_MS + DAY_MS, "a")]).await;
    store.snapshot(&workspace("w")).await.unwrap().unwrap()
}

/// The files of [`table`] in the order of their dates, which is that of the commits.
fn by_date(snapshot: &Snapshot) -> Vec<Arc<DataFile>> {
    let mut files = snapshot.files.to_vec();
    files.sort_unstable_by_key(|file| file.date_range_ms);
    files
}

async fn bytes_of(root: &Root, path: &Path) -> Vec<u8> {
    let object = root.open().object_store().get(path).await.unwrap();
    object.bytes().await.unwrap().to_vec()
}

async fn put(root: &Root, path: &Path, bytes: Vec<u8>) {
    let objects = root.open().object_store();
    objects.put(path, PutPayload::from(bytes)).await.unwrap();
}

/// The log with a change to one of its texts.
async fn rewrite_log(root: &Root, version: u64, from: &str, to: &str) {
    strip_log_state(root).await;
    let path = Path::from(format!("workspace=w/_delta_log/{version:020}.json"));
    let text = String::from_utf8(bytes_of(root, &path).await).unwrap();
    assert!(text.contains(from), "{text}");
    put(root, &path, text.replace(from, to).into_bytes()).await;
}

/// Puts the bytes of `other` in the place of `file`, and has the log say so in a version.
async fn replace(root: &Root, version: u64, file: &DataFile, other: &DataFile) {
    put(root, &file.path, bytes_of(root, &other.path).await).await;
    let said = [file, other].map(|file| {
        let size = format!(r#""size":{},"#, file.size_bytes);
        let digest = format!(r#""{}""#, file.digest.unwrap());
        [size, digest, format!(r#""{}""#, file.tail.unwrap())]
    });
    let [from, to] = said;
    for (from, to) in from.iter().zip(&to) {
        rewrite_log(root, version, from, to).await;
    }
}

fn kinds(verification: &Verification) -> Vec<FaultKind> {
    let faults = verification.faults.iter();
    faults.map(|fault| fault.kind.clone()).collect()
}

#[tokio::test]
async fn a_whole_table_has_no_fault() {
    for root in Root::all() {
        let snapshot = table(&root).await;
        let verification = verified(&root).await;
        assert_eq!(verification.faults, []);
        assert_eq!((verification.version, verification.files), (3, 3));
        assert_eq!(
            (verification.rows, verification.files_without_digest),
            (4, 0)
        );
        assert_eq!(verification.size_bytes, snapshot.size_bytes());
        assert_eq!(verification.unnamed_files, 0);
        let nobody = root.open().verify(&workspace("nobody")).await.unwrap();
        assert_eq!(nobody, None);
    }
}

#[tokio::test]
async fn a_file_that_no_version_names_is_counted() {
    let root = Root::on_disk();
    table(&root).await;
    let left = Path::from("workspace=w/day=2026-11-21/left-behind.parquet");
    put(&root, &left, vec![1, 2, 3]).await;
    let verification = verified(&root).await;
    assert_eq!(verification.faults, []);
    assert_eq!(
        (verification.unnamed_files, verification.unnamed_bytes),
        (1, 3)
    );
}

#[tokio::test]
async fn missing_cut_and_changed_files_are_told_apart() {
    let root = Root::on_disk();
    let snapshot = table(&root).await;
    let [first, second, third] = &snapshot.files[..] else {
        panic!("{snapshot:?}");
    };
    root.open()
        .object_store()
        .delete(&first.path)
        .await
        .unwrap();
    let mut cut = bytes_of(&root, &second.path).await;
    cut.truncate(100);
    put(&root, &second.path, cut).await;
    // Some bit of a value: the file can still be read.
    let mut changed = bytes_of(&root, &third.path).await;
    let footer = changed
        .windows(4)
        .rposition(|bytes| bytes == b"vouc")
        .unwrap();
    changed[footer] ^= 1;
    put(&root, &third.path, changed).await;

    let verification = verified(&root).await;
    let faults: Vec<(&str, &FaultKind)> = verification
        .faults
        .iter()
        .map(|fault| (fault.path.as_str(), &fault.kind))
        .collect();
    let size = FaultKind::Size {
        found: 100,
        logged: second.size_bytes,
    };
    assert_eq!(faults[0], (first.path.as_ref(), &FaultKind::Missing));
    assert_eq!(faults[1], (second.path.as_ref(), &size));
    assert_eq!(faults[2], (second.path.as_ref(), &FaultKind::Changed));
    assert_eq!(faults[3], (third.path.as_ref(), &FaultKind::Changed));
    assert_eq!(faults.len(), 4, "{faults:?}");
}

#[tokio::test]
async fn a_log_that_says_something_else_is_a_fault() {
    let root = Root::on_disk();
    table(&root).await;
    let rows = r#"\"numRecords\":2"#;
    rewrite_log(&root, 1, rows, r#"\"numRecords\":3"#).await;
    let date = format!(r#"\"maxValues\":{{\"date\":{}"#, DAY_START_MS + 7);
    rewrite_log(&root, 2, &date, r#"\"maxValues\":{\"date\":1"#).await;
    let expected = [
        FaultKind::Rows {
            found: 2,
            logged: 3,
        },
        FaultKind::Dates {
            found: (DAY_START_MS + 7, DAY_START_MS + 7),
            logged: (DAY_START_MS + 7, 1),
        },
    ];
    let found = kinds(&verified(&root).await);
    assert!(
        expected.iter().all(|kind| found.contains(kind)),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_file_in_the_wrong_place_is_a_fault() {
    let root = Root::on_disk();
    let files = by_date(&table(&root).await);
    let [first, second, third] = &files[..] else {
        panic!("{files:?}");
    };
    // The log of each commit names a file of another workspace, another day, or one twice.
    let other = root.open();
    import(
        &other,
        [
            event("x", DAY_START_MS, "a"),
            event("x", DAY_START_MS + 5, "b"),
        ],
    )
    .await;
    let of_x = other.snapshot(&workspace("x")).await.unwrap().unwrap();
    replace(&root, 1, first, &of_x.files[0]).await;
    replace(&root, 3, third, second).await;
    let found = kinds(&verified(&root).await);
    let misplaced = |count, problem| FaultKind::Misplaced { count, problem };
    assert!(
        found.contains(&misplaced(2, "belong to another workspace")),
        "{found:?}"
    );
    assert!(
        found.contains(&misplaced(1, "belong to another day")),
        "{found:?}"
    );
}

#[tokio::test]
async fn an_id_that_is_stored_twice_is_a_fault() {
    let root = Root::on_disk();
    let files = by_date(&table(&root).await);
    let (first, second) = (&files[0], &files[1]);
    replace(&root, 2, second, first).await;
    let found = kinds(&verified(&root).await);
    let repeated = found.iter().find_map(|kind| match kind {
        FaultKind::Repeated { count, id, other } => Some((*count, id.as_str(), other.as_str())),
        _ => None,
    });
    let rows = first.rows;
    assert_eq!(repeated.map(|(count, ..)| count), Some(rows), "{found:?}");
    // Files of a day are read in the order of their names.
    let read_first = first.path.as_ref().min(second.path.as_ref());
    assert_eq!(repeated.map(|(.., other)| other), Some(read_first));
}

#[tokio::test]
async fn a_file_without_a_digest_is_read_all_the_same() {
    let root = Root::on_disk();
    let snapshot = table(&root).await;
    assert!(snapshot.files[2].digest.is_some());
    for tag in ["vouch.blake3", "vouch.tail"] {
        rewrite_log(&root, 3, tag, &tag.replace("vouch", "other")).await;
    }
    let verification = verified(&root).await;
    assert_eq!(verification.faults, []);
    assert_eq!(verification.files_without_digest, 1);
}

#[tokio::test]
async fn digests_outlive_a_checkpoint() {
    let root = Root::on_disk();
    let store = root.open();
    for number in 0..21 {
        import(
            &store,
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
    let checkpoint = "workspace=w/_delta_log/00000000000000000020.checkpoint.parquet";
    assert!(objects(&store).await.iter().any(|path| path == checkpoint));
    let verification = verified(&root).await;
    assert_eq!(verification.faults, []);
    assert_eq!(
        (verification.files, verification.files_without_digest),
        (21, 0)
    );
}
