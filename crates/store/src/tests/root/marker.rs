//! What is not there is not empty.

mod formats;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::memory::InMemory;
use object_store::{ObjectStore, PutMode};

use crate::delta::log::LogState;
use crate::segment::Segment;
use crate::tests::faults::{Delegate, interpose};
use crate::tests::hooked::{Hook, Request, hooked};
use crate::tests::*;
use crate::{Ingest, IngestOptions, WriteBatch};

/// A root in an object store, without anything in it.
pub(in crate::tests) fn bucket() -> Root {
    let memory = Root::in_memory();
    let url = "s3://bucket/audit".parse().unwrap();
    let store = Store::with_object_store(Arc::new(InMemory::new()), url);
    Root {
        location: store.location().clone(),
        ..memory
    }
}

/// A directory that does not exist, and what is to be deleted in the end.
fn nowhere() -> (PathBuf, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (directory.path().join("deep/er/store"), directory)
}

fn at(path: &std::path::Path) -> Store {
    Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

/// An ingest that does not fold by itself.
fn ingest(store: &Store) -> Ingest {
    store.ingest(IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..IngestOptions::default()
    })
}

fn batch(id: &str) -> WriteBatch {
    WriteBatch {
        events: vec![event("w", DAY_START_MS, id)],
        origin: Origin::default(),
        number: None,
        all_or_nothing: false,
    }
}

/// Every question that could be answered with nothing.
async fn ask(store: &Store) -> [Result<(), StoreError>; 6] {
    let name = workspace("w");
    [
        store.view(&name).await.map(drop),
        store.snapshot(&name).await.map(drop),
        store.workspaces().await.map(drop),
        store.workspaces_with_table().await.map(drop),
        store.workspace_folders().await.map(drop),
        store.verify_segments().await.map(drop),
    ]
}

/// A root without a store answers no question and takes no event.
#[tokio::test]
async fn nothing_is_no_store() {
    let (path, _directory) = nowhere();
    for store in [at(&path), bucket().open()] {
        for answer in ask(&store).await {
            let error = answer.unwrap_err();
            assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
            assert!(error.to_string().contains("vouch init"), "{error}");
        }
        assert!(store.check_present().await.is_err());
        assert!(store.check_writable().await.is_err());
        let mut import = store.import(ImportOptions::default());
        let pushed = import.push(event("w", DAY_START_MS, "a")).await;
        assert!(pushed.is_err() || import.finish().await.is_err());
        let ingest = ingest(&store);
        ingest.write(batch("a")).await.unwrap_err();
        assert!(
            store
                .object_store()
                .list(None)
                .try_next()
                .await
                .unwrap()
                .is_none()
        );
    }
    assert!(!path.exists());
    // The mount point of a volume that is not mounted.
    std::fs::create_dir_all(&path).unwrap();
    assert!(at(&path).check_present().await.is_err());
    assert!(at(&path).check_writable().await.is_err());
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

/// A store is made once, with or without its directory.
#[tokio::test]
async fn a_store_is_made_once() {
    let (path, _directory) = nowhere();
    let (other, _other) = nowhere();
    std::fs::create_dir_all(&other).unwrap();
    for store in [at(&path), at(&other), bucket().open()] {
        let marker = store.init().await.unwrap();
        assert_eq!(store.marker().await.unwrap(), Some(marker.clone()));
        let again = store.init().await.unwrap_err();
        assert!(matches!(again, StoreError::StoreExists { .. }), "{again}");
        assert_eq!(store.marker().await.unwrap(), Some(marker));
        assert_eq!(store.workspaces().await.unwrap(), []);
        import(&store, [event("w", DAY_START_MS, "a")]).await;
    }
}

/// Tables and segments name the store and its incarnation.
#[tokio::test]
async fn tables_and_segments_name_their_store() {
    for root in [Root::on_disk(), bucket()] {
        let store = root.open();
        if store.marker().await.unwrap().is_none() {
            store.init().await.unwrap();
        }
        let marker = store.marker().await.unwrap().unwrap();
        let ingest = ingest(&store);
        ingest.write(batch("a")).await.unwrap();
        let segments = store.segments(Duration::ZERO).await.unwrap();
        let header = &segments[0].header;
        assert_eq!(header.store, Some(marker.id().to_string()));
        assert_eq!(header.incarnation, Some(marker.incarnation().to_string()));
        store.fold().await.unwrap();
        let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
        let id = snapshot.metadata.property("vouch.store");
        assert_eq!(id, Some(marker.id().to_string().as_str()));
        assert_whole(&store, "w").await;
    }
}

/// A store whose root goes away while it is used answers nothing and acknowledges nothing, and goes on when the
/// root is back.
#[tokio::test]
async fn a_root_that_goes_away_is_not_empty() {
    let (path, _directory) = nowhere();
    let away = path.with_file_name("away");
    let store = at(&path);
    store.init().await.unwrap();
    let ingest = ingest(&store);
    ingest.write(batch("before")).await.unwrap();
    store.fold().await.unwrap();
    assert_eq!(store.workspaces().await.unwrap(), [workspace("w")]);
    for leaves_mount_point in [false, true] {
        std::fs::rename(&path, &away).unwrap();
        if leaves_mount_point {
            std::fs::create_dir(&path).unwrap();
        }
        // Nothing that was read lately hides it.
        ingest.write(batch("lost")).await.unwrap_err();
        tokio::time::sleep(2 * crate::read_view::LISTING_AGE).await;
        for answer in ask(&store).await {
            let error = answer.unwrap_err();
            assert!(matches!(error, StoreError::Gone { .. }), "{error}");
        }
        assert!(store.missing_for().is_some());
        assert!(store.probe().await.is_err());
        ingest.write(batch("lost")).await.unwrap_err();
        let mut session = store.import(ImportOptions::default());
        let pushed = session.push(event("v", DAY_START_MS, "lost")).await;
        assert!(pushed.is_err() || session.finish().await.is_err());
        assert_eq!(path.exists(), leaves_mount_point);
        if leaves_mount_point {
            assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
            std::fs::remove_dir(&path).unwrap();
        }
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(store.workspaces().await.unwrap(), [workspace("w")]);
        store.check_present().await.unwrap();
        assert!(store.missing_for().is_none());
        ingest.write(batch("after")).await.unwrap();
    }
    store.fold().await.unwrap();
    assert_eq!(stored_ids(&store, "w").await, ["after", "before"]);
}

/// A bucket that is emptied is noticed in the same way.
#[tokio::test]
async fn an_emptied_bucket_is_not_empty() {
    let root = bucket();
    let store = root.open();
    store.init().await.unwrap();
    import(&store, [event("w", DAY_START_MS, "a")]).await;
    let objects = store.object_store();
    let all: Vec<_> = objects.list(None).try_collect().await.unwrap();
    for object in all {
        objects.delete(&object.location).await.unwrap();
    }
    for answer in ask(&store).await {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Gone { .. }), "{error}");
    }
}

/// Another store in the place of the one that is used is noticed, and so is a restored one.
#[tokio::test]
async fn another_store_in_its_place_is_refused() {
    let root = bucket();
    let store = root.open();
    let marker = store.init().await.unwrap();
    for other in [Marker::new(), marker.restored()] {
        let bytes = other.encode().unwrap();
        let objects = store.object_store();
        objects.put(&paths::marker(), bytes.into()).await.unwrap();
        let error = store.workspaces().await.unwrap_err();
        assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
        // A process that starts now finds nothing wrong.
        assert_eq!(root.open().workspaces().await.unwrap(), []);
    }
    assert_eq!(marker.restored().id(), marker.id());
    assert_ne!(marker.restored().incarnation(), marker.incarnation());
}

/// A restore makes the marker first, and only where nothing is.
#[tokio::test]
async fn a_marker_is_made_only_where_nothing_is() {
    let root = bucket();
    let marker = Marker::new().restored();
    root.location.create_marker(&marker).await.unwrap();
    // As after a lost answer.
    root.location.create_marker(&marker).await.unwrap();
    let other = root
        .location
        .create_marker(&Marker::new())
        .await
        .unwrap_err();
    assert!(matches!(other, StoreError::StoreExists { .. }), "{other}");
    assert_eq!(root.open().marker().await.unwrap(), Some(marker));
}

/// A marker that is gone is not made again while anything names its store, in tables or in segments.
#[tokio::test]
async fn a_lost_marker_is_an_error_that_names_what_was_found() {
    for is_folded in [false, true] {
        let root = bucket();
        let store = root.open();
        store.init().await.unwrap();
        let ingest = ingest(&store);
        ingest.write(batch("a")).await.unwrap();
        if is_folded {
            store.fold().await.unwrap();
        }
        let objects = store.object_store();
        let marker = objects.get(&paths::marker()).await.unwrap();
        let marker = marker.bytes().await.unwrap();
        objects.delete(&paths::marker()).await.unwrap();
        let found = if is_folded {
            "workspace=w/_delta_log"
        } else {
            "segments/"
        };
        let asked = root.open().view(&workspace("w")).await.unwrap_err();
        let written = root.open().check_writable().await.unwrap_err();
        for error in [asked, written] {
            assert!(matches!(error, StoreError::MarkerMissing { .. }), "{error}");
            assert!(error.to_string().contains(found), "{error}");
        }
        let made = root.open().init().await.unwrap_err();
        assert!(matches!(made, StoreError::StoreExists { .. }), "{made}");
        // With the marker of a backup all goes on.
        objects.put(&paths::marker(), marker.into()).await.unwrap();
        let view = root.open().view(&workspace("w")).await.unwrap().unwrap();
        assert_eq!(view.rows(), 1);
    }
}

/// A table or a segment of another store is named.
#[tokio::test]
async fn objects_of_another_store_are_refused() {
    for is_folded in [false, true] {
        let (one, other) = (bucket(), bucket());
        let store = one.open();
        store.init().await.unwrap();
        other.open().init().await.unwrap();
        let ingest = ingest(&store);
        ingest.write(batch("a")).await.unwrap();
        if is_folded {
            store.fold().await.unwrap();
        }
        for path in objects(&store).await {
            let path = Path::from(path);
            let bytes = store.object_store().get(&path).await.unwrap();
            let bytes = bytes.bytes().await.unwrap();
            let to = &other.location.objects;
            to.put(&path, bytes.into()).await.unwrap();
        }
        let error = other.open().view(&workspace("w")).await.unwrap_err();
        assert!(matches!(error, StoreError::OtherStore { .. }), "{error}");
        let found = if is_folded {
            "workspace=w/_delta_log"
        } else {
            "segments/"
        };
        assert!(error.to_string().contains(found), "{error}");
    }
}

/// A store that has lost its marker gets no new one because an object that names the store cannot be read just then.
#[tokio::test]
async fn a_request_that_fails_makes_no_new_store() {
    let root = bucket();
    let store = root.open();
    store.init().await.unwrap();
    let ingest = ingest(&store);
    ingest.write(batch("1")).await.unwrap();
    ingest.kill().await;
    let objects = store.object_store();
    objects.delete(&paths::marker()).await.unwrap();
    for failing in 0.. {
        let gets = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&gets);
        let hook: Hook = Arc::new(move |request| {
            let fails =
                request == Request::Get && counted.fetch_add(1, Ordering::SeqCst) == failing;
            Box::pin(async move {
                if fails {
                    Err(crate::tests::hooked::dead())
                } else {
                    Ok(())
                }
            })
        });
        let written = Store::from_location(hooked(&root, hook))
            .check_writable()
            .await;
        assert!(written.is_err());
        assert_eq!(store.marker().await.unwrap(), None, "request {failing}");
        if gets.load(Ordering::SeqCst) <= failing {
            assert!(failing > 1, "the segment was read");
            break;
        }
    }
}

/// A bucket that comes back between an empty listing and the look at its marker is not empty.
#[tokio::test]
async fn a_root_that_comes_back_while_it_is_listed_is_not_empty() {
    let root = Root::on_disk();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    let path = root.location.directory().unwrap();
    let away = path.with_extension("away");
    type Asked = fn(&Store) -> BoxFuture<'_, bool>;
    let asked: [Asked; 3] = [
        |store| async { store.snapshot(&workspace("w")).await.unwrap().is_some() }.boxed(),
        |store| async { !store.workspaces_with_table().await.unwrap().is_empty() }.boxed(),
        |store| async { !store.workspace_folders().await.unwrap().is_empty() }.boxed(),
    ];
    for asked in asked {
        let (from, to) = (path.clone(), away.clone());
        let requests = AtomicUsize::new(0);
        let hook: Hook = Arc::new(move |_| {
            match requests.fetch_add(1, Ordering::SeqCst) {
                0 => std::fs::rename(&from, &to).unwrap(),
                1 => std::fs::rename(&to, &from).unwrap(),
                _ => {}
            }
            Box::pin(async { Ok(()) })
        });
        assert!(asked(&Store::from_location(hooked(&root, hook))).await);
    }
}

/// An object store that replaces what is to be created.
struct Replacing(Arc<dyn ObjectStore>);

#[async_trait]
impl Delegate for Replacing {
    async fn before_put(&self, path: &Path) {
        let _ = self.0.delete(path).await;
    }
}

/// Where a second marker would not be refused, none is made: two processes would make two stores of one.
#[tokio::test]
async fn no_marker_is_made_where_a_second_one_is_not_refused() {
    let root = bucket();
    let old = crate::tests::fixture::fixture("0.1.0");
    let from = old.open().object_store();
    let replacing = || interpose(&root, Replacing(Arc::clone(&root.location.objects)));
    let made = replacing().init().await.unwrap_err();
    assert!(matches!(made, StoreError::Lacking { .. }), "{made}");
    for path in objects(&old.open()).await.into_iter().map(Path::from) {
        let bytes = from.get(&path).await.unwrap().bytes().await.unwrap();
        let to = root.open().object_store();
        to.put(&path, bytes.into()).await.unwrap();
    }
    let written = replacing().check_writable().await.unwrap_err();
    assert!(matches!(written, StoreError::Lacking { .. }), "{written}");
    assert_eq!(root.open().marker().await.unwrap(), None);
}
