//! Events of several mebibytes: what is in memory at a time follows bytes, not rows.

use crate::file::decoded::BATCH_BYTES;
use crate::file::layout::ROW_GROUP_BYTES;
use crate::tests::*;

const MIB: usize = 1024 * 1024;
const LARGE: usize = 6 * MIB;

async fn import_large(store: &Store, numbers: std::ops::Range<i64>) {
    let text = "a".repeat(LARGE);
    let mut import = store.import(ImportOptions::default());
    for number in numbers {
        let event = titled("w", DAY_START_MS + number, &number.to_string(), &text);
        import.push(event).await.unwrap();
    }
    import.finish().await.unwrap();
}

async fn newest(store: &Store) -> Snapshot {
    store.snapshot(&workspace("w")).await.unwrap().unwrap()
}

/// The log says what events take in memory, and a file's row groups and batches keep to it.
#[tokio::test]
async fn large_events_come_few_at_a_time() {
    let store = Root::in_memory().open();
    import_large(&store, 0..30).await;
    let snapshot = newest(&store).await;
    for file in snapshot.files.iter() {
        let decoded = file.decoded.unwrap();
        assert!(decoded.largest_row_bytes > LARGE as u64, "{decoded:?}");
        assert!(decoded.bytes >= file.rows * LARGE as u64, "{decoded:?}");
        assert!(file.batch_rows(8192) * LARGE <= BATCH_BYTES as usize);
        let opened = file.file_ref().open(store.location()).await.unwrap();
        let groups = opened.metadata().row_groups();
        let most = groups.iter().map(|group| group.num_rows()).max().unwrap();
        assert!(most as u64 * LARGE as u64 <= ROW_GROUP_BYTES, "{most}");
    }
    for batch in read(&store, &snapshot).await {
        assert!(
            batch.num_rows() * LARGE <= BATCH_BYTES as usize,
            "{}",
            batch.num_rows()
        );
    }
}

/// A file with small events is read as before.
#[tokio::test]
async fn small_events_come_many_at_a_time() {
    let store = Root::in_memory().open();
    import(
        &store,
        (0..5).map(|id| event("w", DAY_START_MS, &id.to_string())),
    )
    .await;
    assert_eq!(newest(&store).await.files[0].batch_rows(8192), 8192);
}

/// Of many files with large events only a few are merged at a time, and in the end it is done.
#[tokio::test]
async fn large_events_are_merged_a_few_files_at_a_time() {
    let root = Root::in_memory();
    let store = root.open();
    for number in 0..24 {
        import_large(&store, number..number + 1).await;
    }
    let compaction = compact(&store, "w").await;
    assert!(compaction.faults.is_empty(), "{:?}", compaction.faults);
    assert_eq!(newest(&store).await.files.len(), 1);
    assert_eq!(newest(&store).await.rows(), 24);
    // Each version has replaced no more files than fit into memory.
    let merged: Vec<usize> = replaced_by_version(&root).await;
    assert!(
        merged.iter().all(|files| files * LARGE <= 64 * MIB),
        "{merged:?}"
    );
    assert_whole(&store, "w").await;
}

/// How many files each version has taken out.
async fn replaced_by_version(root: &Root) -> Vec<usize> {
    let mut removed = Vec::new();
    for path in objects(&root.open()).await {
        if path.contains("_delta_log") && path.ends_with(".json") {
            let entry = root.location.objects.get(&Path::from(path)).await.unwrap();
            let entry = String::from_utf8(entry.bytes().await.unwrap().to_vec()).unwrap();
            removed.push(
                entry
                    .lines()
                    .filter(|line| line.starts_with("{\"remove\""))
                    .count(),
            );
        }
    }
    removed
}
