//! Damage in a data file is found by whatever reads the damaged bytes, before they mean anything.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::DataFile;
use crate::file::blocks::{BLOCK_BYTES, TAG};
use crate::file::reader::bloom_filters;
use crate::tests::*;

const EVENTS: i64 = 2500;

/// A table with one file of several blocks.
async fn table(root: &Root) -> Arc<DataFile> {
    let noise = |number: i64| blake3::hash(&number.to_le_bytes()).to_hex().to_string();
    let events = (0..EVENTS).map(|number| {
        let id = number.to_string();
        titled("w", DAY_START_MS + number, &id, &noise(number).repeat(2))
    });
    import(&root.open(), events).await;
    file(&root.open()).await
}

async fn file(store: &Store) -> Arc<DataFile> {
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(snapshot.files.len(), 1);
    Arc::clone(&snapshot.files[0])
}

async fn bytes_of(root: &Root, path: &Path) -> Vec<u8> {
    let object = root.location.objects.get(path).await.unwrap();
    object.bytes().await.unwrap().to_vec()
}

async fn put(root: &Root, path: &Path, bytes: Vec<u8>) {
    let objects = &root.location.objects;
    objects.put(path, bytes.into()).await.unwrap();
}

/// As if the file had been written before files had digests of their blocks.
async fn forget_blocks(root: &Root) {
    strip_log_state(root).await;
    let path = Path::from("workspace=w/_delta_log/00000000000000000001.json");
    let entry = String::from_utf8(bytes_of(root, &path).await).unwrap();
    put(root, &path, entry.replace(TAG, "other").into_bytes()).await;
}

/// All columns of all events, and which row groups may hold an id, by a process that starts now.
async fn read_columns(root: &Root) -> Result<Vec<String>, StoreError> {
    let store = root.open();
    let file = file(&store).await;
    let footer = store.footer(&file).await?;
    let mut builder = file.file_ref().builder(store.location(), &footer);
    let id = footer.column_index(fields::EVENT_ID).unwrap();
    let filters = bloom_filters(&mut builder, id).await;
    let filters = filters.map_err(|error| StoreError::parquet(&file.path, error))?;
    let may_hold = filters
        .iter()
        .map(|filter| filter.as_ref().is_none_or(|filter| filter.check(&"7")));
    let may_hold: Vec<bool> = may_hold.collect();
    let batches = builder.build().unwrap().try_collect::<Vec<_>>().await;
    let batches = batches.map_err(|error| StoreError::parquet(&file.path, error))?;
    let mut read: Vec<String> = batches.iter().map(|batch| format!("{batch:?}")).collect();
    read.push(format!("{may_hold:?}"));
    Ok(read)
}

async fn read_rows(root: &Root) -> Result<Vec<RecordBatch>, StoreError> {
    let store = root.open();
    let snapshot = store.snapshot(&workspace("w")).await?.unwrap();
    try_read(&store, &snapshot).await
}

fn assert_names(error: &StoreError, path: &Path) {
    let StoreError::Corrupt { path: named, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(named, path.as_ref());
}

/// Every byte that a reader uses is compared first, also of files that have no digests of their blocks.
#[tokio::test]
async fn flipped_bit_is_corrupt_or_was_not_read() {
    for is_old in [false, true] {
        let root = Root::in_memory();
        let path = table(&root).await.path.clone();
        if is_old {
            forget_blocks(&root).await;
        }
        let store = root.open();
        assert_eq!(file(&store).await.tail.is_none(), is_old);
        let whole = bytes_of(&root, &path).await;
        assert!(whole.len() as u64 > 4 * BLOCK_BYTES, "{}", whole.len());
        let (rows, columns) = (
            read_rows(&root).await.unwrap(),
            read_columns(&root).await.unwrap(),
        );
        let mut found = 0;
        for offset in (0..whole.len()).step_by(251) {
            let mut damaged = whole.clone();
            damaged[offset] ^= 1 << (offset % 8);
            put(&root, &path, damaged).await;
            match read_rows(&root).await {
                Ok(read) => assert_eq!(read, rows, "byte {offset}"),
                Err(error) => {
                    assert_names(&error, &path);
                    found += 1;
                }
            }
            match read_columns(&root).await {
                Ok(read) => assert_eq!(read, columns, "byte {offset}"),
                Err(error) => assert_names(&error, &path),
            }
        }
        assert!(found * 251 > whole.len() / 2, "{found}");
    }
}

/// An object that was cut off has no bytes to compare; one that is gone is another error.
#[tokio::test]
async fn cut_and_missing_files_are_told_apart() {
    for root in Root::all() {
        let path = table(&root).await.path.clone();
        let whole = bytes_of(&root, &path).await;
        for length in [0, 10, whole.len() / 2, whole.len() - 1] {
            put(&root, &path, whole[..length].to_vec()).await;
            assert_names(&read_rows(&root).await.unwrap_err(), &path);
            assert_names(&read_columns(&root).await.unwrap_err(), &path);
        }
        root.location.objects.delete(&path).await.unwrap();
        for error in [
            read_rows(&root).await.unwrap_err(),
            read_columns(&root).await.unwrap_err(),
        ] {
            let StoreError::NotFound { path: named } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(named, path.as_ref());
        }
    }
}

/// A file of an older version is compared in full once in a process, and block by block from then on.
#[tokio::test]
async fn old_file_is_compared_in_full_and_stays_compared() {
    let root = Root::in_memory();
    let path = table(&root).await.path.clone();
    forget_blocks(&root).await;
    let store = root.open();
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    try_read(&store, &snapshot).await.unwrap();
    let mut bytes = bytes_of(&root, &path).await;
    bytes[20] ^= 1;
    put(&root, &path, bytes).await;
    assert_names(&try_read(&store, &snapshot).await.unwrap_err(), &path);
}

/// New files have the same events in the same order, and digests of their blocks; damaged ones stay as they are.
#[tokio::test]
async fn upgrade_writes_old_files_anew() {
    let root = Root::on_disk();
    table(&root).await;
    forget_blocks(&root).await;
    let before = read_rows(&root).await.unwrap();
    let old = file(&root.open()).await;
    let would = root.open().upgrade(&workspace("w"), true).await.unwrap();
    assert_eq!(would.unwrap().replaced_files, 1);
    assert_eq!(file(&root.open()).await, old);
    let done = root
        .open()
        .upgrade(&workspace("w"), false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (done.replaced_files, done.written_files, done.events),
        (1, 1, EVENTS as u64)
    );
    let new = file(&root.open()).await;
    assert!(new.tail.is_some() && new.path != old.path, "{new:?}");
    assert_eq!(read_rows(&root).await.unwrap(), before);
    assert_whole(&root.open(), "w").await;
    let again = root.open().upgrade(&workspace("w"), false).await.unwrap();
    assert_eq!(again.unwrap().replaced_files, 0);

    let root = Root::on_disk();
    let path = table(&root).await.path.clone();
    forget_blocks(&root).await;
    let mut bytes = bytes_of(&root, &path).await;
    bytes[20] ^= 1;
    put(&root, &path, bytes).await;
    let done = root
        .open()
        .upgrade(&workspace("w"), false)
        .await
        .unwrap()
        .unwrap();
    assert_names(&done.faults[0], &path);
    assert_eq!(file(&root.open()).await.path, path);
}

/// A file whose transfer was damaged is fetched once more, also when it is small and was kept.
#[tokio::test]
async fn a_damaged_transfer_is_repeated() {
    for rows in [1, 20_000] {
        let root = Root::in_memory();
        let events = (0..rows).map(|id| event("w", DAY_START_MS + id, &id.to_string()));
        import(&root.open(), events).await;
        let snapshot = root
            .open()
            .snapshot(&workspace("w"))
            .await
            .unwrap()
            .unwrap();
        let path = snapshot.files[0].path.clone();
        let objects = std::sync::Arc::clone(&root.location.objects);
        let whole = objects.get(&path).await.unwrap().bytes().await.unwrap();
        let mut changed = whole.to_vec();
        changed.iter_mut().for_each(|byte| *byte ^= 1);
        objects.put(&path, changed.into()).await.unwrap();
        // The second time the right bytes arrive.
        let requests = std::sync::atomic::AtomicUsize::new(0);
        let hook: crate::tests::hooked::PathHook = std::sync::Arc::new(move |_, of| {
            let is_second =
                *of == path && requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
            let (objects, whole, path) = (objects.clone(), whole.clone(), path.clone());
            Box::pin(async move {
                if is_second {
                    objects.put(&path, whole.into()).await.unwrap();
                }
                Ok(())
            })
        });
        let store = Store::from_location(crate::tests::hooked::hooked_by_path(&root, hook));
        assert_eq!(stored(&store, "w").await.len() as i64, rows);
    }
}
