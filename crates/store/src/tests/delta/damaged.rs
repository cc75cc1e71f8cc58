//! Stores that lack something or hold something unreadable.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::StoreError;
use crate::tests::*;

async fn root_with_three_versions() -> Root {
    let root = Root::on_disk();
    for number in 1..=3 {
        let event = event("w", DAY_START_MS + number, &number.to_string());
        import(&root.open(), [event]).await;
    }
    root
}

fn commit(version: u64) -> Path {
    Path::from(format!("workspace=w/_delta_log/{version:020}.json"))
}

async fn error_after(root: &Root, path: &Path, content: &'static str) -> StoreError {
    let objects = root.open().object_store();
    objects.put(path, content.into()).await.unwrap();
    root.open().snapshot(&workspace("w")).await.unwrap_err()
}

#[tokio::test]
async fn a_damaged_commit_is_an_error_that_names_it() {
    let cases = [
        ("", "empty"),
        ("{\"add\":{\"path\":\"day=2026-1", "line 1"),
        ("{\"commitInfo\":{}}\n7\n", "line 2"),
    ];
    for (content, reason) in cases {
        let root = root_with_three_versions().await;
        let error = error_after(&root, &commit(2), content).await;
        let StoreError::Corrupt { path, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(path, commit(2).as_ref());
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_missing_commit_is_an_error_that_names_it() {
    for version in [1, 2] {
        let root = root_with_three_versions().await;
        let store = root.open();
        store.object_store().delete(&commit(version)).await.unwrap();
        let error = root.open().snapshot(&workspace("w")).await.unwrap_err();
        assert!(error.is_missing_object(), "{error}");
        assert!(
            error.to_string().contains(commit(version).as_ref()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_an_error_that_names_it() {
    let root = Root::in_memory();
    let store = root.open();
    for number in 1..=20 {
        import(&store, [event("w", DAY_START_MS, &number.to_string())]).await;
    }
    let objects = store.object_store();
    for version in 0..20 {
        objects.delete(&commit(version)).await.unwrap();
    }
    assert_eq!(stored_ids(&root.open(), "w").await.len(), 20);
    let checkpoint = Path::from("workspace=w/_delta_log/00000000000000000020.checkpoint.parquet");
    let error = error_after(&root, &checkpoint, "PAR1").await;
    assert!(error.to_string().contains(checkpoint.as_ref()), "{error}");
    objects.delete(&checkpoint).await.unwrap();
    assert!(root.open().snapshot(&workspace("w")).await.is_err());
}

#[tokio::test]
async fn a_log_that_lost_its_beginning_is_an_error() {
    let root = root_with_three_versions().await;
    let store = root.open();
    store.object_store().delete(&commit(0)).await.unwrap();
    assert!(root.open().snapshot(&workspace("w")).await.is_err());
}

#[tokio::test]
async fn a_damaged_newest_commit_is_no_reason_to_go_on_with_an_old_one() {
    let root = root_with_three_versions().await;
    let store = root.open();
    store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let next = commit(4);
    store.object_store().put(&next, "{".into()).await.unwrap();
    for _ in 0..2 {
        let error = store.snapshot(&workspace("w")).await.unwrap_err();
        assert!(error.to_string().contains(next.as_ref()), "{error}");
    }
}

#[tokio::test]
async fn a_missing_data_file_is_an_error_where_it_is_needed() {
    let root = root_with_three_versions().await;
    let store = root.open();
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let missing = &snapshot.files[1].path;
    store.object_store().delete(missing).await.unwrap();
    let mut import = store.import(ImportOptions::default());
    import.push(event("w", DAY_START_MS, "4")).await.unwrap();
    let error = import.finish().await.unwrap_err();
    assert!(error.is_missing_object(), "{error}");
    assert!(error.to_string().contains(missing.as_ref()), "{error}");
}

#[tokio::test]
async fn a_table_that_needs_a_newer_reader_is_refused() {
    let root = root_with_three_versions().await;
    let protocol = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#;
    let error = error_after(&root, &commit(4), protocol).await;
    assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_file_without_a_row_count_is_an_error_that_names_it() {
    let root = root_with_three_versions().await;
    let add = r#"{"add":{"path":"day=2026-11-21/x.parquet","partitionValues":{"workspace":"w","day":"2026-11-21"},"size":1,"modificationTime":0,"dataChange":true}}"#;
    let error = error_after(&root, &commit(4), add).await;
    assert!(
        error.to_string().contains("day=2026-11-21/x.parquet"),
        "{error}"
    );
}

#[tokio::test]
async fn the_table_of_another_workspace_is_not_read() {
    let root = Root::in_memory();
    let store = root.open();
    import(&store, [event("secret", DAY_START_MS, "1")]).await;
    let objects = store.object_store();
    for path in crate::tests::objects(&store).await {
        let copy = path.replace("workspace=secret", "workspace=w");
        objects.copy(&path.into(), &copy.into()).await.unwrap();
    }
    let error = store.snapshot(&workspace("w")).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_table_that_was_replaced_is_read_anew() {
    for root in Root::all() {
        let store = root.open();
        for id in ["1", "2"] {
            import(&store, [event("w", DAY_START_MS, id)]).await;
        }
        for path in objects(&store).await {
            store.object_store().delete(&path.into()).await.unwrap();
        }
        assert!(store.snapshot(&workspace("w")).await.unwrap().is_none());
        for id in ["3", "4"] {
            import(&root.open(), [event("w", DAY_START_MS, id)]).await;
        }
        assert_eq!(stored_ids(&store, "w").await, ["3", "4"]);
    }
}

#[tokio::test]
async fn directories_of_others_are_left_alone() {
    let root = Root::in_memory();
    let store = root.open();
    for path in [
        "workspace=a b/_delta_log/x",
        "workspace=c/notes.txt",
        "other/file",
    ] {
        let path = Path::from(path);
        store.object_store().put(&path, "x".into()).await.unwrap();
    }
    assert_eq!(store.workspaces().await.unwrap(), []);
    assert!(store.snapshot(&workspace("c")).await.unwrap().is_none());
}
