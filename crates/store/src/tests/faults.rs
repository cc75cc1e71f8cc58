//! Object stores that fail at the worst moment.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use events::settings::{HeldEvents, NewHold, RetentionMode};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::virtual_time::VirtualTime;
use super::*;
use crate::maintenance::vacuum::VacuumStart;

/// What stands between a store and its objects.
#[async_trait]
pub(super) trait Delegate: Send + Sync + 'static {
    /// Is done before an object is put.
    async fn before_put(&self, _path: &Path) {}

    /// What goes wrong with an operation on the object at `path`, or on those below it.
    fn fault(&self, _path: &Path, _is_put: bool) -> Option<Fault> {
        None
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is done, but the answer is lost.
    AnswerLost,
    /// Nothing is done.
    RequestLost,
}

/// A store on `root` with something in between.
pub(super) fn interpose(root: &Root, delegate: impl Delegate) -> Store {
    let objects = Arc::new(Interposed {
        objects: Arc::clone(&root.location.objects),
        delegate: Arc::new(delegate),
    });
    Store::from_location(Location {
        objects,
        ..root.location.clone()
    })
}

struct Interposed<D> {
    objects: Arc<dyn ObjectStore>,
    delegate: Arc<D>,
}

impl<D> fmt::Debug for Interposed<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interposed")
    }
}

impl<D> fmt::Display for Interposed<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interposed")
    }
}

fn reset() -> Error {
    Error::Generic {
        store: "faulty",
        source: "the connection was reset".into(),
    }
}

/// The answer to an operation that may fail; it is not begun when the request is lost.
async fn answer<T>(fault: Option<Fault>, operation: impl Future<Output = Result<T>>) -> Result<T> {
    if fault == Some(Fault::RequestLost) {
        return Err(reset());
    }
    let answer = operation.await;
    if fault.is_some() {
        Err(reset())
    } else {
        answer
    }
}

#[async_trait]
impl<D: Delegate> ObjectStore for Interposed<D> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.delegate.before_put(location).await;
        let fault = self.delegate.fault(location, true);
        answer(fault, self.objects.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.delegate.fault(location, true);
        answer(fault, self.objects.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.delegate.fault(location, false);
        answer(fault, self.objects.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fault = self.delegate.fault(location, false);
        answer(fault, self.objects.get_ranges(location, ranges)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let objects = Arc::clone(&self.objects);
        let delegate = Arc::clone(&self.delegate);
        let deleted = locations.then(move |path| {
            let (objects, delegate) = (Arc::clone(&objects), Arc::clone(&delegate));
            async move {
                let path = path?;
                let fault = delegate.fault(&path, false);
                answer(fault, objects.delete(&path)).await?;
                Ok(path)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let all = Path::default();
        match self.delegate.fault(prefix.unwrap_or(&all), false) {
            None => self.objects.list(prefix),
            Some(_) => futures::stream::iter([Err(reset())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let all = Path::default();
        let fault = self.delegate.fault(prefix.unwrap_or(&all), false);
        answer(fault, self.objects.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

/// Lets the next `count` puts to logs fail.
struct LogPuts {
    fault: Fault,
    count: AtomicUsize,
}

impl Delegate for LogPuts {
    fn fault(&self, path: &Path, is_put: bool) -> Option<Fault> {
        let fails = is_put
            && path.as_ref().contains("_delta_log")
            && self
                .count
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
        fails.then_some(self.fault)
    }
}

/// A store on `root` whose next `count` puts to logs fail.
fn faulty(root: &Root, fault: Fault, count: usize) -> Store {
    let count = AtomicUsize::new(count);
    interpose(root, LogPuts { fault, count })
}

/// Lets operations of all kinds fail, `count` of them after the first `before`.
#[derive(Debug, Clone)]
struct Operations {
    fault: Fault,
    before: usize,
    count: usize,
    done: Arc<AtomicUsize>,
}

impl Operations {
    /// Whether any operation has failed.
    fn has_failed(&self) -> bool {
        self.done.load(Ordering::SeqCst) > self.before
    }
}

impl Delegate for Operations {
    fn fault(&self, _path: &Path, _is_put: bool) -> Option<Fault> {
        let number = self.done.fetch_add(1, Ordering::SeqCst);
        let fails = number
            .checked_sub(self.before)
            .is_some_and(|failed| failed < self.count);
        fails.then_some(self.fault)
    }
}

/// One operation fails, or all from one on; the first `before` go well. Which of the ways it is
/// changes from step to step.
fn at_step(before: usize) -> Operations {
    let fault = [Fault::AnswerLost, Fault::RequestLost][before % 2];
    let count = [1, usize::MAX][before / 2 % 2];
    Operations {
        fault,
        before,
        count,
        done: Arc::default(),
    }
}

/// Six events, each in a file of its own.
async fn six_files(store: &Store) {
    let mut import = store.import(ImportOptions { memory_bytes: 1 });
    for number in 0..6_i64 {
        let date_ms = DAY_START_MS + number % 2 * DAY_MS;
        import
            .push(event("w", date_ms, &number.to_string()))
            .await
            .unwrap();
    }
    import.finish().await.unwrap();
}

const SIX: [&str; 6] = ["0", "1", "2", "3", "4", "5"];

#[tokio::test]
async fn a_compaction_that_fails_anywhere_loses_and_doubles_nothing() {
    for make_root in [Root::in_memory, Root::on_disk] {
        let mut steps = 0;
        loop {
            let operations = at_step(steps);
            let root = make_root();
            six_files(&root.open()).await;
            let store = interpose(&root, operations.clone());
            let options = CompactionOptions {
                settle_after: Duration::ZERO,
                rest_factor: 0,
                ..CompactionOptions::default()
            };
            let result = store.compact(&workspace("w"), &options).await;
            let after = root.open();
            assert_eq!(stored_ids(&after, "w").await, SIX, "{operations:?}");
            assert_whole(&after, "w").await;
            if matches!(result, Ok(Some(compaction)) if compaction.faults.is_empty()) {
                let snapshot = after.snapshot(&workspace("w")).await.unwrap().unwrap();
                assert_eq!(snapshot.files.len(), 2, "{operations:?}");
            }
            compact(&after, "w").await;
            assert_eq!(stored_ids(&root.open(), "w").await, SIX);
            assert_eq!(assert_whole(&after, "w").await.files, 2);
            if !operations.has_failed() {
                break;
            }
            steps += 1;
        }
        assert!(steps > 15, "{steps} steps");
    }
}

/// A table with everything that cleaning deletes.
async fn untidy() -> VirtualTime {
    let time = VirtualTime::new();
    let store = time.root.open();
    six_files(&store).await;
    compact(&store, "w").await;
    let mut killed = store.import(ImportOptions { memory_bytes: 1 });
    killed
        .push(event("w", DAY_START_MS, "killed"))
        .await
        .unwrap();
    for _ in 0..20 {
        store
            .commit(&workspace("w"), &mut VacuumStart)
            .await
            .unwrap();
    }
    time.pass(TimeDelta::days(31));
    time
}

#[tokio::test]
async fn cleaning_that_fails_anywhere_is_made_good_by_the_next() {
    let mut steps = 0;
    loop {
        let operations = at_step(steps);
        let time = untidy().await;
        let store = interpose(&time.root, operations.clone());
        // Whether it fails or not.
        drop(store.vacuum(&workspace("w"), false).await);
        let after = time.root.open();
        assert_eq!(stored_ids(&after, "w").await, SIX, "{operations:?}");
        assert_whole(&after, "w").await;
        import(&after, [event("w", DAY_START_MS, "0")]).await;
        after.vacuum(&workspace("w"), false).await.unwrap().unwrap();
        assert_eq!(stored_ids(&time.root.open(), "w").await, SIX);
        assert_eq!(assert_whole(&after, "w").await.unnamed_files, 0);
        let commits = objects(&after).await;
        let commits = commits.iter().filter(|path| path.ends_with(".json"));
        assert!(commits.count() < 8, "{operations:?}");
        if !operations.has_failed() {
            break;
        }
        // Every third, so that all ways to fail come round.
        steps += 3;
    }
    assert!(steps > 30, "{steps} steps");
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

#[tokio::test]
async fn a_lost_answer_drops_and_holds_once() {
    let id = workspace("w");
    for (fault, count) in [
        (Fault::AnswerLost, 1),
        (Fault::RequestLost, 2),
        (Fault::AnswerLost, 2),
    ] {
        for root in Root::all() {
            import(
                &root.open(),
                [event("w", -1, "old"), event("w", DAY_START_MS, "new")],
            )
            .await;
            let retention = "100y".parse().unwrap();
            let set = faulty(&root, fault, count);
            set.set_retention(&id, retention, "ops").await.unwrap();
            let hold = NewHold {
                name: "h".to_owned(),
                reason: "r".to_owned(),
                placed_by: "p".to_owned(),
                events: HeldEvents::all(),
            };
            let placed = faulty(&root, fault, count)
                .place_hold(&id, hold)
                .await
                .unwrap();
            assert!(!placed.stood_already);
            let released = faulty(&root, fault, count)
                .release_hold(&id, "h", "p")
                .await;
            assert_eq!(released.unwrap(), placed.hold);
            root.open()
                .set_retention(&id, "2y".parse().unwrap(), "ops")
                .await
                .unwrap();
            let expiry = faulty(&root, fault, count)
                .expire(&id, RetentionMode::Confirmed)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(expiry.dropped.events, 1, "{fault:?}");
            let snapshot = root.open().snapshot(&id).await.unwrap().unwrap();
            assert_eq!(
                (snapshot.version, snapshot.rows()),
                (6, 6),
                "five changes left a record each"
            );
        }
    }
}

#[tokio::test]
async fn a_drop_of_unknown_outcome_says_so_and_can_be_done_again() {
    let id = workspace("w");
    for root in Root::all() {
        import(&root.open(), [event("w", -1, "old")]).await;
        root.open()
            .set_retention(&id, "2y".parse().unwrap(), "ops")
            .await
            .unwrap();
        let error = faulty(&root, Fault::RequestLost, 3)
            .expire(&id, RetentionMode::Confirmed)
            .await;
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::CommitUnknown { .. }), "{error}");
        assert_eq!(stored_ids(&root.open(), "w").await.len(), 2);
        let expiry = root
            .open()
            .expire(&id, RetentionMode::Confirmed)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(expiry.dropped.events, 1);
    }
}

/// Loses the answer to the first commit, and then every answer about it.
struct Unreadable {
    is_lost: std::sync::atomic::AtomicBool,
}

impl Delegate for Unreadable {
    fn fault(&self, path: &Path, is_put: bool) -> Option<Fault> {
        let is_commit = path.as_ref().ends_with("00000000000000000001.json");
        match (is_commit, is_put) {
            (true, true) if !self.is_lost.swap(true, Ordering::SeqCst) => Some(Fault::AnswerLost),
            (true, false) if self.is_lost.load(Ordering::SeqCst) => Some(Fault::RequestLost),
            _ => None,
        }
    }
}

#[tokio::test]
async fn a_commit_that_cannot_be_read_back_keeps_its_files() {
    let root = Root::in_memory();
    let store = interpose(
        &root,
        Unreadable {
            is_lost: false.into(),
        },
    );
    let mut import = store.import(ImportOptions::default());
    import.push(event("w", DAY_START_MS, "1")).await.unwrap();
    let error = import.finish().await.unwrap_err();
    assert!(matches!(error, StoreError::CommitUnknown { .. }), "{error}");
    // The commit is there, and so is the file that it names.
    assert_eq!(stored_ids(&root.open(), "w").await, ["1"]);
}
