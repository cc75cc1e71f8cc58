//! The tables as other readers of the Delta format see them.

use std::sync::Arc;

use deltalake_core::DeltaTable;
use deltalake_core::logstore::{StorageConfig, default_logstore};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::metadata::ParquetMetaDataReader;
use url::Url;

use crate::delta::table;
use crate::tests::*;

/// The table as the Delta library reads it by itself.
async fn plain_table(root: &Root, id: &str) -> DeltaTable {
    let objects = Arc::clone(&root.location.objects);
    let path = format!("workspace={id}");
    let relative_path: Arc<dyn ObjectStore> =
        Arc::new(PrefixStore::new(Arc::clone(&objects), &*path));
    let url = Url::parse(&format!("{}{path}/", table::DELTA_ROOT)).unwrap();
    let log = default_logstore(relative_path, objects, &url, &StorageConfig::default());
    let mut table = DeltaTable::new(log);
    table.load().await.unwrap();
    table
}

#[tokio::test]
async fn the_table_is_plain_delta() {
    for root in Root::all() {
        let store = root.open();
        import(
            &store,
            [
                event("w", DAY_START_MS, "1"),
                event("w", DAY_START_MS + DAY_MS, "2"),
            ],
        )
        .await;
        let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
        let table = plain_table(&root, "w").await;
        let state = table.snapshot().unwrap();
        assert_eq!(state.version(), snapshot.version);
        assert_eq!(state.protocol().min_reader_version(), 1);
        assert_eq!(state.protocol().min_writer_version(), 2);
        let names: Vec<String> = state
            .schema()
            .fields()
            .map(|field| field.name().clone())
            .collect();
        let expected: Vec<String> = fields::FIELDS
            .iter()
            .map(|field| field.name.to_owned())
            .chain(["workspace".to_owned(), "day".to_owned()])
            .collect();
        assert_eq!(names, expected);
        let mut files: Vec<(String, Option<usize>)> = state
            .log_data()
            .iter()
            .map(|file| (format!("workspace=w/{}", file.path()), file.num_records()))
            .collect();
        files.sort_unstable();
        let expected: Vec<(String, Option<usize>)> = snapshot
            .files
            .iter()
            .map(|file| (file.path.to_string(), Some(1)))
            .collect();
        assert_eq!(files, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_many_versions_is_read_from_its_checkpoint() {
    many_versions().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_checkpoint_needs_one_thread_only() {
    many_versions().await;
}

async fn many_versions() {
    for root in Root::all() {
        let store = root.open();
        for number in 1..=25 {
            let event = event("w", DAY_START_MS + number, &number.to_string());
            import(&store, [event]).await;
        }
        let log = "workspace=w/_delta_log";
        let listed = objects(&store).await;
        let checkpoint = format!("{log}/00000000000000000020.checkpoint.parquet");
        assert!(listed.contains(&checkpoint), "{listed:?}");
        for version in 0..20 {
            let commit = format!("{log}/{version:020}.json");
            store.object_store().delete(&commit.into()).await.unwrap();
        }
        for store in [root.open(), store] {
            let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
            assert_eq!((snapshot.version, snapshot.rows()), (25, 25));
            assert_eq!(
                snapshot.date_range_ms(),
                Some((DAY_START_MS + 1, DAY_START_MS + 25))
            );
            assert!(
                snapshot
                    .files
                    .iter()
                    .all(|file| file.date_range_ms.is_some())
            );
        }
        assert_eq!(plain_table(&root, "w").await.version(), Some(25));
        let summary = import(&root.open(), [event("w", DAY_START_MS + 25, "25")]).await;
        assert_eq!((summary.stored, summary.repeated), (0, 1));
    }
}

#[tokio::test]
async fn files_carry_what_makes_them_quick_to_search() {
    let store = Root::in_memory().open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let file = store
        .object_store()
        .get(&snapshot.files[0].path)
        .await
        .unwrap();
    let content = file.bytes().await.unwrap();
    assert_eq!(content.len() as u64, snapshot.files[0].size_bytes);
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required)
        .parse_and_finish(&content)
        .unwrap();
    assert!(metadata.column_index().is_some() && metadata.offset_index().is_some());
    let row_group = metadata.row_group(0);
    assert_eq!(row_group.sorting_columns().map(Vec::len), Some(2));
    let with_bloom_filter: Vec<String> = row_group
        .columns()
        .iter()
        .filter(|column| column.bloom_filter_offset().is_some())
        .map(|column| column.column_path().string())
        .collect();
    assert_eq!(with_bloom_filter, [fields::EVENT_ID]);
    let names: Vec<String> = row_group
        .columns()
        .iter()
        .map(|column| column.column_path().string())
        .collect();
    let expected: Vec<&str> = fields::FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(names, expected, "partition columns are not in the file");
}

#[tokio::test]
async fn a_table_of_an_older_version_gets_the_columns_that_it_lacks() {
    let root = Root::in_memory();
    let store = root.open();
    import(&store, [event("w", DAY_START_MS, "1")]).await;
    let objects = store.object_store();
    strip_log_state(&root).await;
    for version in [0, 1] {
        let entry = Path::from(format!("workspace=w/_delta_log/{version:020}.json"));
        let commit = objects.get(&entry).await.unwrap().bytes().await.unwrap();
        let commit = String::from_utf8(commit.to_vec()).unwrap();
        let column =
            r#",{\"name\":\"comments\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}"#;
        let older = commit.replace(column, "");
        assert_ne!(older, commit);
        objects.put(&entry, older.into()).await.unwrap();
    }

    let lacks = |table: &DeltaTable| {
        let schema = table.snapshot().unwrap().schema();
        schema.field("comments").is_none()
    };
    let before = plain_table(&root, "w").await;
    assert!(lacks(&before));
    for id in ["2", "3"] {
        import(&root.open(), [event("w", DAY_START_MS, id)]).await;
    }
    let after = plain_table(&root, "w").await;
    assert!(!lacks(&after));
    assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2", "3"]);
    let metadata = |table: &DeltaTable| table.snapshot().unwrap().metadata().clone();
    assert_eq!(metadata(&before).id(), metadata(&after).id());
    let schema = after.snapshot().unwrap().schema();
    let added = schema.fields().filter(|field| field.name() == "comments");
    assert_eq!(added.count(), 1);
}
