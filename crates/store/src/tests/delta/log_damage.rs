//! A log that is damaged, cut or gone: what is noticed, and what is read all the same.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::Fault;
use crate::tests::*;

fn entry(version: u64) -> Path {
    Path::from(format!("workspace=w/_delta_log/{version:020}.json"))
}

fn checkpoint_at(version: u64) -> Path {
    Path::from(format!(
        "workspace=w/_delta_log/{version:020}.checkpoint.parquet"
    ))
}

async fn text_of(root: &Root, path: &Path) -> String {
    let bytes = root.location.objects.get(path).await.unwrap();
    String::from_utf8(bytes.bytes().await.unwrap().to_vec()).unwrap()
}

async fn put(root: &Root, path: &Path, bytes: impl Into<object_store::PutPayload>) {
    root.location.objects.put(path, bytes.into()).await.unwrap();
}

async fn table_of(versions: i64) -> Root {
    let root = Root::in_memory();
    let store = root.open();
    for number in 1..=versions {
        import(
            &store,
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
    root
}

async fn newest(root: &Root) -> Snapshot {
    root.open()
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap()
}

async fn faults_of(root: &Root) -> Vec<Fault> {
    root.open().verify_log(&workspace("w")).await.unwrap()
}

async fn error_of(root: &Root) -> StoreError {
    root.open().snapshot(&workspace("w")).await.unwrap_err()
}

/// The last line of the newest entry is lost at a line end.
#[tokio::test]
async fn an_entry_cut_at_a_line_is_damage() {
    for lines in 1..4 {
        let root = table_of(3).await;
        let text = text_of(&root, &entry(3)).await;
        assert_eq!(text.lines().count(), 3);
        let kept: String = text.split_inclusive('\n').take(lines).collect();
        put(&root, &entry(3), kept).await;
        let found = root.open().snapshot(&workspace("w")).await;
        match lines {
            3 => assert_eq!(found.unwrap().unwrap().rows(), 3),
            _ => assert!(found.unwrap_err().to_string().contains(entry(3).as_ref())),
        }
    }
}

/// Any digit of the statistics of any entry is another one.
#[tokio::test]
async fn a_changed_minimum_is_damage() {
    for version in 1..=3 {
        let root = table_of(3).await;
        let text = text_of(&root, &entry(version)).await;
        let minimum = format!(
            r#"\"date\":{}"#,
            DAY_START_MS + i64::try_from(version).unwrap()
        );
        let changed = text.replacen(&minimum, r#"\"date\":1795219200009"#, 1);
        assert_ne!(text, changed);
        put(&root, &entry(version), changed).await;
        let error = error_of(&root).await;
        assert!(
            error.to_string().contains(entry(version).as_ref()),
            "{error}"
        );
    }
}

/// An entry with the content of another one is at fault, and not the one before it.
#[tokio::test]
async fn an_entry_of_another_version_is_damage() {
    for (version, other) in [(3, 2), (3, 1), (3, 0), (2, 3), (2, 1), (1, 2)] {
        let root = table_of(3).await;
        let text = text_of(&root, &entry(other)).await;
        put(&root, &entry(version), text).await;
        let error = error_of(&root).await.to_string();
        assert!(error.contains(entry(version).as_ref()), "{error}");
        let faults = faults_of(&root).await;
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, [entry(version).as_ref()], "{version} as {other}");
    }
}

/// A log that begins with a checkpoint does not go on without it, and says which one it was.
#[tokio::test]
async fn a_checkpoint_that_the_log_begins_with_is_missed() {
    let root = table_of(41).await;
    let checkpoint = checkpoint_at(40);
    for version in 0..40 {
        root.location.objects.delete(&entry(version)).await.unwrap();
    }
    assert_eq!(newest(&root).await.rows(), 41);
    assert_eq!(faults_of(&root).await, []);
    root.location.objects.delete(&checkpoint).await.unwrap();
    for hint in [true, false] {
        if !hint {
            let hint = Path::from("workspace=w/_delta_log/_last_checkpoint");
            root.location.objects.delete(&hint).await.unwrap();
        }
        let error = error_of(&root).await.to_string();
        assert!(error.contains(checkpoint.as_ref()), "{error}");
        let faults = faults_of(&root).await;
        let mut paths = faults.iter().map(|fault| fault.path.as_str());
        assert!(paths.any(|path| path == checkpoint.as_ref()), "{faults:?}");
    }
}

/// Other software may delete the entry of the checkpoint's version as well.
#[tokio::test]
async fn a_log_that_begins_after_its_checkpoint_is_whole() {
    let root = table_of(41).await;
    for version in 0..=40 {
        root.location.objects.delete(&entry(version)).await.unwrap();
    }
    assert_eq!(newest(&root).await.rows(), 41);
    assert_eq!(faults_of(&root).await, []);
}

/// Other software leaves the properties that it finds in the metadata that it writes.
#[tokio::test]
async fn an_entry_of_other_software_is_no_damage() {
    let root = table_of(3).await;
    let text = text_of(&root, &entry(3)).await;
    let metadata = text.lines().find(|line| line.contains("metaData")).unwrap();
    let info = r#"{"commitInfo":{"operation":"SET TBLPROPERTIES"}}"#;
    let renamed = metadata.replace(r#""name":null"#, r#""name":"audit""#);
    assert_ne!(metadata, renamed);
    put(&root, &entry(4), format!("{info}\n{renamed}\n")).await;
    assert_eq!(faults_of(&root).await, []);
    assert_eq!(newest(&root).await.version, 4);
}

/// A checkpoint that is damaged in any way is not needed while the entries are there.
#[tokio::test]
async fn a_damaged_checkpoint_is_not_needed() {
    let checkpoint = Path::from("workspace=w/_delta_log/00000000000000000020.checkpoint.parquet");
    let hint = Path::from("workspace=w/_delta_log/_last_checkpoint");
    for (path, content) in [
        (&checkpoint, "PAR1"),
        (&checkpoint, ""),
        (&hint, r#"{"version":999}"#),
        (&hint, "{"),
    ] {
        let root = table_of(21).await;
        put(&root, path, content).await;
        assert_eq!(
            stored_ids(&root.open(), "w").await.len(),
            21,
            "{path} is {content}"
        );
        import(&root.open(), [event("w", DAY_START_MS, "more")]).await;
        assert_eq!(stored_ids(&root.open(), "w").await.len(), 22);
    }
}

/// Without the entries, a checkpoint of which any byte of a statistic has changed is an error.
#[tokio::test]
async fn a_changed_checkpoint_is_damage() {
    let root = table_of(20).await;
    for version in 0..20 {
        root.location.objects.delete(&entry(version)).await.unwrap();
    }
    let checkpoint = Path::from("workspace=w/_delta_log/00000000000000000020.checkpoint.parquet");
    let bytes = root.location.objects.get(&checkpoint).await.unwrap();
    let bytes = bytes.bytes().await.unwrap().to_vec();
    let rows = root
        .open()
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap()
        .rows();
    assert_eq!(rows, 20);
    let mut noticed = 0;
    for position in (4..bytes.len()).step_by(bytes.len() / 60) {
        let copy = root.copy().await;
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        put(&copy, &checkpoint, changed).await;
        match copy.open().snapshot(&workspace("w")).await {
            Err(_) => noticed += 1,
            Ok(found) => {
                let found = found.unwrap();
                let before = root
                    .open()
                    .snapshot(&workspace("w"))
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(found.files, before.files, "byte {position}");
            }
        }
    }
    assert!(noticed > 20, "{noticed}");
}

/// A process that has read a version notices that the log has lost it.
#[tokio::test]
async fn a_lost_newest_entry_is_noticed_by_who_has_read_it() {
    let root = table_of(3).await;
    let store = root.open();
    store.snapshot(&workspace("w")).await.unwrap().unwrap();
    root.location.objects.delete(&entry(3)).await.unwrap();
    let error = store.snapshot(&workspace("w")).await.unwrap_err();
    assert!(error.to_string().contains(entry(3).as_ref()), "{error}");
}

/// A lost entry in the middle is never replaced by another commit.
#[tokio::test]
async fn a_commit_does_not_fill_a_gap() {
    let root = table_of(2).await;
    let store = root.open();
    store.snapshot(&workspace("w")).await.unwrap().unwrap();
    for number in 3..=4 {
        import(
            &root.open(),
            [event("w", DAY_START_MS, &number.to_string())],
        )
        .await;
    }
    root.location.objects.delete(&entry(3)).await.unwrap();
    let mut import = store.import(ImportOptions::default());
    import.push(event("w", DAY_START_MS, "5")).await.unwrap();
    let error = import.finish().await.unwrap_err();
    assert!(error.to_string().contains(entry(3).as_ref()), "{error}");
    assert!(root.location.objects.head(&entry(3)).await.is_err());
}

/// Without its log a table is not taken for a new one, and nothing of it is deleted.
#[tokio::test]
async fn a_lost_log_is_no_new_table() {
    let root = table_of(3).await;
    for version in 0..=3 {
        root.location.objects.delete(&entry(version)).await.unwrap();
    }
    let before = objects(&root.open()).await;
    let store = root.open();
    let mut import = store.import(ImportOptions::default());
    import.push(event("w", DAY_START_MS, "4")).await.unwrap();
    let error = import.finish().await.unwrap_err();
    assert!(matches!(error, StoreError::LogMissing { .. }), "{error}");
    assert_eq!(objects(&root.open()).await, before);
}

/// A file that a cleaner with a wrong clock deleted before the commit makes the import fail.
#[tokio::test]
async fn a_staged_file_that_is_gone_is_not_committed() {
    let root = table_of(1).await;
    let store = root.open();
    let before = objects(&store).await;
    let mut staged = store.import(ImportOptions { memory_bytes: 1 });
    staged.push(event("w", DAY_START_MS, "2")).await.unwrap();
    let written = objects(&store).await;
    let written = written.iter().find(|path| !before.contains(path)).unwrap();
    root.location
        .objects
        .delete(&written.as_str().into())
        .await
        .unwrap();
    let error = staged.finish().await.unwrap_err();
    assert!(
        matches!(error, StoreError::StagedFileMissing { .. }),
        "{error}"
    );
    assert_eq!(stored_ids(&root.open(), "w").await, ["1"]);
}
