//! Object stores that fail at the worst moment.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// When a put to a log fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The object is written, but the answer is lost.
    AnswerLost,
    /// Nothing is written.
    RequestLost,
}

/// An object store whose next `count` puts to logs fail.
#[derive(Debug)]
struct Faulty {
    objects: Arc<dyn ObjectStore>,
    fault: Fault,
    count: AtomicUsize,
}

impl fmt::Display for Faulty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fails = location.as_ref().contains("_delta_log")
            && self
                .count
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
        if !fails {
            return self.objects.put_opts(location, payload, options).await;
        }
        if self.fault == Fault::AnswerLost {
            self.objects.put_opts(location, payload, options).await?;
        }
        Err(Error::Generic {
            store: "faulty",
            source: "the connection was reset".into(),
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

/// A store on `root` whose next `count` puts to logs fail.
fn faulty(root: &Root, fault: Fault, count: usize) -> Store {
    let objects = Arc::new(Faulty {
        objects: Arc::clone(&root.location.objects),
        fault,
        count: AtomicUsize::new(count),
    });
    Store::at(Location {
        objects,
        ..root.location.clone()
    })
}

#[tokio::test]
async fn a_lost_answer_does_not_store_anything_twice() {
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        for root in Root::all() {
            import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
            let store = faulty(&root, fault, 1);
            let summary = import(&store, [event("w", DAY_START_MS, "2")]).await;
            assert_eq!((summary.stored, summary.repeated), (1, 0), "{fault:?}");
            let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
            assert_eq!(snapshot.version, 2);
            assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2"]);
        }
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_first_commit_of_all_does_no_harm() {
    let root = Root::in_memory();
    let store = faulty(&root, Fault::AnswerLost, 1);
    let summary = import(&store, [event("w", DAY_START_MS, "1")]).await;
    assert_eq!(summary.workspaces[0].version, Some(1));
    assert_eq!(stored_ids(&root.open(), "w").await, ["1"]);
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_says_so_and_keeps_its_files() {
    for root in Root::all() {
        import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
        let store = faulty(&root, Fault::RequestLost, 3);
        let mut import = store.import(ImportOptions::default());
        import.push(event("w", DAY_START_MS, "2")).await.unwrap();
        let before = objects(&store).await.len();
        let error = import.finish().await.unwrap_err();
        assert!(matches!(error, StoreError::CommitUnknown { .. }), "{error}");
        assert_eq!(objects(&store).await.len(), before + 1);
        let again = super::import(&store, [event("w", DAY_START_MS, "2")]).await;
        assert_eq!((again.stored, again.repeated), (1, 0));
        assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2"]);
    }
}

#[tokio::test]
async fn an_import_that_fails_leaves_no_files() {
    let root = Root::in_memory();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    let damaged = Path::from("workspace=w/_delta_log/00000000000000000002.json");
    let store = root.open();
    let mut import = store.import(ImportOptions { memory_bytes: 1 });
    import.push(event("v", DAY_START_MS, "2")).await.unwrap();
    import.push(event("w", DAY_START_MS, "2")).await.unwrap();
    let objects_store = store.object_store();
    object_store::ObjectStoreExt::put(&objects_store, &damaged, "{".into())
        .await
        .unwrap();
    assert!(import.finish().await.is_err());
    let left: Vec<String> = objects(&store).await;
    let left = left.iter().filter(|path| path.contains("w/day=")).count();
    assert_eq!(left, 1, "only the file of the first import is left");
    assert_eq!(stored_ids(&store, "v").await, ["2"]);
}
